//! Data that outlives a server.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::disk::MemoryDisk;
use etcdkit_proto::etcdserverpb::{
    AlarmRequest, CompactionRequest, DefragmentRequest, HashKvRequest, HashKvResponse,
    LeaseGrantRequest, LeaseLeasesRequest, LeaseTimeToLiveRequest, PutRequest, RangeRequest,
    StatusRequest, StatusResponse, auth_client::AuthClient, kv_client::KvClient,
    lease_client::LeaseClient, maintenance_client::MaintenanceClient,
};
use etcdkit_server::{DataError, Server, StartError};
use tonic::Code;
use tonic::transport::Channel;

/// A running server and stubs for it.
struct Running {
    server: Server,
    channel: Channel,
}

impl Running {
    async fn start(directory: &Path) -> Self {
        let server = Server::builder().data_dir(directory).start().await;
        Self::with(server.expect("a server")).await
    }

    async fn on(disk: &Arc<MemoryDisk>) -> Self {
        let disk = Arc::<MemoryDisk>::clone(disk);
        Self::with(Server::builder().disk(disk).start().await.unwrap()).await
    }

    async fn with(server: Server) -> Self {
        let endpoint = tonic::transport::Endpoint::from_shared(server.endpoint()).unwrap();
        let channel = endpoint.connect().await.unwrap();
        Self { server, channel }
    }

    fn kv(&self) -> KvClient<Channel> {
        KvClient::new(self.channel.clone())
    }

    fn leases(&self) -> LeaseClient<Channel> {
        LeaseClient::new(self.channel.clone())
    }

    fn maintenance(&self) -> MaintenanceClient<Channel> {
        MaintenanceClient::new(self.channel.clone())
    }

    async fn put(&self, key: &str, value: impl Into<bytes::Bytes>) -> Result<i64, tonic::Status> {
        let request = PutRequest {
            key: key.to_owned().into(),
            value: value.into(),
            ..Default::default()
        };
        let response = self.kv().put(request).await?.into_inner();
        Ok(response.header.unwrap().revision)
    }

    async fn get(&self, key: &str) -> Option<bytes::Bytes> {
        let request = RangeRequest {
            key: key.to_owned().into(),
            ..Default::default()
        };
        let response = self.kv().range(request).await.unwrap().into_inner();
        response.kvs.into_iter().next().map(|kv| kv.value)
    }

    async fn status(&self) -> StatusResponse {
        let response = self.maintenance().status(StatusRequest {}).await;
        response.unwrap().into_inner()
    }

    async fn hash(&self, revision: i64) -> HashKvResponse {
        let response = self.maintenance().hash_kv(HashKvRequest { revision }).await;
        response.unwrap().into_inner()
    }

    async fn stop(self) {
        drop(self.channel);
        self.server.shutdown().await.expect("an orderly end");
    }
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(directory.path()).await;
    let grant = LeaseGrantRequest { id: 7, ttl: 100 };
    running.leases().lease_grant(grant).await.unwrap();
    for number in 0..20 {
        let request = PutRequest {
            key: format!("k{}", number % 3).into(),
            value: format!("{number}").into(),
            lease: 7 * i64::from(number % 2),
            ..Default::default()
        };
        running.kv().put(request).await.unwrap();
    }
    let compact = CompactionRequest {
        revision: 11,
        physical: true,
    };
    running.kv().compact(compact).await.unwrap();
    AuthClient::new(running.channel.clone())
        .role_add(etcdkit_proto::etcdserverpb::AuthRoleAddRequest { name: "r".into() })
        .await
        .unwrap();
    let alarm = AlarmRequest {
        action: 1,
        member_id: 5,
        alarm: 2,
    };
    running.maintenance().alarm(alarm).await.unwrap();
    let (status, hash) = (running.status().await, running.hash(15).await);
    assert!(status.db_size > 0);
    running.stop().await;

    let running = Running::start(directory.path()).await;
    let (again, hash_again) = (running.status().await, running.hash(15).await);
    let file = directory.path().join("etcdkit.redb");
    assert_eq!(again.db_size as u64, file.metadata().unwrap().len());
    let (header, header_again) = (status.header.unwrap(), again.header.unwrap());
    assert_eq!(header_again.raft_term, header.raft_term + 1);
    assert_eq!(header_again.cluster_id, header.cluster_id);
    assert_eq!(header_again.member_id, header.member_id);
    assert_eq!(header_again.revision, 21);
    assert!(again.raft_applied_index >= status.raft_applied_index);
    assert_eq!(again.errors, status.errors);
    assert_eq!(hash_again.hash, hash.hash);
    assert_eq!(hash_again.compact_revision, 11);
    let leases = running.leases().lease_leases(LeaseLeasesRequest {}).await;
    assert_eq!(leases.unwrap().into_inner().leases.len(), 1);
    let request = LeaseTimeToLiveRequest { id: 7, keys: true };
    let lease = running.leases().lease_time_to_live(request).await.unwrap();
    let lease = lease.into_inner();
    assert_eq!((lease.granted_ttl, lease.keys.len()), (100, 2));
    let roles = AuthClient::new(running.channel.clone())
        .role_list(etcdkit_proto::etcdserverpb::AuthRoleListRequest {})
        .await;
    assert_eq!(roles.unwrap().into_inner().roles, ["r"]);
    let refused = running.put("k", "v").await.unwrap_err();
    assert_eq!(refused.code(), Code::DataLoss, "the alarm CORRUPT is back");
    running.stop().await;
}

#[tokio::test]
async fn a_dropped_server_frees_its_file_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..5 {
        let running = Running::start(directory.path()).await;
        assert_eq!(running.put("k", "v").await.unwrap(), round + 2);
        drop(running.server);
    }
}

#[tokio::test]
async fn expired_leases_are_gone_for_good() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(directory.path()).await;
    let grant = LeaseGrantRequest { id: 7, ttl: 100 };
    running.leases().lease_grant(grant).await.unwrap();
    let request = PutRequest {
        key: "k".into(),
        lease: 7,
        ..Default::default()
    };
    running.kv().put(request).await.unwrap();
    running.server.advance_time(Duration::from_secs(101));
    assert_eq!(running.get("k").await, None, "visible when it returns");
    running.stop().await;
    let running = Running::start(directory.path()).await;
    assert_eq!(running.get("k").await, None);
    assert_eq!(running.status().await.header.unwrap().revision, 3);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_at_the_same_time_share_commits() {
    let disk = Arc::new(MemoryDisk::default());
    let running = Arc::new(Running::on(&disk).await);
    let before = disk.syncs.load(Ordering::Relaxed);
    let writers = (0..64).map(|writer| {
        let running = Arc::clone(&running);
        tokio::spawn(async move {
            for number in 0..10 {
                running
                    .put(&format!("{writer}/{number}"), "v")
                    .await
                    .unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    assert_eq!(running.status().await.header.unwrap().revision, 641);
    let syncs = disk.syncs.load(Ordering::Relaxed) - before;
    assert!(syncs < 640, "{syncs} syncs for 640 writes of 64 writers");
}

#[tokio::test]
async fn compaction_and_defragmentation_make_the_file_smaller() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(directory.path()).await;
    for _ in 0..64 {
        running.put("k", vec![7; 500_000]).await.unwrap();
    }
    let before = running.status().await;
    assert!(before.db_size > 30_000_000, "{}", before.db_size);
    let compact = CompactionRequest {
        revision: before.header.unwrap().revision,
        physical: true,
    };
    running.kv().compact(compact).await.unwrap();
    let defragment = DefragmentRequest {};
    running.maintenance().defragment(defragment).await.unwrap();
    running.put("k2", "v").await.unwrap();
    let after = running.status().await;
    assert!(after.db_size < before.db_size / 4, "{}", after.db_size);
    assert!(after.db_size_in_use < 1_000_000);
    running.stop().await;
    let running = Running::start(directory.path()).await;
    assert_eq!(running.get("k").await.unwrap().len(), 500_000);
    running.stop().await;
}

async fn refused(directory: &Path) -> DataError {
    match Server::builder().data_dir(directory).start().await {
        Err(StartError::Data { source, .. }) => source,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_not_ours_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let running = Running::start(path).await;
    running.put("k", "v").await.unwrap();
    assert!(matches!(refused(path).await, DataError::InUse));
    running.stop().await;

    let file = path.join("etcdkit.redb");
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(
        &file,
        b"something else, long enough to be read as a header".repeat(100),
    )
    .unwrap();
    assert!(matches!(refused(path).await, DataError::Foreign(_)));
    std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let cut = refused(path).await;
    assert!(matches!(cut, DataError::Damaged(_)), "{cut}");
    std::fs::write(&file, &whole).unwrap();
    Running::start(path).await.stop().await;

    std::fs::create_dir(path.join("member")).unwrap();
    let of_etcd = refused(path).await;
    assert!(matches!(of_etcd, DataError::OfEtcd { .. }));
    assert!(of_etcd.to_string().contains("--restore"), "{of_etcd}");
}

#[tokio::test]
async fn damage_is_never_taken_for_data() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let running = Running::start(path).await;
    for number in 0..200 {
        running
            .put(&format!("{number}"), vec![b'v'; 100])
            .await
            .unwrap();
    }
    let hash = running.hash(0).await.hash;
    running.stop().await;
    let file = path.join("etcdkit.redb");
    let whole = std::fs::read(&file).unwrap();

    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut noticed = 0;
    for _ in 0..40 {
        let mut bytes = whole.clone();
        for _ in 0..random.usize(1..200) {
            let place = random.usize(..bytes.len());
            bytes[place] ^= 1 << random.u8(..8);
        }
        std::fs::write(&file, &bytes).unwrap();
        match Server::builder().data_dir(path).start().await {
            Ok(server) => {
                // What was hit does not matter, or everything is still right.
                let running = Running::with(server).await;
                assert_eq!(running.hash(0).await.hash, hash);
                running.stop().await;
            }
            Err(error) => {
                assert!(matches!(error, StartError::Data { .. }), "{error}");
                noticed += 1;
            }
        }
    }
    assert!(noticed > 0);
}

#[tokio::test]
async fn a_failing_disk_ends_all_writing_and_no_reading() {
    let disk = Arc::new(MemoryDisk::default());
    let running = Running::on(&disk).await;
    running.put("k", "old").await.unwrap();
    disk.fails.store(true, Ordering::Relaxed);
    let lost = running.put("k", "new").await.unwrap_err();
    assert!(lost.message().contains("the cable fell out"), "{lost}");
    disk.fails.store(false, Ordering::Relaxed);
    let refused = running.put("k", "newer").await.unwrap_err();
    assert_eq!(refused.code(), Code::Internal);
    assert_eq!(running.get("k").await.unwrap(), "old", "not published");
    let leases = running.leases().lease_leases(LeaseLeasesRequest {}).await;
    assert!(leases.is_ok(), "questions are answered");
    let ended = running.server.shutdown().await.unwrap_err();
    assert!(ended.to_string().contains("the cable fell out"), "{ended}");

    let running = Running::on(&disk).await;
    assert_eq!(running.get("k").await.unwrap(), "old");
    running.stop().await;
}

#[tokio::test]
async fn a_full_disk_raises_the_alarm_and_takes_back_what_was_not_stored() {
    let disk = Arc::new(MemoryDisk::default());
    let running = Running::on(&disk).await;
    running.put("k", "old").await.unwrap();
    disk.is_full.store(true, Ordering::Relaxed);
    let lost = running.put("k", "new").await.unwrap_err();
    assert_eq!(lost.code(), Code::ResourceExhausted);
    assert_eq!(running.get("k").await.unwrap(), "old");
    let leases = running.leases().lease_leases(LeaseLeasesRequest {}).await;
    assert!(leases.is_ok(), "questions are answered");
    disk.is_full.store(false, Ordering::Relaxed);
    let refused = running.put("k", "newer").await.unwrap_err();
    assert_eq!(
        refused.message(),
        "etcdserver: mvcc: database space exceeded"
    );
    let status = running.status().await;
    assert!(status.errors[0].contains("alarm:NOSPACE"), "{status:?}");

    let disarm = AlarmRequest {
        action: 2,
        member_id: status.header.unwrap().member_id,
        alarm: 1,
    };
    // Nothing can be stored until it is noticed that there is room again.
    while let Err(refused) = running.maintenance().alarm(disarm).await {
        assert_eq!(refused.code(), Code::ResourceExhausted);
        tokio::task::yield_now().await;
    }
    assert_eq!(running.put("k", "newest").await.unwrap(), 3, "no gap");
    running.stop().await;
    let running = Running::on(&disk).await;
    assert_eq!(running.get("k").await.unwrap(), "newest");
    running.stop().await;
}
