//! The helper that starts real etcd processes does what it says.

use std::{
    net::TcpStream,
    path::Path,
    time::{Duration, Instant},
};

use etcdkit_testkit::etcd::{Binary, Cluster, MemberError};

fn accepts_connections(endpoint: &str) -> bool {
    let address = endpoint.trim_start_matches("http://");
    TcpStream::connect(address).is_ok()
}

#[tokio::test]
async fn one_member_starts_ends_and_leaves_nothing() {
    for etcd in Binary::all().expect("a real etcd") {
        let mut cluster = Cluster::builder(&etcd).start().await.expect("a cluster");
        let endpoint = cluster.endpoint().to_owned();
        assert!(accepts_connections(&endpoint), "{etcd}");

        cluster.member(0).kill().expect("a running member");
        assert!(!accepts_connections(&endpoint), "{etcd}");
        assert!(cluster.member(0).kill().is_err(), "it is dead already");

        cluster.member(0).restart().await.expect("a restart");
        assert!(accepts_connections(&endpoint), "{etcd}");

        cluster.member(0).terminate().await.expect("an orderly end");
        assert!(!accepts_connections(&endpoint), "{etcd}");
        cluster.member(0).restart().await.expect("a restart");
        drop(cluster);
        assert!(!accepts_connections(&endpoint), "{etcd}");
    }
}

#[tokio::test]
async fn three_members_survive_the_loss_of_one() {
    let etcd = Binary::newest().expect("a real etcd");
    let mut cluster = Cluster::builder(&etcd)
        .members(3)
        .start()
        .await
        .expect("a cluster");
    assert_eq!(cluster.endpoints().len(), 3);
    cluster.member(0).kill().expect("a running member");
    cluster.member(1).ready().await.expect("a quorum is left");
    cluster.member(0).restart().await.expect("it comes back");
}

#[tokio::test]
async fn a_paused_member_answers_again_after_resume() {
    let etcd = Binary::newest().expect("a real etcd");
    let mut cluster = Cluster::builder(&etcd).start().await.expect("a cluster");
    cluster.member(0).pause().expect("a running member");
    let pending = tokio::time::timeout(Duration::from_millis(300), cluster.member(0).ready());
    assert!(pending.await.is_err(), "a paused member answered");
    cluster.member(0).resume().expect("a running member");
    cluster.member(0).ready().await.expect("it answers again");
}

#[tokio::test]
async fn a_failed_start_shows_the_log() {
    let etcd = Binary::newest().expect("a real etcd");
    let start = Instant::now();
    let error = Cluster::builder(&etcd)
        .flag("--no-such-flag")
        .start()
        .await
        .expect_err("etcd refuses the flag");
    assert!(matches!(error, MemberError::Ended { .. }), "{error}");
    assert!(error.to_string().contains("no-such-flag"), "{error}");
    assert!(
        start.elapsed() < Duration::from_secs(50),
        "it waits for what has ended"
    );
}

#[test]
fn a_named_binary_that_does_not_exist_is_an_error() {
    assert!(Binary::at(Path::new("/no/such/etcd")).is_err());
}

/// Not a test of its own: the process that the next test lets die without any clean-up.
#[tokio::test]
#[ignore = "run by no_etcd_outlives_an_aborted_test_process"]
async fn start_and_abort() {
    let etcd = Binary::newest().expect("a real etcd");
    let cluster = Cluster::builder(&etcd).start().await.expect("a cluster");
    println!("serving at {}", cluster.endpoint());
    std::process::abort();
}

#[test]
fn no_etcd_outlives_an_aborted_test_process() {
    let this = std::env::current_exe().expect("the path of this test");
    let output = std::process::Command::new(this)
        .args(["--ignored", "--exact", "--nocapture", "start_and_abort"])
        .output()
        .expect("a child process");
    let text = String::from_utf8_lossy(&output.stdout);
    let (_, rest) = text.split_once("serving at ").expect("it started etcd");
    let endpoint = rest.lines().next().expect("an endpoint");

    let start = Instant::now();
    while accepts_connections(endpoint) {
        assert!(start.elapsed() < Duration::from_secs(60), "etcd still runs");
        std::thread::sleep(Duration::from_millis(5));
    }
}
