//! Programs that would harm each other if two of them ran at a time.

use std::path::Path;

use etcdkit::{Client, LeaseId};
use etcdkit_testkit::queue::queue_of;
use tokio::task::JoinSet;

use crate::site::{Site, each_site, soon};

/// How often each of the four writers counts.
const ROUNDS: u64 = 8;

/// Reads a number from a file, lets others run, and writes the next one: nothing that two may do at a time.
async fn count(file: &Path) {
    let text = std::fs::read_to_string(file).expect("the file");
    let number: u64 = text.trim().parse().expect("a number");
    tokio::task::yield_now().await;
    std::fs::write(file, format!("{}\n", number + 1)).expect("the file");
}

/// The same, as a program that etcdctl runs.
fn script(file: &Path) -> String {
    let file = file.display();
    format!("read n < {file}; sleep 0.01; echo $((n + 1)) > {file}")
}

async fn by_lock(client: Client, file: &Path) {
    for _ in 0..ROUNDS {
        let lock = client.lock("counter").await.expect("the lock");
        count(file).await;
        assert!(lock.unlock().await.expect("an answer"));
    }
}

async fn by_service(client: Client, file: &Path) {
    let ttl = std::time::Duration::from_secs(60);
    let lease: LeaseId = client.leases().grant(ttl).await.expect("a lease").id;
    let service = client.lock_service();
    for _ in 0..ROUNDS {
        let lock = service.lock("counter", lease).await.expect("the lock");
        count(file).await;
        service.unlock(lock.key).await.expect("a release");
    }
}

async fn by_etcdctl(site: &Site, file: &Path) {
    for _ in 0..ROUNDS {
        let script = script(file);
        let mut run = site.etcdctl(&["lock", "counter", "--", "sh", "-c", &script]);
        assert_eq!(run.ended().await, Some(0), "{site}");
    }
}

#[tokio::test]
async fn no_two_of_ours_etcdctls_and_the_services_are_inside_at_a_time() {
    each_site(async |site| {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("number");
        std::fs::write(&file, "0\n").expect("the file");
        let mut writers = JoinSet::new();
        for _ in 0..2 {
            let (client, file) = (site.client.clone(), file.clone());
            writers.spawn(async move { by_lock(client, &file).await });
        }
        let (client, service_file) = (site.client.clone(), file.clone());
        writers.spawn(async move { by_service(client, &service_file).await });
        by_etcdctl(site, &file).await;
        while let Some(writer) = soon(writers.join_next()).await {
            writer.expect("a writer that ends well");
        }
        let number = std::fs::read_to_string(&file).expect("the file");
        assert_eq!(number.trim(), (4 * ROUNDS).to_string(), "{site}");
        queue_of(&site.client, "counter", 0).await;
    })
    .await;
}
