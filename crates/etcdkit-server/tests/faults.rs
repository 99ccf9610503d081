//! Faults on purpose, seen by a client that repeats nothing.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{WAYS, Way, all, channel, get, is, kv, put, start};
use etcdkit_proto::etcdserverpb::kv_client::KvClient;
use etcdkit_proto::etcdserverpb::lease_client::LeaseClient;
use etcdkit_proto::etcdserverpb::maintenance_client::MaintenanceClient;
use etcdkit_proto::etcdserverpb::watch_client::WatchClient;
use etcdkit_proto::etcdserverpb::watch_request::RequestUnion;
use etcdkit_proto::etcdserverpb::{
    LeaseGrantRequest, LeaseKeepAliveRequest, LeaseTimeToLiveRequest, RangeRequest, StatusRequest,
    WatchCreateRequest, WatchRequest, WatchResponse,
};
use etcdkit_server::Server;
use etcdkit_server::faults::{Alarm, Code as EtcdCode, EtcdError, Rpc, Rpcs};
use tokio::time::{Instant, timeout};
use tokio_stream::StreamExt as _;
use tonic::transport::Channel;
use tonic::{Code, Request, Streaming};

/// How long something is awaited that must not happen.
const A_WHILE: Duration = Duration::from_millis(100);

/// How long something may take that happens at once.
const PATIENCE: Duration = Duration::from_secs(10);

const NO_LEADER: &str = "etcdserver: no leader";
const TIMED_OUT: &str = "etcdserver: request timed out";

async fn count(kv: &mut KvClient<Channel>) -> i64 {
    kv.range(all()).await.unwrap().into_inner().count
}

/// A stream with one watch on every key.
async fn watch(channel: Channel, has_leader: bool) -> Streaming<WatchResponse> {
    let create = WatchRequest {
        request_union: Some(RequestUnion::CreateRequest(WatchCreateRequest {
            key: (&b"\0"[..]).into(),
            range_end: (&b"\0"[..]).into(),
            ..Default::default()
        })),
    };
    let requests = tokio_stream::once(create).chain(tokio_stream::pending());
    let mut request = Request::new(requests);
    if has_leader {
        let metadata = request.metadata_mut();
        metadata.insert("hasleader", "true".parse().unwrap());
    }
    let mut stream = WatchClient::new(channel)
        .watch(request)
        .await
        .unwrap()
        .into_inner();
    assert!(stream.message().await.unwrap().unwrap().created);
    stream
}

fn with_leader<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    let metadata = request.metadata_mut();
    metadata.insert("hasleader", "true".parse().unwrap());
    request
}

#[tokio::test]
async fn the_nth_call_fails_and_is_not_carried_out() {
    for way in WAYS {
        let server = start().await;
        let mut kv = kv(&server, way).await;
        let fault = server
            .faults()
            .on(Rpc::KvPut)
            .nth(2)
            .fail(EtcdError::NoLeader);
        kv.put(put("a", "1")).await.unwrap();
        let refused = kv.put(put("b", "1")).await.unwrap_err();
        is(&refused, Code::Unavailable, NO_LEADER);
        kv.put(put("c", "1")).await.unwrap();
        assert_eq!(count(&mut kv).await, 2);
        assert_eq!(fault.hits(), 1);
        assert_eq!(server.faults().calls(Rpc::KvPut), 3);
    }
}

#[tokio::test]
async fn a_call_may_fail_although_it_was_carried_out() {
    let server = start().await;
    let mut kv = kv(&server, Way::Pipe).await;
    let lost = (EtcdCode::Unavailable, "error reading from server: EOF");
    let fault = server
        .faults()
        .on(Rpc::KvPut)
        .times(1)
        .once_applied()
        .fail(lost);
    let failed = kv.put(put("a", "1")).await.unwrap_err();
    is(&failed, Code::Unavailable, lost.1);
    assert_eq!(count(&mut kv).await, 1);
    assert_eq!(fault.hits(), 1);
}

#[tokio::test]
async fn a_call_is_delayed_before_or_after_it_is_carried_out() {
    let server = start().await;
    let mut kv = kv(&server, Way::Tcp).await;
    let delay = Duration::from_millis(50);
    let before = server.faults().on(Rpc::KvPut).delay(delay);
    let began = Instant::now();
    kv.put(put("a", "1")).await.unwrap();
    assert!(began.elapsed() >= delay);

    before.remove();
    let long = server
        .faults()
        .on(Rpc::KvPut)
        .once_applied()
        .delay(PATIENCE * 10);
    let mut writer = kv.clone();
    let write = tokio::spawn(async move { writer.put(put("b", "1")).await });
    long.hit(1).await;
    while count(&mut kv).await < 2 {
        tokio::task::yield_now().await;
    }
    assert!(!write.is_finished());
    write.abort();
}

#[tokio::test]
async fn a_call_may_hang_and_ends_with_the_server() {
    let server = start().await;
    let mut kv = kv(&server, Way::Tcp).await;
    let fault = server.faults().on(Rpc::KvPut).hang();
    let mut writer = kv.clone();
    let write = tokio::spawn(async move { writer.put(put("a", "1")).await });
    fault.hit(1).await;
    assert_eq!(
        count(&mut kv).await,
        0,
        "other calls of the connection go on"
    );
    let began = Instant::now();
    server.shutdown().await.unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "without the grace"
    );
    let ended = write.await.unwrap().unwrap_err();
    is(&ended, Code::Unavailable, "etcdserver: server stopped");
}

#[tokio::test]
async fn the_connection_of_a_call_ends_and_others_do_not() {
    for way in WAYS {
        let server = start().await;
        let mut victim = kv(&server, way).await;
        let other = channel(&server, way).await;
        let mut events = watch(other.clone(), false).await;
        let faults = server.faults();
        let fault = faults.on(Rpc::KvPut).nth(1).once_applied().disconnect();
        let ended = victim.put(put("a", "1")).await.unwrap_err();
        // What exactly is told is tonic's affair; it is nothing of etcd's.
        assert!(!ended.message().starts_with("etcdserver"), "{ended:?}");
        assert_eq!(fault.hits(), 1);
        let event = events.message().await.unwrap().unwrap();
        assert_eq!(event.events.len(), 1, "{way:?}: it was applied");
    }
}

#[tokio::test]
async fn all_connections_end_and_new_ones_are_refused() {
    for way in WAYS {
        let server = start().await;
        let mut kv = kv(&server, way).await;
        kv.put(put("a", "1")).await.unwrap();
        let mut events = watch(channel(&server, way).await, false).await;
        let faults = server.faults();
        faults.refuse_connections();
        kv.put(put("b", "1")).await.unwrap();
        faults.drop_connections();
        while events.message().await.is_ok_and(|event| event.is_some()) {}
        // tonic connects again by itself.
        assert!(
            timeout(PATIENCE, kv.put(put("c", "1")))
                .await
                .unwrap()
                .is_err()
        );
        faults.accept_connections();
        while kv.put(put("d", "1")).await.is_err() {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn open_streams_end_and_their_connection_stays() {
    let server = start().await;
    let channel = channel(&server, Way::Tcp).await;
    let mut events = watch(channel.clone(), false).await;
    let cause = (EtcdCode::Unavailable, "transport is closing");
    let faults = server.faults();
    faults.end_streams(Rpc::LeaseKeepAlive, cause);
    assert!(
        timeout(A_WHILE, events.message()).await.is_err(),
        "not meant"
    );
    faults.end_streams(Rpc::Watch, cause);
    let ended = timeout(PATIENCE, events.message()).await.unwrap();
    is(&ended.unwrap_err(), Code::Unavailable, cause.1);
    let mut later = watch(channel.clone(), false).await;
    KvClient::new(channel).put(put("a", "1")).await.unwrap();
    assert_eq!(later.message().await.unwrap().unwrap().events.len(), 1);
}

#[tokio::test]
async fn a_stalled_stream_loses_nothing() {
    let server = start().await;
    let channel = channel(&server, Way::Pipe).await;
    let mut kv = KvClient::new(channel.clone());
    let mut events = watch(channel, false).await;
    let faults = server.faults();
    faults.stall_streams(Rpcs::ALL);
    for key in ["a", "b"] {
        kv.put(put(key, "1")).await.unwrap();
    }
    assert!(timeout(A_WHILE, events.message()).await.is_err());
    faults.resume_streams();
    let mut keys = Vec::new();
    while keys.len() < 2 {
        let response = timeout(PATIENCE, events.message()).await.unwrap();
        let events = response.unwrap().unwrap().events;
        keys.extend(events.into_iter().map(|event| event.kv.unwrap().key));
    }
    assert_eq!(keys, ["a", "b"]);
}

#[tokio::test]
async fn a_paused_server_answers_when_it_goes_on() {
    for way in WAYS {
        let server = start().await;
        let mut kv = kv(&server, way).await;
        let mut lease = LeaseClient::new(channel(&server, way).await);
        let grant = LeaseGrantRequest { ttl: 10, id: 7 };
        lease.lease_grant(grant).await.unwrap();
        let faults = server.faults();
        faults.pause();
        let mut writer = kv.clone();
        let mut write = tokio::spawn(async move { writer.put(put("a", "1")).await });
        assert!(timeout(A_WHILE, &mut write).await.is_err(), "{way:?}");
        server.advance_time(Duration::from_secs(11));
        faults.resume();
        timeout(PATIENCE, write).await.unwrap().unwrap().unwrap();
        assert_eq!(count(&mut kv).await, 1);
        // The lease, whose time passed during the pause, expires now.
        let left = LeaseTimeToLiveRequest { id: 7, keys: false };
        while lease
            .lease_time_to_live(left)
            .await
            .unwrap()
            .into_inner()
            .ttl
            != -1
        {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn without_a_leader_what_needs_one_is_refused() {
    let server = start().await;
    let channel = channel(&server, Way::Tcp).await;
    let mut kv = KvClient::new(channel.clone());
    let mut lease = LeaseClient::new(channel.clone());
    lease
        .lease_grant(LeaseGrantRequest { ttl: 10, id: 7 })
        .await
        .unwrap();
    let mut wanting = watch(channel.clone(), true).await;
    let mut modest = watch(channel.clone(), false).await;
    let faults = server.faults();
    faults.request_timeout(Duration::from_millis(50));
    faults.lose_leader();

    let ended = timeout(PATIENCE, wanting.message()).await.unwrap();
    is(&ended.unwrap_err(), Code::Unavailable, NO_LEADER);
    let refused = kv.put(with_leader(put("a", "1"))).await.unwrap_err();
    is(&refused, Code::Unavailable, NO_LEADER);
    let refused = kv.range(with_leader(get("a"))).await.unwrap_err();
    is(&refused, Code::Unavailable, NO_LEADER);
    let late = kv.put(put("a", "1")).await.unwrap_err();
    is(&late, Code::DeadlineExceeded, "context deadline exceeded");
    let late = kv.range(get("a")).await.unwrap_err();
    is(&late, Code::Unavailable, TIMED_OUT);
    let keep_alive = tokio_stream::once(LeaseKeepAliveRequest { id: 7 });
    let late = lease.lease_keep_alive(keep_alive).await.unwrap_err();
    is(&late, Code::Unavailable, NO_LEADER);
    let serializable = RangeRequest {
        serializable: true,
        ..get("a")
    };
    kv.range(serializable).await.unwrap();
    let wrong = kv.put(put("", "1")).await.unwrap_err();
    is(
        &wrong,
        Code::InvalidArgument,
        "etcdserver: key is not provided",
    );
    let mut maintenance = MaintenanceClient::new(channel.clone());
    let status = maintenance
        .status(StatusRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (status.leader, status.errors),
        (0, vec![NO_LEADER.to_owned()])
    );
    // A lease does not expire while nobody keeps its time.
    server.advance_time(Duration::from_secs(11));

    faults.request_timeout(PATIENCE);
    let write = tokio::spawn({
        let mut kv = kv.clone();
        async move { kv.put(put("a", "1")).await }
    });
    let read = tokio::spawn({
        let mut kv = kv.clone();
        async move { kv.range(get("a")).await }
    });
    assert!(timeout(A_WHILE, modest.message()).await.is_err());
    assert!(!write.is_finished() && !read.is_finished());
    faults.regain_leader();
    let written = write.await.unwrap().unwrap().into_inner();
    assert_eq!(written.header.unwrap().raft_term, status.raft_term + 1);
    let refused = read.await.unwrap().unwrap_err();
    is(&refused, Code::Unavailable, "etcdserver: leader changed");
    assert_eq!(modest.message().await.unwrap().unwrap().events.len(), 1);
    let left = LeaseTimeToLiveRequest { id: 7, keys: false };
    let left = lease.lease_time_to_live(left).await.unwrap().into_inner();
    assert_eq!(left.ttl, 9, "all of its time, begun again");
}

#[tokio::test]
async fn a_restart_keeps_data_and_leases_and_ends_sessions() {
    let server = start().await;
    let channel = channel(&server, Way::Pipe).await;
    let mut kv = KvClient::new(channel.clone());
    let mut lease = LeaseClient::new(channel.clone());
    lease
        .lease_grant(LeaseGrantRequest { ttl: 60, id: 7 })
        .await
        .unwrap();
    let written = kv
        .put(put("a", "1"))
        .await
        .unwrap()
        .into_inner()
        .header
        .unwrap();
    let mut events = watch(channel, false).await;
    server.advance_time(Duration::from_secs(50));
    server.faults().restart();
    assert!(timeout(PATIENCE, events.message()).await.unwrap().is_err());
    let found = loop {
        if let Ok(found) = kv.range(get("a")).await {
            break found.into_inner();
        }
    };
    let header = found.header.unwrap();
    assert_eq!(found.kvs.len(), 1);
    assert_eq!(header.revision, written.revision);
    assert_eq!(header.raft_term, written.raft_term + 1);
    let left = LeaseTimeToLiveRequest { id: 7, keys: false };
    let left = lease.lease_time_to_live(left).await.unwrap().into_inner();
    assert!(left.ttl >= 58, "{}", left.ttl);
}

#[tokio::test]
async fn the_store_is_compacted_and_alarms_are_raised() {
    let server = start().await;
    let mut kv = kv(&server, Way::Pipe).await;
    kv.put(put("a", "1")).await.unwrap();
    kv.put(put("a", "2")).await.unwrap();
    let faults = server.faults();
    assert_eq!(faults.compact(), 3);
    assert_eq!(faults.compact(), 3, "once more is no error");
    let old = RangeRequest {
        revision: 2,
        ..get("a")
    };
    let compacted = kv.range(old).await.unwrap_err();
    is(&compacted, Code::OutOfRange, EtcdError::Compacted.text());
    for (alarm, code, error) in [
        (Alarm::NoSpace, Code::ResourceExhausted, EtcdError::NoSpace),
        (Alarm::Corrupt, Code::DataLoss, EtcdError::Corrupt),
    ] {
        faults.raise_alarm(alarm);
        let refused = kv.put(put("a", "3")).await.unwrap_err();
        is(&refused, code, error.text());
        faults.clear_alarm(alarm);
        kv.put(put("a", "3")).await.unwrap();
    }
}

#[tokio::test]
async fn everything_is_taken_back_at_once() {
    let server = start().await;
    let mut kv = kv(&server, Way::Pipe).await;
    let faults = server.faults();
    let fault = faults.on(Rpcs::ALL).fail(EtcdError::Stopped);
    faults.stall_streams(Rpcs::ALL);
    faults.refuse_connections();
    faults.lose_leader();
    faults.pause();
    faults.clear();
    kv.put(put("a", "1")).await.unwrap();
    watch(channel(&server, Way::Pipe).await, true).await;
    assert_eq!(fault.hits(), 0);
}

#[tokio::test]
async fn a_handle_does_not_keep_the_server() {
    let server: Server = start().await;
    let faults = server.faults();
    server.shutdown().await.unwrap();
    let fault = faults.on(Rpc::KvPut).hang();
    faults.lose_leader();
    faults.clear();
    assert_eq!((fault.hits(), faults.compact()), (0, 0));
    assert_eq!(faults.calls(Rpc::KvPut), 0);
}
