//! Users, roles and access of the v2 API: the embedded server answers what every real etcd answers that
//! serves v2, byte for byte.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use etcdkit_server::Server;
use etcdkit_testkit::etcd::{Binary, Cluster, Version};
use etcdkit_testkit::v2::http::{Connection, Request};

/// The first that does not serve v2.
const V3_6: Version = Version::new(3, 6, 0);

/// Headers that are a server's own.
const IDENTITY: [&str; 4] = ["date", "x-etcd-cluster-id", "x-raft-index", "x-raft-term"];

#[tokio::test]
async fn users_and_roles() {
    compare(&[
        // Nothing is there, and the rules of methods and paths go before everything else.
        get("/enable"),
        head("/enable"),
        ask("POST", "/enable"),
        ask("PUT", "/enable"),
        ask("DELETE", "/enable"),
        get(""),
        get("/"),
        get("/enable/"),
        get("/unknown"),
        get("/users"),
        get("/users/"),
        ask("PUT", "/users"),
        get("/roles"),
        get("/roles/"),
        head("/roles"),
        get("/users/nobody"),
        get("/users/a/b"),
        get("/users/a%2Fb"),
        ask("PUT", "/users/a/b"),
        get("/users//a"),
        get("/users/a/../b"),
        ask("PUT", "//roles"),
        ask("POST", "/users/a"),
        ask("OPTIONS", "/users"),
        get("/users?x=%zz"),
        get("/users?a;b"),
        get("/users/nobody?x=%zz"),
        get("/roles?x=%zz"),
        index(),
        // Bodies.
        ask("PUT", "/users/u"),
        put("/users/u", "{"),
        put("/users/u", "[]"),
        put("/users/u", "null"),
        put("/users/u", r#"{"user":"v"}"#),
        put("/users/u", r#"{"user":"u"}"#),
        put("/users/u", r#"{"user":"u","password":5}"#),
        index(),
        put("/users/u", r#"{"user":"u","password":"x"} and more"#),
        index(),
        // Users.
        put("/users/u", r#"{"USER":"u","Password":"y"}"#),
        put("/users/u", r#"{"user":"u"}"#),
        put("/users/u", r#"{"user":"u","roles":["r"]}"#),
        put("/users/u", r#"{"user":"u","roles":["r"],"password":"z"}"#),
        put("/users/u", r#"{"user":"u","roles":["r"],"grant":["q"]}"#),
        put("/users/e", r#"{"user":"e","roles":[],"password":"z"}"#),
        put("/users/e", r#"{"user":"e"}"#),
        put("/users/n", r#"{"user":"n","password":"z"}"#),
        put("/users/n", r#"{"user":"n"}"#),
        put(
            "/users/w",
            r#"{"user":"w","roles":["r","q","r"],"password":"z"}"#,
        ),
        get("/users/w"),
        get("/users"),
        put("/users/w", r#"{"user":"w","grant":["q"]}"#),
        put(
            "/users/w",
            r#"{"user":"w","grant":["b","a"],"revoke":["r"]}"#,
        ),
        put("/users/w", r#"{"user":"w","grant":["x","x"]}"#),
        put("/users/w", r#"{"user":"w","revoke":["r"]}"#),
        put("/users/w", r#"{"user":"w","grant":["x"],"revoke":["x"]}"#),
        put("/users/w", r#"{"user":"w","password":"new","grant":["x"]}"#),
        put("/users/none", r#"{"user":"none","revoke":["r"]}"#),
        put("/users/%3Cw%3E", r#"{"user":"<w>","password":"&"}"#),
        get("/users/%3Cw%3E"),
        put("/users/_h", r#"{"user":"_h","password":"p"}"#),
        get("/users/_h"),
        get("/users?x=%zz"),
        get("/users/w?x=%zz"),
        put(
            "/users/root",
            r#"{"user":"root","roles":["a"],"password":"rpw"}"#,
        ),
        get("/users/root"),
        put("/users/root", r#"{"user":"root","revoke":["root"]}"#),
        put("/users/root", r#"{"user":"root","revoke":["a"]}"#),
        get("/users/root"),
        get("/users"),
        ask("DELETE", "/users/w"),
        ask("DELETE", "/users/w"),
        index(),
        // Roles.
        get("/roles/root"),
        get("/roles/x"),
        put("/roles/root", r#"{"role":"root"}"#),
        put(
            "/roles/root",
            r#"{"role":"root","grant":{"kv":{"read":["/"]}}}"#,
        ),
        ask("DELETE", "/roles/root"),
        ask("PUT", "/roles/x"),
        put("/roles/x", r#"{"role":"y"}"#),
        put("/roles/x", r#"{"role":"x"}"#),
        put("/roles/x", r#"{"role":"x"}"#),
        get("/roles/x"),
        put(
            "/roles/x",
            r#"{"role":"x","revoke":{"kv":{"read":["/a"]}}}"#,
        ),
        put(
            "/roles/x",
            r#"{"role":"x","revoke":{"kv":{"read":["/a"]}}}"#,
        ),
        put(
            "/roles/x",
            r#"{"role":"x","grant":{"kv":{"read":["/b","/a*"],"write":["/c"]}}}"#,
        ),
        put("/roles/x", r#"{"role":"x","grant":{"kv":{"read":["/b"]}}}"#),
        put(
            "/roles/x",
            r#"{"role":"x","grant":{"kv":{"read":["/d"],"write":["/c"]}}}"#,
        ),
        put(
            "/roles/x",
            r#"{"role":"x","grant":{"kv":{"read":["/d"]}},"revoke":{"kv":{"read":["/d"]}}}"#,
        ),
        put(
            "/roles/x",
            r#"{"role":"x","permissions":{"kv":{"read":["/z"]}},"revoke":{"kv":{"read":["/d"]}}}"#,
        ),
        put(
            "/roles/y",
            r#"{"role":"y","permissions":{"kv":{"read":["/z","/y"]}},"grant":{"kv":{}}}"#,
        ),
        get("/roles/y"),
        get("/roles"),
        put(
            "/roles/y",
            r#"{"role":"y","revoke":{"kv":{"read":["/q"]}}}"#,
        ),
        put(
            "/roles/y",
            r#"{"role":"y","revoke":{"kv":{"read":["/q"]}}}"#,
        ),
        put("/roles/n", r#"{"role":"n","grant":{"kv":{"read":["/d"]}}}"#),
        ask("DELETE", "/roles/n"),
        ask("DELETE", "/roles/y"),
        put("/roles/_h", r#"{"role":"_h"}"#),
        get("/roles"),
        get("/roles/%25d"),
        put("/users/u", r#"{"user":"u","grant":["x","_h"]}"#),
        get("/users/u"),
        get("/users"),
        index(),
    ])
    .await;
}

#[tokio::test]
async fn access() {
    let on = [
        put("/users/root", r#"{"user":"root","password":"rpw"}"#),
        put("/users/u", r#"{"user":"u","password":"p:w"}"#),
        ask("PUT", "/enable"),
        get("/enable"),
        ask("PUT", "/enable"),
        ask("PUT", "/enable").by("root", "rpw"),
        index(),
        // A guest may do everything with keys, and nothing with users and members.
        key("PUT", "/a/b").form("value=1"),
        key("GET", "/a?recursive=true"),
        get("/roles"),
        get("/users/a/b"),
        ask("POST", "/users"),
        Step::of(
            Request::new("POST", "/v2/members").json(r#"{"peerURLs":["http://127.0.0.1:1"]}"#),
        ),
        Step::of(Request::new("DELETE", "/v2/members/1")),
        Step::of(Request::new("HEAD", "/v2/members")),
        // Who says to be somebody must prove it.
        get("/roles").by("root", "rpw"),
        get("/roles").by("root", "wrong"),
        get("/roles").by("u", "p:w"),
        get("/roles").by("nobody", "rpw"),
        get("/roles").header("Bearer x"),
        get("/roles").header("Basic"),
        get("/roles").header("Basic ?"),
        get("/roles").header("basic cm9vdDpycHc="),
        head("/roles").by("root", "rpw"),
        key("GET", "/a").by("nobody", "x"),
        key("GET", "/a").header("Bearer x"),
        key("GET", "/a").header(""),
        key("GET", "/a").by("u", "p:w"),
        // A guest with nothing.
        put(
            "/roles/guest",
            r#"{"role":"guest","revoke":{"kv":{"read":["/*"],"write":["/*"]}}}"#,
        )
        .by("root", "rpw"),
        key("GET", ""),
        key("GET", "/"),
        key("PUT", "/a").form("value=1"),
        key("GET", "/a?wait=true"),
        key("GET", "/a?wait=x"),
        key("HEAD", "/a/b"),
        key("GET", "").by("root", "rpw"),
        key("GET", "/").by("root", "rpw"),
        // A user with a role.
        put(
            "/roles/r",
            r#"{"role":"r","permissions":{"kv":{"read":["/a*","/b"],"write":["/c","/d/*"]}}}"#,
        )
        .by("root", "rpw"),
        put("/users/u", r#"{"user":"u","grant":["r","missing"]}"#).by("root", "rpw"),
    ];
    let by_user = [
        key("GET", "/a/b"),
        key("HEAD", "/a/b"),
        key("GET", "/a?recursive=true"),
        key("GET", "/b?recursive=true"),
        key("GET", "/b"),
        key("GET", "/b/"),
        key("GET", ""),
        key("PUT", "/c").form("value=1"),
        key("PUT", "/b").form("value=1"),
        key("DELETE", "/c?recursive=true"),
        key("DELETE", "/c"),
        key("PUT", "/d").form("dir=true"),
        key("PUT", "/d/e").form("value=1"),
        key("POST", "/d").form("value=1"),
        key("POST", "/d/").form("value=1"),
        key("DELETE", "/d/?recursive=true"),
        key("PUT", "/d/e").form("value=1&recursive=true"),
        get("/users"),
    ];
    let off = [
        ask("DELETE", "/users/root").by("root", "rpw"),
        ask("DELETE", "/enable"),
        ask("DELETE", "/enable").by("root", "rpw"),
        ask("DELETE", "/enable").by("root", "rpw"),
        // Nobody is asked any more, and a header says nothing.
        key("GET", "/a/b").by("root", "wrong"),
        ask("DELETE", "/users/root"),
        ask("PUT", "/enable"),
        get("/users"),
        index(),
    ];
    let by_user = by_user.map(|step| step.by("u", "p:w"));
    let steps = on.into_iter().chain(by_user).chain(off);
    compare(&steps.collect::<Vec<_>>()).await;
}

/// etcd 3.5 does not hash more than bcrypt looks at; 3.4 does.
#[tokio::test]
async fn long_passwords_are_refused() {
    let long = format!(r#"{{"user":"u","password":"{}"}}"#, "p".repeat(73));
    let longest = format!(r#"{{"user":"u","password":"{}"}}"#, "p".repeat(72));
    let grant = format!(
        r#"{{"user":"v","password":"{}","grant":["r"]}}"#,
        "p".repeat(73)
    );
    let steps = [
        put("/users/u", &long),
        put("/users/v", &grant),
        put("/users/u", &longest),
    ];
    let embedded = transcript(&Kind::Embedded, &steps).await;
    for kind in Kind::all() {
        match &kind {
            Kind::Etcd(etcd) if etcd.version() < Version::new(3, 5, 0) => {}
            _ => assert_eq!(transcript(&kind, &steps).await, embedded),
        }
    }
}

/// A guest who may read a key is given what is below it by etcd, and not by the embedded server.
#[tokio::test]
async fn a_guest_is_not_given_what_is_below() {
    let steps = [
        key("PUT", "/dev/secret").form("value=1"),
        put("/users/root", r#"{"user":"root","password":"rpw"}"#),
        put(
            "/roles/guest",
            r#"{"role":"guest","permissions":{"kv":{"read":["/dev"]}}}"#,
        ),
        ask("PUT", "/enable"),
        key("GET", "/dev?recursive=true"),
        key("GET", "/dev"),
    ];
    for kind in Kind::all() {
        let answers = transcript(&kind, &steps).await;
        let leaks = matches!(kind, Kind::Etcd(_));
        let below = answers.get(4).expect("an answer");
        assert_eq!(below.contains("/dev/secret"), leaks, "{below}");
        let here = answers.get(5).expect("an answer");
        assert!(here.starts_with("200"), "{here}");
    }
}

/// A request, and in words.
#[derive(Clone)]
struct Step(Request);

impl Step {
    fn of(request: Request) -> Self {
        Self(request)
    }

    fn by(self, user: &str, password: &str) -> Self {
        let encoded = BASE64.encode(format!("{user}:{password}"));
        self.header(&format!("Basic {encoded}"))
    }

    fn header(self, value: &str) -> Self {
        Self(self.0.header("Authorization", value))
    }

    fn form(self, form: &str) -> Self {
        Self(self.0.form(form))
    }
}

/// About users, roles or authentication.
fn ask(method: &str, path: &str) -> Step {
    Step::of(Request::new(method, format!("/v2/auth{path}")))
}

fn get(path: &str) -> Step {
    ask("GET", path)
}

fn head(path: &str) -> Step {
    ask("HEAD", path)
}

fn put(path: &str, json: &str) -> Step {
    Step(ask("PUT", path).0.json(json))
}

fn key(method: &str, path: &str) -> Step {
    Step::of(Request::new(method, format!("/v2/keys{path}")))
}

/// Where the index of the store is; every change of users and roles moves it.
fn index() -> Step {
    key("GET", "/nothing")
}

enum Kind {
    Embedded,
    Etcd(Binary),
}

impl Kind {
    fn all() -> Vec<Self> {
        let etcds = Binary::all().expect("a real etcd").into_iter();
        let etcds: Vec<_> = etcds.filter(|etcd| etcd.version() < V3_6).collect();
        assert!(!etcds.is_empty(), "this test needs an etcd before 3.6");
        let etcds = etcds.into_iter().map(Self::Etcd);
        std::iter::once(Self::Embedded).chain(etcds).collect()
    }
}

/// What a fresh server answers to the steps.
async fn transcript(kind: &Kind, steps: &[Step]) -> Vec<String> {
    match kind {
        Kind::Embedded => {
            let server = Server::builder().enable_v2(true).bcrypt_cost(4);
            let server = server.start().await.expect("an embedded server");
            let answers = answers(&server.endpoint(), steps).await;
            server.shutdown().await.expect("an orderly end");
            answers
        }
        Kind::Etcd(etcd) => {
            let cluster = Cluster::builder(etcd).flag("--enable-v2=true");
            let cluster = cluster.start().await.expect("a cluster");
            answers(cluster.endpoint(), steps).await
        }
    }
}

async fn answers(endpoint: &str, steps: &[Step]) -> Vec<String> {
    let mut connection = Connection::new(endpoint);
    let mut answers = Vec::with_capacity(steps.len());
    for Step(request) in steps {
        let answer = connection.exchange(request).await;
        let answer = answer.unwrap_or_else(|error| panic!("{request:?}: {error}"));
        let mut headers: Vec<String> = answer
            .head
            .headers
            .iter()
            .filter(|(name, _)| !IDENTITY.contains(&name.as_str()))
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        headers.sort();
        let has_id = answer
            .head
            .headers
            .iter()
            .any(|(name, _)| name == "x-etcd-cluster-id");
        let body = String::from_utf8_lossy(&answer.body);
        let status = answer.head.status;
        answers.push(format!(
            "{status} {headers:?} cluster id: {has_id} {body:?}"
        ));
    }
    answers
}

/// Runs the steps on the embedded server and on every real etcd, and compares what they say.
async fn compare(steps: &[Step]) {
    let embedded = transcript(&Kind::Embedded, steps).await;
    let mut differences = Vec::new();
    for kind in Kind::all() {
        let Kind::Etcd(etcd) = &kind else { continue };
        let theirs = transcript(&kind, steps).await;
        for ((Step(request), ours), theirs) in steps.iter().zip(&embedded).zip(&theirs) {
            if ours != theirs {
                differences.push(format!(
                    "{request:?}\n  embedded: {ours}\n  {etcd}: {theirs}"
                ));
            }
        }
    }
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        differences.join("\n")
    );
}
