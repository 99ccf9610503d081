//! Certificates that are renewed under a running client, and whom a client trusts, on real etcd.

use std::{fs, path::Path, time::Duration};

use etcdkit::{Client, ErrorKind, Tls};
use etcdkit_testkit::{
    certificates::Authority,
    etcd::{Binary, Cluster},
};

const LOCAL: &[&str] = &["127.0.0.1", "localhost"];
const SOON: Duration = Duration::from_secs(30);

/// Writes all that clients and servers need, from one authority.
fn issue(folder: &Path, authority: &Authority) {
    authority.write(folder);
    authority.server(LOCAL).write(folder, "server");
    authority.client("client").write(folder, "client");
}

fn mutual(folder: &Path) -> Tls {
    Tls::new()
        .ca_file(folder.join("ca.pem"))
        .identity_files(folder.join("client.pem"), folder.join("client-key.pem"))
}

async fn cluster_of(etcd: &Binary, members: usize, folder: &Path) -> Cluster {
    Cluster::builder(etcd)
        .members(members)
        .tls(folder.join("server.pem"), folder.join("server-key.pem"))
        .client_ca(folder.join("ca.pem"))
        .start()
        .await
        .expect("a cluster with mutual TLS")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_renewed_under_a_running_client_of_three_members() {
    for etcd in Binary::all().expect("real etcds") {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        issue(folder, &Authority::new("first"));
        let mut cluster = cluster_of(&etcd, 3, folder).await;
        let client = Client::builder()
            .endpoints(cluster.endpoints())
            .tls(mutual(folder))
            .connect()
            .await
            .expect("a client");
        client.put("k", "0").await.expect("a put");

        // Another authority, so that who still has the old files is refused, either way.
        issue(folder, &Authority::new("second"));
        for member in 0..3 {
            cluster.member(member).kill().expect("a running member");
        }
        for member in cluster.members() {
            member.spawn().expect("a process");
        }
        for member in cluster.members() {
            member.ready().await.expect("a member");
        }
        client.get("k").timeout(SOON).await.expect("a get");
        client.put("k", "1").timeout(SOON).await.expect("a put");
        let kv = client.get("k").await.expect("a get").expect("the key");
        assert_eq!(kv.value, "1");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_cannot_be_used_leave_the_client_as_it_was() {
    let etcd = Binary::newest().expect("a real etcd");
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let authority = Authority::new("ca");
    issue(folder, &authority);
    let mut cluster = cluster_of(&etcd, 1, folder).await;
    let client = Client::builder()
        .endpoint(cluster.endpoint())
        .tls(mutual(folder))
        .connect()
        .await
        .expect("a client");
    client.put("k", "0").await.expect("a put");

    let (certificate, key) = (folder.join("client.pem"), folder.join("client-key.pem"));
    let renewed = authority.client("client");
    let half_written = [
        // A certificate whose key is not there yet, half of one, and none.
        (
            renewed.certificate.clone(),
            fs::read_to_string(&key).expect("the key"),
        ),
        (renewed.certificate[..100].to_owned(), renewed.key.clone()),
        (String::new(), renewed.key.clone()),
    ];
    for (round, (new_certificate, new_key)) in half_written.into_iter().enumerate() {
        fs::write(&certificate, new_certificate).expect("written");
        fs::write(&key, new_key).expect("written");
        cluster.member(0).restart().await.expect("a restart");
        let put = client.put("k", round.to_string()).timeout(SOON);
        put.await.expect("the old certificate serves on");
    }
    fs::remove_file(&certificate).expect("removed");
    cluster.member(0).restart().await.expect("a restart");
    client.put("k", "3").timeout(SOON).await.expect("a put");

    // And when they are whole again, they are taken: the server trusts only the new authority now.
    issue(folder, &Authority::new("new"));
    cluster.member(0).restart().await.expect("a restart");
    client.put("k", "4").timeout(SOON).await.expect("a put");
}

#[tokio::test]
async fn a_certificate_for_an_address_alone_is_enough() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new("ca");
    let identity = authority.server(&["127.0.0.1"]);
    let (certificate, key) = identity.write(folder.path(), "server");
    for etcd in Binary::all().expect("real etcds") {
        let cluster = Cluster::builder(&etcd)
            .tls(&certificate, &key)
            .start()
            .await;
        let cluster = cluster.expect("a cluster");
        let trusting = || Tls::new().ca_pem(authority.pem());
        let client = Client::builder()
            .endpoint(cluster.endpoint())
            .tls(trusting())
            .connect()
            .await
            .expect("a client");
        client.put("k", "v").await.expect("a put");

        let by_name = cluster.endpoint().replace("127.0.0.1", "localhost");
        let builder = || Client::builder().endpoint(&by_name);
        let error = builder().tls(trusting()).connect().await;
        assert_eq!(error.expect_err("another name").kind(), ErrorKind::Tls);
        let client = builder().tls(trusting().server_name("127.0.0.1"));
        client.connect().await.expect("by the name it has");
    }
}

#[tokio::test]
async fn verification_is_skipped_only_where_that_is_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let unknown = Authority::new("unknown");
    // Expired, for another name, by an authority that nobody knows.
    let (certificate, key) = unknown
        .expired_server(&["elsewhere.example"])
        .write(folder, "server");
    let etcd = Binary::newest().expect("a real etcd");
    let cluster = Cluster::builder(&etcd).tls(certificate, key).start().await;
    let cluster = cluster.expect("a cluster");
    let builder = || Client::builder().endpoint(cluster.endpoint());
    for tls in [Tls::new(), Tls::new().ca_pem(unknown.pem())] {
        let error = builder().tls(tls.clone()).connect().await;
        assert_eq!(error.expect_err("refused").kind(), ErrorKind::Tls);
        let client = builder().tls(tls.danger_accept_invalid_certificates());
        let client = client.connect().await.expect("no verification");
        client.put("k", "v").await.expect("a put");
    }
    let url = cluster.endpoint().replace("https", "etcds");
    let client = etcdkit::ClientBuilder::from_url(format!("{url}?insecure-skip-tls-verify"));
    let client = client.expect("a URL").connect().await;
    client
        .expect("no verification")
        .get("k")
        .await
        .expect("a get");
}
