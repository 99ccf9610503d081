//! What the v2 client traces has no password and no value in it.
//!
//! In a file of its own, because tracing is set up for a whole process.

use std::{fs, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use etcdkit::v2::{Client, ErrorKind};
use etcdkit_testkit::etcd::{Binary, Cluster, Version};
use tracing_subscriber::util::SubscriberInitExt;

#[tokio::test]
async fn nothing_that_is_traced_has_a_password_in_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    let file = Arc::new(fs::File::create(&log).expect("a file"));
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(file)
        .finish();
    subscriber.init();
    let mut shown = String::new();
    let has_v2 = |etcd: &Binary| etcd.version() < Version::new(3, 6, 0);
    let all = Binary::all().expect("a real etcd").into_iter();
    for etcd in all.filter(has_v2) {
        let cluster = Cluster::builder(&etcd).flag("--enable-v2=true");
        let cluster = cluster.start().await.expect("a cluster");
        let builder = || Client::builder().endpoint(cluster.endpoint());
        let anybody = builder().connect().await.expect("a client");
        let root = anybody.auth().user("root");
        root.create("pa55word").await.expect("a user");
        anybody.auth().enable().await.expect("enabled");

        let client = builder().user("root", "pa55word");
        let client = client.connect().await.expect("a client");
        let root = client.auth().user("root");
        let change = root.change_password("s3cret");
        shown += &format!("{client:?} {root:?} {change:?}");
        change.await.expect("changed");
        let error = client.set("/a", "a-value").await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Unauthorized);
        shown += &format!("{error:?} {error}");
        let client = builder().user("root", "s3cret");
        let client = client.connect().await.expect("a client");
        client.set("/a", "a-value").await.expect("written");
        let swap = client.compare_and_swap("/a", "b-value");
        swap.prev_value("a-value").await.expect("written");
    }
    let traced = fs::read_to_string(&log).expect("a log");
    for part in ["etcdkit::v2", "/v2/auth/users/root", "PUT", "status=201"] {
        assert!(traced.contains(part), "tracing does not tell of {part:?}");
    }
    for password in ["pa55word", "s3cret"] {
        for secret in [
            password.to_owned(),
            BASE64_STANDARD.encode(format!("root:{password}")),
        ] {
            assert!(!shown.contains(&secret), "printed: {secret}");
            assert!(!traced.contains(&secret), "traced: {secret}");
        }
    }
    for value in ["a-value", "b-value"] {
        assert!(!traced.contains(value), "traced: {value}");
    }
}
