//! Maintenance, Cluster and health: what an operator's tools ask.

#![allow(clippy::unwrap_used)]

mod common;

use common::{WAYS, Way, channel, get, is, kv, put, start};
use etcdkit_proto::etcdserverpb::alarm_request::AlarmAction;
use etcdkit_proto::etcdserverpb::cluster_client::ClusterClient;
use etcdkit_proto::etcdserverpb::downgrade_request::DowngradeAction;
use etcdkit_proto::etcdserverpb::lease_client::LeaseClient;
use etcdkit_proto::etcdserverpb::maintenance_client::MaintenanceClient;
use etcdkit_proto::etcdserverpb::request_op::Request;
use etcdkit_proto::etcdserverpb::{
    AlarmRequest, AlarmType, CompactionRequest, DefragmentRequest, DeleteRangeRequest,
    DowngradeRequest, HashKvRequest, HashRequest, LeaseGrantRequest, MemberAddRequest,
    MemberListRequest, MemberPromoteRequest, MemberRemoveRequest, MemberUpdateRequest,
    MoveLeaderRequest, RequestOp, StatusRequest, TxnRequest,
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
async fn an_alarm_keeps_clients_from_writing_until_it_is_taken_back() {
    let server = Server::builder().member_id(8).start().await.unwrap();
    let channel = channel(&server, Way::Tcp).await;
    let mut maintenance = MaintenanceClient::new(channel.clone());
    let mut leases = LeaseClient::new(channel);
    let mut kv = kv(&server, Way::Tcp).await;
    let grant = LeaseGrantRequest { id: 0, ttl: 60 };
    let delete = || DeleteRangeRequest {
        key: "k".into(),
        ..Default::default()
    };
    let op = |request| {
        vec![RequestOp {
            request: Some(request),
        }]
    };
    let untaken_put = || TxnRequest {
        failure: op(Request::RequestPut(put("k", "v"))),
        ..Default::default()
    };
    let nested_put = TxnRequest {
        success: op(Request::RequestTxn(untaken_put())),
        ..Default::default()
    };
    let alarm = |action: AlarmAction, alarm: AlarmType| AlarmRequest {
        action: action.into(),
        member_id: 8,
        alarm: alarm.into(),
    };
    for (kind, name, code, text) in [
        (
            AlarmType::Nospace,
            "NOSPACE",
            Code::ResourceExhausted,
            "etcdserver: mvcc: database space exceeded",
        ),
        (
            AlarmType::Corrupt,
            "CORRUPT",
            Code::DataLoss,
            "etcdserver: corrupt cluster",
        ),
    ] {
        maintenance
            .alarm(alarm(AlarmAction::Activate, kind))
            .await
            .unwrap();
        let listed = maintenance.alarm(AlarmRequest::default()).await.unwrap();
        let listed = listed.into_inner().alarms;
        assert_eq!(listed.len(), 1);
        assert_eq!((listed[0].member_id, listed[0].alarm), (8, kind as i32));
        let status = maintenance.status(StatusRequest {}).await.unwrap();
        let errors = status.into_inner().errors;
        assert_eq!(errors, [format!("memberID:8 alarm:{name} ")]);

        for refused in [
            kv.put(put("k", "v")).await.unwrap_err(),
            kv.txn(untaken_put()).await.unwrap_err(),
            kv.txn(nested_put.clone()).await.unwrap_err(),
            leases.lease_grant(grant).await.unwrap_err(),
        ] {
            is(&refused, code, text);
        }
        kv.range(get("k")).await.unwrap();
        let deleted = kv.delete_range(delete()).await;
        assert_eq!(deleted.is_ok(), kind == AlarmType::Nospace);

        maintenance
            .alarm(alarm(AlarmAction::Deactivate, kind))
            .await
            .unwrap();
        kv.put(put("k", "v")).await.unwrap();
    }
}

#[tokio::test]
async fn the_one_member_leads_and_stays() {
    let server = Server::builder().member_id(8).start().await.unwrap();
    let channel = channel(&server, Way::Tcp).await;
    let mut maintenance = MaintenanceClient::new(channel.clone());
    let mut cluster = ClusterClient::new(channel);
    let transfer = |target_id| MoveLeaderRequest { target_id };
    let moved = maintenance.move_leader(transfer(8)).await.unwrap();
    assert_eq!(moved.into_inner().header, None);
    is(
        &maintenance.move_leader(transfer(9)).await.unwrap_err(),
        Code::FailedPrecondition,
        "etcdserver: bad leader transferee",
    );
    let add = |url: &str| MemberAddRequest {
        peer_ur_ls: vec![url.into()],
        is_learner: false,
    };
    is(
        &cluster.member_add(add("a:1")).await.unwrap_err(),
        Code::InvalidArgument,
        "etcdserver: given member URLs are invalid",
    );
    let own = &cluster
        .member_list(MemberListRequest::default())
        .await
        .unwrap();
    let own = own.get_ref().members[0].peer_ur_ls[0].clone();
    is(
        &cluster.member_add(add(&own)).await.unwrap_err(),
        Code::FailedPrecondition,
        "etcdserver: Peer URLs already exists",
    );
    let refused = cluster.member_add(add("http://a:1")).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    assert!(refused.message().contains("cluster of one"), "{refused}");
    for refused in [
        cluster
            .member_remove(MemberRemoveRequest { id: 9 })
            .await
            .unwrap_err(),
        cluster
            .member_promote(MemberPromoteRequest { id: 9 })
            .await
            .unwrap_err(),
    ] {
        is(&refused, Code::NotFound, "etcdserver: member not found");
    }
    is(
        &cluster
            .member_remove(MemberRemoveRequest { id: 8 })
            .await
            .unwrap_err(),
        Code::Unknown,
        "etcdserver: re-configuration failed due to not enough started members",
    );
    is(
        &cluster
            .member_promote(MemberPromoteRequest { id: 8 })
            .await
            .unwrap_err(),
        Code::FailedPrecondition,
        "etcdserver: can only promote a learner member",
    );
    let update = MemberUpdateRequest {
        id: 8,
        peer_ur_ls: vec!["http://b:2".into()],
    };
    let updated = cluster.member_update(update).await.unwrap().into_inner();
    assert_eq!(updated.members[0].peer_ur_ls, ["http://b:2"]);
}

#[tokio::test]
async fn there_is_little_to_maintain_in_memory() {
    let server = start().await;
    let mut maintenance = MaintenanceClient::new(channel(&server, Way::Tcp).await);
    let done = maintenance.defragment(DefragmentRequest {}).await.unwrap();
    assert_eq!(done.into_inner().header, None);
    let hash = maintenance.hash(HashRequest {}).await.unwrap().into_inner();
    let again = maintenance.hash(HashRequest {}).await.unwrap().into_inner();
    assert_eq!(hash, again);

    let mut downgrade = async |action: DowngradeAction, version: &str| {
        let request = DowngradeRequest {
            action: action.into(),
            version: version.into(),
        };
        let answer = maintenance.downgrade(request).await?;
        Ok::<_, tonic::Status>(answer.into_inner().version)
    };
    let wrong = downgrade(DowngradeAction::Validate, "3").await.unwrap_err();
    assert_eq!(
        wrong.message(),
        "etcdserver: wrong downgrade target version format"
    );
    let far = downgrade(DowngradeAction::Enable, "3.4").await.unwrap_err();
    assert_eq!(
        far.message(),
        "etcdserver: invalid downgrade target version"
    );
    for (action, version) in [
        (DowngradeAction::Validate, "3.5"),
        (DowngradeAction::Enable, "3.5.0"),
        (DowngradeAction::Cancel, ""),
        (DowngradeAction::Cancel, ""),
    ] {
        assert_eq!(downgrade(action, version).await.unwrap(), "3.6");
    }
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
