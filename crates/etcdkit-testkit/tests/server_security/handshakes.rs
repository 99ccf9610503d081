//! Clients that are not let in, and what they are told.

use std::time::Duration;

use etcdkit::{Client, Tls};
use etcdkit_testkit::certificates::{Authority, Identity};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    site::{Kind, LOCAL, Settings, Site},
    transcript::{Transcript, compare},
};

/// Far above what any server here needs.
const LONG: Duration = Duration::from_secs(30);

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Whether a client is let in, or the kind of its error and the part that does not depend on the
/// server's library for TLS.
async fn comes_in(site: &Site, authority: &Authority, identity: Option<&Identity>) -> String {
    let mut tls = Tls::new().ca_pem(authority.pem());
    if let Some(identity) = identity {
        tls = tls.identity_pem(identity.certificate.clone(), identity.key.clone());
    }
    let connecting = Client::builder()
        .endpoint(site.endpoint())
        .tls(tls)
        .connect_timeout(LONG)
        .connect();
    match timeout(LONG, connecting).await.expect("no hang") {
        Ok(client) => {
            client.put("key", "value").await.expect("a put");
            "let in".to_owned()
        }
        Err(error) => {
            let text = error.to_string();
            let known = [
                "asks for a client certificate",
                "refuses the client's certificate",
            ];
            let said = known.into_iter().find(|known| text.contains(known));
            format!("{:?}: {}", error.kind(), said.unwrap_or(&text))
        }
    }
}

#[tokio::test]
async fn certificates_are_refused_alike() {
    let folder = folder();
    let ours = Authority::new("ours");
    let settings = Settings::default().mutual_tls(&ours, &folder);
    let identities = [
        ("good", Some(ours.client("ann"))),
        ("a server's too", Some(ours.server(LOCAL))),
        ("none", None),
        ("foreign", Some(Authority::new("other").client("ann"))),
        // Its name is that of the authority, but its key is another.
        ("impostor", Some(Authority::new("ours").client("ann"))),
        ("expired", Some(ours.expired_client("ann"))),
        ("a server's only", Some(ours.expired_server(LOCAL))),
    ];
    compare(async |kind| {
        let site = settings.start(kind).await;
        let mut transcript = Transcript::new();
        for (what, identity) in &identities {
            // Several times, since the alert races with what the client writes after its handshake.
            for _ in 0..5 {
                let answer = comes_in(&site, &ours, identity.as_ref()).await;
                transcript.push(((*what).to_owned(), answer));
            }
        }
        transcript
    })
    .await;
}

#[tokio::test]
async fn certificates_for_other_hosts_are_refused_alike() {
    let folder = folder();
    let ours = Authority::new("ours");
    for hostname in ["10.0.0.7", "a.clients.example"] {
        let settings = Settings::default()
            .mutual_tls(&ours, &folder)
            .allowed_hostname(hostname);
        let mut answers = Vec::new();
        for kind in Kind::all() {
            let site = settings.start(&kind).await;
            let identities = [
                ours.server(&["10.0.0.7", "a.clients.example"]),
                ours.server(&["10.0.0.7", "*.clients.example"]),
                ours.server(&["10.0.0.8", "clients.example"]),
                ours.client("a.clients.example"),
            ];
            let mut said = Vec::new();
            for identity in &identities {
                said.push(comes_in(&site, &ours, Some(identity)).await);
            }
            answers.push(said);
        }
        let refused = "Tls: refuses the client's certificate";
        let expected = ["let in", "let in", refused, refused];
        assert!(answers.len() > 1, "there is an etcd to compare with");
        assert!(answers.iter().all(|said| *said == expected), "{answers:?}");
    }
}

#[tokio::test]
async fn what_is_not_tls_gets_no_http() {
    let folder = folder();
    let ours = Authority::new("ours");
    let settings = Settings::default().mutual_tls(&ours, &folder);
    compare(async |kind| {
        let site = settings.start(kind).await;
        let address = site.endpoint().replace("https://", "");
        let mut transcript = Transcript::new();
        for hello in [
            "GET /health HTTP/1.1\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ] {
            let mut tcp = TcpStream::connect(&address).await.expect("a connection");
            tcp.write_all(hello.as_bytes()).await.expect("written");
            let mut answer = Vec::new();
            let read = timeout(LONG, tcp.read_to_end(&mut answer));
            // Whether it ends by a reset depends on how much the server has read.
            let _ = read.await.expect("the server hangs up");
            let http = answer.windows(4).any(|part| part == b"HTTP");
            transcript.push((hello.to_owned(), format!("HTTP: {http}")));
        }
        transcript
    })
    .await;
}
