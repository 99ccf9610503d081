//! Transactions in memory on every server there is: exactly as often repeated as they must be, under
//! contention, through compactions, a member that is behind and a commit whose answer is lost.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use etcdkit::{
    Client, ErrorKind, Op, Outcome, Result,
    sync::{Isolation, Transaction},
};
use etcdkit_server::Server;
use etcdkit_testkit::{
    etcd::Binary,
    patience::PATIENCE,
    places::{at_once, calm_cluster, cluster, leader},
    proxy::{Conditions, Direction, Proxy},
};
use tokio::{task::JoinSet, time::sleep};

const CHECKED: [Isolation; 3] = [
    Isolation::SerializableSnapshot,
    Isolation::Serializable,
    Isolation::RepeatableReads,
];

async fn text(client: &Client, key: &str) -> Option<String> {
    let kv = client.get(key).await.expect("a read")?;
    Some(kv.value_str().expect("text").to_owned())
}

/// Everything that one member can show.
async fn assert_transactions_hold(server: &str, endpoint: &str) {
    let client = Client::connect(endpoint).await.expect("a client");
    an_abort_writes_nothing(&client).await;
    one_after_the_other(&client).await;
    a_snapshot_puts_what_it_has_read(&client).await;
    a_deletion_in_between_repeats_it_once(&client).await;
    compactions_repeat_it(&client).await;
    as_many_keys_as_the_server_takes(&client).await;
    a_fence_is_part_of_the_commit(&client).await;
    contenders_keep_the_sum(server, &client).await;
}

#[tokio::test]
async fn transactions_hold_on_the_embedded_server() {
    let server = Server::builder().start().await.expect("a server");
    assert_transactions_hold("embedded", &server.endpoint()).await;
}

#[tokio::test]
async fn transactions_hold_on_every_real_etcd() {
    at_once(Binary::all().expect("a real etcd"), async |etcd| {
        let cluster = cluster(&etcd, 1).await;
        assert_transactions_hold(&etcd.to_string(), cluster.endpoint()).await;
    })
    .await;
}

async fn an_abort_writes_nothing(client: &Client) {
    #[derive(Debug)]
    struct Abort;
    impl From<etcdkit::Error> for Abort {
        fn from(error: etcdkit::Error) -> Self {
            panic!("{error}");
        }
    }

    let run = client.stm_builder().try_run(async |tx| {
        tx.get::<String>("abort").await?;
        tx.put("abort", "v");
        Err::<(), _>(Abort)
    });
    assert!(run.await.is_err());
    assert_eq!(text(client, "abort").await, None);
}

/// Three keys always have the same value for whoever reads them at one revision.
async fn one_after_the_other(client: &Client) {
    const KEYS: [&str; 3] = ["serial/a", "serial/b", "serial/c"];

    async fn read(tx: &mut Transaction) -> Result<i64> {
        let mut values = Vec::new();
        for key in KEYS {
            values.push(tx.get::<i64>(key).await?.unwrap_or(0));
        }
        assert_eq!(values, vec![values[0]; 3]);
        Ok(values[0])
    }

    for isolation in [Isolation::SerializableSnapshot, Isolation::Serializable] {
        let mut tasks = JoinSet::new();
        for task in 0..6 {
            let client = client.clone();
            tasks.spawn(async move {
                for _ in 0..10 {
                    let run = client.stm_builder().isolation(isolation);
                    let run = run.run(async |tx| {
                        let value = read(tx).await?;
                        if task % 2 == 0 {
                            for key in KEYS {
                                tx.put(key, value + 1);
                            }
                        }
                        Ok(())
                    });
                    run.await.expect("a transaction");
                }
            });
        }
        tasks.join_all().await;
    }
    assert_eq!(client.stm(read).await.expect("a read"), 60);
}

async fn a_snapshot_puts_what_it_has_read(client: &Client) {
    client.put("put/a", "0").await.expect("a put");
    for version in 2..4 {
        let run = client.stm_builder().commit(async |tx| {
            tx.get::<String>("put/a").await?;
            tx.put("put/a", 1);
            tx.put("put/b", 1);
            Ok(())
        });
        assert_eq!(run.await.expect("a transaction").attempts, 1);
        let kv = client.get("put/a").await.expect("a read").expect("a key");
        assert_eq!(kv.version, version);
    }
}

async fn a_deletion_in_between_repeats_it_once(client: &Client) {
    for isolation in CHECKED {
        client.put("gone", "v").await.expect("a put");
        let tries = AtomicU32::new(0);
        let run = client.stm_builder().isolation(isolation).run(async |tx| {
            let found = tx.get::<String>("gone").await?;
            if tries.fetch_add(1, Ordering::Relaxed) == 0 {
                client.delete("gone").await?;
            }
            tx.put("found", found.is_some());
            Ok(())
        });
        run.await.expect("a transaction");
        assert_eq!(tries.into_inner(), 2, "{isolation:?}");
        assert_eq!(text(client, "found").await.as_deref(), Some("false"));
    }
}

async fn compactions_repeat_it(client: &Client) {
    client.put("compact/a", "1").await.expect("a put");
    client.put("compact/b", "1").await.expect("a put");
    let run = client.stm_builder().commit(async |tx| {
        let a = tx.get::<i64>("compact/a").await?;
        if tx.attempt() == 1 {
            let both = [Op::put("compact/a", "2"), Op::put("compact/b", "2")];
            let head = client.txn().then(both).await?.header.revision;
            client.compact(head).await?;
        }
        let b = tx.get::<i64>("compact/b").await?;
        tx.put("compact/sum", a.unwrap_or(0) + b.unwrap_or(0));
        Ok(())
    });
    assert_eq!(run.await.expect("a transaction").attempts, 2);
    assert_eq!(text(client, "compact/sum").await.as_deref(), Some("4"));
}

/// What the client lets pass, the server takes.
async fn as_many_keys_as_the_server_takes(client: &Client) {
    let keys: Vec<_> = (0..128).map(|number| format!("many/{number}")).collect();
    let all = client.stm_builder().prefetch(&keys).run(async |tx| {
        for key in &keys {
            let n = tx.get::<i64>(key).await?.unwrap_or(0);
            tx.put(key, n + 1);
        }
        if tx.attempt() == 1 {
            client.put(&keys[0], "10").await?;
        }
        Ok(())
    });
    all.await.expect("a transaction");
    assert_eq!(text(client, "many/0").await.as_deref(), Some("11"));
    assert_eq!(text(client, "many/127").await.as_deref(), Some("1"));
    let more = client.stm(async |tx| {
        for key in &keys {
            tx.put(key, 0);
        }
        tx.put("many/128", 0);
        Ok(())
    });
    let error = more.await.expect_err("one more");
    assert_eq!(error.kind(), ErrorKind::TooManyOps);
    assert_eq!(error.code(), None, "found before sending");
}

async fn a_fence_is_part_of_the_commit(client: &Client) {
    let guard = client.lock("fence").await.expect("a lock");
    let fenced = || client.stm_builder().fence(&guard);
    let write = async |tx: &mut Transaction, many: u32| {
        let n: i64 = tx.get("fenced/0").await?.unwrap_or(0);
        for number in 0..many {
            tx.put(format!("fenced/{number}"), n + 1);
        }
        Result::Ok(())
    };
    let all = fenced().run(async |tx| write(tx, 127).await).await;
    all.expect("as many as the server takes");
    let again = fenced().commit(async |tx| {
        write(tx, 1).await?;
        if tx.attempt() == 1 {
            client.put("fenced/0", "10").await?;
        }
        Ok(())
    });
    assert_eq!(again.await.expect("a transaction").attempts, 2);
    let read = async |tx: &mut Transaction| tx.get::<i64>("fenced/0").await;
    assert_eq!(fenced().run(read).await.expect("a read"), Some(11));

    client.delete(guard.key()).await.expect("a deletion");
    let refused = fenced().run(read).await.expect_err("nothing was written");
    assert_eq!(refused.kind(), ErrorKind::NotHeld);
    let refused = fenced().run(async |tx| write(tx, 1).await).await;
    let refused = refused.expect_err("it is lost");
    assert_eq!(refused.kind(), ErrorKind::NotHeld);
    assert_eq!(text(client, "fenced/0").await.as_deref(), Some("11"));
}

async fn contenders_keep_the_sum(server: &str, client: &Client) {
    const EACH: i64 = 10;
    for isolation in CHECKED {
        client.put("n", "0").await.expect("a put");
        let started = Instant::now();
        let mut writers = JoinSet::new();
        for _ in 0..16 {
            let client = client.clone();
            writers.spawn(async move {
                let mut attempts = 0;
                for _ in 0..EACH {
                    let run = client.stm_builder().isolation(isolation);
                    let run = run.commit(async |tx| {
                        let n: i64 = tx.get("n").await?.unwrap_or(0);
                        tx.put("n", n + 1);
                        Ok(())
                    });
                    attempts += run.await.expect("a transaction").attempts;
                }
                attempts
            });
        }
        let attempts: u32 = writers.join_all().await.into_iter().sum();
        let took = started.elapsed();
        println!("{server}, {isolation:?}: 160 increments in {took:.1?}, {attempts} attempts");
        let sum = text(client, "n").await;
        assert_eq!(
            sum,
            Some((16 * EACH).to_string()),
            "{server}, {isolation:?}"
        );
    }
}

/// A follower was stopped while the others went on, and runs on while they are stopped:
/// it knows nothing of the revision that is read, and will not before the others are back.
#[tokio::test]
async fn a_member_that_is_behind_is_waited_for() {
    at_once(Binary::all().expect("a real etcd"), async |etcd| {
        let mut cluster = calm_cluster(&etcd).await;
        let endpoints = cluster.endpoints();
        let leader = leader(&cluster).await;
        let (behind, others) = ((leader + 1) % 3, [leader, (leader + 2) % 3]);
        let proxy = Proxy::start(&endpoints[leader]).await.expect("a proxy");
        let client = Client::builder()
            .endpoint(proxy.endpoint())
            .request_timeout(PATIENCE)
            .connect()
            .await
            .expect("a client");
        client.put("behind/b", "1").await.expect("a put");
        cluster.member(behind).pause().expect("paused");
        client.put("behind/a", "2").await.expect("a put");
        client.put("behind/b", "2").await.expect("a put");

        let tries = AtomicU32::new(0);
        let cluster = tokio::sync::Mutex::new(cluster);
        let run = client.stm(async |tx| {
            tries.fetch_add(1, Ordering::Relaxed);
            let a: Option<i64> = tx.get("behind/a").await?;
            let mut cluster = cluster.lock().await;
            for index in others {
                cluster.member(index).pause().expect("paused");
            }
            cluster.member(behind).resume().expect("resumed");
            proxy.lead_to(&endpoints[behind]);
            proxy.cut();
            let others_return = async {
                sleep(Duration::from_secs(1)).await;
                for index in others {
                    cluster.member(index).resume().expect("resumed");
                }
            };
            let (b, ()) = tokio::join!(tx.get::<i64>("behind/b"), others_return);
            Ok((a, b?))
        });
        assert_eq!(run.await.expect("a read"), (Some(2), Some(2)), "{etcd}");
        assert_eq!(tries.into_inner(), 1, "{etcd}");
    })
    .await;
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_told_so_and_not_repeated() {
    at_once(Binary::all().expect("a real etcd"), async |etcd| {
        let cluster = cluster(&etcd, 1).await;
        let direct = Client::connect(cluster.endpoint()).await.expect("a client");
        for is_cut in [false, true] {
            let proxy = Proxy::start(cluster.endpoint()).await.expect("a proxy");
            let client = Client::connect(proxy.endpoint()).await.expect("a client");
            direct.put("n", "0").await.expect("a put");
            let run = client.stm_builder().timeout(match is_cut {
                true => PATIENCE,
                false => Duration::from_secs(3),
            });
            let run = run.run(async |tx| {
                let n: i64 = tx.get("n").await?.unwrap_or(0);
                tx.put("n", n + 1);
                proxy.set(Direction::ToClient, Conditions::black_hole());
                Ok(())
            });
            let cut = async {
                while text(&direct, "n").await.as_deref() != Some("1") {
                    sleep(Duration::from_millis(10)).await;
                }
                if is_cut {
                    proxy.cut();
                }
            };
            let (ended, ()) = tokio::join!(run, cut);
            let error = ended.expect_err("no answer");
            assert_eq!(error.outcome(), Outcome::Unknown, "{etcd}: {error}");
            let expected = match is_cut {
                true => ErrorKind::Disconnected,
                false => ErrorKind::Timeout,
            };
            assert_eq!(error.kind(), expected, "{etcd}: {error}");
            proxy.set_both(Conditions::pass());
            // Through the same connections, after whatever may still have been under way.
            let after = client.put("after", "1").await;
            after.expect("a put");
            assert_eq!(text(&direct, "n").await.as_deref(), Some("1"), "{etcd}");
        }
    })
    .await;
}
