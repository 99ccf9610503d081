//! Authentication over the wire. What is expected was seen on etcd 3.6.14.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{Way, channel, get, is, put};
use etcdkit_proto::authpb::{Permission, UserAddOptions, permission::Type};
use etcdkit_proto::etcdserverpb::auth_client::AuthClient;
use etcdkit_proto::etcdserverpb::cluster_client::ClusterClient;
use etcdkit_proto::etcdserverpb::kv_client::KvClient;
use etcdkit_proto::etcdserverpb::lease_client::LeaseClient;
use etcdkit_proto::etcdserverpb::maintenance_client::MaintenanceClient;
use etcdkit_proto::etcdserverpb::watch_client::WatchClient;
use etcdkit_proto::etcdserverpb::watch_request::RequestUnion;
use etcdkit_proto::etcdserverpb::*;
use etcdkit_server::Server;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

const NO_USER: &str = "etcdserver: user name is empty";
const DENIED: &str = "etcdserver: permission denied";
const BAD_TOKEN: &str = "etcdserver: invalid auth token";
const BAD_LOGIN: &str = "etcdserver: authentication failed, invalid user ID or password";

/// A server with the users root and ann, of whom ann may read `a` to `e`, in two pieces, and write
/// `w`. Authentication is on.
struct Guarded {
    server: Server,
    channel: Channel,
    root: String,
    ann: String,
}

impl Guarded {
    async fn start() -> Self {
        let server = Server::builder().bcrypt_cost(4).start().await.unwrap();
        let channel = channel(&server, Way::Tcp).await;
        let mut auth = AuthClient::new(channel.clone());
        for name in ["root", "ann"] {
            auth.user_add(user(name, name)).await.unwrap();
        }
        auth.role_add(AuthRoleAddRequest { name: "r".into() })
            .await
            .unwrap();
        for (kind, key, range_end) in [
            (Type::Read, "a", "c"),
            (Type::Read, "c", "e"),
            (Type::Write, "w", ""),
        ] {
            auth.role_grant_permission(AuthRoleGrantPermissionRequest {
                name: "r".into(),
                perm: Some(permission(kind, key, range_end)),
            })
            .await
            .unwrap();
        }
        for (name, role) in [("root", "root"), ("ann", "r")] {
            auth.user_grant_role(AuthUserGrantRoleRequest {
                user: name.into(),
                role: role.into(),
            })
            .await
            .unwrap();
        }
        auth.auth_enable(AuthEnableRequest {}).await.unwrap();
        Self {
            root: log_in(&mut auth, "root", "root").await.unwrap(),
            ann: log_in(&mut auth, "ann", "ann").await.unwrap(),
            server,
            channel,
        }
    }

    fn auth(&self) -> AuthClient<Channel> {
        AuthClient::new(self.channel.clone())
    }

    fn kv(&self) -> KvClient<Channel> {
        KvClient::new(self.channel.clone())
    }

    fn leases(&self) -> LeaseClient<Channel> {
        LeaseClient::new(self.channel.clone())
    }
}

fn user(name: &str, password: &str) -> AuthUserAddRequest {
    AuthUserAddRequest {
        name: name.into(),
        password: password.into(),
        ..Default::default()
    }
}

fn permission(kind: Type, key: &str, range_end: &str) -> Permission {
    Permission {
        perm_type: kind.into(),
        key: key.to_owned().into(),
        range_end: range_end.to_owned().into(),
    }
}

async fn log_in(
    auth: &mut AuthClient<Channel>,
    name: &str,
    password: &str,
) -> Result<String, Status> {
    let request = AuthenticateRequest {
        name: name.into(),
        password: password.into(),
    };
    Ok(auth.authenticate(request).await?.into_inner().token)
}

/// A request with a token.
fn by<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert("token", token.parse().unwrap());
    request
}

fn range(key: &str, range_end: &str) -> RangeRequest {
    RangeRequest {
        range_end: range_end.to_owned().into(),
        ..get(key)
    }
}

#[tokio::test]
async fn it_is_turned_on_only_with_a_root_who_is_root() {
    let server = Server::builder().bcrypt_cost(4).start().await.unwrap();
    let mut auth = AuthClient::new(channel(&server, Way::Tcp).await);
    let enable = AuthEnableRequest {};
    is(
        &auth.auth_enable(enable).await.unwrap_err(),
        Code::FailedPrecondition,
        "etcdserver: root user does not exist",
    );
    is(
        &log_in(&mut auth, "root", "x").await.unwrap_err(),
        Code::FailedPrecondition,
        "etcdserver: authentication is not enabled",
    );
    auth.user_add(user("root", "pw")).await.unwrap();
    is(
        &auth.auth_enable(enable).await.unwrap_err(),
        Code::FailedPrecondition,
        "etcdserver: root user does not have root role",
    );
    let grant = AuthUserGrantRoleRequest {
        user: "root".into(),
        role: "root".into(),
    };
    for _ in 0..2 {
        auth.user_grant_role(grant.clone()).await.unwrap();
        let status = auth.auth_status(AuthStatusRequest {}).await.unwrap();
        let status = status.into_inner();
        assert_eq!((status.enabled, status.auth_revision), (false, 3));
    }
    auth.auth_enable(enable).await.unwrap();
    let token = log_in(&mut auth, "root", "pw").await.unwrap();
    let (letters, number) = token.split_once('.').unwrap();
    assert!(letters.len() == 16 && letters.bytes().all(|b| b.is_ascii_alphabetic()));
    assert!(number.parse::<u64>().is_ok());
    let status = auth.auth_status(by(&token, AuthStatusRequest {})).await;
    let status = status.unwrap().into_inner();
    assert_eq!((status.enabled, status.auth_revision), (true, 3));
    assert_eq!(status.header.unwrap().revision, 1);
}

#[tokio::test]
async fn a_login_needs_the_right_password() {
    let guarded = Guarded::start().await;
    let mut auth = guarded.auth();
    auth.user_add(by(
        &guarded.root,
        AuthUserAddRequest {
            options: Some(UserAddOptions { no_password: true }),
            ..user("nopw", "ignored")
        },
    ))
    .await
    .unwrap();
    for (name, password) in [("ann", "bad"), ("ann", ""), ("nobody", "x"), ("", "")] {
        let refused = log_in(&mut auth, name, password).await.unwrap_err();
        is(&refused, Code::InvalidArgument, BAD_LOGIN);
    }
    is(
        &log_in(&mut auth, "nopw", "ignored").await.unwrap_err(),
        Code::Unknown,
        "auth: authentication failed, password was given for no password user",
    );
    is(
        &auth
            .user_add(by(&guarded.root, user("long", &"x".repeat(73))))
            .await
            .unwrap_err(),
        Code::Unknown,
        "bcrypt: password length exceeds 72 bytes",
    );
}

#[tokio::test]
async fn every_service_asks_who_it_is() {
    let guarded = Guarded::start().await;
    let (mut kv, mut leases, mut auth) = (guarded.kv(), guarded.leases(), guarded.auth());
    let mut maintenance = MaintenanceClient::new(guarded.channel.clone());
    let mut cluster = ClusterClient::new(guarded.channel.clone());
    for (token, code, text) in [
        (None, Code::InvalidArgument, NO_USER),
        (Some("bad"), Code::Unauthenticated, BAD_TOKEN),
        (Some("bad.1"), Code::Unauthenticated, BAD_TOKEN),
    ] {
        macro_rules! refused {
            ($client:ident.$call:ident($message:expr)) => {
                let mut request = Request::new($message);
                if let Some(token) = token {
                    let token = token.parse().unwrap();
                    request.metadata_mut().insert("token", token);
                }
                is(&$client.$call(request).await.unwrap_err(), code, text);
            };
        }
        refused!(kv.range(get("a")));
        refused!(kv.range_stream(get("a")));
        refused!(kv.put(put("a", "v")));
        refused!(kv.delete_range(DeleteRangeRequest {
            key: "a".into(),
            ..Default::default()
        }));
        refused!(kv.txn(TxnRequest {
            compare: vec![Compare {
                key: "a".into(),
                ..Default::default()
            }],
            ..Default::default()
        }));
        refused!(kv.compact(CompactionRequest::default()));
        refused!(leases.lease_grant(LeaseGrantRequest::default()));
        refused!(leases.lease_revoke(LeaseRevokeRequest::default()));
        refused!(leases.lease_time_to_live(LeaseTimeToLiveRequest::default()));
        refused!(leases.lease_leases(LeaseLeasesRequest {}));
        refused!(leases.lease_keep_alive(tokio_stream::once(LeaseKeepAliveRequest::default())));
        refused!(maintenance.status(StatusRequest {}));
        refused!(maintenance.hash_kv(HashKvRequest::default()));
        refused!(maintenance.snapshot(SnapshotRequest {}));
        refused!(maintenance.alarm(AlarmRequest::default()));
        refused!(cluster.member_list(MemberListRequest::default()));
        refused!(auth.auth_status(AuthStatusRequest {}));
        refused!(auth.auth_enable(AuthEnableRequest {}));
        refused!(auth.user_list(AuthUserListRequest {}));
    }
    is(
        &kv.put(put("", "")).await.unwrap_err(),
        Code::InvalidArgument,
        "etcdserver: key is not provided",
    );
    // Whoever it is may ask these.
    let ann = guarded.ann.as_str();
    maintenance.status(by(ann, StatusRequest {})).await.unwrap();
    cluster
        .member_list(by(ann, MemberListRequest::default()))
        .await
        .unwrap();
    maintenance
        .alarm(by(ann, AlarmRequest::default()))
        .await
        .unwrap();
    is(
        &maintenance
            .hash_kv(by(ann, HashKvRequest::default()))
            .await
            .unwrap_err(),
        Code::PermissionDenied,
        DENIED,
    );
    let snapshot = maintenance.snapshot(by(ann, SnapshotRequest {})).await;
    is(&snapshot.unwrap_err(), Code::PermissionDenied, DENIED);
    let root = guarded.root.as_str();
    let snapshot = maintenance.snapshot(by(root, SnapshotRequest {})).await;
    assert!(snapshot.unwrap().into_inner().message().await.is_ok());
}

#[tokio::test]
async fn keys_are_read_and_written_as_granted() {
    let guarded = Guarded::start().await;
    let mut kv = guarded.kv();
    let ann = guarded.ann.as_str();
    for (key, end) in [("a", ""), ("a", "e"), ("b", "d")] {
        kv.range(by(ann, range(key, end))).await.unwrap();
    }
    for (key, end) in [("a", "f"), ("a", "\0"), ("w", ""), ("\0", "\0")] {
        let denied = kv.range(by(ann, range(key, end))).await.unwrap_err();
        is(&denied, Code::PermissionDenied, DENIED);
    }
    kv.put(by(ann, put("w", "1"))).await.unwrap();
    let put_prev = PutRequest {
        prev_kv: true,
        ..put("w", "2")
    };
    let delete_prev = DeleteRangeRequest {
        key: "w".into(),
        prev_kv: true,
        ..Default::default()
    };
    let denied = [
        kv.put(by(ann, put("a", "1"))).await.unwrap_err(),
        kv.put(by(ann, put_prev)).await.unwrap_err(),
        kv.delete_range(by(ann, delete_prev.clone()))
            .await
            .unwrap_err(),
        kv.compact(by(ann, CompactionRequest::default()))
            .await
            .unwrap_err(),
    ];
    for denied in denied {
        is(&denied, Code::PermissionDenied, DENIED);
    }
    kv.delete_range(by(
        ann,
        DeleteRangeRequest {
            prev_kv: false,
            ..delete_prev
        },
    ))
    .await
    .unwrap();
    kv.put(by(&guarded.root, put("anything", "1")))
        .await
        .unwrap();
}

#[tokio::test]
async fn transactions_are_asked_about_every_branch() {
    let guarded = Guarded::start().await;
    let mut kv = guarded.kv();
    let op = |request| RequestOp {
        request: Some(request),
    };
    let secret = || vec![op(request_op::Request::RequestPut(put("secret", "x")))];
    let nested = |txn| vec![op(request_op::Request::RequestTxn(txn))];
    let compare = Compare {
        key: "secret".into(),
        ..Default::default()
    };
    let untaken = TxnRequest {
        failure: secret(),
        ..Default::default()
    };
    for txn in [
        untaken.clone(),
        TxnRequest {
            success: nested(untaken),
            ..Default::default()
        },
        TxnRequest {
            compare: vec![compare],
            ..Default::default()
        },
    ] {
        let denied = kv.txn(by(&guarded.ann, txn.clone())).await.unwrap_err();
        is(&denied, Code::PermissionDenied, DENIED);
        kv.txn(by(&guarded.root, txn)).await.unwrap();
    }
    kv.txn(by(&guarded.ann, TxnRequest::default()))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_lease_is_guarded_by_its_keys() {
    let guarded = Guarded::start().await;
    let (mut kv, mut leases) = (guarded.kv(), guarded.leases());
    let (root, ann) = (guarded.root.as_str(), guarded.ann.as_str());
    leases
        .lease_grant(by(ann, LeaseGrantRequest { id: 5, ttl: 60 }))
        .await
        .unwrap();
    let leased = |key| PutRequest {
        lease: 5,
        ..put(key, "v")
    };
    let keep_alive = || tokio_stream::once(LeaseKeepAliveRequest { id: 5 });
    kv.put(by(ann, leased("w"))).await.unwrap();
    let mut alive = leases
        .lease_keep_alive(by(ann, keep_alive()))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(alive.message().await.unwrap().unwrap().ttl, 60);

    kv.put(by(root, leased("secret"))).await.unwrap();
    let time_to_live = |keys| LeaseTimeToLiveRequest { id: 5, keys };
    leases
        .lease_time_to_live(by(ann, time_to_live(false)))
        .await
        .unwrap();
    let denied = [
        kv.put(by(ann, leased("w"))).await.unwrap_err(),
        leases
            .lease_keep_alive(by(ann, keep_alive()))
            .await
            .unwrap_err(),
        leases
            .lease_time_to_live(by(ann, time_to_live(true)))
            .await
            .unwrap_err(),
        leases
            .lease_leases(by(ann, LeaseLeasesRequest {}))
            .await
            .unwrap_err(),
        leases
            .lease_revoke(by(ann, LeaseRevokeRequest { id: 5 }))
            .await
            .unwrap_err(),
    ];
    for denied in denied {
        is(&denied, Code::PermissionDenied, DENIED);
    }
    leases
        .lease_revoke(by(root, LeaseRevokeRequest { id: 5 }))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_watch_that_is_not_permitted_is_refused_and_its_stream_lives_on() {
    let guarded = Guarded::start().await;
    let create = |key: &str, range_end: &str| WatchRequest {
        request_union: Some(RequestUnion::CreateRequest(WatchCreateRequest {
            key: key.to_owned().into(),
            range_end: range_end.to_owned().into(),
            ..Default::default()
        })),
    };
    let mut client = WatchClient::new(guarded.channel.clone());
    let requests = [create("secret", ""), create("a", "\0"), create("a", "c")];
    let watch = client.watch(by(&guarded.ann, tokio_stream::iter(requests)));
    let mut responses = watch.await.unwrap().into_inner();
    for _ in 0..2 {
        let refused = responses.message().await.unwrap().unwrap();
        assert!(refused.created && refused.canceled);
        assert_eq!(refused.watch_id, -1);
        assert_eq!(
            refused.cancel_reason,
            "rpc error: code = PermissionDenied desc = etcdserver: permission denied"
        );
    }
    let created = responses.message().await.unwrap().unwrap();
    assert_eq!((created.watch_id, created.canceled), (0, false));

    let requests = tokio_stream::once(create("a", ""));
    let mut responses = client.watch(requests).await.unwrap().into_inner();
    let refused = responses.message().await.unwrap().unwrap();
    assert_eq!(
        refused.cancel_reason,
        "rpc error: code = InvalidArgument desc = etcdserver: user name is empty"
    );
}

#[tokio::test]
async fn a_token_ends_with_disuse_and_with_its_password() {
    let guarded = Guarded::start().await;
    let (mut kv, mut auth) = (guarded.kv(), guarded.auth());
    let ann = guarded.ann.as_str();
    for _ in 0..3 {
        guarded.server.advance_time(Duration::from_secs(200));
        kv.range(by(ann, get("a"))).await.unwrap();
    }
    guarded.server.advance_time(Duration::from_secs(301));
    for token in [ann, &guarded.root] {
        let expired = kv.range(by(token, get("a"))).await.unwrap_err();
        is(&expired, Code::Unauthenticated, BAD_TOKEN);
    }

    let root = log_in(&mut auth, "root", "root").await.unwrap();
    let ann = log_in(&mut auth, "ann", "ann").await.unwrap();
    auth.user_change_password(by(
        &root,
        AuthUserChangePasswordRequest {
            name: "ann".into(),
            password: "new".into(),
            ..Default::default()
        },
    ))
    .await
    .unwrap();
    let forgotten = kv.range(by(&ann, get("a"))).await.unwrap_err();
    is(&forgotten, Code::Unauthenticated, BAD_TOKEN);
    let ann = log_in(&mut auth, "ann", "new").await.unwrap();

    // Rights change at once, without a new login.
    auth.role_delete(by(&root, AuthRoleDeleteRequest { role: "r".into() }))
        .await
        .unwrap();
    let denied = kv.range(by(&ann, get("a"))).await.unwrap_err();
    is(&denied, Code::PermissionDenied, DENIED);

    auth.auth_disable(by(&root, AuthDisableRequest {}))
        .await
        .unwrap();
    kv.range(by(&ann, get("a"))).await.unwrap();
    kv.range(get("a")).await.unwrap();
    auth.auth_enable(AuthEnableRequest {}).await.unwrap();
    let forgotten = kv.range(by(&root, get("a"))).await.unwrap_err();
    is(&forgotten, Code::Unauthenticated, BAD_TOKEN);
}

#[tokio::test]
async fn root_cannot_lock_everybody_out() {
    let guarded = Guarded::start().await;
    let mut auth = guarded.auth();
    let root = guarded.root.as_str();
    let name = || "root".to_owned();
    let refused = [
        auth.user_delete(by(root, AuthUserDeleteRequest { name: name() }))
            .await
            .unwrap_err(),
        auth.role_delete(by(root, AuthRoleDeleteRequest { role: name() }))
            .await
            .unwrap_err(),
        auth.user_revoke_role(by(
            root,
            AuthUserRevokeRoleRequest {
                name: name(),
                role: name(),
            },
        ))
        .await
        .unwrap_err(),
    ];
    for refused in refused {
        is(
            &refused,
            Code::InvalidArgument,
            "etcdserver: invalid auth management",
        );
    }
}

#[tokio::test]
async fn users_may_ask_about_themselves() {
    let guarded = Guarded::start().await;
    let mut auth = guarded.auth();
    let ann = guarded.ann.as_str();
    let user = |name: &str| AuthUserGetRequest { name: name.into() };
    let role = |role: &str| AuthRoleGetRequest { role: role.into() };
    let roles = auth.user_get(by(ann, user("ann"))).await.unwrap();
    assert_eq!(roles.into_inner().roles, ["r"]);
    let granted = auth.role_get(by(ann, role("r"))).await.unwrap();
    assert_eq!(
        granted.into_inner().perm,
        [
            permission(Type::Read, "a", "c"),
            permission(Type::Read, "c", "e"),
            permission(Type::Write, "w", ""),
        ]
    );
    for denied in [
        auth.user_get(by(ann, user("root"))).await.unwrap_err(),
        auth.role_get(by(ann, role("root"))).await.unwrap_err(),
        auth.user_list(by(ann, AuthUserListRequest {}))
            .await
            .unwrap_err(),
    ] {
        is(&denied, Code::PermissionDenied, DENIED);
    }
}
