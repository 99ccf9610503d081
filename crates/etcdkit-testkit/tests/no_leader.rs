//! A member without a leader: the embedded server says what a real member of three says whose others are dead.

use std::collections::BTreeMap;
use std::time::Duration;

use etcdkit_proto::etcdserverpb as pb;
use etcdkit_proto::etcdserverpb::{
    auth_client::AuthClient, cluster_client::ClusterClient, kv_client::KvClient,
    lease_client::LeaseClient, maintenance_client::MaintenanceClient, request_op::Request as Op,
    watch_client::WatchClient, watch_request::RequestUnion,
};
use etcdkit_proto::v3electionpb::{CampaignRequest, election_client::ElectionClient};
use etcdkit_proto::v3lockpb::{LockRequest, lock_client::LockClient};
use etcdkit_server::Server;
use etcdkit_testkit::etcd::{Binary, Cluster, Version};
use futures_util::{
    StreamExt as _,
    future::{BoxFuture, join_all},
    stream,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};

/// Longer than any server lets a request wait for a leader.
const PATIENCE: Duration = Duration::from_secs(60);

/// What calls ended with, by their names.
type Answers = BTreeMap<&'static str, String>;

fn told<T>(answer: Result<T, Status>) -> String {
    match answer {
        Ok(_) => "OK".to_owned(),
        Err(status) => format!("{:?}: {}", status.code(), status.message()),
    }
}

fn with_leader<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    let value = "true".parse().expect("ASCII");
    request.metadata_mut().insert("hasleader", value);
    request
}

fn put(key: &'static str) -> pb::PutRequest {
    pb::PutRequest {
        key: key.into(),
        ..Default::default()
    }
}

fn get(key: &'static str) -> pb::RangeRequest {
    pb::RangeRequest {
        key: key.into(),
        ..Default::default()
    }
}

fn txn(op: Op) -> pb::TxnRequest {
    pb::TxnRequest {
        success: vec![pb::RequestOp { request: Some(op) }],
        ..Default::default()
    }
}

fn watch_request() -> impl stream::Stream<Item = pb::WatchRequest> + Send + 'static {
    let create = pb::WatchCreateRequest {
        key: "k".into(),
        ..Default::default()
    };
    let create = pb::WatchRequest {
        request_union: Some(RequestUnion::CreateRequest(create)),
    };
    stream::iter([create]).chain(stream::pending())
}

async fn channel(endpoint: &str) -> Channel {
    let endpoint = Endpoint::from_shared(endpoint.to_owned()).expect("an endpoint");
    endpoint.connect().await.expect("a connection")
}

/// Streams that were opened before the leader was lost.
struct Before {
    watch: Streaming<pb::WatchResponse>,
    lease: Streaming<pb::LeaseKeepAliveResponse>,
}

impl Before {
    async fn open(channel: Channel) -> Self {
        let mut kv = KvClient::new(channel.clone());
        kv.put(put("k")).await.expect("a put");
        let mut leases = LeaseClient::new(channel.clone());
        let grant = pb::LeaseGrantRequest { id: 7, ttl: 600 };
        leases.lease_grant(grant).await.expect("a lease");
        let mut watches = WatchClient::new(channel);
        let watch = watches.watch(with_leader(watch_request())).await;
        let mut watch = watch.expect("a stream").into_inner();
        let created = watch.message().await.expect("an answer");
        assert!(created.expect("an answer").created);
        let renewal = stream::iter([pb::LeaseKeepAliveRequest { id: 7 }]);
        let lease = leases.lease_keep_alive(with_leader(renewal.chain(stream::pending())));
        let mut lease = lease.await.expect("a stream").into_inner();
        lease.message().await.expect("an answer");
        Self { watch, lease }
    }

    async fn ends(mut self) -> Answers {
        let watch = timeout(PATIENCE, self.watch.message()).await;
        let lease = timeout(PATIENCE, self.lease.message()).await;
        Answers::from([
            ("an open watch stream", told(watch.expect("an end"))),
            ("an open lease stream", told(lease.expect("an end"))),
        ])
    }
}

/// Makes every kind of call at the same time.
async fn ask_everything(channel: Channel, endpoint: &str) -> Answers {
    let kv = || KvClient::new(channel.clone());
    let leases = || LeaseClient::new(channel.clone());
    let cluster = || ClusterClient::new(channel.clone());
    let auth = || AuthClient::new(channel.clone());
    let maintenance = || MaintenanceClient::new(channel.clone());
    let mut calls: Vec<BoxFuture<'_, (&'static str, String)>> = Vec::new();
    macro_rules! calls {
        ($($name:literal: $client:expr, $method:ident($request:expr);)*) => {$({
            let mut client = $client;
            let request = $request;
            calls.push(Box::pin(async move {
                let answer = timeout(PATIENCE, client.$method(request)).await;
                ($name, told(answer.expect("an answer in time")))
            }));
        })*};
    }
    let serializable = |key| pb::RangeRequest {
        serializable: true,
        ..get(key)
    };
    let renewal = || stream::iter([pb::LeaseKeepAliveRequest { id: 7 }]);
    let named = |name: &'static str| pb::AuthenticateRequest {
        name: name.into(),
        password: "p".into(),
    };
    calls! {
        "put that wants a leader": kv(), put(with_leader(put("a")));
        "range that wants a leader": kv(), range(with_leader(get("k")));
        "serializable range that wants a leader": kv(), range(with_leader(serializable("k")));
        "put": kv(), put(put("a"));
        "put without a key": kv(), put(put(""));
        "range": kv(), range(get("k"));
        "serializable range": kv(), range(serializable("k"));
        "delete": kv(), delete_range(pb::DeleteRangeRequest { key: "k".into(), ..Default::default() });
        "transaction that writes": kv(), txn(txn(Op::RequestPut(put("a"))));
        "transaction that reads": kv(), txn(txn(Op::RequestRange(get("k"))));
        "transaction that reads what may be old": kv(), txn(txn(Op::RequestRange(serializable("k"))));
        "compaction": kv(), compact(pb::CompactionRequest { revision: 1, ..Default::default() });
        "lease grant": leases(), lease_grant(pb::LeaseGrantRequest { id: 0, ttl: 10 });
        "lease revoke": leases(), lease_revoke(pb::LeaseRevokeRequest { id: 7 });
        "lease renewal": leases(), lease_keep_alive(renewal());
        "lease renewal that wants a leader": leases(), lease_keep_alive(with_leader(renewal()));
        "lease time to live": leases(), lease_time_to_live(pb::LeaseTimeToLiveRequest { id: 7, keys: false });
        "leases": leases(), lease_leases(pb::LeaseLeasesRequest {});
        "watch that wants a leader": WatchClient::new(channel.clone()), watch(with_leader(watch_request()));
        "watch": WatchClient::new(channel.clone()), watch(watch_request());
        "members": cluster(), member_list(pb::MemberListRequest { linearizable: true });
        "members as known": cluster(), member_list(pb::MemberListRequest { linearizable: false });
        "lock": LockClient::new(channel.clone()), lock(LockRequest { name: "l".into(), lease: 7 });
        "campaign": ElectionClient::new(channel.clone()), campaign(CampaignRequest { name: "e".into(), lease: 7, value: "v".into() });
        "auth status": auth(), auth_status(pb::AuthStatusRequest {});
        "login": auth(), authenticate(named("root"));
        "users": auth(), user_list(pb::AuthUserListRequest {});
        "new role": auth(), role_add(pb::AuthRoleAddRequest { name: "r".into() });
        "alarms": maintenance(), alarm(pb::AlarmRequest::default());
        "hash": maintenance(), hash_kv(pb::HashKvRequest { revision: 0 });
        "defragmentation": maintenance(), defragment(pb::DefragmentRequest {});
        "moved leader": maintenance(), move_leader(pb::MoveLeaderRequest { target_id: 1 });
        "status": maintenance(), status(pb::StatusRequest::default());
    }
    let mut answers: Answers = join_all(calls).await.into_iter().collect();
    let mut client = maintenance();
    let status = client.status(pb::StatusRequest::default()).await;
    let status = status.expect("a status").into_inner();
    let said = format!("leader {}, errors {:?}", status.leader, status.errors);
    answers.insert("what the status says", said);
    answers.insert("health over HTTP", health(endpoint).await);
    answers
}

/// The status line and the body of `/health`.
async fn health(endpoint: &str) -> String {
    let address = endpoint.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let request = format!("GET /health HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let status = answer.lines().next().unwrap_or_default();
    let code = status.split_ascii_whitespace().nth(1);
    let body = answer.split("\r\n\r\n").nth(1);
    format!("{} {}", code.unwrap_or("?"), body.unwrap_or("?").trim())
}

/// What a write and a read are told that wait when the leader comes back.
async fn wait_for_a_leader(channel: Channel, regain: impl AsyncFnOnce()) -> Answers {
    let mut writer = KvClient::new(channel.clone());
    let mut reader = KvClient::new(channel);
    let write = tokio::spawn(async move { told(writer.put(put("late")).await) });
    let read = tokio::spawn(async move { told(reader.range(get("late")).await) });
    // Long enough that both wait on a busy machine, and short enough that neither is given up.
    sleep(Duration::from_secs(1)).await;
    regain().await;
    Answers::from([
        ("a write that waited", write.await.expect("an answer")),
        ("a read that waited", read.await.expect("an answer")),
    ])
}

async fn embedded() -> Answers {
    let server = Server::builder().start().await.expect("a server");
    let endpoint = server.endpoint();
    let channel = channel(&endpoint).await;
    let faults = server.faults();
    let before = Before::open(channel.clone()).await;
    faults.lose_leader();
    let mut answers = before.ends().await;
    answers.extend(ask_everything(channel.clone(), &endpoint).await);
    let regain = async || faults.regain_leader();
    answers.extend(wait_for_a_leader(channel, regain).await);
    answers
}

async fn real(etcd: &Binary) -> Answers {
    let cluster = Cluster::builder(etcd).members(3).start().await;
    let mut cluster = cluster.expect("a cluster");
    let endpoint = cluster.endpoint().to_owned();
    let channel = channel(&endpoint).await;
    let before = Before::open(channel.clone()).await;
    cluster.member(1).kill().expect("a kill");
    cluster.member(2).kill().expect("a kill");
    let mut answers = before.ends().await;
    answers.extend(ask_everything(channel.clone(), &endpoint).await);
    let regain = async || cluster.member(1).restart().await.expect("a restart");
    answers.extend(wait_for_a_leader(channel, regain).await);
    answers
}

/// What a version says in other words than 3.6.
fn is_other_in(etcd: &Binary, name: &str) -> bool {
    let unlike_3_4 = [
        // It does not have this RPC, and lists members without asking the others.
        "auth status",
        "members",
        // It gives no reason.
        "health over HTTP",
    ];
    etcd.version() < Version::new(3, 5, 0) && unlike_3_4.contains(&name)
}

#[tokio::test]
async fn the_embedded_server_says_what_a_real_member_says() {
    let expected = tokio::spawn(embedded());
    let mut members = JoinSet::new();
    for etcd in Binary::all().expect("a real etcd") {
        members.spawn(async move { (real(&etcd).await, etcd) });
    }
    let embedded = expected.await.expect("no assertion failed");
    while let Some(asked) = members.join_next().await {
        let (real, etcd) = asked.expect("no assertion failed");
        assert_eq!(real.len(), embedded.len());
        for (name, answer) in real {
            if is_other_in(&etcd, name) {
                continue;
            }
            // 3.4 has no code for what Go says of a deadline.
            let late = "context deadline exceeded";
            let answer = answer.replace(
                &format!("Unknown: {late}"),
                &format!("DeadlineExceeded: {late}"),
            );
            assert_eq!(embedded[name], answer, "{name}, {etcd}");
        }
    }
}
