//! Semaphores: so many at a time, in order.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use etcdkit::ErrorKind;
use etcdkit_server::faults::Rpc;
use tokio::task::JoinSet;

use crate::support::{
    TTL, assert_waits, client_of, hex, keys, soon, start, until_count, until_nothing_is_left,
};

#[tokio::test]
async fn each_permit_is_a_key_of_its_own_on_the_lease_of_its_session() {
    let (_server, client) = start().await;
    let session = client.session().ttl(TTL).await.unwrap();
    let printers = session.semaphore("printers", 3);
    let first = printers.acquire().await.unwrap();
    let second = printers.acquire().await.unwrap();
    let lease = hex(session.id());
    let expected = [1, 2].map(|number| format!("printers/{lease}-{number}"));
    assert_eq!(keys(&client, "").await, expected);
    assert_eq!(first.key(), expected[0].as_bytes());
    assert!(second.fencing_token() > first.fencing_token());
    let kv = client.get(&expected[1]).await.unwrap().unwrap();
    assert_eq!((kv.lease, &kv.value[..]), (Some(session.id()), &b"3"[..]));
    assert!(first.release().await.unwrap());
    assert!(second.release().await.unwrap());
    session.close().await.unwrap();
    until_nothing_is_left(&client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_semaphore_of_three_never_has_a_fourth_holder() {
    const HOLDERS: usize = 3;
    let inside = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (server, _) = start().await;
    let mut tasks = JoinSet::new();
    for number in 0..10 {
        let client = client_of(&server).await;
        let (inside, most) = (Arc::clone(&inside), Arc::clone(&most));
        tasks.spawn(async move {
            let session = client.session().ttl(TTL).await.unwrap();
            for round in 0..5 {
                // On one session, and on leases of their own.
                let permit = match (number + round) % 2 {
                    0 => session.semaphore("printers", 3).acquire().await.unwrap(),
                    _ => client
                        .semaphore("printers", 3)
                        .ttl(TTL)
                        .acquire()
                        .await
                        .unwrap(),
                };
                let now = inside.fetch_add(1, Ordering::SeqCst) + 1;
                assert!(now <= HOLDERS, "{now} hold a permit");
                most.fetch_max(now, Ordering::SeqCst);
                permit.put("printed", "page").await.unwrap();
                // It takes its time, so that all permits are in use at once.
                tokio::time::sleep(Duration::from_millis(1)).await;
                inside.fetch_sub(1, Ordering::SeqCst);
                assert!(permit.release().await.unwrap());
            }
            session.close().await.unwrap();
        });
    }
    while let Some(task) = soon(tasks.join_next()).await {
        task.unwrap();
    }
    assert_eq!(most.load(Ordering::SeqCst), HOLDERS, "it was never full");
    let client = client_of(&server).await;
    client.delete("printed").await.unwrap();
    until_nothing_is_left(&client).await;
}

#[tokio::test]
async fn permits_are_had_in_the_order_of_asking_whichever_is_given_back_first() {
    let (_server, client) = start().await;
    let printers = client.semaphore("printers", 3).ttl(TTL);
    let mut held = VecDeque::new();
    for _ in 0..3 {
        held.push_back(printers.acquire().await.unwrap());
    }
    let mut waiting = VecDeque::new();
    for number in 0..7 {
        waiting.push_back(tokio::spawn(printers.acquire()));
        until_count(&client, "printers/", 4 + number).await;
    }
    for round in 0..7 {
        let permit = held.remove(round % 3).unwrap();
        assert!(permit.release().await.unwrap());
        let next = soon(waiting.pop_front().unwrap()).await.unwrap().unwrap();
        held.push_back(next);
        if let Some(behind) = waiting.front_mut() {
            assert_waits(behind).await;
        }
    }
    drop(held);
    until_nothing_is_left(&client).await;
}

#[tokio::test]
async fn a_release_wakes_no_more_than_there_are_permits() {
    const HOLDERS: usize = 2;
    const TAKERS: usize = 30;
    let (server, client) = start().await;
    let printers = client.semaphore("printers", 2).ttl(TTL);
    let first = printers.acquire().await.unwrap();
    let second = printers.acquire().await.unwrap();
    let mut waiting = Vec::new();
    for number in 0..TAKERS {
        let acquire = printers.acquire();
        waiting.push(tokio::spawn(async move {
            assert!(acquire.await.unwrap().release().await.unwrap());
        }));
        until_count(&client, "printers/", HOLDERS + number + 1).await;
    }
    let before = server.faults().calls(Rpc::KvTxn);
    assert!(first.release().await.unwrap());
    assert!(second.release().await.unwrap());
    for task in waiting {
        soon(task).await.unwrap();
    }
    let spent = server.faults().calls(Rpc::KvTxn) - before;
    // All would make it hundreds.
    let releases = (TAKERS + HOLDERS) as u64;
    assert!(
        spent <= releases * (1 + HOLDERS as u64),
        "{spent} transactions"
    );
}

#[tokio::test]
async fn a_try_takes_what_is_free_and_leaves_no_trace_otherwise() {
    let (_server, client) = start().await;
    let printers = client.semaphore("printers", 2).ttl(TTL);
    let first = printers.try_acquire().await.unwrap().unwrap();
    let second = printers.try_acquire().await.unwrap().unwrap();
    assert!(printers.try_acquire().await.unwrap().is_none());
    assert_eq!(keys(&client, "printers/").await.len(), 2);
    assert!(first.release().await.unwrap());
    let third = printers.try_acquire().await.unwrap();
    assert!(third.is_some());
    drop((second, third));
    until_nothing_is_left(&client).await;
}

#[tokio::test]
async fn a_try_does_not_overtake_those_who_wait() {
    let (_server, client) = start().await;
    let printers = client.semaphore("printers", 1).ttl(TTL);
    let held = printers.acquire().await.unwrap();
    let waiting = tokio::spawn(printers.acquire());
    until_count(&client, "printers/", 2).await;
    assert!(printers.try_acquire().await.unwrap().is_none());
    assert!(held.release().await.unwrap());
    assert!(printers.try_acquire().await.unwrap().is_none());
    drop(soon(waiting).await.unwrap().unwrap());
}

#[tokio::test]
async fn who_means_another_number_is_found_out_and_disturbs_nobody() {
    let (_server, client) = start().await;
    let three = client.semaphore("printers", 3).ttl(TTL);
    let held = three.acquire().await.unwrap();
    for other in [2, 4, 30] {
        let other = client.semaphore("printers", other).ttl(TTL);
        for error in [
            soon(other.acquire()).await.unwrap_err(),
            soon(other.try_acquire()).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
            assert!(error.to_string().contains("printers"), "{error}");
        }
    }
    assert_eq!(keys(&client, "printers/").await.len(), 1);
    soon(three.acquire())
        .await
        .unwrap()
        .release()
        .await
        .unwrap();
    assert!(held.release().await.unwrap());
    // Who comes when nobody is there says how many there are.
    let four = client.semaphore("printers", 4).ttl(TTL).acquire();
    drop(soon(four).await.unwrap());
}

#[tokio::test]
async fn a_semaphore_without_permits_is_refused() {
    let (_server, client) = start().await;
    let none = client.semaphore("printers", 0);
    for error in [
        none.acquire().await.unwrap_err(),
        none.try_acquire().await.unwrap_err(),
        none.available().await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
    }
    assert!(client.leases().list().await.unwrap().leases.is_empty());
}

#[tokio::test]
async fn what_is_free_and_who_holds_the_rest_can_be_looked_up() {
    let (_server, client) = start().await;
    let printers = client.semaphore("printers", 2).ttl(TTL);
    assert_eq!(printers.available().await.unwrap(), 2);
    let first = printers.acquire().await.unwrap();
    assert_eq!(printers.available().await.unwrap(), 1);
    let second = printers.acquire().await.unwrap();
    let waiting = tokio::spawn(printers.acquire());
    until_count(&client, "printers/", 3).await;
    assert_eq!(printers.available().await.unwrap(), 0);
    let holders = printers.holders().await.unwrap();
    let who: Vec<_> = holders.iter().map(|holder| holder.fencing_token).collect();
    assert_eq!(who, [first.fencing_token(), second.fencing_token()]);
    assert_eq!(
        (&holders[1].key, &holders[1].value[..]),
        (second.key(), &b"2"[..])
    );
    drop((first, second));
    let third = soon(waiting).await.unwrap().unwrap();
    assert!(third.release().await.unwrap());
}

#[tokio::test]
async fn one_session_has_permits_one_by_one() {
    let (_server, client) = start().await;
    let session = client.session().ttl(TTL).await.unwrap();
    let printers = session.semaphore("printers", 2);
    let first = printers.acquire().await.unwrap();
    let second = printers.acquire().await.unwrap();
    assert_ne!(first.key(), second.key());
    let mut third = Box::pin(printers.acquire());
    assert_waits(&mut third).await;
    drop(first);
    let third = soon(third).await.unwrap();
    drop((second, third));
    // Of two handles of one session, too.
    for _ in 0..10 {
        let one = soon(printers.acquire()).await.unwrap();
        let two = soon(session.semaphore("printers", 2).acquire())
            .await
            .unwrap();
        assert_ne!(one.key(), two.key());
    }
    session.close().await.unwrap();
    until_nothing_is_left(&client).await;
}

#[tokio::test]
async fn a_program_that_comes_back_takes_up_the_permits_that_it_had() {
    let (_server, client) = start().await;
    let session = client.session().ttl(TTL).await.unwrap();
    let printers = session.semaphore("printers", 2);
    let first = printers.acquire().await.unwrap();
    let second = printers.acquire().await.unwrap();
    assert!(first.release().await.unwrap());
    let third = printers.acquire().await.unwrap();
    let tokens = [second.fencing_token(), third.fencing_token()];
    let lease = session.detach();
    drop((second, third));

    // It would wait for itself for ever.
    let session = client.session().resume(lease).await.unwrap();
    let printers = session.semaphore("printers", 2);
    let second = soon(printers.acquire()).await.unwrap();
    let third = soon(printers.try_acquire()).await.unwrap().unwrap();
    assert_eq!([second.fencing_token(), third.fencing_token()], tokens);
    assert!(printers.try_acquire().await.unwrap().is_none());
    assert!(second.release().await.unwrap());
    let fourth = soon(printers.acquire()).await.unwrap();
    assert_ne!(fourth.key(), third.key());
    assert_eq!(keys(&client, "printers/").await.len(), 2);
    session.close().await.unwrap();
    until_nothing_is_left(&client).await;
}

#[tokio::test]
async fn waits_that_end_early_leave_no_key_and_no_permit_taken() {
    let (_server, client) = start().await;
    let session = client.session().ttl(TTL).await.unwrap();
    let printers = session.semaphore("printers", 1);
    let held = printers.acquire().await.unwrap();
    let late = printers
        .clone()
        .wait_at_most(Duration::from_millis(50))
        .acquire();
    assert_eq!(soon(late).await.unwrap_err().kind(), ErrorKind::Timeout);
    until_count(&client, "printers/", 1).await;
    let dropped = tokio::spawn(printers.acquire());
    until_count(&client, "printers/", 2).await;
    dropped.abort();
    until_count(&client, "printers/", 1).await;
    assert!(held.release().await.unwrap());
    assert_eq!(printers.available().await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn acquisitions_that_are_given_up_at_any_point_leave_no_key() {
    let (_server, client) = start().await;
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let session = client.session().ttl(TTL).await.unwrap();
    let printers = session.semaphore("plotters", 2);
    for _ in 0..200 {
        let limit = Duration::from_micros(rng.u64(..2_000));
        let acquiring = [printers.acquire(), printers.acquire(), printers.acquire()];
        let mut tasks: Vec<_> = acquiring.map(tokio::spawn).into();
        tokio::time::sleep(limit).await;
        for task in tasks.drain(..) {
            task.abort();
        }
    }
    let both = [
        soon(printers.acquire()).await.unwrap(),
        soon(printers.acquire()).await.unwrap(),
    ];
    drop(both);
    until_count(&client, "plotters/", 0).await;
}
