//! The v2 conformance battery on every server there is.

use etcdkit::v2::Client;
use etcdkit_server::{Server, ServerBuilder};
use etcdkit_testkit::{
    conformance::{Case, run},
    etcd::{Binary, Cluster, Version},
    v2::conformance::{CASES, NOT_FOR_3_5},
};

async fn assert_conforms(server: &str, client: &Client, cases: &[Case<Client>]) {
    if let Err(failed) = run(server, client, cases).await {
        let list: Vec<String> = failed.iter().map(ToString::to_string).collect();
        panic!(
            "{server} fails {} of {} cases:\n{}",
            list.len(),
            cases.len(),
            list.join("\n")
        );
    }
}

fn builder() -> ServerBuilder {
    Server::builder().enable_v2(true)
}

#[tokio::test]
async fn embedded_over_tcp() {
    let server = builder().start().await.expect("a server");
    let client = Client::connect(server.endpoint()).await.expect("a client");
    assert_conforms("embedded, TCP", &client, CASES).await;
    server.shutdown().await.expect("an orderly end");
}

#[tokio::test]
async fn embedded_in_process() {
    let server = builder().without_listener().start().await;
    let server = server.expect("a server");
    let builder = Client::builder().connector(server.connector());
    let client = builder.connect().await.expect("a client");
    assert_conforms("embedded, in process", &client, CASES).await;
    server.shutdown().await.expect("an orderly end");
}

#[tokio::test]
async fn embedded_in_a_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = builder().data_dir(directory.path()).start().await;
    let server = server.expect("a server");
    let client = Client::connect(server.endpoint()).await.expect("a client");
    assert_conforms("embedded, durable", &client, CASES).await;
    server.shutdown().await.expect("an orderly end");
}

async fn assert_etcd_conforms(etcd: &Binary, members: usize) {
    let cluster = Cluster::builder(etcd).flag("--enable-v2=true");
    let cluster = cluster.members(members).start().await.expect("a cluster");
    let client = Client::connect(cluster.endpoints()).await;
    let client = client.expect("a client");
    let has_bug = etcd.version() >= Version::new(3, 5, 0);
    let mut cases = CASES.to_vec();
    cases.retain(|case| !has_bug || !NOT_FOR_3_5.contains(&case.name));
    let left_out = if has_bug { NOT_FOR_3_5.len() } else { 0 };
    assert_eq!(cases.len() + left_out, CASES.len());
    let server = format!("{etcd}, {members} member(s)");
    assert_conforms(&server, &client, &cases).await;
}

#[tokio::test]
async fn every_real_etcd() {
    for etcd in Binary::all_with_v2().expect("a real etcd with v2") {
        assert_etcd_conforms(&etcd, 1).await;
    }
}

#[tokio::test]
async fn three_members_of_every_real_etcd() {
    for etcd in Binary::all_with_v2().expect("a real etcd with v2") {
        assert_etcd_conforms(&etcd, 3).await;
    }
}
