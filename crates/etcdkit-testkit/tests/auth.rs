//! Tokens on real etcd: one login for all, renewed before they end, and nothing lost when servers
//! forget or refuse them.

use std::{
    fs, io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use etcdkit::{Client, ClientBuilder, Error, ErrorKind, KeyRange, Outcome, Permission, Tls};
use etcdkit_proto::etcdserverpb::{
    AuthenticateRequest, DefragmentRequest, PutRequest, RangeRequest, auth_client::AuthClient,
    kv_client::KvClient, maintenance_client::MaintenanceClient,
};
use etcdkit_testkit::{
    certificates::Authority,
    etcd::{Binary, Cluster, ClusterBuilder},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::sleep,
};
use tonic::transport::Channel;

const PASSWORD: &str = "correct horse";

fn etcds() -> Vec<Binary> {
    Binary::all().expect("a real etcd")
}

/// Servers that hash cheaply: the tests are about how often they are asked, not how long it takes.
fn cluster(etcd: &Binary) -> ClusterBuilder {
    println!("{etcd}");
    Cluster::builder(etcd).flag("--bcrypt-cost=4")
}

async fn start(builder: ClusterBuilder) -> Cluster {
    builder.start().await.expect("a cluster")
}

/// Servers whose tokens are JWTs that live so long.
fn issuing_jwts(etcd: &Binary, folder: &Path, ttl: &str) -> ClusterBuilder {
    let key = folder.join("jwt-key");
    fs::write(&key, "a key for tests").expect("a file");
    let key = key.display();
    cluster(etcd).flag(format!(
        "--auth-token=jwt,priv-key={key},sign-method=HS256,ttl={ttl}"
    ))
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Adds the user root and turns authentication on.
async fn guard(cluster: &Cluster) {
    add_root(cluster).await;
    let client = connect(cluster).await;
    client.auth().enable().await.expect("enabled");
}

async fn add_root(cluster: &Cluster) {
    let client = connect(cluster).await;
    let root = client.auth().user("root");
    root.add(PASSWORD).await.expect("a user");
    root.grant_role("root").await.expect("a role");
}

async fn connect(cluster: &Cluster) -> Client {
    let client = Client::connect(cluster.endpoints()).await;
    client.expect("a connection")
}

fn as_root(cluster: &Cluster) -> ClientBuilder {
    Client::builder()
        .endpoints(cluster.endpoints())
        .user("root", PASSWORD)
}

async fn root(cluster: &Cluster) -> Client {
    as_root(cluster).connect().await.expect("a login")
}

/// How often all members together have ended a method in this way.
async fn handled(cluster: &Cluster, method: &str, code: &str) -> u64 {
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

async fn logins(cluster: &Cluster) -> u64 {
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
async fn put_and_get(client: &Client, calls: usize) {
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
async fn token_from(endpoint: &str) -> String {
    let mut auth = AuthClient::new(channel(endpoint));
    let request = AuthenticateRequest {
        name: "root".into(),
        password: PASSWORD.into(),
    };
    let answer = auth.authenticate(request).await.expect("a token");
    answer.into_inner().token
}

/// What a server says to a read with this token, in case it refuses it.
async fn refusal(endpoint: &str, token: &str) -> Option<String> {
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
async fn commit(endpoint: &str, token: &str) {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_login_serves_all_calls_on_all_members() {
    for etcd in etcds() {
        for members in [1, 3] {
            let cluster = start(cluster(&etcd).members(members)).await;
            guard(&cluster).await;
            let client = as_root(&cluster).connect_lazy().expect("valid");
            put_and_get(&client, 100).await;
            for endpoint in cluster.endpoints() {
                let status = client.maintenance().status(endpoint).await;
                status.expect("the right to ask");
            }
            assert_eq!(logins(&cluster).await, 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_typed_and_not_tried_by_every_call() {
    for etcd in etcds() {
        let cluster = start(cluster(&etcd)).await;
        guard(&cluster).await;
        let wrong = || as_root(&cluster).user("root", "battery staple");

        let error = wrong().connect().await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::AuthFailed, "{error}");

        let before = handled(&cluster, "Authenticate", "InvalidArgument").await;
        let client = wrong().connect_lazy().expect("valid");
        let start = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..50 {
            let client = client.clone();
            tasks.spawn(async move { client.put("key", "v").await });
        }
        for result in tasks.join_all().await {
            let error = result.expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::AuthFailed, "{error}");
            assert_eq!(error.outcome(), Outcome::NotApplied);
            assert_eq!(error.operation(), Some("put"));
            assert!(error.hint().is_some());
        }
        let asked = handled(&cluster, "Authenticate", "InvalidArgument").await - before;
        assert!(
            start.elapsed() < Duration::from_secs(2) && asked <= 2,
            "{asked}"
        );

        client.set_user("root", PASSWORD).expect("valid");
        client.put("key", "v").await.expect("the right password");

        let stranger = as_root(&cluster).user("nobody", PASSWORD).connect().await;
        assert_eq!(stranger.expect_err("refused").kind(), ErrorKind::AuthFailed);
        let nameless = connect(&cluster).await.get("key").await;
        let error = nameless.expect_err("refused");
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::UserEmpty, 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_calls_after_the_token_has_expired_make_one_login() {
    for etcd in etcds() {
        tokio::join!(calls_after_expiry(&etcd, 1), calls_after_expiry(&etcd, 3));
    }
}

async fn calls_after_expiry(etcd: &Binary, members: usize) {
    let cluster = cluster(etcd).flag("--auth-token-ttl=2").members(members);
    let cluster = start(cluster).await;
    guard(&cluster).await;
    let client = root(&cluster).await;
    assert_eq!(logins(&cluster).await, 1);
    // Servers look for tokens that have expired once a second.
    sleep(Duration::from_secs(4)).await;
    put_and_get(&client, 50).await;
    assert_eq!(logins(&cluster).await, 2);
    assert!(
        handled(&cluster, "Put", "Unauthenticated").await > 0,
        "it had not expired"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_go_on_when_servers_restart_and_forget_their_tokens() {
    for etcd in etcds() {
        for members in [1, 3] {
            let mut cluster = start(cluster(&etcd).members(members)).await;
            guard(&cluster).await;
            let client = root(&cluster).await;
            let token = token_from(cluster.endpoint()).await;
            let start = Instant::now();
            for endpoint in cluster.endpoints() {
                // From 3.5 on a follower may know the token a moment later.
                while let Some(refusal) = refusal(&endpoint, &token).await {
                    assert!(start.elapsed() < Duration::from_secs(5), "{refusal}");
                    sleep(Duration::from_millis(5)).await;
                }
            }

            // What the store has not committed is applied again, logins with it.
            commit(cluster.endpoint(), &token).await;
            cluster.member(0).restart().await.expect("a restart");
            let refusal = refusal(cluster.endpoint(), &token).await;
            let text = "etcdserver: invalid auth token";
            assert_eq!(refusal.as_deref(), Some(text), "it has forgotten");
            put_and_get(&client, 50).await;

            // A client that knows only the member that has forgotten.
            let one = as_root(&cluster).connect().await.expect("a login");
            one.put("key", "before").await.expect("a put");
            commit(cluster.endpoint(), &token_from(cluster.endpoint()).await).await;
            cluster.member(0).restart().await.expect("a restart");
            let status = one.maintenance().status(cluster.endpoint()).await;
            status.expect("a status");
            one.put("key", "after").await.expect("a put");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_while_users_and_roles_change() {
    for etcd in etcds() {
        let cluster = start(cluster(&etcd).members(3)).await;
        guard(&cluster).await;
        let client = root(&cluster).await;
        let before = logins(&cluster).await;
        changes_disturb_nobody(&cluster, &client).await;
        // The other client's, and none of this one's: the change was not about its token.
        assert_eq!(logins(&cluster).await - before, 1);
    }
}

/// Writes and reads while another client changes users and roles.
async fn changes_disturb_nobody(cluster: &Cluster, client: &Client) {
    let admin = root(cluster).await;
    let done = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    for call in 0..8 {
        let (client, done) = (client.clone(), Arc::clone(&done));
        tasks.spawn(async move {
            let key = format!("{call}");
            let mut written: i64 = 0;
            while !done.load(Ordering::Relaxed) {
                client.put(&key, "v").await?;
                written += 1;
                // No write was lost, and none was applied twice.
                let kv = client.get(&key).await?.expect("the key");
                assert_eq!(kv.version, written);
            }
            Ok::<(), Error>(())
        });
    }
    for round in 0..20 {
        let name = format!("user{round}");
        let user = admin.auth().user(&name);
        user.add(PASSWORD).await.expect("a user");
        let role = admin.auth().role(&name);
        role.add().await.expect("a role");
        let permission = Permission::read(KeyRange::prefix(&*name));
        role.grant(permission).await.expect("a permission");
        user.grant_role(&name).await.expect("a grant");
        user.delete().await.expect("a deletion");
    }
    done.store(true, Ordering::Relaxed);
    for result in tasks.join_all().await {
        result.expect("no call fails");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_while_changes_make_every_jwt_void() {
    let folder = folder();
    for etcd in etcds() {
        let cluster = start(issuing_jwts(&etcd, folder.path(), "300s").members(3)).await;
        guard(&cluster).await;
        let client = root(&cluster).await;
        let before = logins(&cluster).await;
        changes_disturb_nobody(&cluster, &client).await;
        assert!(logins(&cluster).await > before + 1, "nothing was void");
    }
}

#[tokio::test]
async fn a_jwt_is_renewed_before_it_ends() {
    let folder = folder();
    for etcd in etcds() {
        let cluster = start(issuing_jwts(&etcd, folder.path(), "4s")).await;
        guard(&cluster).await;
        let client = root(&cluster).await;
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(5) {
            client.put("key", "v").await.expect("a put");
        }
        assert_eq!(handled(&cluster, "Put", "Unauthenticated").await, 0);
        let logins = logins(&cluster).await;
        assert!((2..=5).contains(&logins), "{logins}");
    }
}

#[tokio::test]
async fn a_given_token_is_used_until_it_is_replaced() {
    let folder = folder();
    for etcd in etcds() {
        let cluster = start(issuing_jwts(&etcd, folder.path(), "300s")).await;
        guard(&cluster).await;
        let given = Client::builder()
            .endpoints(cluster.endpoints())
            .token(token_from(cluster.endpoint()).await);
        let client = given.connect().await.expect("a connection");
        client.put("key", "1").await.expect("a put");

        let admin = root(&cluster).await;
        admin.auth().role("new").add().await.expect("a role");
        let before = logins(&cluster).await;
        for error in [
            client.put("key", "2").await.expect_err("refused"),
            client.get("key").await.expect_err("refused"),
        ] {
            let told = (error.kind(), error.outcome(), error.attempts());
            let expected = (ErrorKind::AuthOldRevision, Outcome::NotApplied, 1);
            assert_eq!(told, expected, "{error}");
            assert!(error.hint().is_some_and(|hint| hint.contains("new one")));
        }
        assert_eq!(logins(&cluster).await, before);

        let next = token_from(cluster.endpoint()).await;
        client.set_token(next).expect("a token");
        let kv = client.get("key").await.expect("a get").expect("the key");
        assert_eq!((kv.value_str().ok(), kv.version), (Some("1"), 1));

        client.set_token("no.such.token").expect("a token");
        let error = client.put("key", "2").await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidAuthToken);
        client.set_user("root", PASSWORD).expect("valid");
        client.put("key", "2").await.expect("a put");
    }
}

#[tokio::test]
async fn a_certificate_says_who_asks() {
    let folder = folder();
    let authority = Authority::new("ours");
    let server = authority.server(&["127.0.0.1"]);
    let (certificate, key) = server.write(folder.path(), "server");
    let ca = authority.write(folder.path());
    for etcd in etcds() {
        let builder = cluster(&etcd).tls(&certificate, &key).client_ca(&ca);
        let cluster = start(builder).await;
        let known_as = async |name: &str| {
            let identity = authority.client(name);
            let tls = Tls::new()
                .ca_pem(authority.pem())
                .identity_pem(identity.certificate, identity.key);
            let builder = Client::builder().endpoints(cluster.endpoints()).tls(tls);
            builder.connect().await.expect("a connection")
        };
        let root = known_as("root").await;
        let (admin, alice) = (root.auth().user("root"), root.auth().user("alice"));
        admin.add_without_password().await.expect("a user");
        admin.grant_role("root").await.expect("a grant");
        alice.add_without_password().await.expect("a user");
        let role = root.auth().role("app");
        role.add().await.expect("a role");
        let mine = Permission::read_write(KeyRange::prefix("app/"));
        role.grant(mine).await.expect("a permission");
        alice.grant_role("app").await.expect("a grant");
        root.auth().enable().await.expect("enabled");

        root.put("else", "v").await.expect("permitted");
        let alice = known_as("alice").await;
        alice.put("app/1", "v").await.expect("permitted");
        let error = alice.get("else").await.expect_err("denied");
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        let nobody = known_as("nobody").await.get("app/1").await;
        let error = nobody.expect_err("denied");
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);

        // Who has no password cannot log in with one.
        alice.set_user("alice", PASSWORD).expect("valid");
        let error = alice.get("app/1").await.expect_err("refused");
        assert!(
            matches!(
                error.kind(),
                ErrorKind::AuthFailed | ErrorKind::NoPasswordUser
            ),
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authentication_is_turned_on_and_off_under_a_client() {
    for etcd in etcds() {
        let cluster = start(cluster(&etcd).members(3)).await;
        add_root(&cluster).await;
        let client = root(&cluster).await;
        let other = root(&cluster).await;
        for _ in 0..3 {
            put_and_get(&client, 10).await;
            other.auth().enable().await.expect("enabled");
            put_and_get(&client, 10).await;
            let stranger = connect(&cluster).await.put("key", "v").await;
            assert_eq!(stranger.expect_err("refused").kind(), ErrorKind::UserEmpty);
            client.auth().disable().await.expect("disabled");
        }
        put_and_get(&client, 10).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_without_a_quorum_keeps_nobody_beyond_the_deadline() {
    for etcd in etcds() {
        let mut cluster = start(cluster(&etcd).members(3)).await;
        guard(&cluster).await;
        cluster.member(1).kill().expect("killed");
        cluster.member(2).kill().expect("killed");
        let client = Client::builder()
            .endpoint(cluster.endpoint())
            .user("root", PASSWORD)
            .connect_lazy()
            .expect("valid");
        let (start, limit) = (Instant::now(), Duration::from_secs(2));
        let error = client.put("key", "v").timeout(limit).await;
        let error = error.expect_err("no quorum");
        assert_eq!(
            (error.outcome(), error.attempts()),
            (Outcome::NotApplied, 0)
        );
        let late = start.elapsed().saturating_sub(limit);
        assert!(late < Duration::from_millis(700), "{late:?}");

        cluster.member(1).restart().await.expect("a restart");
        put_and_get(&client, 10).await;
    }
}

#[tokio::test]
async fn what_is_not_permitted_is_said_at_once() {
    for etcd in etcds() {
        let cluster = start(cluster(&etcd)).await;
        guard(&cluster).await;
        let admin = root(&cluster).await;
        let (role, user) = (admin.auth().role("app"), admin.auth().user("alice"));
        role.add().await.expect("a role");
        let mine = Permission::read_write(KeyRange::prefix("app/"));
        role.grant(mine).await.expect("a permission");
        user.add(PASSWORD).await.expect("a user");
        user.grant_role("app").await.expect("a grant");

        let alice = as_root(&cluster).user("alice", PASSWORD).connect().await;
        let alice = alice.expect("a login");
        alice.put("app/1", "v").await.expect("permitted");
        let before = logins(&cluster).await;
        for error in [
            alice.put("else", "v").await.expect_err("denied"),
            alice.get("else").await.expect_err("denied"),
            alice.range(..).await.expect_err("denied"),
            alice.auth().users().await.expect_err("denied"),
            alice.auth().enable().await.expect_err("denied"),
        ] {
            let told = (error.kind(), error.outcome(), error.attempts());
            let expected = (ErrorKind::PermissionDenied, Outcome::NotApplied, 1);
            assert_eq!(told, expected, "{error}");
        }
        assert_eq!(logins(&cluster).await, before);

        role.revoke(KeyRange::prefix("app/"))
            .await
            .expect("revoked");
        let error = alice.get("app/1").await.expect_err("denied");
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);

        user.delete().await.expect("deleted");
        let error = alice.get("app/1").await.expect_err("gone");
        assert_eq!(error.kind(), ErrorKind::AuthFailed);
    }
}
