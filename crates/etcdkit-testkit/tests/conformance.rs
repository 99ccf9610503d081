//! The conformance battery on every server there is.

use etcdkit::Client;
use etcdkit_server::Server;
use etcdkit_testkit::{
    conformance::{CASES, Case, FOR_ONE_MEMBER, run},
    etcd::{Binary, Cluster},
};

async fn assert_conforms(server: &str, client: &Client, cases: &[Case]) {
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

#[tokio::test]
async fn embedded_over_tcp() {
    let server = Server::builder().start().await.expect("a server");
    let client = Client::connect(server.endpoint()).await.expect("a client");
    assert_conforms("embedded, TCP", &client, CASES).await;
    server.shutdown().await.expect("an orderly end");
}

#[tokio::test]
async fn embedded_in_process() {
    let server = Server::builder()
        .without_listener()
        .start()
        .await
        .expect("a server");
    let builder = Client::builder().connector(server.connector());
    let client = builder.connect().await.expect("a client");
    assert_conforms("embedded, in process", &client, CASES).await;
    server.shutdown().await.expect("an orderly end");
}

#[tokio::test]
async fn embedded_in_a_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::builder().data_dir(directory.path()).start().await;
    let server = server.expect("a server");
    let client = Client::connect(server.endpoint()).await.expect("a client");
    assert_conforms("embedded, durable", &client, CASES).await;
    server.shutdown().await.expect("an orderly end");
}

#[tokio::test]
async fn every_real_etcd() {
    for etcd in Binary::all().expect("a real etcd") {
        let cluster = Cluster::builder(&etcd).start().await.expect("a cluster");
        let client = Client::connect(cluster.endpoint()).await.expect("a client");
        assert_conforms(&etcd.to_string(), &client, CASES).await;
    }
}

#[tokio::test]
async fn three_members_of_every_real_etcd() {
    let cases: Vec<Case> = CASES
        .iter()
        .copied()
        .filter(|case| !FOR_ONE_MEMBER.contains(&case.name))
        .collect();
    assert_eq!(cases.len() + FOR_ONE_MEMBER.len(), CASES.len());
    for etcd in Binary::all().expect("a real etcd") {
        let cluster = Cluster::builder(&etcd)
            .members(3)
            .start()
            .await
            .expect("a cluster");
        let client = Client::connect(cluster.endpoints())
            .await
            .expect("a client");
        assert_conforms(&format!("three members of {etcd}"), &client, &cases).await;
    }
}
