//! A server whose disk fails, in this process.

use std::{sync::Arc, time::Duration};

use etcdkit::ErrorKind;
use etcdkit_server::{Server, StartError};
use etcdkit_testkit::{
    crash::{Checker, Workload},
    patience::insist,
};

use crate::{
    disk::{Failure, FaultDisk},
    support::{check, client, losses, patient, seed, variable},
};

/// How often the disk of one server fails, before another one begins with an empty disk.
const CUTS_OF_A_SERVER: u64 = 4;

async fn start(disk: &FaultDisk) -> Result<Server, StartError> {
    Server::builder().disk(Arc::new(disk.clone())).start().await
}

/// Lets clients work until the disk has failed, and for a while after it.
async fn work(server: &Server, disk: &FaultDisk, workload: &Workload, seed: u64) {
    let working = workload.start(&client(&server.endpoint()), seed);
    let failed = async {
        while !disk.has_failed() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let failed = tokio::time::timeout(Duration::from_secs(60), failed).await;
    assert!(failed.is_ok(), "nothing fails: {disk:?}");
    tokio::time::sleep(Duration::from_millis(3)).await;
    working.end().await;
}

/// A server whose disk fails again and again; after each time what it shows is checked.
async fn run(seed: u64, failure: impl Fn(&mut fastrand::Rng) -> Failure) {
    let mut random = fastrand::Rng::with_seed(seed);
    let workload = Workload::new();
    let mut checker = Checker::new();
    let mut disk = FaultDisk::default();
    let mut has_started = false;
    for cut in 0..CUTS_OF_A_SERVER {
        let what = format!("failure {cut} of seed {seed}");
        let failure = failure(&mut random);
        // Also while it starts.
        disk.fail_in(random.usize(..400), failure);
        if let Ok(server) = start(&disk).await {
            has_started = true;
            work(&server, &disk, &workload, seed.wrapping_add(cut)).await;
            drop(server);
        }
        if !has_started {
            // A disk that a first start was interrupted on holds nothing, and nothing was promised.
            disk = FaultDisk::default();
            continue;
        }
        // Also while it recovers.
        let mut image = disk.cut(&mut random);
        if random.u8(..3) == 0 {
            let recovering = FaultDisk::holding(image);
            recovering.fail_in(random.usize(..20), Failure::PowerCut);
            drop(start(&recovering).await);
            image = recovering.cut(&mut random);
        }
        disk = FaultDisk::holding(image);
        let server = match start(&disk).await {
            Ok(server) => server,
            Err(error) => panic!("{what} ({failure:?}): the server does not start: {error}"),
        };
        let what = format!("{what} ({failure:?})");
        check(&what, &server.endpoint(), &workload, &mut checker, 1_000).await;
        workload.allow_compaction(checker.revision() - 1);
        drop(server);
        disk = FaultDisk::holding(disk.cut(&mut random));
    }
}

async fn each(failure: impl Fn(&mut fastrand::Rng) -> Failure + Copy) {
    let cuts = variable("ETCDKIT_CUTS").unwrap_or(60);
    let seed = seed();
    for number in 0..cuts.div_ceil(3 * CUTS_OF_A_SERVER) {
        run(seed.wrapping_add(number), failure).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_power_is_cut() {
    each(|_| Failure::PowerCut).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_an_operation_fails() {
    each(|_| Failure::Error).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_disk_is_full() {
    each(|random| Failure::Full(random.usize(1..30))).await;
}

/// What the history of a server amounts to.
async fn hash(server: &Server) -> u32 {
    let endpoint = server.endpoint();
    let client = patient(&endpoint).await;
    let hash = client.maintenance().hash_kv(&endpoint).await;
    hash.expect("a hash").hash
}

/// A compaction whose removals met a full disk is completed when there is room: what it leaves in the file
/// would come back with a later start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_compacted_stays_away_when_the_disk_was_full_meanwhile() {
    for operation in 0..40 {
        let disk = FaultDisk::default();
        let server = start(&disk).await.expect("a server");
        let client = patient(&server.endpoint()).await;
        client.put("k", "1").await.expect("a put");
        let newest = client.put("k", "2").await.expect("a put").header.revision;
        disk.fail_in(operation, Failure::Full(1));
        // Whether it is carried out is not the matter.
        let _ = client.compact(newest).await;
        let deleted = insist("a deletion", async || client.delete("k").await).await;
        insist("a compaction", async || {
            match client.compact(deleted.header.revision).await {
                // By a request whose answer was lost.
                Err(error) if error.kind() == ErrorKind::Compacted => Ok(()),
                compacted => compacted.map(drop),
            }
        })
        .await;
        let before = hash(&server).await;
        drop((client, server));
        let disk = FaultDisk::holding(disk.cut(&mut fastrand::Rng::new()));
        let server = start(&disk).await.expect("a server");
        assert_eq!(hash(&server).await, before, "operation {operation}");
    }
}

/// These tests can fail: a disk that does not keep what it says it has synced is found out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_lies_is_found_out() {
    let seed = seed();
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..20 {
        let disk = FaultDisk::default();
        let server = start(&disk).await.expect("a server");
        disk.lie();
        disk.fail_in(200, Failure::PowerCut);
        let workload = Workload::new();
        work(&server, &disk, &workload, seed).await;
        drop(server);
        let disk = FaultDisk::holding(disk.cut(&mut random));
        let Ok(server) = start(&disk).await else {
            // Damage, which is found out, too.
            return;
        };
        let mut checker = Checker::new();
        let endpoint = server.endpoint();
        if !losses("a lie", &endpoint, &workload, &mut checker, 1_000)
            .await
            .is_empty()
        {
            return;
        }
    }
    panic!("nobody has noticed");
}
