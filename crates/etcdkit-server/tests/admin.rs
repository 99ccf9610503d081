//! Maintenance, Cluster and health: what an operator's tools ask.

#![allow(clippy::unwrap_used)]

mod common;

use common::{WAYS, Way, channel, kv, put, start};
use etcdkit_proto::etcdserverpb::alarm_request::AlarmAction;
use etcdkit_proto::etcdserverpb::cluster_client::ClusterClient;
use etcdkit_proto::etcdserverpb::maintenance_client::MaintenanceClient;
use etcdkit_proto::etcdserverpb::{
    AlarmRequest, CompactionRequest, DefragmentRequest, HashKvRequest, MemberAddRequest,
    MemberListRequest, StatusRequest,
};
use etcdkit_proto::health::health_check_response::ServingStatus;
use etcdkit_proto::health::health_client::HealthClient;
use etcdkit_proto::health::{HealthCheckRequest, HealthCheckResponse};
use etcdkit_server::Server;
use tonic::Code;

#[tokio::test]
async fn status_says_who_leads_and_how_far_it_is() {
    for way in WAYS {
        let server = Server::builder().member_id(8).start().await.unwrap();
        let mut maintenance = MaintenanceClient::new(channel(&server, way).await);

        let fresh = maintenance
            .status(StatusRequest {})
            .await
            .unwrap()
            .into_inner();
        assert_eq!(fresh.header.unwrap().revision, 1);
        assert_eq!((fresh.leader, fresh.raft_term), (8, 2));
        // A fresh etcd 3.4 and 3.5 say 4 here.
        assert_eq!((fresh.raft_index, fresh.raft_applied_index), (4, 4));
        assert_eq!(fresh.version, "3.6.14");
        assert_eq!(fresh.storage_version, "3.6.0");
        assert_eq!(fresh.db_size_quota, 2 << 30);
        assert!(fresh.errors.is_empty() && !fresh.is_learner);

        kv(&server, way)
            .await
            .put(put("k", vec![0; 1_000]))
            .await
            .unwrap();
        let later = maintenance
            .status(StatusRequest {})
            .await
            .unwrap()
            .into_inner();
        assert_eq!(later.header.unwrap().revision, 2);
        assert_eq!(later.raft_index, 5);
        assert!(later.db_size >= fresh.db_size + 1_000, "{later:?}");
        assert!(later.db_size_in_use <= later.db_size);
    }
}

#[tokio::test]
async fn an_older_version_says_no_more_than_that_version_would() {
    let server = Server::builder().version("3.5.30").start().await.unwrap();
    let mut maintenance = MaintenanceClient::new(channel(&server, Way::Tcp).await);
    let status = maintenance
        .status(StatusRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(status.version, "3.5.30");
    assert_eq!(
        (status.storage_version.as_str(), status.db_size_quota),
        ("", 0)
    );
    assert!(status.downgrade_info.is_none());
}

/// The numbers are etcd 3.4.23's and 3.5.30's after the same requests.
#[tokio::test]
async fn the_hash_is_real_etcds() {
    let server = start().await;
    let mut maintenance = MaintenanceClient::new(channel(&server, Way::Tcp).await);
    let fresh = maintenance
        .hash_kv(HashKvRequest { revision: 0 })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (fresh.hash, fresh.compact_revision, fresh.hash_revision),
        (1_084_519_789, -1, 1)
    );

    let mut kv = kv(&server, Way::Tcp).await;
    kv.put(put("a", "1")).await.unwrap();
    kv.compact(CompactionRequest {
        revision: 2,
        physical: true,
    })
    .await
    .unwrap();
    let header = maintenance
        .hash_kv(HashKvRequest { revision: 0 })
        .await
        .unwrap()
        .into_inner()
        .header;
    assert_eq!(
        (header.unwrap().revision, header.unwrap().raft_term),
        (2, 2)
    );
    let future = maintenance
        .hash_kv(HashKvRequest { revision: 3 })
        .await
        .unwrap_err();
    assert_eq!(future.code(), Code::OutOfRange);
    assert_eq!(
        future.message(),
        "etcdserver: mvcc: required revision is a future revision"
    );
}

#[tokio::test]
async fn the_member_list_has_the_one_member() {
    let server = Server::builder()
        .member_id(8)
        .name("one")
        .start()
        .await
        .unwrap();
    let mut cluster = ClusterClient::new(channel(&server, Way::Tcp).await);
    let list = cluster
        .member_list(MemberListRequest::default())
        .await
        .unwrap()
        .into_inner();
    // etcd's headers of this service have no revision.
    assert_eq!(
        (
            list.header.unwrap().revision,
            list.header.unwrap().member_id
        ),
        (0, 8)
    );
    let [member] = list.members.as_slice() else {
        panic!("{list:?}")
    };
    assert_eq!(
        (member.id, member.name.as_str(), member.is_learner),
        (8, "one", false)
    );
    assert_eq!(member.client_ur_ls, [server.endpoint()]);
    assert_eq!(member.peer_ur_ls, ["http://localhost:2380"]);

    let server = Server::builder()
        .advertise_client_urls(["http://a:1", "http://b:2"])
        .advertise_peer_urls(["http://c:3"])
        .start()
        .await
        .unwrap();
    let mut cluster = ClusterClient::new(channel(&server, Way::Tcp).await);
    let list = cluster
        .member_list(MemberListRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(list.members[0].client_ur_ls, ["http://a:1", "http://b:2"]);
    assert_eq!(list.members[0].peer_ur_ls, ["http://c:3"]);
}

#[tokio::test]
async fn there_are_no_alarms_and_none_can_be_set() {
    let server = start().await;
    let mut maintenance = MaintenanceClient::new(channel(&server, Way::Tcp).await);
    for action in [AlarmAction::Get, AlarmAction::Deactivate] {
        let request = AlarmRequest {
            action: action.into(),
            ..Default::default()
        };
        assert!(
            maintenance
                .alarm(request)
                .await
                .unwrap()
                .into_inner()
                .alarms
                .is_empty()
        );
    }
    let request = AlarmRequest {
        action: AlarmAction::Activate.into(),
        ..Default::default()
    };
    assert_eq!(
        maintenance.alarm(request).await.unwrap_err().code(),
        Code::Unimplemented
    );
}

#[tokio::test]
async fn what_is_not_offered_says_so() {
    let server = start().await;
    let channel = channel(&server, Way::Tcp).await;
    let error = MaintenanceClient::new(channel.clone())
        .defragment(DefragmentRequest {})
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::Unimplemented);
    assert_eq!(
        error.message(),
        "unknown method Defragment for service etcdserverpb.Maintenance"
    );
    let error = ClusterClient::new(channel)
        .member_add(MemberAddRequest::default())
        .await
        .unwrap_err();
    assert_eq!(
        error.message(),
        "unknown method MemberAdd for service etcdserverpb.Cluster"
    );
}

#[tokio::test]
async fn health_knows_the_whole_server_only() {
    let server = start().await;
    let mut health = HealthClient::new(channel(&server, Way::Tcp).await);
    let serving = HealthCheckResponse {
        status: ServingStatus::Serving.into(),
    };
    let check = health.check(HealthCheckRequest::default()).await.unwrap();
    assert_eq!(check.into_inner(), serving);

    let named = || HealthCheckRequest {
        service: "etcdserverpb.KV".into(),
    };
    let error = health.check(named()).await.unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        (Code::NotFound, "unknown service")
    );

    let mut watch = health.watch(named()).await.unwrap().into_inner();
    let unknown = HealthCheckResponse {
        status: ServingStatus::ServiceUnknown.into(),
    };
    assert_eq!(watch.message().await.unwrap(), Some(unknown));

    let mut watch = health
        .watch(HealthCheckRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(watch.message().await.unwrap(), Some(serving));
    server.shutdown().await.unwrap();
    let error = watch.message().await.unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        (Code::Unavailable, "etcdserver: server stopped")
    );
}
