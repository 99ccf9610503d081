//! Looking after members: alarms, defragmentation, hashes, leadership, downgrade, on real etcd.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use etcdkit::{AlarmKind, Client, ErrorKind, MemberId, Outcome, Status};
use etcdkit_testkit::{
    etcd::{Binary, Cluster, ClusterBuilder},
    fake::refusing_endpoint,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a test on a cluster of each etcd.
async fn each_etcd(
    describe: impl Fn(ClusterBuilder) -> ClusterBuilder,
    test: impl AsyncFn(&Binary, &mut Cluster, &Client),
) {
    for etcd in Binary::all().expect("a real etcd") {
        let builder = describe(Cluster::builder(&etcd));
        let mut cluster = builder.start().await.expect("a cluster");
        let client = Client::connect(cluster.endpoints())
            .await
            .expect("a client");
        test(&etcd, &mut cluster, &client).await;
    }
}

async fn statuses(client: &Client) -> Vec<(String, Status)> {
    let mut statuses = Vec::new();
    for endpoint in client.endpoints() {
        let status = client.maintenance().status(&endpoint).await;
        statuses.push((endpoint.to_owned(), status.expect("a status")));
    }
    statuses
}

/// The leader's endpoint and id, and those of another member.
async fn leader_and_follower(client: &Client) -> [(String, MemberId); 2] {
    let (mut leader, mut follower) = (None, None);
    for (endpoint, status) in statuses(client).await {
        let id = status.header.member_id;
        match status.leader == Some(id) {
            true => leader = Some((endpoint, id)),
            false => follower = Some((endpoint, id)),
        }
    }
    [leader.expect("a leader"), follower.expect("a follower")]
}

#[tokio::test]
async fn the_leadership_moves_to_the_member_asked_for() {
    each_etcd(
        |builder| builder.members(3),
        async |etcd, _, client| {
            let [(old_endpoint, old), (follower, new)] = leader_and_follower(client).await;
            let moved = client.maintenance().move_leader(new).await;
            let moved = moved.expect("a move");
            assert_eq!((moved.from, moved.to), (old, new), "{etcd}");
            let status = client.maintenance().status(&old_endpoint).await;
            assert_eq!(
                status.expect("a status").leader,
                Some(new),
                "{etcd}: the answer comes when the old leader knows"
            );
            client.put("k", "v").await.expect("a put");

            let back = client.maintenance().move_leader(old).endpoint(&follower);
            let back = back.await.expect("a move by the leader's endpoint");
            assert_eq!((back.from, back.to), (new, old), "{etcd}");
        },
    )
    .await;
}

#[tokio::test]
async fn only_the_leader_moves_the_leadership_and_only_to_a_member() {
    each_etcd(
        |builder| builder.members(3),
        async |etcd, _, client| {
            let [(leader_endpoint, leader), (follower, id)] = leader_and_follower(client).await;
            let by_follower = client.maintenance().move_leader(id).endpoint(&follower);
            let error = by_follower.await.expect_err("a follower cannot");
            assert_eq!(
                (error.kind(), error.outcome()),
                (ErrorKind::NotLeader, Outcome::NotApplied),
                "{etcd}: {error}"
            );
            assert_eq!(error.endpoint(), Some(&*follower));

            let of_follower = Client::connect(&follower).await.expect("a client");
            let error = of_follower.maintenance().move_leader(id).await;
            let error = error.expect_err("the leader is not among its endpoints");
            assert_eq!(error.kind(), ErrorKind::NotLeader, "{etcd}: {error}");
            assert!(error.message().contains(&leader.to_string()), "{error}");

            let error = client.maintenance().move_leader(MemberId(0xbad)).await;
            let error = error.expect_err("no member");
            assert_eq!(
                (error.kind(), error.outcome()),
                (ErrorKind::BadLeaderTransferee, Outcome::NotApplied),
                "{etcd}: {error}"
            );
            let status = client.maintenance().status(&leader_endpoint).await;
            assert_eq!(status.expect("a status").leader, Some(leader));
        },
    )
    .await;
}

#[tokio::test]
async fn the_leader_is_found_past_dead_endpoints() {
    let etcd = Binary::newest().expect("a real etcd");
    let cluster = Cluster::builder(&etcd).members(3).start().await;
    let cluster = cluster.expect("a cluster");
    let mut endpoints = vec![refusing_endpoint()];
    endpoints.extend(cluster.endpoints());
    let client = Client::connect(endpoints).await.expect("a client");
    let live = Client::connect(cluster.endpoints())
        .await
        .expect("a client");
    let [(_, leader), (_, follower)] = leader_and_follower(&live).await;
    let start = Instant::now();
    let moved = client.maintenance().move_leader(follower);
    let moved = moved.timeout(2 * PATIENCE).await;
    let moved = moved.expect("the leader answers");
    assert_eq!((moved.from, moved.to), (leader, follower));
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_full_store_is_cleared_and_disarmed() {
    each_etcd(
        |builder| builder.flag("--quota-backend-bytes=4194304"),
        async |etcd, cluster, client| {
            let maintenance = client.maintenance();
            let mut written = 0;
            while client.put("k", vec![b'x'; 500_000]).await.is_ok() {
                written += 1;
                assert!(written < 400, "{etcd} has no quota");
            }
            let on = maintenance.alarms().await.expect("the alarms").alarms;
            let status = maintenance.status(cluster.endpoint()).await;
            let status = status.expect("a status");
            let [alarm] = on[..] else {
                panic!("{etcd}: {on:?}");
            };
            assert_eq!(
                (alarm.kind, alarm.member_id),
                (AlarmKind::NoSpace, status.header.member_id)
            );

            let off = maintenance.disarm(alarm).await.expect("an answer");
            assert_eq!(off.alarms, [alarm], "{etcd}: the alarm that was on");
            let none = maintenance.disarm(alarm).await.expect("an answer");
            assert!(none.alarms.is_empty(), "{etcd}: {none:?}");
            let raised = async || {
                let alarms = maintenance.alarms().await.expect("the alarms");
                !alarms.alarms.is_empty()
            };
            while client.put("k", "v").await.is_ok() {
                // Nothing was freed, so the store is as full as it was.
            }
            assert!(raised().await, "{etcd}");

            client.delete("k").await.expect("a delete");
            let revision = status.header.revision;
            client
                .compact(revision)
                .physical()
                .await
                .expect("a compaction");
            maintenance
                .defragment(cluster.endpoint())
                .await
                .expect("a defragmentation");
            let off = maintenance.disarm_all().await.expect("an answer");
            assert_eq!(off.alarms, [alarm], "{etcd}");
            assert!(!raised().await, "{etcd}");
            client.put("k", "v").await.expect("there is space");
            let none = maintenance.disarm_all().await.expect("an answer");
            assert!(none.alarms.is_empty(), "{etcd}: {none:?}");
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_go_on_while_one_member_after_the_other_is_defragmented() {
    each_etcd(
        |builder| builder.members(3),
        async |etcd, _, client| {
            for round in 0..60 {
                let put = client.put(format!("k{}", round % 3), vec![b'x'; 500_000]);
                put.await.expect("a put");
            }
            let revision = client.put("k", "v").await.expect("a put").header.revision;
            client
                .compact(revision)
                .physical()
                .await
                .expect("a compaction");

            let stop = Arc::new(AtomicBool::new(false));
            let load = (0..4).map(|task| {
                let (client, stop) = (client.clone(), Arc::clone(&stop));
                tokio::spawn(async move {
                    let mut calls = 0;
                    while !stop.load(Ordering::Relaxed) {
                        let key = format!("load/{task}");
                        client.put(&key, calls.to_string()).await.expect("a put");
                        let kv = client.get(&key).await.expect("a get");
                        assert_eq!(kv.expect("the key").value, calls.to_string());
                        calls += 1;
                    }
                    calls
                })
            });
            let load: Vec<_> = load.collect();
            for (endpoint, before) in statuses(client).await {
                let maintenance = client.maintenance();
                maintenance.defragment(&endpoint).await.expect("an answer");
                let after = maintenance.status(&endpoint).await.expect("a status");
                assert!(
                    after.db_size < before.db_size / 2,
                    "{etcd}: {} of {} bytes are left",
                    after.db_size,
                    before.db_size
                );
            }
            stop.store(true, Ordering::Relaxed);
            for task in load {
                assert!(task.await.expect("no call fails") > 0, "{etcd}");
            }
        },
    )
    .await;
}

#[tokio::test]
async fn nobody_waits_ten_minutes_for_a_dead_member_to_defragment() {
    let client = Client::builder()
        .endpoint(refusing_endpoint())
        .request_timeout(Duration::from_millis(300))
        .connect_lazy()
        .expect("a client");
    let endpoint = client.endpoints().next().expect("an endpoint").to_owned();
    let start = Instant::now();
    let error = client.maintenance().defragment(&endpoint).await;
    let error = error.expect_err("nobody listens");
    assert_eq!(
        (error.kind(), error.outcome(), error.attempts()),
        (ErrorKind::Connect, Outcome::NotApplied, 0),
        "{error}"
    );
    assert!(start.elapsed() < PATIENCE, "{error}");
}

#[tokio::test]
async fn a_member_that_stands_still_leaves_a_defragmentation_unknown() {
    let etcd = Binary::newest().expect("a real etcd");
    let cluster = Cluster::builder(&etcd).start().await;
    let mut cluster = cluster.expect("a cluster");
    let client = Client::connect(cluster.endpoint()).await.expect("a client");
    let endpoint = cluster.endpoint().to_owned();
    cluster.member(0).pause().expect("a running member");
    let defragment = client.maintenance().defragment(&endpoint);
    let error = defragment.timeout(Duration::from_secs(2)).await;
    let error = error.expect_err("no answer");
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Timeout, Outcome::Unknown),
        "{error}"
    );
    cluster.member(0).resume().expect("a running member");
    let defragment = client.maintenance().defragment(&endpoint);
    defragment.await.expect("it answers again");
}

#[tokio::test]
async fn a_member_without_a_leader_can_be_looked_after() {
    each_etcd(
        |builder| builder.members(3),
        async |etcd, cluster, _| {
            let endpoint = cluster.endpoint().to_owned();
            let client = Client::connect(&endpoint).await.expect("a client");
            let maintenance = client.maintenance();
            cluster.member(1).kill().expect("a running member");
            cluster.member(2).kill().expect("a running member");
            let start = Instant::now();
            while maintenance
                .status(&endpoint)
                .await
                .expect("a status")
                .leader
                .is_some()
            {
                assert!(start.elapsed() < PATIENCE, "{etcd} keeps its leader");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            maintenance.hash(&endpoint).await.expect("a hash");
            maintenance.hash_kv(&endpoint).await.expect("a hash");
            maintenance.defragment(&endpoint).await.expect("an answer");
        },
    )
    .await;
}

#[tokio::test]
async fn members_that_agree_have_equal_hashes() {
    each_etcd(
        |builder| builder.members(3),
        async |etcd, _, client| {
            let mut revision = 0;
            for key in 0..20 {
                let put = client.put(format!("k{key}"), "v").await;
                revision = put.expect("a put").header.revision;
            }
            let mut keys = Vec::new();
            for endpoint in client.endpoints() {
                let start = Instant::now();
                let maintenance = client.maintenance();
                while maintenance
                    .status(&endpoint)
                    .await
                    .expect("a status")
                    .header
                    .revision
                    < revision
                {
                    assert!(start.elapsed() < PATIENCE, "{etcd} lags behind");
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                let hash = maintenance.hash_kv(&endpoint).revision(revision).await;
                let hash = hash.expect("a hash");
                assert_eq!(hash.header.revision, revision, "{etcd}");
                if etcd.version().minor >= 6 {
                    assert_eq!(hash.hash_revision, revision, "{etcd}");
                }
                keys.push(hash.hash);
            }
            assert!(
                keys.iter().all(|hash| *hash == keys[0]),
                "{etcd}: {keys:x?}"
            );
            let start = Instant::now();
            let backends = loop {
                let mut backends = Vec::new();
                for endpoint in client.endpoints() {
                    let hash = client.maintenance().hash(&endpoint).await;
                    let hash = hash.expect("a hash");
                    assert_ne!(hash.header.member_id, MemberId(0), "{etcd}");
                    backends.push(hash.hash);
                }
                // What members agree on of their own accord, such as their version, is in it, too.
                if backends.iter().all(|hash| *hash == backends[0]) {
                    break backends;
                }
                assert!(start.elapsed() < PATIENCE, "{etcd}: {backends:x?}");
            };
            client.put("k0", "w").await.expect("a put");
            let endpoint = client.endpoints().next().expect("an endpoint").to_owned();
            let start = Instant::now();
            while client
                .maintenance()
                .hash(&endpoint)
                .await
                .expect("a hash")
                .hash
                == backends[0]
            {
                assert!(start.elapsed() < PATIENCE, "{etcd}: the hash stays");
            }
        },
    )
    .await;
}

#[tokio::test]
async fn a_downgrade_is_validated_begun_and_called_off() {
    each_etcd(
        |builder| builder,
        async |etcd, cluster, client| {
            let downgrade = client.maintenance().downgrade();
            let version = etcd.version();
            if version.minor < 5 {
                let error = downgrade.validate("3.3.0").await.expect_err("too old");
                assert_eq!(
                    (error.kind(), error.outcome()),
                    (ErrorKind::Unimplemented, Outcome::NotApplied),
                    "{etcd}: {error}"
                );
                return;
            }
            let error = downgrade
                .validate("yesterday")
                .await
                .expect_err("no version");
            assert_eq!(
                error.kind(),
                ErrorKind::WrongDowngradeVersionFormat,
                "{etcd}: {error}"
            );
            let error = downgrade.validate("2.3.0").await.expect_err("too far");
            assert_eq!(
                error.kind(),
                ErrorKind::InvalidDowngradeTargetVersion,
                "{etcd}: {error}"
            );
            let target = format!("3.{}.0", version.minor - 1);
            let start = Instant::now();
            // A new cluster agrees on its version some time after its start.
            let valid = loop {
                match downgrade.validate(&target).await {
                    Ok(valid) => break valid,
                    Err(error) => assert!(start.elapsed() < PATIENCE, "{etcd}: {error}"),
                }
            };
            let shown = format!("3.{}", version.minor);
            assert!(valid.version.starts_with(&shown), "{etcd}: {valid:?}");
            if version.minor < 6 {
                let error = downgrade.cancel().await.expect_err("there is none");
                assert_eq!(
                    (error.kind(), error.outcome()),
                    (ErrorKind::NoInflightDowngrade, Outcome::NotApplied),
                    "{etcd}: {error}"
                );
                return;
            }
            let status = async || {
                let status = client.maintenance().status(cluster.endpoint()).await;
                status.expect("a status").downgrade
            };
            downgrade.enable(&target).await.expect("a downgrade");
            let state = status().await.expect("the state of the downgrade");
            assert!(state.enabled, "{etcd}: {state:?}");
            assert!(
                target.starts_with(&state.target_version),
                "{etcd}: {state:?}"
            );
            let error = downgrade.enable(&target).await.expect_err("a second one");
            assert_eq!(
                (error.kind(), error.outcome()),
                (ErrorKind::DowngradeInProcess, Outcome::NotApplied),
                "{etcd}: {error}"
            );
            downgrade.cancel().await.expect("an end");
            let state = status().await.unwrap_or_default();
            assert!(!state.enabled, "{etcd}: {state:?}");
        },
    )
    .await;
}

#[tokio::test]
async fn with_authentication_on_members_are_looked_after_by_root() {
    each_etcd(
        |builder| builder,
        async |etcd, cluster, client| {
            let auth = client.auth();
            for user in ["root", "bob"] {
                auth.user(user).add("secret").await.expect("a user");
            }
            auth.role("root").add().await.expect("a role");
            let grant = auth.user("root").grant_role("root");
            grant.await.expect("a grant");
            auth.enable().await.expect("authentication");
            let endpoint = cluster.endpoint();
            let login = async |name: &str| {
                let builder = Client::builder().endpoint(endpoint);
                let builder = builder.user(name, "secret");
                builder.connect().await.expect("a client")
            };

            let root = login("root").await;
            let maintenance = root.maintenance();
            maintenance.hash(endpoint).await.expect("a hash");
            maintenance.defragment(endpoint).await.expect("an answer");
            maintenance.disarm_all().await.expect("an answer");
            maintenance.snapshot().await.expect("a snapshot");
            let added = root.cluster().add("http://127.0.0.1:1").learner().await;
            let added = added.expect("an addition").member.id;
            root.cluster().remove(added).await.expect("a removal");
            let lease = root.leases().grant(Duration::from_secs(60)).await;
            let lease = lease.expect("a lease").id;
            let locked = root.lock_service().lock("l", lease).await;
            locked.expect("the lock");

            let bob = login("bob").await;
            let maintenance = bob.maintenance();
            for (what, result) in [
                ("hash", maintenance.hash(endpoint).await.map(|_| ())),
                (
                    "defragment",
                    maintenance.defragment(endpoint).await.map(|_| ()),
                ),
                ("snapshot", maintenance.snapshot().await.map(|_| ())),
                (
                    "add",
                    bob.cluster().add("http://127.0.0.1:1").await.map(|_| ()),
                ),
                (
                    "lock",
                    bob.lock_service().lock("l", lease).await.map(|_| ()),
                ),
            ] {
                let error = result.expect_err(what);
                assert_eq!(
                    (error.kind(), error.outcome()),
                    (ErrorKind::PermissionDenied, Outcome::NotApplied),
                    "{etcd}, {what}: {error}"
                );
            }
        },
    )
    .await;
}
