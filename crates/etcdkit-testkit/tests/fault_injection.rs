//! The faults of the embedded server, as a program with the client sees them.

use std::time::Duration;

use etcdkit::{Client, ErrorKind, KeyRange, LostReason, Outcome};
use etcdkit_server::Server;
use etcdkit_server::faults::{Alarm, Code, EtcdError, Failure, Faults, Rpc, Rpcs};
use tokio::time::timeout;

/// How long something may take on a busy machine that happens at once.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server, its faults, and a client without a port.
async fn start() -> (Server, Faults, Client) {
    let server = Server::builder().without_listener().start().await;
    let server = server.expect("a server");
    let client = connect(&server).await;
    let faults = server.faults();
    (server, faults, client)
}

async fn connect(server: &Server) -> Client {
    let builder = Client::builder().connector(server.connector());
    builder.connect().await.expect("a client")
}

#[tokio::test]
async fn reads_are_repeated_until_they_are_answered() {
    let (_server, faults, client) = start().await;
    client.put("k", "v").await.expect("a put");
    for failure in [
        Failure::from(EtcdError::LeaderChanged),
        Failure::from((Code::Unavailable, "the proxy has no backend")),
    ] {
        let before = faults.calls(Rpc::KvRange);
        let fault = faults.on(Rpc::KvRange).times(2).fail(failure);
        let found = client.get("k").await.expect("an answer");
        assert_eq!(found.expect("the key").value, "v");
        assert_eq!(fault.hits(), 2);
        assert_eq!(faults.calls(Rpc::KvRange) - before, 3);
    }
}

#[tokio::test]
async fn a_write_that_was_refused_is_repeated_and_applied_once() {
    let (_server, faults, client) = start().await;
    let fault = faults.on(Rpc::KvPut).nth(1).fail(EtcdError::NoLeader);
    client.put("k", "v").await.expect("a put");
    let found = client.get("k").await.expect("an answer").expect("the key");
    assert_eq!((found.version, fault.hits()), (1, 1));
    assert_eq!(faults.calls(Rpc::KvPut), 2);
}

#[tokio::test]
async fn a_write_that_may_have_happened_is_not_repeated() {
    let (_server, faults, client) = start().await;
    // What the caller sees is the same whether the write has happened or not.
    for (applied, number) in [(true, "1"), (false, "2")] {
        let put = || match applied {
            true => faults.on(Rpc::KvPut).times(1).once_applied(),
            false => faults.on(Rpc::KvPut).times(1),
        };
        let faults_and_kinds = [
            (
                put().fail(EtcdError::ServerTimeout),
                ErrorKind::ServerTimeout,
            ),
            (put().disconnect(), ErrorKind::Disconnected),
            (put().hang(), ErrorKind::Timeout),
        ];
        for (index, (fault, kind)) in faults_and_kinds.iter().enumerate() {
            let key = format!("{number}/{index}");
            let calls = faults.calls(Rpc::KvPut);
            let put = client.put(&key, "v").timeout(Duration::from_secs(1)).await;
            let error = put.expect_err("no answer");
            assert_eq!(error.kind(), *kind, "{error}");
            assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
            assert_eq!((fault.hits(), faults.calls(Rpc::KvPut)), (1, calls + 1));
            let found = client.get(&key).await.expect("an answer");
            assert_eq!(found.is_some(), applied, "{kind:?}");
        }
    }
}

/// Writes while a fault happens, and expects every write from the watch, once and in order.
async fn watch_through(fault: impl AsyncFn(&Server, &Faults)) {
    let (server, faults, client) = start().await;
    let watched = client.watch(KeyRange::prefix("k"));
    let mut events = watched.await.expect("a watch");
    let mut written = Vec::new();
    for round in 0..5 {
        for number in 0..10 {
            let key = format!("k/{round}/{number}");
            // A client writes again what is lost with its connection; the watch sees both.
            while client.put(&key, "v").await.is_err() {}
            written.push(key);
            if number == 5 {
                fault(&server, &faults).await;
            }
        }
    }
    let mut seen: Vec<Vec<u8>> = Vec::new();
    let mut revision = 0;
    while seen
        .last()
        .is_none_or(|key| key != written.last().expect("a key").as_bytes())
    {
        let update = timeout(PATIENCE, events.try_next())
            .await
            .expect("an event");
        let update = update.expect("no error").expect("no end");
        for event in update.events() {
            assert!(event.kv().mod_revision > revision, "in order, and once");
            revision = event.kv().mod_revision;
            seen.push(event.key().to_vec());
        }
    }
    seen.dedup();
    let written: Vec<_> = written.iter().map(|key| key.as_bytes().to_vec()).collect();
    assert_eq!(seen, written);
}

#[tokio::test]
async fn a_watch_goes_on_after_its_streams_and_connections_end() {
    let closing = (Code::Unavailable, "transport is closing");
    watch_through(async |_, faults| faults.end_streams(Rpc::Watch, closing)).await;
    watch_through(async |_, faults| faults.drop_connections()).await;
    watch_through(async |_, faults| faults.restart()).await;
}

#[tokio::test]
async fn a_watch_goes_on_after_the_leader_was_lost() {
    watch_through(async |_, faults| {
        faults.lose_leader();
        tokio::task::yield_now().await;
        faults.regain_leader();
    })
    .await;
}

#[tokio::test]
async fn a_watch_goes_on_after_a_silence() {
    watch_through(async |_, faults| {
        faults.stall_streams(Rpcs::ALL);
        tokio::time::sleep(Duration::from_millis(100)).await;
        faults.resume_streams();
        faults.pause();
        tokio::time::sleep(Duration::from_millis(100)).await;
        faults.resume();
    })
    .await;
}

#[tokio::test]
async fn a_watch_is_told_of_a_compaction() {
    let (_server, faults, client) = start().await;
    let first = client.put("k", "1").await.expect("a put").header.revision;
    client.put("k", "2").await.expect("a put");
    let compacted = faults.compact();
    let watch = client.watch("k").from_revision(first).await;
    let error = match watch {
        Ok(mut watch) => watch.try_next().await.expect_err("compacted").into(),
        Err(error) => error,
    };
    assert_eq!(error.kind(), ErrorKind::Compacted, "{error}");
    let later = client.watch("k").from_revision(compacted).await;
    later.expect("what is left can be watched");
}

#[tokio::test]
async fn a_lease_survives_a_restart() {
    let (server, faults, client) = start().await;
    let lease = client
        .lease(Duration::from_secs(60))
        .await
        .expect("a lease");
    client.put("k", "v").lease(&lease).await.expect("a put");
    for _ in 0..3 {
        server.advance_time(Duration::from_secs(50));
        // The restart begins the lease's time again, as a new leader of etcd does.
        faults.restart();
    }
    assert!(client.get("k").await.expect("an answer").is_some());
    assert!(
        timeout(Duration::from_millis(200), lease.lost())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_lease_is_told_lost() {
    let (server, faults, client) = start().await;
    let lease = client.lease(Duration::from_secs(5)).await.expect("a lease");
    server.advance_time(Duration::from_secs(6));
    let lost = timeout(PATIENCE, lease.lost()).await.expect("a loss");
    assert_eq!(lost.reason(), LostReason::NotFound, "the server knows");

    let lease = client.lease(Duration::from_secs(2)).await.expect("a lease");
    faults.pause();
    let lost = timeout(PATIENCE, lease.lost()).await.expect("a loss");
    assert_eq!(
        lost.reason(),
        LostReason::Expired,
        "the client's own clock knows"
    );
    faults.resume();
}

#[tokio::test]
async fn what_a_server_refuses_has_not_happened() {
    let (server, faults, client) = start().await;
    for (alarm, kind) in [
        (Alarm::NoSpace, ErrorKind::NoSpace),
        (Alarm::Corrupt, ErrorKind::Corrupt),
    ] {
        faults.raise_alarm(alarm);
        let error = client.put("k", "v").await.expect_err("an alarm");
        // Of its outcome nothing is known by it: etcd applies the write that breaks the quota, and
        // refuses it then.
        assert_eq!(error.kind(), kind);
        assert!(client.get("k").await.expect("an answer").is_none());
        faults.clear_alarm(alarm);
    }
    faults.lose_leader();
    let put = client.put("k", "v").timeout(Duration::from_secs(1)).await;
    let error = put.expect_err("no leader");
    assert_eq!(error.kind(), ErrorKind::NoLeader, "{error}");
    assert_eq!(error.outcome(), Outcome::NotApplied, "{error}");
    faults.regain_leader();

    faults.refuse_connections();
    let other = Client::builder().connector(server.connector());
    let other = other.connect_timeout(Duration::from_millis(300));
    let refused = other.connect().await.expect_err("refused");
    assert_eq!(refused.kind(), ErrorKind::Connect, "{refused}");
    client
        .put("k", "v")
        .await
        .expect("the open connections stay");
    assert_eq!(
        client
            .get("k")
            .await
            .expect("an answer")
            .expect("the key")
            .version,
        1
    );
}

/// Faults at random, from a seed, against a counter that must not count twice or not at all.
#[tokio::test]
async fn compare_and_swap_counts_exactly_under_random_faults() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let (_server, faults, client) = start().await;
    let writes = [Rpc::KvTxn, Rpc::KvPut];
    faults
        .on(writes)
        .randomly(0.2, seed)
        .fail(EtcdError::NoLeader);
    faults
        .on(writes)
        .randomly(0.1, seed + 1)
        .once_applied()
        .fail(EtcdError::ServerTimeout);
    faults
        .on(Rpcs::ALL)
        .randomly(0.05, seed + 2)
        .once_applied()
        .disconnect();
    faults
        .on(Rpc::KvRange)
        .randomly(0.2, seed + 3)
        .fail(EtcdError::LeaderChanged);
    let mut counted = 0;
    while counted < 50 {
        let Ok(now) = client.get("n").await else {
            continue;
        };
        let revision = now.map_or(0, |now| now.mod_revision);
        let next = client
            .txn()
            .when([etcdkit::Compare::mod_revision("n").eq(revision)])
            .then([etcdkit::Op::put("n", "+1")])
            .await;
        match next {
            Ok(done) => counted += i64::from(done.succeeded),
            Err(error) if error.outcome() == Outcome::NotApplied => {}
            // Whether it counted is seen by reading.
            Err(_) => loop {
                if let Ok(now) = client.get("n").await {
                    let moved = now.map_or(0, |now| now.mod_revision) != revision;
                    counted += i64::from(moved);
                    break;
                }
            },
        }
    }
    faults.clear();
    let counter = client.get("n").await.expect("an answer").expect("the key");
    assert_eq!(counter.version, counted, "seed {seed}");
}
