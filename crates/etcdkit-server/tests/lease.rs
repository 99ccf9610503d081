//! Leases: granted, kept alive, revoked, expired. What is expected was seen on etcd 3.5 and 3.6.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{WAYS, Way, channel, get, is, kv, put, start};
use etcdkit_proto::etcdserverpb::lease_client::LeaseClient;
use etcdkit_proto::etcdserverpb::{
    LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest, LeaseLeasesRequest,
    LeaseRevokeRequest, LeaseTimeToLiveRequest, LeaseTimeToLiveResponse, PutRequest,
};
use etcdkit_server::Server;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Status};

const NO_SUCH_LEASE: &str = "etcdserver: requested lease not found";

async fn leases(server: &Server, way: Way) -> LeaseClient<Channel> {
    LeaseClient::new(channel(server, way).await)
}

async fn grant(
    leases: &mut LeaseClient<Channel>,
    id: i64,
    ttl: i64,
) -> Result<LeaseGrantResponse, Status> {
    let granted = leases.lease_grant(LeaseGrantRequest { id, ttl }).await?;
    Ok(granted.into_inner())
}

async fn time_to_live(leases: &mut LeaseClient<Channel>, id: i64) -> LeaseTimeToLiveResponse {
    let request = LeaseTimeToLiveRequest { id, keys: true };
    leases
        .lease_time_to_live(request)
        .await
        .unwrap()
        .into_inner()
}

fn leased(key: &str, lease: i64) -> PutRequest {
    PutRequest {
        lease,
        ..put(key, "v")
    }
}

#[tokio::test]
async fn a_grant_has_its_id_and_a_ttl_of_two_seconds_at_least() {
    for way in WAYS {
        let server = start().await;
        let mut leases = leases(&server, way).await;
        let chosen = grant(&mut leases, 7, 60).await.unwrap();
        assert_eq!((chosen.id, chosen.ttl), (7, 60));
        assert_eq!(chosen.header.unwrap().revision, 1);
        let raised = grant(&mut leases, -7, -1).await.unwrap();
        assert_eq!((raised.id, raised.ttl), (-7, 2));
        let ours = grant(&mut leases, 0, 9_000_000_000).await.unwrap();
        assert!(ours.id > 0, "{ours:?}");

        is(
            &grant(&mut leases, 7, 60).await.unwrap_err(),
            Code::FailedPrecondition,
            "etcdserver: lease already exists",
        );
        is(
            &grant(&mut leases, 7, 9_000_000_001).await.unwrap_err(),
            Code::OutOfRange,
            "etcdserver: too large lease TTL",
        );
        let all = leases.lease_leases(LeaseLeasesRequest {}).await.unwrap();
        let ids: Vec<i64> = all
            .into_inner()
            .leases
            .iter()
            .map(|lease| lease.id)
            .collect();
        assert_eq!(ids, [-7, 7, ours.id], "the next to expire comes first");
    }
}

#[tokio::test]
async fn revoking_deletes_the_keys_at_one_revision() {
    let server = start().await;
    let mut leases = leases(&server, Way::Tcp).await;
    let mut kv = kv(&server, Way::Tcp).await;
    for id in [1, 2] {
        grant(&mut leases, id, 60).await.unwrap();
    }
    for key in ["c", "a", "b", "moved", "bare"] {
        kv.put(leased(key, 1)).await.unwrap();
    }
    kv.put(leased("moved", 2)).await.unwrap();
    kv.put(leased("bare", 0)).await.unwrap();
    assert_eq!(time_to_live(&mut leases, 1).await.keys, ["a", "b", "c"]);
    assert_eq!(time_to_live(&mut leases, 2).await.keys, ["moved"]);

    let revoke = |id| LeaseRevokeRequest { id };
    let revoked = leases.lease_revoke(revoke(1)).await.unwrap().into_inner();
    assert_eq!(revoked.header.unwrap().revision, 9);
    for (key, count) in [("a", 0), ("b", 0), ("c", 0), ("moved", 1), ("bare", 1)] {
        let found = kv.range(get(key)).await.unwrap().into_inner();
        assert_eq!(found.count, count, "{key}");
    }
    for id in [1, 0, 99] {
        let error = leases.lease_revoke(revoke(id)).await.unwrap_err();
        is(&error, Code::NotFound, NO_SUCH_LEASE);
    }
    // Nothing to delete, nothing to count.
    grant(&mut leases, 3, 60).await.unwrap();
    let revoked = leases.lease_revoke(revoke(3)).await.unwrap().into_inner();
    assert_eq!(revoked.header.unwrap().revision, 9);
}

#[tokio::test]
async fn a_put_needs_a_lease_that_is_there() {
    let server = start().await;
    let mut kv = kv(&server, Way::Tcp).await;
    for id in [1, -1] {
        let error = kv.put(leased("k", id)).await.unwrap_err();
        is(&error, Code::NotFound, NO_SUCH_LEASE);
    }
}

#[tokio::test]
async fn time_to_live_counts_down() {
    let server = start().await;
    let mut leases = leases(&server, Way::Tcp).await;
    grant(&mut leases, 5, 50).await.unwrap();
    let fresh = time_to_live(&mut leases, 5).await;
    assert_eq!((fresh.id, fresh.ttl, fresh.granted_ttl), (5, 49, 50));
    server.advance_time(Duration::from_secs(20));
    assert_eq!(time_to_live(&mut leases, 5).await.ttl, 29);
    let unknown = time_to_live(&mut leases, 6).await;
    assert_eq!((unknown.id, unknown.ttl, unknown.granted_ttl), (6, -1, 0));
    assert_eq!(unknown.header.unwrap().revision, 1);
}

#[tokio::test]
async fn leases_expire_when_the_time_is_moved_on() {
    let server = start().await;
    let mut leases = leases(&server, Way::Tcp).await;
    let mut kv = kv(&server, Way::Tcp).await;
    for (id, ttl) in [(1, 10), (2, 20)] {
        grant(&mut leases, id, ttl).await.unwrap();
        kv.put(leased(&id.to_string(), id)).await.unwrap();
    }
    server.advance_time(Duration::from_secs(15));
    let first = kv.range(get("1")).await.unwrap().into_inner();
    assert_eq!((first.count, first.header.unwrap().revision), (0, 4));
    assert_eq!(time_to_live(&mut leases, 1).await.ttl, -1);
    assert_eq!(time_to_live(&mut leases, 2).await.ttl, 4);
    is(
        &kv.put(leased("k", 1)).await.unwrap_err(),
        Code::NotFound,
        NO_SUCH_LEASE,
    );
    server.advance_time(Duration::from_secs(5));
    assert_eq!(kv.range(get("2")).await.unwrap().into_inner().count, 0);
}

#[tokio::test(start_paused = true)]
async fn leases_expire_by_themselves() {
    let server = Server::builder().without_listener().start().await.unwrap();
    let mut leases = leases(&server, Way::Pipe).await;
    let mut kv = kv(&server, Way::Pipe).await;
    grant(&mut leases, 1, 60).await.unwrap();
    // Granted later and over earlier: whoever waits for the first must notice.
    grant(&mut leases, 2, 5).await.unwrap();
    kv.put(leased("a", 1)).await.unwrap();
    kv.put(leased("b", 2)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5_010)).await;
    assert_eq!(kv.range(get("b")).await.unwrap().into_inner().count, 0);
    assert_eq!(kv.range(get("a")).await.unwrap().into_inner().count, 1);
    tokio::time::sleep(Duration::from_secs(55)).await;
    assert_eq!(kv.range(get("a")).await.unwrap().into_inner().count, 0);
}

#[tokio::test]
async fn keep_alives_are_answered_in_order_on_one_stream() {
    for way in WAYS {
        let server = start().await;
        let mut leases = leases(&server, way).await;
        for id in [1, 2] {
            grant(&mut leases, id, 60).await.unwrap();
        }
        let (requests, receiver) = mpsc::channel(16);
        for id in [1, 9, 1] {
            requests.send(LeaseKeepAliveRequest { id }).await.unwrap();
        }
        server.advance_time(Duration::from_secs(50));
        let replies = leases.lease_keep_alive(ReceiverStream::new(receiver)).await;
        let mut replies = replies.unwrap().into_inner();
        for expected in [(1, 60), (9, 0), (1, 60)] {
            let reply = replies.message().await.unwrap().unwrap();
            assert_eq!((reply.id, reply.ttl), expected);
            assert_eq!(reply.header.unwrap().revision, 1);
        }
        server.advance_time(Duration::from_secs(30));
        assert_eq!(time_to_live(&mut leases, 1).await.ttl, 29);
        assert_eq!(time_to_live(&mut leases, 2).await.ttl, -1);
        requests
            .send(LeaseKeepAliveRequest { id: 2 })
            .await
            .unwrap();
        assert_eq!(replies.message().await.unwrap().unwrap().ttl, 0);

        drop(requests);
        assert!(
            replies.message().await.unwrap().is_none(),
            "etcd ends it too"
        );
    }
}

#[tokio::test]
async fn five_thousand_keep_alives_at_once() {
    const LEASES: i64 = 5_000;
    let server = start().await;
    let mut leases = leases(&server, Way::Tcp).await;
    for id in 1..=LEASES {
        grant(&mut leases, id, 60).await.unwrap();
    }
    let requests = tokio_stream::iter((1..=LEASES).map(|id| LeaseKeepAliveRequest { id }));
    let mut replies = leases
        .lease_keep_alive(requests)
        .await
        .unwrap()
        .into_inner();
    for id in 1..=LEASES {
        let reply = replies.message().await.unwrap().unwrap();
        assert_eq!((reply.id, reply.ttl), (id, 60));
    }
    assert!(replies.message().await.unwrap().is_none());
}

#[tokio::test]
async fn a_stop_ends_keep_alives_at_once() {
    let server = start().await;
    let mut leases = leases(&server, Way::Tcp).await;
    let (requests, receiver) = mpsc::channel(1);
    requests
        .send(LeaseKeepAliveRequest { id: 1 })
        .await
        .unwrap();
    let replies = leases.lease_keep_alive(ReceiverStream::new(receiver)).await;
    let mut replies = replies.unwrap().into_inner();
    assert_eq!(replies.message().await.unwrap().unwrap().ttl, 0);
    let (stopped, ended) = tokio::join!(server.shutdown(), replies.message());
    stopped.unwrap();
    is(
        &ended.unwrap_err(),
        Code::Unavailable,
        "etcdserver: server stopped",
    );
}
