//! v2 clients that are given the URL of a discovery token instead of endpoints: which members they find by
//! it, on every real etcd that serves the v2 API, and what they say when they cannot.

use etcdkit::{
    Outcome,
    v2::{Client, ErrorKind, Member},
};
use etcdkit_server::Server;
use etcdkit_testkit::{
    etcd::{Binary, Cluster, Version},
    fake::{
        http1::{FakeHttp, Reply},
        refusing_endpoint,
    },
};

/// Every real etcd that has the v2 API.
fn binaries() -> Vec<Binary> {
    let mut binaries = Binary::all().expect("a real etcd");
    binaries.retain(|etcd| etcd.version() < Version::new(3, 6, 0));
    assert!(
        !binaries.is_empty(),
        "no etcd before 3.6, which has no v2 API"
    );
    binaries
}

async fn start(etcd: &Binary, members: usize) -> (Cluster, Vec<Member>) {
    println!("{etcd}");
    let cluster = Cluster::builder(etcd).flag("--enable-v2=true");
    let cluster = cluster.members(members).start().await.expect("a cluster");
    let client = Client::connect(cluster.endpoints()).await;
    let client = client.expect("a client");
    let members = client.members().list().await.expect("members");
    (cluster, members)
}

/// A discovery service.
struct Service {
    server: Server,
    client: Client,
}

impl Service {
    async fn start() -> Self {
        let server = Server::builder().enable_v2(true).start();
        let server = server.await.expect("a server");
        let client = Client::connect(server.endpoint()).await.expect("a client");
        Self { server, client }
    }

    /// Writes a token for clusters of three, and the entries in this order.
    async fn token(&self, name: &str, entries: &[(&str, &str)]) -> String {
        let path = format!("/discovery/{name}");
        let size = self.client.set(format!("{path}/_config/size"), "3");
        size.await.expect("a key");
        for (id, value) in entries {
            let entry = self.client.create(format!("{path}/{id}"), *value);
            entry.await.expect("a key");
        }
        format!("{}/v2/keys{path}", self.server.endpoint())
    }
}

/// What a member leaves at a token, with a mark before each further URL.
fn entry(member: &Member, mark: &str) -> String {
    let urls = member.peer_urls.iter();
    let urls: Vec<_> = urls.map(|url| format!("{}={url}", member.name)).collect();
    urls.join(mark)
}

fn sorted(endpoints: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut endpoints: Vec<_> = endpoints.into_iter().collect();
    endpoints.sort();
    endpoints
}

#[tokio::test]
async fn a_token_leads_to_all_members() {
    let service = Service::start().await;
    for etcd in binaries() {
        let (mut cluster, members) = start(&etcd, 3).await;
        let ids: Vec<String> = members.iter().map(|member| member.id.to_string()).collect();
        let mut entries: Vec<_> = members.iter().map(|member| entry(member, ",")).collect();
        // A member with two addresses, of which one leads nowhere.
        entries[1] = format!("{},other={}", entries[1], refusing_endpoint());
        let entries: Vec<_> = ids
            .iter()
            .zip(&entries)
            .map(|(id, value)| (&**id, &**value))
            .collect();
        // Who came last came in vain, to whatever cluster it may belong.
        let nobody = format!("nobody={}", refusing_endpoint());
        let entries = [&entries[..], &[("fff", &*nobody)]].concat();
        let url = service.token(&etcd.version().to_string(), &entries).await;

        let client = Client::from_discovery(&url).await.expect("a client");
        assert_eq!(sorted(client.endpoints()), sorted(cluster.endpoints()));
        client.set("/a", "1").await.expect("a key");

        // Two of three are enough, and the third may come back.
        cluster.members()[0].kill().expect("a kill");
        let client = Client::from_discovery(&url).await.expect("a client");
        assert_eq!(sorted(client.endpoints()), sorted(cluster.endpoints()));
        let value = client.get("/a").value().await.expect("an answer");
        assert_eq!(value.as_deref(), Some("1"));

        // Nobody is there any more.
        for member in &mut cluster.members()[1..] {
            member.kill().expect("a kill");
        }
        let error = Client::from_discovery(&url).await.expect_err("nobody");
        assert_eq!(error.kind(), ErrorKind::Connect);
        for member in &members {
            assert!(error.message().contains(&member.peer_urls[0]), "{error}");
        }
    }
}

#[tokio::test]
async fn one_member_knows_the_others() {
    let service = Service::start().await;
    for etcd in binaries() {
        let (cluster, members) = start(&etcd, 3).await;
        // As the documents write it, beside what etcd writes.
        let with_two = Member::clone(&members[0]);
        let entry = format!(
            "{}&{}=http://127.0.0.1:1",
            entry(&with_two, "&"),
            with_two.name
        );
        let url = service
            .token(&etcd.version().to_string(), &[("a", &entry)])
            .await;
        let client = Client::from_discovery(&url).await.expect("a client");
        assert_eq!(sorted(client.endpoints()), sorted(cluster.endpoints()));
    }
}

/// The public service has tokens of its own, and sends on to where it keeps them.
#[tokio::test]
async fn tokens_may_be_kept_elsewhere() {
    let service = Service::start().await;
    let etcd = binaries().pop().expect("one");
    let (cluster, members) = start(&etcd, 1).await;
    let kept = service
        .token("kept", &[("a", &entry(&members[0], ","))])
        .await;
    let public = FakeHttp::start(move |request| {
        let path = request
            .target
            .strip_prefix("/3e86b599")
            .unwrap_or("/elsewhere");
        Reply::redirect(307, format!("{kept}{path}"))
    });
    let public = public.await.expect("a port");
    let url = format!("{}/3e86b599", public.endpoint());
    let client = Client::from_discovery(&url).await.expect("a client");
    assert!(client.endpoints().eq(cluster.endpoints()));
}

#[tokio::test]
async fn members_of_two_clusters_are_told_apart() {
    let service = Service::start().await;
    let etcd = binaries().pop().expect("one");
    let (_one, ones) = start(&etcd, 1).await;
    let (_other, others) = start(&etcd, 1).await;
    let entries = [
        ("a", &*entry(&ones[0], ",")),
        ("b", &*entry(&others[0], ",")),
    ];
    let url = service.token("mixed", &entries).await;
    let error = Client::from_discovery(&url)
        .await
        .expect_err("two clusters");
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(error.message().contains("different clusters"), "{error}");
}

#[tokio::test]
async fn tokens_without_members_lead_nowhere() {
    let service = Service::start().await;
    let empty = service.token("empty", &[]).await;
    let error = Client::from_discovery(&empty).await.expect_err("nobody");
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.message().contains("nobody has come"), "{error}");

    let unknown = format!("{}/v2/keys/discovery/unknown", service.server.endpoint());
    let error = Client::from_discovery(&unknown)
        .await
        .expect_err("no token");
    assert_eq!(error.kind(), ErrorKind::KeyNotFound);

    let nowhere = format!("{}/v2/keys/discovery/token", refusing_endpoint());
    let error = Client::from_discovery(&nowhere).await.expect_err("nobody");
    assert_eq!(error.kind(), ErrorKind::Connect);

    for url in ["token", "http://", "ftp://a/b", "http://127.0.0.1:1/"] {
        let error = Client::from_discovery(url).await.expect_err(url);
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert_eq!(
            (error.outcome(), error.attempts()),
            (Outcome::NotApplied, 0)
        );
    }
}

/// etcd 0.4 wrote bare addresses without a size, and its peers know the clients' URLs by another path. The
/// embedded server plays the member.
#[tokio::test]
async fn members_of_old_have_another_way() {
    let service = Service::start().await;
    let member = Server::builder().v2_modules(true).start();
    let member = member.await.expect("a server");
    let address = member.endpoint();
    let bare = address.strip_prefix("http://").expect("an address");
    let path = "/discovery/old";
    let entry = service.client.set(format!("{path}/machine0"), bare);
    entry.ttl(604_800).await.expect("a key");

    let url = format!("{}/v2/keys{path}/", service.server.endpoint());
    let client = Client::from_discovery(&url).await.expect("a client");
    assert_eq!(sorted(client.endpoints()), [address]);
}
