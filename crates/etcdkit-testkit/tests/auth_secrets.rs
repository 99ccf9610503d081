//! Passwords and tokens never show: not in what is printed, and not in what is traced.
//!
//! In a file of its own, because tracing is set up for a whole process.

use std::{
    fs,
    future::IntoFuture,
    io::{self, Write},
    sync::{Arc, Mutex},
};

use etcdkit::{Client, ErrorKind};
use etcdkit_testkit::etcd::{Binary, Cluster};
use tracing_subscriber::fmt::MakeWriter;

const PASSWORD: &str = "correct horse";
const OTHER: &str = "battery staple";
/// What every JWT begins with.
const TOKEN: &str = "eyJ";

/// Keeps what is traced.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("no panic")).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn passwords_and_tokens_do_not_show() {
    let log = Log::default();
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .init();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let key = folder.path().join("jwt-key");
    fs::write(&key, "a key for tests").expect("a file");

    let mut shown = String::new();
    for etcd in Binary::all().expect("a real etcd") {
        let flag = format!(
            "--auth-token=jwt,priv-key={},sign-method=HS256,ttl=300s",
            key.display()
        );
        let cluster = Cluster::builder(&etcd).flag("--bcrypt-cost=4").flag(flag);
        let mut cluster = cluster.start().await.expect("a cluster");
        let endpoint = cluster.endpoint().to_owned();

        let builder = Client::builder().endpoint(&endpoint);
        let builder = builder.user("root", PASSWORD);
        shown += &format!("{builder:?} {builder:#?}");
        let client = builder.connect().await.expect("a connection");
        let user = client.auth().user("root");
        let request = user.add(PASSWORD);
        shown += &format!("{request:?}");
        let call = request.into_future();
        shown += &format!("{call:?}");
        call.await.expect("a user");
        user.grant_role("root").await.expect("a role");
        client.auth().enable().await.expect("enabled");
        client.put("key", "value").await.expect("a put");
        shown += &format!("{client:?} {:?} {user:?}", client.auth());

        // All that can go wrong with them.
        let alice = client.auth().user("alice");
        let change = alice.change_password(OTHER).await;
        let given = Client::builder().endpoint(&endpoint);
        let given = given.token(format!("{TOKEN}.{TOKEN}.{TOKEN}"));
        shown += &format!("{given:?}");
        let given = given.connect().await.expect("a connection");
        shown += &format!("{given:?}");
        let wrong = Client::builder().endpoint(&endpoint).user("root", OTHER);
        let unsendable = Client::builder().token(format!("{TOKEN}\n"));
        let both = Client::builder().token(TOKEN).user("root", PASSWORD);
        for (error, kind) in [
            (change.expect_err("nobody"), ErrorKind::UserNotFound),
            (
                given.get("key").await.expect_err("refused"),
                ErrorKind::InvalidAuthToken,
            ),
            (
                wrong.connect().await.expect_err("refused"),
                ErrorKind::AuthFailed,
            ),
            (
                unsendable
                    .endpoint(&endpoint)
                    .connect_lazy()
                    .expect_err("refused"),
                ErrorKind::InvalidConfig,
            ),
            (
                both.endpoint(&endpoint)
                    .connect_lazy()
                    .expect_err("refused"),
                ErrorKind::InvalidConfig,
            ),
        ] {
            assert_eq!(error.kind(), kind, "{error}");
            shown += &format!("{error} {error:?} {error:#?}");
        }

        // A restart while logging in, for what is said about it.
        cluster.member(0).kill().expect("a kill");
        let late = client.put("key", "value").await.expect_err("nobody serves");
        shown += &format!("{late} {late:?}");
    }

    let traced = log.text();
    for part in ["h2::", "logged in", "token", "authenticate"] {
        assert!(traced.contains(part), "tracing does not tell of {part:?}");
    }
    for secret in [PASSWORD, OTHER, TOKEN] {
        assert!(!shown.contains(secret), "printed");
        if let Some(at) = traced.find(secret) {
            let line = traced[..at].rfind('\n').map_or(0, |end| end + 1);
            panic!("{secret:?} in {}", &traced[line..at + secret.len()]);
        }
    }
}
