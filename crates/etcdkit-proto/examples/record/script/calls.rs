//! Calls that etcdctl cannot make.

use super::Stage;
use crate::{
    Failure,
    etcd::{Process, connect},
    proxy::{self, Keep},
};
use bytes::Bytes;
use etcdkit_proto::{
    etcdserverpb::{
        alarm_request::AlarmAction,
        compare::{CompareResult, CompareTarget, TargetUnion},
        kv_client::KvClient,
        lease_client::LeaseClient,
        maintenance_client::MaintenanceClient,
        request_op::Request,
        watch_client::WatchClient,
        watch_create_request::FilterType,
        watch_request::RequestUnion,
        *,
    },
    health::{HealthCheckRequest, health_client::HealthClient},
    v3electionpb::{
        CampaignRequest, LeaderRequest, ProclaimRequest, ResignRequest,
        election_client::ElectionClient,
    },
    v3lockpb::{LockRequest, UnlockRequest, lock_client::LockClient},
};
use std::panic::Location;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming, transport::Channel};

/// Calls through etcd's gRPC proxy: what is recorded are its requests, made with etcd's types.
pub(super) async fn through_grpc_proxy(stage: &Stage<'_>, go: &Channel) -> Result<(), Failure> {
    keys(stage, go).await?;
    recipes(stage, go).await?;
    alarms(stage, go).await?;
    cancelled_watch(stage, go).await
}

async fn keys(stage: &Stage<'_>, go: &Channel) -> Result<(), Failure> {
    let mut kv = KvClient::new(go.clone());
    stage
        .journal
        .step("grpc-proxy: Range with revision bounds, Range that counts");
    kv.put(put("k1", "v1")).await?;
    kv.put(put("k2", "v2")).await?;
    let bounded = RangeRequest {
        min_mod_revision: 2,
        max_mod_revision: 1000,
        min_create_revision: 3,
        max_create_revision: 1001,
        ..range("k1", "k9")
    };
    kv.range(bounded).await?;
    let count_only = RangeRequest {
        count_only: true,
        ..range("k1", "k9")
    };
    kv.range(count_only).await?;

    stage
        .journal
        .step("grpc-proxy: Txn with every compare and operation, nested");
    kv.txn(transaction()).await?;

    stage
        .journal
        .step("grpc-proxy: LeaseGrant with a chosen id");
    let grant = LeaseGrantRequest { ttl: 700, id: 4242 };
    LeaseClient::new(go.clone()).lease_grant(grant).await?;
    Ok(())
}

/// A transaction that uses every part of the messages it is made of.
fn transaction() -> TxnRequest {
    let compare =
        |result: CompareResult, target: CompareTarget, union, end: &'static str| Compare {
            result: result.into(),
            target: target.into(),
            key: Bytes::from_static(b"k1"),
            target_union: Some(union),
            range_end: Bytes::from_static(end.as_bytes()),
        };
    let value = |text: &'static str| TargetUnion::Value(Bytes::from_static(text.as_bytes()));
    let delete = DeleteRangeRequest {
        key: "k2".into(),
        range_end: "k3".into(),
        prev_kv: true,
    };
    let nested = TxnRequest {
        compare: vec![compare(
            CompareResult::Equal,
            CompareTarget::Lease,
            TargetUnion::Lease(9),
            "",
        )],
        success: vec![operation(Request::RequestRange(range("k1", "")))],
        failure: vec![
            operation(Request::RequestPut(put("k4", "nested"))),
            operation(Request::RequestRange(range("k1", "k9"))),
        ],
    };
    TxnRequest {
        compare: vec![
            compare(
                CompareResult::NotEqual,
                CompareTarget::Value,
                value("x"),
                "",
            ),
            compare(
                CompareResult::Greater,
                CompareTarget::Version,
                TargetUnion::Version(0),
                "k9",
            ),
            compare(
                CompareResult::Less,
                CompareTarget::Create,
                TargetUnion::CreateRevision(1000),
                "k9",
            ),
            compare(
                CompareResult::Less,
                CompareTarget::Mod,
                TargetUnion::ModRevision(1000),
                "k9",
            ),
        ],
        success: vec![
            operation(Request::RequestPut(PutRequest {
                prev_kv: true,
                ..put("k1", "changed")
            })),
            operation(Request::RequestDeleteRange(delete)),
            operation(Request::RequestTxn(nested)),
        ],
        failure: vec![operation(Request::RequestRange(range("k1", "")))],
    }
}

async fn recipes(stage: &Stage<'_>, go: &Channel) -> Result<(), Failure> {
    stage.journal.step("grpc-proxy: Lock, Unlock");
    let mut lock = LockClient::new(go.clone());
    let request = LockRequest {
        name: "orders".into(),
        lease: 4242,
    };
    let key = lock.lock(request).await?.into_inner().key;
    lock.unlock(UnlockRequest { key }).await?;

    stage
        .journal
        .step("grpc-proxy: Campaign, Leader, Observe, Proclaim, Resign");
    let mut election = ElectionClient::new(go.clone());
    let request = CampaignRequest {
        name: "jobs".into(),
        lease: 4242,
        value: "one".into(),
    };
    let leader = election.campaign(request).await?.into_inner().leader;
    let question = LeaderRequest {
        name: "jobs".into(),
    };
    election.leader(question.clone()).await?;
    let mut observed = election.observe(question).await?.into_inner();
    next(&mut observed).await?;
    let request = ProclaimRequest {
        leader: leader.clone(),
        value: "two".into(),
    };
    election.proclaim(request).await?;
    next(&mut observed).await?;
    drop(observed);
    election.resign(ResignRequest { leader }).await?;
    Ok(())
}

async fn alarms(stage: &Stage<'_>, go: &Channel) -> Result<(), Failure> {
    let mut maintenance = MaintenanceClient::new(go.clone());
    stage.journal.step("grpc-proxy: Hash, HashKV at a revision");
    maintenance.hash(HashRequest {}).await?;
    maintenance.hash_kv(HashKvRequest { revision: 9 }).await?;

    let status = maintenance.status(StatusRequest {}).await?.into_inner();
    let member_id = status.header.unwrap_or_default().member_id;
    for alarm in [AlarmType::Nospace, AlarmType::Corrupt] {
        stage.journal.step(&format!(
            "grpc-proxy: Alarm {alarm:?} raised, Status, Alarm cleared"
        ));
        let request = |action: AlarmAction| AlarmRequest {
            action: action.into(),
            member_id,
            alarm: alarm.into(),
        };
        maintenance.alarm(request(AlarmAction::Activate)).await?;
        maintenance.alarm(request(AlarmAction::Get)).await?;
        maintenance.status(StatusRequest {}).await?;
        maintenance.alarm(request(AlarmAction::Deactivate)).await?;
    }
    Ok(())
}

/// One of two watches ends, so that the proxy ends the one it made for it.
async fn cancelled_watch(stage: &Stage<'_>, go: &Channel) -> Result<(), Failure> {
    stage
        .journal
        .step("grpc-proxy: Watch twice, cancel the second");
    let of = |key: &'static str| WatchCreateRequest {
        key: key.into(),
        ..Default::default()
    };
    let (send, mut receive) = watch(go, of("w1")).await?;
    next(&mut receive).await?;
    send.send(create(of("w2"))).await?;
    next(&mut receive).await?;
    let before = stage.journal.responses();
    let cancel = WatchCancelRequest { watch_id: 1 };
    send.send(union(RequestUnion::CancelRequest(cancel)))
        .await?;
    next(&mut receive).await?;
    stage.more_responses(before, 1).await
}

/// Calls straight to the server, of which only the answers are recorded.
pub(super) async fn direct(stage: &Stage<'_>) -> Result<(), Failure> {
    stage.journal.step("direct: health Check and Watch");
    let mut health = HealthClient::new(stage.direct.clone());
    health.check(HealthCheckRequest::default()).await?;
    let mut states = health
        .watch(HealthCheckRequest::default())
        .await?
        .into_inner();
    next(&mut states).await?;
    let unknown = HealthCheckRequest {
        service: "none".into(),
    };
    let mut states = health.watch(unknown).await?.into_inner();
    next(&mut states).await?;

    watches(stage).await
}

async fn watches(stage: &Stage<'_>) -> Result<(), Failure> {
    stage
        .journal
        .step("direct: Watch with a chosen id, with the same id again, with a filter");
    let mut kv = KvClient::new(stage.direct.clone());
    let request = WatchCreateRequest {
        key: "w".into(),
        range_end: "x".into(),
        prev_kv: true,
        watch_id: 77,
        filters: vec![FilterType::Noput.into()],
        ..Default::default()
    };
    let (send, mut receive) = watch(&stage.direct, request.clone()).await?;
    next(&mut receive).await?;
    send.send(create(request)).await?;
    next(&mut receive).await?;
    kv.put(put("w", "1")).await?;
    kv.delete_range(DeleteRangeRequest {
        key: "w".into(),
        ..Default::default()
    })
    .await?;
    next(&mut receive).await?;
    drop((send, receive));

    // The second event of the watch has two values of 1.2 MB, so it does not fit a response with
    // the first one.
    stage.journal.step("direct: Watch with fragments");
    let big = || put("big", "x".repeat(1_200_000));
    kv.put(big()).await?;
    let start = kv.put(put("big2", "small")).await?.into_inner();
    kv.put(big()).await?;
    let request = WatchCreateRequest {
        key: "big".into(),
        range_end: "bih".into(),
        start_revision: start.header.unwrap_or_default().revision,
        prev_kv: true,
        fragment: true,
        ..Default::default()
    };
    let (_send, mut receive) = watch(&stage.direct, request).await?;
    while !next(&mut receive).await?.fragment {}
    next(&mut receive).await?;
    Ok(())
}

/// A learner answers few requests: its status is one.
pub(super) async fn to_learner(stage: &Stage<'_>, learner: &Process) -> Result<(), Failure> {
    stage.journal.step("direct: Status and Put at a learner");
    let journal = stage.journal.clone();
    let answers = proxy::start(learner.address.clone(), journal, Keep::Responses).await?;
    let channel = connect(&answers).await?;
    let mut maintenance = MaintenanceClient::new(channel.clone());
    maintenance.status(StatusRequest {}).await?;
    refused(KvClient::new(channel).put(put("k", "v")).await)
}

/// Takes a refusal, which the proxy has written down, and complains of anything else.
#[track_caller]
pub(super) fn refused<T>(answer: Result<T, Status>) -> Result<(), Failure> {
    match answer {
        Ok(_) => Err(format!("{} is not refused", Location::caller()).into()),
        Err(_) => Ok(()),
    }
}

/// Opens a stream with a first watch on it.
async fn watch(
    channel: &Channel,
    first: WatchCreateRequest,
) -> Result<(mpsc::Sender<WatchRequest>, Streaming<WatchResponse>), Failure> {
    let (send, requests) = mpsc::channel(8);
    // The server answers nothing, not even headers, before the first request.
    send.send(create(first)).await?;
    let mut client = WatchClient::new(channel.clone()).max_decoding_message_size(16 << 20);
    let responses = client.watch(ReceiverStream::new(requests)).await?;
    Ok((send, responses.into_inner()))
}

async fn next<T>(stream: &mut Streaming<T>) -> Result<T, Failure> {
    let message = tokio::time::timeout(super::PATIENCE, stream.message())
        .await
        .map_err(|_| "an expected message does not come")??;
    Ok(message.ok_or("the stream ended early")?)
}

fn create(request: WatchCreateRequest) -> WatchRequest {
    union(RequestUnion::CreateRequest(request))
}

fn union(request: RequestUnion) -> WatchRequest {
    WatchRequest {
        request_union: Some(request),
    }
}

pub(super) fn operation(request: Request) -> RequestOp {
    RequestOp {
        request: Some(request),
    }
}

pub(super) fn put(key: &'static str, value: impl Into<Bytes>) -> PutRequest {
    PutRequest {
        key: key.into(),
        value: value.into(),
        ..Default::default()
    }
}

pub(super) fn range(key: &'static str, end: &'static str) -> RangeRequest {
    RangeRequest {
        key: key.into(),
        range_end: end.into(),
        ..Default::default()
    }
}
