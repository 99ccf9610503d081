//! Transactions in memory on the embedded server: what compiles, what is promised, what is refused.

#![allow(clippy::unwrap_used)]

use std::{
    error::Error as StdError,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use etcdkit::{
    Client, ErrorKind, KeyRange, Op, Outcome,
    sync::{Isolation, Transaction},
};
use etcdkit_server::Server;
use tokio::task::JoinSet;

async fn started() -> (Server, Client) {
    let server = Server::builder().start().await.unwrap();
    let client = Client::connect(server.endpoint()).await.unwrap();
    (server, client)
}

async fn value(client: &Client, key: &str) -> Option<String> {
    let kv = client.get(key).await.unwrap()?;
    Some(kv.value_str().unwrap().to_owned())
}

#[tokio::test]
async fn types_are_inferred_in_functions_with_any_error() {
    async fn add(client: &Client) -> Result<i64, Box<dyn StdError>> {
        let total = client
            .stm(async |tx| {
                let n: i64 = tx.get("n").await?.unwrap_or(0);
                tx.put("n", n + 1);
                Ok(n + 1)
            })
            .await?;
        Ok(total)
    }

    let (_server, client) = started().await;
    assert_eq!(add(&client).await.unwrap(), 1);
    assert_eq!(add(&client).await.unwrap(), 2);
    assert_eq!(value(&client, "n").await.unwrap(), "2");
}

#[tokio::test]
async fn transactions_can_be_spawned_with_closures_that_borrow_or_own() {
    let (_server, client) = started().await;
    let borrowing = tokio::spawn({
        let client = client.clone();
        async move {
            let (key, by) = (String::from("n"), 2);
            let count = client
                .stm(async |tx| {
                    let n = tx.get::<u64>(&key).await?.unwrap_or(0);
                    tx.put(&key, n + by);
                    Ok(n + by)
                })
                .await?;
            Ok::<_, etcdkit::Error>((key, count))
        }
    });
    assert_eq!(borrowing.await.unwrap().unwrap(), ("n".to_owned(), 2));

    let owning = tokio::spawn({
        let (client, keys) = (client.clone(), vec!["n".to_owned(), "m".to_owned()]);
        async move {
            let read = client.stm_builder().prefetch(&keys);
            read.try_run(async move |tx| {
                let mut sum = 0;
                for key in &keys {
                    sum += tx.get::<u64>(key).await?.unwrap_or(0);
                }
                Ok::<_, Box<dyn StdError + Send + Sync>>(sum)
            })
            .await
        }
    });
    assert_eq!(owning.await.unwrap().unwrap(), 2);

    /// As a function, and with what is borrowed from elsewhere.
    async fn swap(tx: &mut Transaction, a: &str, b: &str) -> etcdkit::Result<()> {
        let (left, right) = (tx.get::<String>(a).await?, tx.get::<String>(b).await?);
        for (key, value) in [(a, right), (b, left)] {
            match value {
                Some(value) => drop(tx.put(key, value)),
                None => tx.delete(key),
            }
        }
        Ok(())
    }
    let swapping = tokio::spawn({
        let client = client.clone();
        async move {
            let (a, b) = (String::from("n"), String::from("m"));
            client.stm(async |tx| swap(tx, &a, &b).await).await
        }
    });
    swapping.await.unwrap().unwrap();
    assert_eq!(value(&client, "n").await, None);
    assert_eq!(value(&client, "m").await.unwrap(), "2");
}

#[tokio::test]
async fn a_missing_value_is_not_an_empty_one() {
    let (_server, client) = started().await;
    client.put("empty", "").await.unwrap();
    let read = client.stm(async |tx| {
        let empty: Option<String> = tx.get("empty").await?;
        let missing: Option<String> = tx.get("missing").await?;
        Ok((empty, missing))
    });
    assert_eq!(read.await.unwrap(), (Some(String::new()), None));
}

#[tokio::test]
async fn reads_see_the_transactions_own_writes_and_stored_does_not() {
    let (_server, client) = started().await;
    let put = client.put("k", "1").await.unwrap().header.revision;
    let run = client.stm_builder().commit(async |tx| {
        tx.put("k", 2);
        tx.put("new", true);
        assert_eq!(tx.get("k").await?, Some(2));
        assert_eq!(tx.revision(), None, "nothing was read from the store yet");
        let stored = tx.stored("k").await?.unwrap();
        assert_eq!((&stored.value[..], stored.mod_revision), (&b"1"[..], put));
        assert_eq!(tx.revision(), Some(put));
        assert_eq!(tx.get("new").await?, Some(true));
        tx.delete("k");
        assert_eq!(tx.get::<i32>("k").await?, None);
        assert_eq!(tx.stored("new").await?, None);
        Ok(())
    });
    let done = run.await.unwrap();
    assert_eq!((done.revision, done.attempts), (Some(put + 1), 1));
    assert_eq!(value(&client, "k").await, None);
    assert_eq!(value(&client, "new").await.unwrap(), "true");
}

#[tokio::test]
async fn a_value_of_another_type_is_an_error_that_names_the_key_and_not_the_value() {
    let (_server, client) = started().await;
    client.put("n", "s3cret").await.unwrap();
    let read = client.stm(async |tx| tx.get::<i64>("n").await);
    let error = read.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
    assert_eq!(error.outcome(), Outcome::NotApplied);
    let told = format!("{error} {error:?}");
    assert!(told.contains("\"n\"") && told.contains("i64"), "{told}");
    assert!(!told.contains("s3cret"), "{told}");

    let mend = client.stm(async |tx| {
        if tx.get::<i64>("n").await.is_err() {
            tx.put("n", 0);
        }
        Ok(())
    });
    mend.await.unwrap();
    assert_eq!(value(&client, "n").await.unwrap(), "0");
}

#[tokio::test]
async fn a_closure_that_fails_writes_nothing_and_its_error_is_the_programs_own() {
    #[derive(Debug)]
    enum Failure {
        Own,
        Etcd(etcdkit::Error),
    }
    impl From<etcdkit::Error> for Failure {
        fn from(error: etcdkit::Error) -> Self {
            Self::Etcd(error)
        }
    }

    let (_server, client) = started().await;
    let tries = AtomicU32::new(0);
    let run = client.stm_builder().try_run(async |tx| {
        tries.fetch_add(1, Ordering::Relaxed);
        tx.put("k", "v");
        match tx.get::<String>("no").await? {
            Some(_) => Ok(()),
            None => Err(Failure::Own),
        }
    });
    assert!(matches!(run.await, Err(Failure::Own)));
    assert_eq!(tries.into_inner(), 1);
    assert_eq!(value(&client, "k").await, None);

    let run = client.stm_builder().try_run(async |tx| {
        tx.put("", "v");
        Ok::<_, Failure>(())
    });
    match run.await {
        Err(Failure::Etcd(error)) => assert_eq!(error.kind(), ErrorKind::EmptyKey),
        other => panic!("{other:?}"),
    }
}

/// Counts the attempts of a transaction that reads `k` and writes `other`, while others do something,
/// one after the other, in its first one.
async fn attempts_with(client: &Client, isolation: Isolation, meanwhile: &[Op]) -> u32 {
    let tries = AtomicU32::new(0);
    let run = client.stm_builder().isolation(isolation).run(async |tx| {
        tries.fetch_add(1, Ordering::Relaxed);
        let seen: Option<String> = tx.get("k").await?;
        if tx.attempt() == 1 {
            for op in meanwhile {
                client.txn().then([op.clone()]).await?;
            }
        }
        tx.put("other", seen.unwrap_or_default());
        Ok(())
    });
    run.await.unwrap();
    tries.into_inner()
}

#[tokio::test]
async fn a_transaction_is_repeated_exactly_as_often_as_others_change_what_it_has_read() {
    use Isolation::{ReadCommitted, RepeatableReads, Serializable, SerializableSnapshot};

    let (_server, client) = started().await;
    let put = |value| Op::put("k", value);
    for isolation in [SerializableSnapshot, Serializable, RepeatableReads] {
        client.put("k", "1").await.unwrap();
        assert_eq!(attempts_with(&client, isolation, &[put("2")]).await, 2);
        assert_eq!(value(&client, "other").await.unwrap(), "2", "{isolation:?}");

        // The same value is another revision, too.
        assert_eq!(attempts_with(&client, isolation, &[put("2")]).await, 2);

        let delete = Op::delete("k");
        assert_eq!(attempts_with(&client, isolation, &[delete]).await, 2);
        assert_eq!(value(&client, "other").await.unwrap(), "", "{isolation:?}");

        // From nothing to nothing is no change.
        let both = [put("3"), Op::delete("k")];
        assert_eq!(attempts_with(&client, isolation, &both).await, 1);

        assert_eq!(attempts_with(&client, isolation, &[put("1")]).await, 2);
        let elsewhere = Op::put("x", "1");
        assert_eq!(attempts_with(&client, isolation, &[elsewhere]).await, 1);
    }
    let attempts = attempts_with(&client, ReadCommitted, &[put("2")]).await;
    assert_eq!(attempts, 1);
}

#[tokio::test]
async fn only_a_snapshot_minds_others_writing_what_it_writes_unread() {
    use Isolation::{ReadCommitted, RepeatableReads, Serializable, SerializableSnapshot};

    let (_server, client) = started().await;
    client.put("k", "1").await.unwrap();
    let theirs = [Op::put("other", "theirs")];
    for (isolation, attempts) in [
        (SerializableSnapshot, 2),
        (Serializable, 1),
        (RepeatableReads, 1),
        (ReadCommitted, 1),
    ] {
        assert_eq!(attempts_with(&client, isolation, &theirs).await, attempts);
        assert_eq!(value(&client, "other").await.unwrap(), "1");
    }
}

#[tokio::test]
async fn all_reads_of_an_attempt_are_of_one_revision() {
    let (_server, client) = started().await;
    for isolation in [Isolation::SerializableSnapshot, Isolation::Serializable] {
        client
            .txn()
            .then([Op::put("a", "1"), Op::put("b", "1")])
            .await
            .unwrap();
        let read = client.stm_builder().isolation(isolation);
        let read = read.commit(async |tx| {
            let a = tx.get::<i32>("a").await?;
            let both = [Op::put("a", "2"), Op::put("b", "2")];
            client.txn().then(both).await?;
            let b = tx.get::<i32>("b").await?;
            assert_eq!(tx.get::<i32>("a").await?, a);
            Ok((a, b))
        });
        let done = read.await.unwrap();
        assert_eq!(done.value, (Some(1), Some(1)), "{isolation:?}");
        assert_eq!(done.attempts, 1, "it was so at its revision");
    }
}

#[tokio::test]
async fn what_was_only_read_at_one_revision_needs_no_commit() {
    let (server, client) = started().await;
    client.put("k", "1").await.unwrap();
    for (isolation, is_ok) in [
        (Isolation::SerializableSnapshot, true),
        (Isolation::Serializable, true),
        (Isolation::RepeatableReads, false),
        (Isolation::ReadCommitted, true),
    ] {
        let closing = Client::connect(server.endpoint()).await.unwrap();
        let read = closing.stm_builder().isolation(isolation);
        let read = read.run(async |tx| {
            let seen: Option<u8> = tx.get("k").await?;
            closing.close().await;
            Ok(seen)
        });
        match read.await {
            Ok(seen) => assert!(is_ok && seen == Some(1), "{isolation:?}"),
            Err(error) => assert!(!is_ok && error.kind() == ErrorKind::Closed, "{error}"),
        }
    }
}

#[tokio::test]
async fn a_compaction_of_what_is_read_makes_it_begin_anew() {
    let (_server, client) = started().await;
    client.put("a", "1").await.unwrap();
    client.put("b", "1").await.unwrap();
    let compact = async || {
        let head = client.put("a", "2").await.unwrap().header.revision;
        client.put("b", "2").await.unwrap();
        client.compact(head + 1).await.unwrap();
    };
    let run = client.stm_builder().commit(async |tx| {
        let a = tx.get::<i32>("a").await?;
        if tx.attempt() == 1 {
            compact().await;
            // Whatever the closure makes of it.
            let error = tx.get::<i32>("b").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Compacted);
            return Ok((None, None));
        }
        let b = tx.get::<i32>("b").await?;
        tx.put("c", 1);
        Ok((a, b))
    });
    let done = run.await.unwrap();
    assert_eq!((done.value, done.attempts), ((Some(2), Some(2)), 2));

    let run = client.stm_builder().attempts(3).run(async |tx| {
        tx.get::<i32>("a").await?;
        compact().await;
        tx.get::<i32>("b").await
    });
    let error = run.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("compacted"), "{error}");
}

#[tokio::test]
async fn after_too_many_conflicts_it_gives_up_and_names_the_key() {
    let (_server, client) = started().await;
    for isolation in [Isolation::SerializableSnapshot, Isolation::RepeatableReads] {
        let run = client.stm_builder().attempts(3).isolation(isolation);
        let run = run.run(async |tx| {
            tx.get::<i32>("calm").await?;
            tx.get::<i32>("busy").await?;
            client.put("busy", "1").await?;
            tx.put("mine", 1);
            Ok(())
        });
        let error = run.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert_eq!(error.outcome(), Outcome::NotApplied);
        assert_eq!(error.attempts(), 3);
        assert!(error.to_string().contains("\"busy\""), "{error}");
        assert!(error.hint().is_some());
        assert_eq!(value(&client, "mine").await, None);
    }
    // A key that is only written is named as well.
    let run = client.stm_builder().attempts(2).run(async |tx| {
        tx.get::<i32>("calm").await?;
        client.put("busy", "1").await?;
        tx.put("busy", 1);
        Ok(())
    });
    let error = run.await.unwrap_err();
    assert!(error.to_string().contains("\"busy\""), "{error}");
}

#[tokio::test]
async fn its_time_ends_the_attempts_and_the_requests() {
    let (_server, client) = started().await;
    let limit = Duration::from_millis(200);
    let started = Instant::now();
    let run = client.stm_builder().timeout(limit).run(async |tx| {
        tx.get::<i32>("busy").await?;
        client.put("busy", "1").await?;
        tx.put("busy", 2);
        Ok(())
    });
    let error = run.await.unwrap_err();
    let kinds = [ErrorKind::Conflict, ErrorKind::Timeout];
    assert!(kinds.contains(&error.kind()), "{error}");
    assert!(started.elapsed() < Duration::from_secs(5), "{error}");

    // A closure that takes longer commits nothing.
    let run = client.stm_builder().timeout(limit).run(async |tx| {
        tx.put("late", 1);
        tokio::time::sleep(limit * 2).await;
        Ok(())
    });
    let error = run.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.outcome(), Outcome::NotApplied, "nothing was sent");
    assert_eq!(value(&client, "late").await, None);
}

#[tokio::test]
async fn more_keys_than_the_server_takes_are_refused_before_anything_is_sent() {
    let (_server, client) = started().await;
    let keys: Vec<_> = (0..300).map(|n| format!("{n:03}")).collect();
    for key in &keys {
        client.put(key, "1").await.unwrap();
    }
    // Reading alone takes as many as there are.
    let sum = client.stm_builder().prefetch(&keys).run(async |tx| {
        let mut sum = 0;
        for key in &keys {
            sum += tx.get::<i32>(key).await?.unwrap_or(0);
        }
        Ok(sum)
    });
    assert_eq!(sum.await.unwrap(), 300);

    let read = async |tx: &mut Transaction, keys: &[String]| {
        tx.prefetch(keys).await?;
        for key in keys {
            tx.get::<i32>(key).await?;
        }
        tx.put("sum", 1);
        etcdkit::Result::Ok(())
    };
    // The key that is written unread is compared, too.
    client
        .stm(async |tx| read(tx, &keys[..127]).await)
        .await
        .unwrap();
    let error = client
        .stm(async |tx| read(tx, &keys[..128]).await)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooManyOps);
    assert_eq!(error.attempts(), 0);
    assert!(error.to_string().contains("129 keys"), "{error}");

    let write = client.stm(async |tx| {
        for key in &keys[..129] {
            tx.put(key, 2);
        }
        Ok(())
    });
    let error = write.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooManyOps);
    let write = client.stm_builder().max_ops(2).run(async |tx| {
        for key in &keys[..3] {
            tx.put(key, 2);
        }
        Ok(())
    });
    assert_eq!(write.await.unwrap_err().kind(), ErrorKind::TooManyOps);
    assert_eq!(value(&client, &keys[0]).await.unwrap(), "1");
}

#[tokio::test]
async fn puts_can_be_attached_to_a_lease() {
    let (_server, client) = started().await;
    let lease = client.lease(Duration::from_secs(60)).await.unwrap();
    let run = client.stm(async |tx| {
        tx.put("leased", 1).lease(&lease);
        tx.put("plain", 1);
        Ok(())
    });
    run.await.unwrap();
    let leased = client.get("leased").await.unwrap().unwrap();
    assert_eq!(leased.lease, Some(lease.id()));
    lease.revoke().await.unwrap();
    assert_eq!(value(&client, "leased").await, None);
    assert!(value(&client, "plain").await.is_some());

    let run = client.stm(async |tx| {
        tx.put("leased", 1).lease(12345);
        Ok(())
    });
    assert_eq!(run.await.unwrap_err().kind(), ErrorKind::LeaseNotFound);
}

#[tokio::test]
async fn empty_keys_and_values_without_bytes_are_refused() {
    struct Unwritable;
    impl etcdkit::sync::IntoValue for Unwritable {
        fn into_value(self) -> Result<bytes::Bytes, etcdkit::sync::ValueError> {
            Err("no bytes for this".into())
        }
    }

    let (_server, client) = started().await;
    let error = client.stm(async |tx| tx.get::<String>("").await);
    assert_eq!(error.await.unwrap_err().kind(), ErrorKind::EmptyKey);
    let run = client.stm(async |tx| {
        tx.put("k", 1);
        tx.delete("");
        Ok(())
    });
    assert_eq!(run.await.unwrap_err().kind(), ErrorKind::EmptyKey);
    let run = client.stm(async |tx| {
        tx.put("k", Unwritable);
        tx.put("other", 1);
        Ok(())
    });
    let error = run.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert_eq!(error.source().unwrap().to_string(), "no bytes for this");
    assert_eq!(client.range(..).count_only().await.unwrap().count, 0);
}

#[tokio::test]
async fn a_read_that_failed_cannot_be_passed_over() {
    let (_server, client) = started().await;
    let run = client.stm(async |tx| {
        let found = tx.get::<i32>("").await.unwrap_or_default();
        tx.put("k", found.unwrap_or(0));
        Ok(())
    });
    let error = run.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::EmptyKey);
    assert_eq!(value(&client, "k").await, None);
}

#[tokio::test]
async fn a_namespace_holds_for_transactions_too() {
    let (_server, client) = started().await;
    client.put("n", "100").await.unwrap();
    let inside = client.namespaced("app/");
    for _ in 0..2 {
        let run = inside.stm_builder().prefetch(["n", "m"]).run(async |tx| {
            let n: i32 = tx.get("n").await?.unwrap_or(0);
            tx.put("n", n + 1);
            Ok(())
        });
        run.await.unwrap();
    }
    assert_eq!(value(&client, "app/n").await.unwrap(), "2");
    assert_eq!(value(&client, "n").await.unwrap(), "100");
}

#[tokio::test]
async fn prefetched_keys_that_are_not_read_do_not_matter() {
    let (_server, client) = started().await;
    let run = client.stm_builder().prefetch(["k", "busy"]);
    let run = run.commit(async |tx| {
        client.put("busy", "1").await?;
        let k: i32 = tx.get("k").await?.unwrap_or(0);
        tx.put("k", k + 1);
        Ok(())
    });
    assert_eq!(run.await.unwrap().attempts, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_writers_of_one_key_lose_no_increment() {
    const EACH: i64 = 25;
    let (_server, client) = started().await;
    for isolation in [
        Isolation::SerializableSnapshot,
        Isolation::Serializable,
        Isolation::RepeatableReads,
    ] {
        client.put("n", "0").await.unwrap();
        let mut writers = JoinSet::new();
        let most = Arc::new(AtomicU32::new(0));
        for _ in 0..16 {
            let (client, most) = (client.clone(), Arc::clone(&most));
            writers.spawn(async move {
                for _ in 0..EACH {
                    let run = client.stm_builder().isolation(isolation);
                    let run = run.commit(async |tx| {
                        let n: i64 = tx.get("n").await?.unwrap_or(0);
                        tx.put("n", n + 1);
                        Ok(())
                    });
                    most.fetch_max(run.await.unwrap().attempts, Ordering::Relaxed);
                }
            });
        }
        writers.join_all().await;
        let sum = value(&client, "n").await.unwrap();
        assert_eq!(sum, (16 * EACH).to_string(), "{isolation:?}");
        println!("{isolation:?}: {most:?} attempts at the most");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_is_moved_about_stays_the_same_and_so_does_each_sum_that_is_read() {
    const ACCOUNTS: usize = 6;
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let (_server, client) = started().await;
    let account = |number: usize| format!("account/{number}");
    for number in 0..ACCOUNTS {
        client.put(account(number), "100").await.unwrap();
    }
    let mut movers = JoinSet::new();
    for mover in 0..16 {
        let client = client.clone();
        let mut random = fastrand::Rng::with_seed(seed.wrapping_add(mover));
        movers.spawn(async move {
            for _ in 0..20 {
                let (from, to) = (random.usize(..ACCOUNTS), random.usize(..ACCOUNTS));
                let by = random.i64(0..50);
                let (from, to) = (account(from), account(to));
                let run = client.stm(async |tx| {
                    let left: i64 = tx.get(&from).await?.unwrap_or(0) - by;
                    tx.put(&from, left);
                    let more: i64 = tx.get(&to).await?.unwrap_or(0) + by;
                    tx.put(&to, more);
                    Ok(())
                });
                run.await.unwrap();
                let sum = client.stm(async |tx| {
                    let mut sum = 0;
                    for number in 0..ACCOUNTS {
                        sum += tx.get::<i64>(account(number)).await?.unwrap_or(0);
                    }
                    Ok(sum)
                });
                assert_eq!(sum.await.unwrap(), 100 * ACCOUNTS as i64);
            }
        });
    }
    movers.join_all().await;
    let all = client.range(KeyRange::prefix("account/")).await.unwrap();
    let values = all
        .kvs
        .iter()
        .map(|kv| kv.value_str().unwrap().parse::<i64>().unwrap());
    assert_eq!(values.sum::<i64>(), 100 * ACCOUNTS as i64);
}

#[tokio::test]
async fn a_fenced_transaction_is_done_only_while_the_lock_is_held() {
    let (_server, client) = started().await;
    let guard = client.lock("guard").await.unwrap();
    let add = async |tx: &mut Transaction| {
        let n: i64 = tx.get("n").await?.unwrap_or(0);
        tx.put("n", n + 1);
        etcdkit::Result::Ok(())
    };
    let fenced = || client.stm_builder().fence(&guard);
    let done = fenced().commit(add).await.unwrap();
    let n = client.get("n").await.unwrap().unwrap();
    assert_eq!(done.revision, Some(n.mod_revision));

    // A conflict is told from a broken fence.
    let run = fenced().commit(async |tx| {
        add(tx).await?;
        if tx.attempt() == 1 {
            client.put("n", "10").await?;
        }
        Ok(())
    });
    assert_eq!(run.await.unwrap().attempts, 2);
    assert_eq!(value(&client, "n").await.unwrap(), "11");

    // The condition takes one of the operations.
    let write = async |tx: &mut Transaction, many: u32| {
        for number in 0..many {
            tx.put(format!("many/{number}"), 1);
        }
        etcdkit::Result::Ok(())
    };
    fenced().run(async |tx| write(tx, 127).await).await.unwrap();
    let error = fenced().run(async |tx| write(tx, 128).await).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::TooManyOps);

    let elsewhere = client.namespaced("app/");
    let error = elsewhere.stm_builder().fence(&guard).run(add).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidRequest);
    assert!(!guard.is_lost());

    // Somebody breaks the lock while the closure runs.
    let tries = AtomicU32::new(0);
    let run = fenced().run(async |tx| {
        tries.fetch_add(1, Ordering::Relaxed);
        client.delete(guard.key()).await?;
        add(tx).await
    });
    let error = run.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotHeld);
    assert_eq!(error.outcome(), Outcome::NotApplied);
    assert_eq!(tries.into_inner(), 1);
    assert_eq!(value(&client, "n").await.unwrap(), "11");
    assert!(guard.is_lost());
    // Now it is known, so the closure does not even run.
    let run = fenced().run(async |_| -> etcdkit::Result<()> { panic!("it is lost") });
    assert_eq!(run.await.unwrap_err().kind(), ErrorKind::NotHeld);
}

#[tokio::test]
async fn a_fenced_transaction_that_only_reads_is_checked_too() {
    let (_server, client) = started().await;
    let guard = client.lock("guard").await.unwrap();
    let read = async |tx: &mut Transaction| tx.get::<String>("n").await;
    let fenced = || client.stm_builder().fence(&guard);
    assert_eq!(fenced().run(read).await.unwrap(), None);
    client.delete(guard.key()).await.unwrap();
    let error = fenced().run(read).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotHeld);
}
