//! Who asks, and whom: basic authentication, TLS and client certificates.

use std::sync::{Arc, Mutex};

use base64::{Engine, prelude::BASE64_STANDARD};
use etcdkit::{
    Outcome, Tls,
    v2::{Client, ClientBuilder, ErrorKind},
};
use etcdkit_testkit::{
    certificates::Authority,
    etcd::Cluster,
    fake::http1::{FakeHttp, Reply},
};

use crate::served::etcds;

const LOCAL: &[&str] = &["127.0.0.1", "localhost"];

#[tokio::test]
async fn a_password_is_sent_and_never_shown() {
    let refusing = FakeHttp::start(|_| {
        let message = r#"{"message":"Insufficient credentials"}"#;
        Reply::json(401, message)
    });
    let refusing = refusing.await.expect("a port");
    let told = Arc::new(Mutex::new(Vec::new()));
    let client = Client::builder()
        .endpoint(refusing.endpoint())
        .user("root", "pa55word")
        .on_exchange({
            let told = Arc::clone(&told);
            move |exchange| {
                let mut told = told.lock().expect("no panic");
                told.push(format!("{exchange} {exchange:?}"));
            }
        })
        .connect_lazy()
        .expect("a client");
    let error = client.set("/a", "a-value").await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert_eq!(error.outcome(), Outcome::NotApplied);
    let error = client
        .compare_and_delete("/a")
        .prev_value("a-value")
        .await
        .expect_err("refused");

    let encoded = BASE64_STANDARD.encode("root:pa55word");
    let requests = refusing.requests();
    assert_eq!(requests.len(), 2);
    for request in requests {
        let sent = request.header("authorization").map(str::to_owned);
        assert_eq!(sent, Some(format!("Basic {encoded}")));
    }
    let told = told.lock().expect("no panic").join("\n");
    assert!(
        told.contains("PUT") && told.contains("value=...: 401"),
        "{told}"
    );
    for secret in ["pa55word", &encoded, "a-value"] {
        let shown = format!("{told} {client:?} {error} {error:?}");
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

#[tokio::test]
async fn values_of_the_store_are_what_real_servers_send() {
    for etcd in etcds() {
        let cluster = Cluster::builder(&etcd)
            .flag("--enable-v2=true")
            .start()
            .await;
        let cluster = cluster.expect("a cluster");
        let client = Client::connect(cluster.endpoint()).await.expect("a client");
        let key = "/a b/ü%2F+&?=#\"<>";
        let written = client.set(key, "v&=%+ü\"\n").await.expect("written");
        let found = client.get(key).quorum().await.expect("found");
        let node = found.node.expect("a key");
        assert_eq!(node.key, key, "{etcd}");
        assert_eq!(node.value.as_deref(), Some("v&=%+ü\"\n"), "{etcd}");
        assert_eq!(
            written.node.expect("a node").modified_index,
            node.modified_index
        );
        let synced = client.sync_endpoints().await.expect("members");
        assert_eq!(synced.endpoints, [cluster.endpoint()], "{synced:?}");
    }
}

fn tls(builder: ClientBuilder, tls: Tls) -> Client {
    builder.tls(tls).connect_lazy().expect("a client")
}

#[tokio::test]
async fn tls_is_verified() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new("trusted");
    let (certificate, key) = authority.server(LOCAL).write(folder.path(), "server");
    for etcd in etcds() {
        let cluster = Cluster::builder(&etcd)
            .tls(&certificate, &key)
            .flag("--enable-v2=true")
            .start()
            .await
            .expect("a cluster");
        let builder = || Client::builder().endpoint(cluster.endpoint());
        let client = tls(builder(), Tls::new().ca_pem(authority.pem()));
        client.set("/a", "b").await.expect("written");

        let other = Tls::new().ca_pem(Authority::new("other").pem());
        let error = builder().tls(other).connect().await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
        assert_eq!(error.outcome(), Outcome::NotApplied);

        let plain = cluster.endpoint().replace("https", "http");
        let start = std::time::Instant::now();
        let error = Client::connect(plain).await.expect_err("refused");
        assert!(start.elapsed() < std::time::Duration::from_secs(4));
        assert_eq!(error.outcome(), Outcome::NotApplied);
        assert!(error.to_string().contains("https://"), "{error}");
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_it_is_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new("trusted");
    let (certificate, key) = authority.server(LOCAL).write(folder.path(), "server");
    let identity = authority.client("somebody").write(folder.path(), "client");
    for etcd in etcds() {
        let cluster = Cluster::builder(&etcd)
            .tls(&certificate, &key)
            .client_ca(authority.write(folder.path()))
            .flag("--enable-v2=true")
            .start()
            .await
            .expect("a cluster");
        let trusting = || Tls::new().ca_pem(authority.pem());
        let builder = || Client::builder().endpoint(cluster.endpoint());
        let client = tls(
            builder(),
            trusting().identity_files(&identity.0, &identity.1),
        );
        client.set("/a", "b").await.expect("written");

        let error = builder()
            .tls(trusting())
            .connect()
            .await
            .expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Tls, "{etcd}: {error:?}");
        let nobody = tls(
            builder().request_timeout(std::time::Duration::from_secs(3)),
            trusting(),
        );
        let error = nobody.set("/a", "c").await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Tls, "{etcd}: {error:?}");
        assert_eq!(error.outcome(), Outcome::NotApplied, "{etcd}: {error:?}");
    }
}
