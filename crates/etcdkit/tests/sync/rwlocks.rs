//! Locks of many readers or one writer.

use std::time::Duration;

use etcdkit::{
    Client, ErrorKind,
    sync::{RwLockHolders, Session},
};

use crate::support::{
    TTL, assert_waits, hex, keys, soon, start, until_count, until_nothing_is_left,
};

async fn sessions<const N: usize>(client: &Client) -> [Session; N] {
    let mut sessions = Vec::new();
    for _ in 0..N {
        sessions.push(client.session().ttl(TTL).await.unwrap());
    }
    sessions.try_into().unwrap()
}

#[tokio::test]
async fn readers_and_writers_have_the_directories_of_gos_recipe() {
    let (_server, client) = start().await;
    let [reader, writer] = sessions(&client).await;
    let read = reader.rwlock("index").read().await.unwrap();
    let waiting = tokio::spawn(writer.rwlock("index").value("w").write());
    until_count(&client, "index/", 2).await;
    let expected = [
        format!("index/read/{}", hex(reader.id())),
        format!("index/write/{}", hex(writer.id())),
    ];
    assert_eq!(keys(&client, "").await, expected);
    assert_eq!(read.key(), expected[0].as_bytes());
    assert!(read.unlock().await.unwrap());
    let write = soon(waiting).await.unwrap().unwrap();
    assert_eq!(write.key(), expected[1].as_bytes());
    let kv = client.get(&expected[1]).await.unwrap().unwrap();
    assert_eq!(kv.value, "w");
    // Go's waiters compare revisions of changes.
    assert_eq!(kv.mod_revision, write.fencing_token());
}

#[tokio::test]
async fn readers_share_and_writers_do_not() {
    let (_server, client) = start().await;
    let index = client.rwlock("index").ttl(TTL);
    let readers = [
        soon(index.read()).await.unwrap(),
        soon(index.read()).await.unwrap(),
        soon(index.try_read()).await.unwrap().unwrap(),
    ];
    assert!(index.try_write().await.unwrap().is_none());
    assert_eq!(
        keys(&client, "index/").await.len(),
        3,
        "a try has left a trace"
    );
    drop(readers);
    let writer = soon(index.write()).await.unwrap();
    assert!(index.try_write().await.unwrap().is_none());
    assert!(index.try_read().await.unwrap().is_none());
    writer.put("k", "v").await.unwrap();
    assert!(writer.unlock().await.unwrap());
    soon(index.read()).await.unwrap().unlock().await.unwrap();
}

#[tokio::test]
async fn a_reader_that_comes_after_a_waiting_writer_waits_behind_it() {
    let (_server, client) = start().await;
    let index = client.rwlock("index").ttl(TTL);
    let first = index.read().await.unwrap();
    let mut writer = tokio::spawn(index.write());
    until_count(&client, "index/", 2).await;
    let mut second = tokio::spawn(index.read());
    until_count(&client, "index/", 3).await;
    let mut third = tokio::spawn(index.read());
    until_count(&client, "index/", 4).await;
    assert_waits(&mut writer).await;
    assert_waits(&mut second).await;
    assert!(index.try_read().await.unwrap().is_none());

    let before = first.fencing_token();
    assert!(first.unlock().await.unwrap());
    let writing = soon(writer).await.unwrap().unwrap();
    assert_waits(&mut third).await;
    assert_waits(&mut second).await;
    assert!(writing.fencing_token() > before);
    let before = writing.fencing_token();
    assert!(writing.unlock().await.unwrap());
    // Both at the same time.
    let second = soon(second).await.unwrap().unwrap();
    let third = soon(third).await.unwrap().unwrap();
    assert!(second.fencing_token() > before);
    drop((second, third));
    until_nothing_is_left(&client).await;
}

#[tokio::test]
async fn a_writer_waits_for_all_readers_before_it_in_whatever_order_they_go() {
    let (_server, client) = start().await;
    let index = client.rwlock("index").ttl(TTL);
    let mut readers = Vec::new();
    for _ in 0..4 {
        readers.push(index.read().await.unwrap());
    }
    let mut writer = tokio::spawn(index.write());
    until_count(&client, "index/", 5).await;
    for at in [2, 0, 1] {
        assert!(readers.remove(at).unlock().await.unwrap());
        assert_waits(&mut writer).await;
    }
    assert!(readers.remove(0).unlock().await.unwrap());
    soon(writer).await.unwrap().unwrap().unlock().await.unwrap();
}

#[tokio::test]
async fn a_writer_that_gives_up_lets_the_readers_behind_it_in() {
    let (_server, client) = start().await;
    let index = client.rwlock("index").ttl(TTL);
    let first = index.read().await.unwrap();
    let writer = index
        .clone()
        .wait_at_most(Duration::from_millis(300))
        .write();
    let writer = tokio::spawn(writer);
    until_count(&client, "index/", 2).await;
    let second = tokio::spawn(index.read());
    let error = soon(writer).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    let second = soon(second).await.unwrap().unwrap();
    assert!(!first.is_lost() && !second.is_lost());
}

#[tokio::test]
async fn a_session_that_asks_for_what_it_is_in_the_way_of_is_refused() {
    let (_server, client) = start().await;
    let [session, other] = sessions(&client).await;
    let index = session.rwlock("index");
    let reading = index.read().await.unwrap();
    // Reading again is no matter.
    let again = soon(index.read()).await.unwrap();
    assert_eq!(reading.fencing_token(), again.fencing_token());
    for error in [
        soon(index.write()).await.unwrap_err(),
        soon(index.try_write()).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
    }
    assert_eq!(keys(&client, "index/").await.len(), 1);
    drop((reading, again));

    // Given up means free, even if the server does not know yet.
    let writing = soon(index.write()).await.unwrap();
    let error = soon(index.read()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
    soon(index.write()).await.unwrap().unlock().await.unwrap();
    // Another lock is another matter.
    drop(soon(session.rwlock("else").read()).await.unwrap());
    assert!(writing.unlock().await.unwrap());

    // What it waits for is in its way as well.
    let held = other.rwlock("index").write().await.unwrap();
    let waiting = tokio::spawn(index.read());
    until_count(&client, "index/", 2).await;
    let error = soon(index.write()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
    assert!(held.unlock().await.unwrap());
    drop(soon(waiting).await.unwrap().unwrap());
}

#[tokio::test]
async fn a_session_that_is_in_its_own_way_since_before_a_restart_is_refused() {
    let (_server, client) = start().await;
    let [session] = sessions(&client).await;
    let reading = session.rwlock("index").read().await.unwrap();
    let lease = session.detach();
    std::mem::forget(reading);

    let session = client.session().resume(lease).await.unwrap();
    let error = soon(session.rwlock("index").write()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
    let reading = soon(session.rwlock("index").read()).await.unwrap();
    assert!(reading.unlock().await.unwrap());
    drop(soon(session.rwlock("index").write()).await.unwrap());
}

#[tokio::test]
async fn a_place_from_before_a_restart_is_not_written_again() {
    let (_server, client) = start().await;
    let [session] = sessions(&client).await;
    let writing = session.rwlock("index").value("before").write().await;
    let writing = writing.unwrap();
    let token = writing.fencing_token();
    let lease = session.detach();
    drop(writing);

    let session = client.session().resume(lease).await.unwrap();
    let writing = soon(session.rwlock("index").value("after").write()).await;
    let writing = writing.unwrap();
    assert_eq!(writing.fencing_token(), token);
    let kv = client.get(writing.key()).await.unwrap().unwrap();
    // To waiters of Go's recipe it would be younger than their own.
    assert_eq!((kv.mod_revision, &kv.value[..]), (token, &b"before"[..]));
}

#[tokio::test]
async fn the_holders_are_those_who_have_it_and_not_those_who_wait() {
    let (_server, client) = start().await;
    let index = client.rwlock("index").ttl(TTL);
    assert_eq!(index.holders().await.unwrap(), RwLockHolders::Nobody);
    let first = index.clone().value("first").read().await.unwrap();
    let second = index.clone().value("second").read().await.unwrap();
    let writer = tokio::spawn(index.clone().value("writer").write());
    until_count(&client, "index/", 3).await;
    let third = tokio::spawn(index.read());
    until_count(&client, "index/", 4).await;

    let RwLockHolders::Readers(readers) = index.holders().await.unwrap() else {
        panic!("two are reading");
    };
    let who: Vec<_> = readers.iter().map(|reader| &reader.value[..]).collect();
    assert_eq!(who, [&b"first"[..], b"second"]);
    assert_eq!(readers[0].fencing_token, first.fencing_token());
    assert_eq!(readers[1].key, second.key());
    drop((first, second));
    let writing = soon(writer).await.unwrap().unwrap();
    let RwLockHolders::Writer(holder) = index.holders().await.unwrap() else {
        panic!("one is writing");
    };
    assert_eq!(
        (&holder.key, &holder.value[..]),
        (writing.key(), &b"writer"[..])
    );
    assert!(writing.unlock().await.unwrap());
    soon(third).await.unwrap().unwrap().unlock().await.unwrap();
    assert_eq!(index.holders().await.unwrap(), RwLockHolders::Nobody);
}

/// The keys of etcd's Go recipe end in a time instead of a lease's id.
#[tokio::test]
async fn readers_and_writers_of_other_clients_are_waited_for() {
    let (_server, client) = start().await;
    let index = client.rwlock("index").ttl(TTL);
    client
        .put("index/read/1700000000000000001", "")
        .await
        .unwrap();
    let reading = soon(index.read()).await.unwrap();
    assert!(reading.unlock().await.unwrap());
    let mut writer = tokio::spawn(index.write());
    until_count(&client, "index/", 2).await;
    client
        .put("index/write/1700000000000000002", "")
        .await
        .unwrap();
    assert_waits(&mut writer).await;
    assert!(index.try_read().await.unwrap().is_none());
    client
        .delete("index/read/1700000000000000001")
        .await
        .unwrap();
    let writing = soon(writer).await.unwrap().unwrap();
    let mut reader = tokio::spawn(index.read());
    until_count(&client, "index/", 3).await;
    assert!(writing.unlock().await.unwrap());
    assert_waits(&mut reader).await;
    client
        .delete("index/write/1700000000000000002")
        .await
        .unwrap();
    drop(soon(reader).await.unwrap().unwrap());
}

#[tokio::test]
async fn waits_that_are_dropped_leave_no_key() {
    let (_server, client) = start().await;
    let [session] = sessions(&client).await;
    let index = client.rwlock("index").ttl(TTL);
    let writing = index.write().await.unwrap();
    let reading = tokio::spawn(session.rwlock("index").read());
    until_count(&client, "index/", 2).await;
    let second = tokio::spawn(index.write());
    until_count(&client, "index/", 3).await;
    reading.abort();
    until_count(&client, "index/", 2).await;
    second.abort();
    until_count(&client, "index/", 1).await;
    assert!(writing.unlock().await.unwrap());
}

/// Random readers and writers on random sessions. Whoever is in notes it; who should not be in is seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_reader_is_ever_in_with_a_writer() {
    use std::sync::atomic::{AtomicI64, Ordering};

    static INSIDE: AtomicI64 = AtomicI64::new(0);
    const WRITER: i64 = 1_000;
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let (_server, client) = start().await;
    let tasks = (0..12).map(|_| {
        let (client, mut rng) = (client.clone(), rng.fork());
        tokio::spawn(async move {
            let index = client.rwlock("index").ttl(TTL);
            for _ in 0..8 {
                let dice = rng.u8(..10);
                if dice < 3 {
                    let guard = index.write().await.unwrap();
                    assert_eq!(INSIDE.fetch_add(WRITER, Ordering::SeqCst), 0);
                    tokio::task::yield_now().await;
                    assert_eq!(INSIDE.fetch_sub(WRITER, Ordering::SeqCst), WRITER);
                    drop(guard);
                } else if dice < 9 {
                    let guard = index.read().await.unwrap();
                    assert!(INSIDE.fetch_add(1, Ordering::SeqCst) < WRITER);
                    tokio::task::yield_now().await;
                    assert!(INSIDE.fetch_sub(1, Ordering::SeqCst) < WRITER);
                    drop(guard);
                } else {
                    let limit = Duration::from_millis(rng.u64(..5));
                    let _ = index.clone().wait_at_most(limit).write().await;
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        soon(task).await.unwrap();
    }
    until_nothing_is_left(&client).await;
}
