//! Users of the v2 API by their certificates: the embedded server answers as real etcds do.

use std::path::Path;

use etcdkit::{
    Tls,
    v2::{Client, Permissions, Result},
};
use etcdkit_server::{Server, ServerTls};
use etcdkit_testkit::{
    certificates::{Authority, Identity},
    etcd::{Binary, Cluster, Version},
};

/// The first that does not serve v2.
const V3_6: Version = Version::new(3, 6, 0);

#[tokio::test]
async fn the_common_name_is_the_user_unless_a_password_is_given() {
    let site = Site::new();
    let folder = tempfile::tempdir().expect("a folder");
    let embedded = site.embedded().await;
    let ours = scene(&site, &embedded.endpoint()).await;
    embedded.shutdown().await.expect("an orderly end");

    let etcds = Binary::all().expect("a real etcd").into_iter();
    let etcds: Vec<_> = etcds.filter(|etcd| etcd.version() < V3_6).collect();
    assert!(!etcds.is_empty(), "this test needs an etcd before 3.6");
    for etcd in etcds {
        let cluster = site.etcd(&etcd, folder.path()).await;
        let theirs = scene(&site, cluster.endpoint()).await;
        assert_eq!(ours, theirs, "{etcd}");
    }
}

/// What each of several callers may do.
async fn scene(site: &Site, endpoint: &str) -> Vec<String> {
    let root = site.client(endpoint, "stranger", Some(("root", "pw")));
    prepare(&root).await.expect("nobody is asked yet");

    let mut told = Vec::new();
    for (who, certificate, password) in [
        ("a user", "alice", None),
        ("root", "root", None),
        ("a stranger", "stranger", None),
        (
            "a user with the password of root",
            "alice",
            Some(("root", "pw")),
        ),
        (
            "root with a wrong password",
            "root",
            Some(("root", "wrong")),
        ),
        ("root with a user's password", "root", Some(("alice", "pw"))),
    ] {
        let client = site.client(endpoint, certificate, password);
        let outcomes = [
            ("own", outcome(client.set("/alice/k", "v").await)),
            ("other", outcome(client.set("/bob/k", "v").await)),
            ("public", outcome(client.get("/public/k").await)),
            ("users", outcome(client.auth().users().await)),
        ];
        for (what, outcome) in outcomes {
            told.push(format!("{who}, {what}: {outcome}"));
        }
    }
    for (expected, outcome) in [
        ("a user, own", "ok"),
        ("a user, other", "Unauthorized"),
        ("root, other", "ok"),
        ("a stranger, own", "Unauthorized"),
        ("a stranger, public", "ok"),
        ("root with a wrong password, public", "Unauthorized"),
    ] {
        assert!(told.contains(&format!("{expected}: {outcome}")), "{told:?}");
    }
    told
}

async fn prepare(root: &Client) -> Result<()> {
    let auth = root.auth();
    auth.role("alice")
        .create(Permissions::read_write("/alice/*"))
        .await?;
    auth.role("guest")
        .create(Permissions::read("/public/*"))
        .await?;
    auth.user("root").create("pw").await?;
    auth.user("alice").create("pw").roles(["alice"]).await?;
    root.set("/public/k", "v").await?;
    auth.enable().await
}

fn outcome<T>(result: Result<T>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(error) => format!("{:?}", error.kind()),
    }
}

/// A certificate authority, and what it has issued to servers.
struct Site {
    authority: Authority,
    server: Identity,
}

impl Site {
    fn new() -> Self {
        let authority = Authority::new("ca");
        let server = authority.server(&["127.0.0.1", "localhost"]);
        Self { authority, server }
    }

    async fn embedded(&self) -> Server {
        let tls = ServerTls::new()
            .identity_pem(&*self.server.certificate, &*self.server.key)
            .client_ca_pem(self.authority.pem())
            .client_cert_auth();
        let server = Server::builder()
            .enable_v2(true)
            .bcrypt_cost(4)
            .listen("https://127.0.0.1:0")
            .tls(tls);
        server.start().await.expect("an embedded server")
    }

    async fn etcd(&self, etcd: &Binary, folder: &Path) -> Cluster {
        let (certificate, key) = self.server.write(folder, "server");
        let cluster = Cluster::builder(etcd)
            .flag("--enable-v2=true")
            .tls(certificate, key)
            .client_ca(self.authority.write(folder));
        cluster.start().await.expect("a cluster")
    }

    fn client(&self, endpoint: &str, name: &str, user: Option<(&str, &str)>) -> Client {
        let Identity { certificate, key } = self.authority.client(name);
        let tls = Tls::new()
            .ca_pem(self.authority.pem())
            .identity_pem(certificate, key);
        let mut builder = Client::builder().endpoint(endpoint).tls(tls);
        if let Some((name, password)) = user {
            builder = builder.user(name, password);
        }
        builder.connect_lazy().expect("a client")
    }
}
