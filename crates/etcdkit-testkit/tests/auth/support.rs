//! Clusters that want to know who asks, and what they tell of it.

use std::{fs, io, path::Path};

use etcdkit::{Client, ClientBuilder};
use etcdkit_proto::etcdserverpb::{
    AuthenticateRequest, DefragmentRequest, PutRequest, RangeRequest, auth_client::AuthClient,
    kv_client::KvClient, maintenance_client::MaintenanceClient,
};
use etcdkit_testkit::etcd::{Binary, Cluster, ClusterBuilder};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};
use tonic::transport::Channel;

pub(crate) const PASSWORD: &str = "correct horse";

pub(crate) fn etcds() -> Vec<Binary> {
    Binary::all().expect("a real etcd")
}

/// Servers that hash cheaply: the tests are about how often they are asked, not how long it takes.
pub(crate) fn cluster(etcd: &Binary) -> ClusterBuilder {
    println!("{etcd}");
    Cluster::builder(etcd).flag("--bcrypt-cost=4")
}

pub(crate) async fn start(builder: ClusterBuilder) -> Cluster {
    builder.start().await.expect("a cluster")
}

/// Servers whose tokens are JWTs that live so long.
pub(crate) fn issuing_jwts(etcd: &Binary, folder: &Path, ttl: &str) -> ClusterBuilder {
    let key = folder.join("jwt-key");
    fs::write(&key, "a key for tests").expect("a file");
    let key = key.display();
    cluster(etcd).flag(format!(
        "--auth-token=jwt,priv-key={key},sign-method=HS256,ttl={ttl}"
    ))
}

pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Adds the user root and turns authentication on.
pub(crate) async fn guard(cluster: &Cluster) {
    add_root(cluster).await;
    let client = connect(cluster).await;
    client.auth().enable().await.expect("enabled");
}

pub(crate) async fn add_root(cluster: &Cluster) {
    let client = connect(cluster).await;
    let root = client.auth().user("root");
    root.add(PASSWORD).await.expect("a user");
    root.grant_role("root").await.expect("a role");
}

pub(crate) async fn connect(cluster: &Cluster) -> Client {
    let client = Client::connect(cluster.endpoints()).await;
    client.expect("a connection")
}

pub(crate) fn as_root(cluster: &Cluster) -> ClientBuilder {
    Client::builder()
        .endpoints(cluster.endpoints())
        .user("root", PASSWORD)
}

pub(crate) async fn root(cluster: &Cluster) -> Client {
    as_root(cluster).connect().await.expect("a login")
}

/// How often all members together have ended a method in this way.
pub(crate) async fn handled(cluster: &Cluster, method: &str, code: &str) -> u64 {
    let mut sum = 0;
    for endpoint in cluster.endpoints() {
        let metrics = metrics(&endpoint).await.expect("metrics");
        let wanted = |line: &&str| {
            line.starts_with("grpc_server_handled_total{")
                && line.contains(&format!("grpc_method=\"{method}\""))
                && line.contains(&format!("grpc_code=\"{code}\""))
        };
        for line in metrics.lines().filter(wanted) {
            let count = line.rsplit(' ').next().map(str::parse::<u64>);
            sum += count.expect("a last word").expect("a count");
        }
    }
    sum
}

pub(crate) async fn logins(cluster: &Cluster) -> u64 {
    handled(cluster, "Authenticate", "OK").await
}

async fn metrics(endpoint: &str) -> io::Result<String> {
    let address = endpoint.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await?;
    stream
        .write_all(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n")
        .await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Writes and reads, all at the same time; each must succeed.
pub(crate) async fn put_and_get(client: &Client, calls: usize) {
    let mut tasks = JoinSet::new();
    for call in 0..calls {
        let client = client.clone();
        tasks.spawn(async move {
            match call % 2 {
                0 => client.put("key", "v").await.map(drop),
                _ => client.get("key").await.map(drop),
            }
        });
    }
    for result in tasks.join_all().await {
        result.expect("a call");
    }
}

fn channel(endpoint: &str) -> Channel {
    let endpoint = Channel::from_shared(endpoint.to_owned());
    endpoint.expect("an endpoint").connect_lazy()
}

/// A token straight from a server, as some other program may have it.
pub(crate) async fn token_from(endpoint: &str) -> String {
    let mut auth = AuthClient::new(channel(endpoint));
    let request = AuthenticateRequest {
        name: "root".into(),
        password: PASSWORD.into(),
    };
    let answer = auth.authenticate(request).await.expect("a token");
    answer.into_inner().token
}

/// What a server says to a read with this token, in case it refuses it.
pub(crate) async fn refusal(endpoint: &str, token: &str) -> Option<String> {
    let mut kv = KvClient::new(channel(endpoint));
    let request = RangeRequest {
        key: "key".into(),
        serializable: true,
        ..Default::default()
    };
    let answer = kv.range(with_token(request, token)).await;
    answer.err().map(|status| status.message().to_owned())
}

/// Makes a member keep all changes so far, which it otherwise does ten times a second.
pub(crate) async fn commit(endpoint: &str, token: &str) {
    let mut kv = KvClient::new(channel(endpoint));
    let change = PutRequest {
        key: "committed".into(),
        ..Default::default()
    };
    let change = kv.put(with_token(change, token)).await;
    change.expect("a put");
    let mut maintenance = MaintenanceClient::new(channel(endpoint));
    let request = with_token(DefragmentRequest {}, token);
    let done = maintenance.defragment(request).await;
    done.expect("a commit");
}

fn with_token<T>(message: T, token: &str) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    let token = token.parse().expect("a header's value");
    request.metadata_mut().insert("token", token);
    request
}
