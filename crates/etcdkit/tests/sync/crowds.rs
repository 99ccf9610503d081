//! Many at once, and what each of them costs.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{Arc, Mutex},
    time::Duration,
};

use etcdkit::Client;
use etcdkit_server::{Server, faults::Rpc};
use tokio::{runtime::Handle, time::sleep};

use crate::support::{PATIENCE, TTL, hex, soon, start, until_count, until_nothing_is_left};

/// How many watches a server has.
fn watches(server: &Server) -> usize {
    let endpoint = server.endpoint();
    let address = endpoint.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    let line = page
        .lines()
        .find_map(|line| line.strip_prefix("etcd_debugging_mvcc_watcher_total "));
    line.unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_wait_for_one_lock_and_all_have_it_in_turn() {
    const MANY: usize = 100;
    let server = Server::builder().without_listener().start().await.unwrap();
    // A machine that is slow and busy takes long to grant that many leases.
    let client = Client::builder().connector(server.connector());
    let client = client.request_timeout(PATIENCE).connect().await.unwrap();
    let first = client.lock("l").ttl(TTL).await.unwrap();
    let tokens = Arc::new(Mutex::new(Vec::new()));
    let waiting = (0..MANY).map(|_| {
        let (lock, tokens) = (client.lock("l").ttl(TTL), Arc::clone(&tokens));
        tokio::spawn(async move {
            let guard = lock.await.unwrap();
            tokens.lock().unwrap().push(guard.fencing_token());
            assert!(guard.unlock().await.unwrap());
        })
    });
    let waiting: Vec<_> = waiting.collect();
    until_count(&client, "l/", MANY + 1).await;
    assert!(first.unlock().await.unwrap());
    for waiter in waiting {
        soon(waiter).await.unwrap();
    }
    let tokens = tokens.lock().unwrap().clone();
    assert_eq!(tokens.len(), MANY);
    assert!(tokens.is_sorted(), "they came in another order");
    until_nothing_is_left(&client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_one_of_many_permits_has_two_watches_and_looks_when_one_is_given_back() {
    const PERMITS: usize = 100;
    const WAITERS: usize = 3;
    let server = Server::builder().start().await.unwrap();
    let client = Client::connect(server.endpoint()).await.unwrap();
    let session = client.session().ttl(TTL).await.unwrap();
    let semaphore = session.semaphore("s", PERMITS as u32);
    let mut held = Vec::new();
    for _ in 0..PERMITS {
        held.push(semaphore.acquire().await.unwrap());
    }
    let mut waiting = Vec::new();
    for number in 1..=WAITERS {
        waiting.push(tokio::spawn(semaphore.acquire()));
        until_count(&client, "s/", PERMITS + number).await;
    }
    let opening = async {
        while watches(&server) < 2 * WAITERS {
            sleep(Duration::from_millis(5)).await;
        }
    };
    soon(opening).await;
    let mut most = watches(&server);
    for (place, waiter) in [70, 0, 40].into_iter().zip(waiting) {
        let looks = server.faults().calls(Rpc::KvTxn);
        assert!(held.remove(place).release().await.unwrap());
        held.push(soon(waiter).await.unwrap().unwrap());
        most = most.max(watches(&server));
        // The release, and a look of each who waits.
        let looks = server.faults().calls(Rpc::KvTxn) - looks;
        assert!(looks <= 1 + WAITERS as u64, "{looks} transactions");
    }
    assert!(most <= 2 * WAITERS, "{most} watches");
    assert_eq!(semaphore.available().await.unwrap(), 0);
    session.close().await.unwrap();
    until_nothing_is_left(&client).await;
}

#[tokio::test]
async fn acquisitions_that_nobody_answers_do_not_cost_a_task_each() {
    let (server, client) = start().await;
    let session = client.session().ttl(TTL).await.unwrap();
    let semaphore = session.semaphore("s", 3);
    let unanswered = server.faults().on(Rpc::KvTxn).hang();
    let acquire = || {
        let brief = Duration::from_millis(1);
        semaphore.clone().wait_at_most(brief).acquire()
    };
    for _ in 0..40 {
        soon(acquire()).await.unwrap_err();
    }
    assert!(unanswered.hits() > 0, "requests were under way");
    unanswered.remove();
    // Each place that was asked for may be put yet, but they are all the same one.
    let permit = soon(semaphore.acquire()).await.unwrap();
    assert_eq!(permit.key(), &format!("s/{}-1", hex(session.id())));
    let few = async {
        while Handle::current().metrics().num_alive_tasks() > 30 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    soon(few).await;
    assert!(permit.release().await.unwrap());
}
