//! Calls as they go over the wire, with any metadata and any certificate.

use std::{
    future::Future,
    io,
    str::FromStr,
    sync::Arc,
    task::{Context, Poll},
};

use etcdkit_proto::{
    authpb::UserAddOptions,
    etcdserverpb::{
        AlarmRequest, AuthEnableRequest, AuthRoleAddRequest, AuthRoleGetRequest,
        AuthRoleGrantPermissionRequest, AuthRoleListRequest, AuthStatusRequest, AuthUserAddRequest,
        AuthUserGetRequest, AuthUserGrantRoleRequest, AuthUserListRequest, AuthenticateRequest,
        CompactionRequest, DefragmentRequest, DeleteRangeRequest, HashKvRequest, LeaseGrantRequest,
        LeaseKeepAliveRequest, LeaseLeasesRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest,
        MemberListRequest, PutRequest, RangeRequest, RequestOp, StatusRequest, TxnRequest,
        WatchCreateRequest, WatchRequest, auth_client::AuthClient, cluster_client::ClusterClient,
        kv_client::KvClient, lease_client::LeaseClient, maintenance_client::MaintenanceClient,
        request_op::Request as Op, watch_client::WatchClient, watch_request::RequestUnion,
    },
};
use etcdkit_testkit::certificates::{Authority, Identity};
use http::Uri;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tonic::{
    Code, Request, Status,
    codegen::Service,
    metadata::{AsciiMetadataKey, AsciiMetadataValue},
    transport::{Channel, Endpoint},
};

pub(crate) const PASSWORD: &str = "correct horse";

/// A connection, and what each call over it says about the caller.
#[derive(Clone)]
pub(crate) struct Raw {
    channel: Channel,
    metadata: Vec<(String, String)>,
}

/// What a call came to: `ok`, or the code and the text.
pub(crate) fn said<T>(result: &Result<T, Status>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(status) => format!("{:?}: {}", status.code(), status.message()),
    }
}

impl Raw {
    pub(crate) async fn plain(endpoint: &str) -> Self {
        let endpoint = Endpoint::from_shared(endpoint.to_owned()).expect("an endpoint");
        Self::over(endpoint.connect().await.expect("a connection"))
    }

    /// Over TLS, showing a certificate.
    pub(crate) async fn showing(
        endpoint: &str,
        authority: &Authority,
        identity: &Identity,
    ) -> Self {
        let address = endpoint.trim_start_matches("https://").to_owned();
        let config = Arc::new(client_config(authority, identity));
        let connector = Connector(move |_: Uri| {
            let (address, config) = (address.clone(), Arc::clone(&config));
            async move {
                let tcp = TcpStream::connect(address).await?;
                let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
                let connector = tokio_rustls::TlsConnector::from(config);
                let stream = connector.connect(name, tcp).await?;
                io::Result::Ok(hyper_util::rt::TokioIo::new(stream))
            }
        });
        let endpoint = Endpoint::from_static("http://localhost");
        let channel = endpoint.connect_with_connector(connector).await;
        Self::over(channel.expect("a connection"))
    }

    fn over(channel: Channel) -> Self {
        Self {
            channel,
            metadata: Vec::new(),
        }
    }

    /// The same connection with further metadata.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut raw = self.clone();
        raw.metadata.push((name.to_owned(), value.to_owned()));
        raw
    }

    pub(crate) fn token(&self, token: &str) -> Self {
        self.with("token", token)
    }

    fn call<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        for (name, value) in &self.metadata {
            let name = AsciiMetadataKey::from_str(name).expect("a name");
            let value = AsciiMetadataValue::from_str(value).expect("a value");
            request.metadata_mut().insert(name, value);
        }
        request
    }

    pub(crate) async fn log_in(&self, name: &str) -> Result<String, Status> {
        let request = AuthenticateRequest {
            name: name.to_owned(),
            password: PASSWORD.to_owned(),
        };
        let mut auth = AuthClient::new(self.channel.clone());
        let reply = auth.authenticate(self.call(request)).await?;
        Ok(reply.into_inner().token)
    }

    /// The users root and ann, who may read and write what begins with `a`, and authentication on.
    pub(crate) async fn set_up(&self) {
        self.add_user("root").await;
        self.add_user("ann").await;
        let mut auth = AuthClient::new(self.channel.clone());
        for role in ["root", "letter"] {
            self.add_role(role).await.expect("a role");
        }
        let permission = etcdkit_proto::authpb::Permission {
            perm_type: 2,
            key: "a".into(),
            range_end: "b".into(),
        };
        auth.role_grant_permission(self.call(AuthRoleGrantPermissionRequest {
            name: "letter".to_owned(),
            perm: Some(permission),
        }))
        .await
        .expect("a permission");
        for (user, role) in [("root", "root"), ("ann", "letter")] {
            auth.user_grant_role(self.call(AuthUserGrantRoleRequest {
                user: user.to_owned(),
                role: role.to_owned(),
            }))
            .await
            .expect("a role of a user");
        }
        let enable = self.call(AuthEnableRequest {});
        auth.auth_enable(enable).await.expect("authentication on");
    }

    pub(crate) async fn add_user(&self, name: &str) {
        let request = self.call(AuthUserAddRequest {
            name: name.to_owned(),
            password: PASSWORD.to_owned(),
            ..Default::default()
        });
        let mut auth = AuthClient::new(self.channel.clone());
        auth.user_add(request).await.expect("a user");
    }

    pub(crate) async fn add_user_without_password(&self, name: &str) {
        let options = UserAddOptions { no_password: true };
        let request = self.call(AuthUserAddRequest {
            name: name.to_owned(),
            options: Some(options),
            ..Default::default()
        });
        let mut auth = AuthClient::new(self.channel.clone());
        auth.user_add(request).await.expect("a user");
    }

    /// Any change of users and roles.
    pub(crate) async fn add_role(&self, name: &str) -> Result<(), Status> {
        let name = name.to_owned();
        let mut auth = AuthClient::new(self.channel.clone());
        let request = self.call(AuthRoleAddRequest { name });
        auth.role_add(request).await.map(drop)
    }

    pub(crate) async fn range(&self, key: &str) -> Result<(), Status> {
        let mut kv = KvClient::new(self.channel.clone());
        kv.range(self.call(range(key))).await.map(drop)
    }

    pub(crate) async fn put(&self, key: &str, lease: i64) -> Result<(), Status> {
        let mut kv = KvClient::new(self.channel.clone());
        kv.put(self.call(put(key, lease))).await.map(drop)
    }

    pub(crate) async fn grant(&self, id: i64) -> Result<(), Status> {
        let mut lease = LeaseClient::new(self.channel.clone());
        let request = self.call(LeaseGrantRequest { ttl: 600, id });
        lease.lease_grant(request).await.map(drop)
    }

    pub(crate) async fn revoke(&self, id: i64) -> Result<(), Status> {
        let mut lease = LeaseClient::new(self.channel.clone());
        let request = self.call(LeaseRevokeRequest { id });
        lease.lease_revoke(request).await.map(drop)
    }

    /// What every kind of call comes to. `lease` has keys that ann may write, and stays.
    pub(crate) async fn everything(&self, lease: i64) -> Vec<(&'static str, String)> {
        let mut kv = KvClient::new(self.channel.clone());
        let mut leases = LeaseClient::new(self.channel.clone());
        let mut maintenance = MaintenanceClient::new(self.channel.clone());
        let mut auth = AuthClient::new(self.channel.clone());
        let mut cluster = ClusterClient::new(self.channel.clone());
        let serializable = RangeRequest {
            serializable: true,
            ..range("a")
        };
        let with_previous = PutRequest {
            prev_kv: true,
            ..put("a", 0)
        };
        let delete = |key: &str| DeleteRangeRequest {
            key: key.to_owned().into(),
            ..Default::default()
        };
        let txn = |op: Op| TxnRequest {
            success: vec![RequestOp { request: Some(op) }],
            ..Default::default()
        };
        let with_keys = LeaseTimeToLiveRequest {
            id: lease,
            keys: true,
        };
        vec![
            ("range", said(&self.range("a").await)),
            ("range of others", said(&self.range("z").await)),
            (
                "serializable range",
                said(&kv.range(self.call(serializable)).await),
            ),
            ("put", said(&self.put("a", 0).await)),
            ("put of others", said(&self.put("z", 0).await)),
            (
                "put with previous",
                said(&kv.put(self.call(with_previous)).await),
            ),
            ("put with lease", said(&self.put("ab", lease).await)),
            (
                "delete",
                said(&kv.delete_range(self.call(delete("ac"))).await),
            ),
            (
                "reading txn",
                said(&kv.txn(self.call(txn(Op::RequestRange(range("a"))))).await),
            ),
            (
                "writing txn",
                said(&kv.txn(self.call(txn(Op::RequestPut(put("a", 0))))).await),
            ),
            (
                "txn of others",
                said(&kv.txn(self.call(txn(Op::RequestPut(put("z", 0))))).await),
            ),
            (
                "compact",
                said(&kv.compact(self.call(CompactionRequest::default())).await),
            ),
            ("grant", said(&self.grant(0).await)),
            ("revoke of none", said(&self.revoke(4_711).await)),
            ("keep alive", said(&self.keep_alive(lease).await)),
            (
                "keys of lease",
                said(&leases.lease_time_to_live(self.call(with_keys)).await),
            ),
            (
                "leases",
                said(&leases.lease_leases(self.call(LeaseLeasesRequest {})).await),
            ),
            ("watch", self.watch("a").await),
            ("watch of others", self.watch("z").await),
            (
                "members",
                said(
                    &cluster
                        .member_list(self.call(MemberListRequest::default()))
                        .await,
                ),
            ),
            (
                "status",
                said(&maintenance.status(self.call(StatusRequest {})).await),
            ),
            (
                "alarms",
                said(&maintenance.alarm(self.call(AlarmRequest::default())).await),
            ),
            (
                "defragment",
                said(
                    &maintenance
                        .defragment(self.call(DefragmentRequest {}))
                        .await,
                ),
            ),
            (
                "hash",
                said(
                    &maintenance
                        .hash_kv(self.call(HashKvRequest::default()))
                        .await,
                ),
            ),
            (
                "auth status",
                said(&auth.auth_status(self.call(AuthStatusRequest {})).await),
            ),
            (
                "users",
                said(&auth.user_list(self.call(AuthUserListRequest {})).await),
            ),
            (
                "roles",
                said(&auth.role_list(self.call(AuthRoleListRequest {})).await),
            ),
            (
                "user ann",
                said(
                    &auth
                        .user_get(self.call(AuthUserGetRequest { name: "ann".into() }))
                        .await,
                ),
            ),
            (
                "role letter",
                said(
                    &auth
                        .role_get(self.call(AuthRoleGetRequest {
                            role: "letter".into(),
                        }))
                        .await,
                ),
            ),
        ]
    }

    async fn keep_alive(&self, id: i64) -> Result<(), Status> {
        let mut lease = LeaseClient::new(self.channel.clone());
        let requests = one_request(LeaseKeepAliveRequest { id });
        let mut replies = lease
            .lease_keep_alive(self.call(requests))
            .await?
            .into_inner();
        replies.message().await.map(drop)
    }

    /// The refusal of a watch is in its response.
    async fn watch(&self, key: &str) -> String {
        let create = WatchCreateRequest {
            key: key.to_owned().into(),
            ..Default::default()
        };
        let create = WatchRequest {
            request_union: Some(RequestUnion::CreateRequest(create)),
        };
        let mut watch = WatchClient::new(self.channel.clone());
        let first = async {
            let requests = one_request(create);
            let mut replies = watch.watch(self.call(requests)).await?.into_inner();
            let first = replies.message().await?;
            first.ok_or_else(|| Status::new(Code::Unknown, "the stream ended"))
        };
        match first.await {
            Ok(reply) if reply.canceled => format!("canceled: {}", reply.cancel_reason),
            answer => said(&answer),
        }
    }
}

fn range(key: &str) -> RangeRequest {
    RangeRequest {
        key: key.to_owned().into(),
        ..Default::default()
    }
}

fn put(key: &str, lease: i64) -> PutRequest {
    PutRequest {
        key: key.to_owned().into(),
        value: "v".into(),
        lease,
        ..Default::default()
    }
}

/// One request, after which the client's side stays open.
fn one_request<T: Send + 'static>(
    message: T,
) -> impl futures_util::Stream<Item = T> + Send + 'static {
    use futures_util::StreamExt as _;
    futures_util::stream::once(std::future::ready(message)).chain(futures_util::stream::pending())
}

fn client_config(authority: &Authority, identity: &Identity) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(authority.pem().as_bytes());
    roots.add(ca.expect("a certificate")).expect("a CA");
    let chain = CertificateDer::from_pem_slice(identity.certificate.as_bytes());
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![chain.expect("a certificate")], key.expect("a key"))
        .expect("an identity");
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// A function that opens connections.
#[derive(Clone)]
struct Connector<F>(F);

impl<F, T, Connecting> Service<Uri> for Connector<F>
where
    F: FnMut(Uri) -> Connecting,
    Connecting: Future<Output = io::Result<T>>,
{
    type Response = T;
    type Error = io::Error;
    type Future = Connecting;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Connecting {
        (self.0)(uri)
    }
}
