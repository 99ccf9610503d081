//! Each kind of endpoint by its own scheme, and all that can be wrong with TLS, on real etcd.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use etcdkit::{Client, ClientBuilder, Error, ErrorKind, Outcome, Tls};
use etcdkit_testkit::{
    certificates::{Authority, Identity},
    etcd::{Binary, Cluster, Version},
};
use tempfile::TempDir;

/// The connect timeout where none should be needed: longer than any test waits.
const NEVER: Duration = Duration::from_secs(60);

/// The names that etcd is reached by here.
const LOCAL: &[&str] = &["127.0.0.1", "localhost"];

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn etcds() -> Vec<Binary> {
    Binary::all().expect("a real etcd")
}

async fn plain_etcd(etcd: &Binary) -> Cluster {
    let cluster = Cluster::builder(etcd).start().await;
    cluster.expect("etcd without TLS")
}

async fn tls_etcd(etcd: &Binary, identity: &Identity, folder: &Path) -> Cluster {
    let (certificate, key) = identity.write(folder, "server");
    let cluster = Cluster::builder(etcd).tls(certificate, key).start().await;
    cluster.expect("etcd with TLS")
}

/// An etcd that demands certificates of its clients, issued by the authority that issued its own.
async fn mutual_tls_etcd(
    etcd: &Binary,
    authority: &Authority,
    folder: &Path,
    flag: Option<&str>,
) -> Cluster {
    let (certificate, key) = authority.server(LOCAL).write(folder, "server");
    let mut builder = Cluster::builder(etcd)
        .tls(certificate, key)
        .client_ca(authority.write(folder));
    if let Some(flag) = flag {
        builder = builder.flag(flag);
    }
    builder.start().await.expect("etcd with mutual TLS")
}

/// What makes etcd speak each version of TLS; 3.5.8 was the first 3.5 that can be kept from 1.3.
fn tls_versions(etcd: &Binary) -> &'static [Option<&'static str>] {
    match etcd.version() >= Version::new(3, 5, 8) {
        true => &[None, Some("--tls-max-version=TLS1.2")],
        false => &[None],
    }
}

fn client(endpoint: &str) -> ClientBuilder {
    Client::builder().endpoint(endpoint).connect_timeout(NEVER)
}

fn trusting(authority: &Authority) -> Tls {
    Tls::new().ca_pem(authority.pem())
}

fn showing(identity: Identity, tls: Tls) -> Tls {
    tls.identity_pem(identity.certificate, identity.key)
}

async fn works(builder: ClientBuilder) {
    let client = builder.connect().await.expect("a connection");
    client.put("key", "value").await.expect("a put");
    let kv = client.get("key").await.expect("a get").expect("the key");
    assert_eq!(kv.value, "value");
}

/// Why no connection comes about; it must be known long before the connect timeout.
async fn refused(builder: ClientBuilder) -> Error {
    let connecting = tokio::time::timeout(NEVER / 2, builder.connect());
    let error = connecting.await.expect("no hang").expect_err("refused");
    assert_eq!(error.outcome(), Outcome::NotApplied);
    error
}

#[track_caller]
fn says(error: &Error, kind: ErrorKind, parts: &[&str]) {
    let text = error.to_string();
    assert_eq!(error.kind(), kind, "{text}");
    for part in parts {
        assert!(text.contains(part), "no {part:?} in {text:?}");
    }
}

#[tokio::test]
async fn a_server_is_trusted_by_a_ca_and_known_by_address_or_name() {
    let folder = folder();
    let ours = Authority::new("ours");
    for etcd in etcds() {
        let server = tls_etcd(&etcd, &ours.server(LOCAL), folder.path()).await;
        let by_address = server.endpoint();
        let by_name = by_address.replace("127.0.0.1", "localhost");
        let bare = by_name.trim_start_matches("https://");

        works(client(by_address).tls(Tls::new().ca_file(ours.write(folder.path())))).await;
        works(client(by_address).tls(trusting(&ours))).await;
        works(client(&by_name).tls(trusting(&ours))).await;
        works(client(bare).tls(trusting(&ours))).await;

        // Several CAs in one text, as while one follows another.
        let both = format!("{}{}", Authority::new("old").pem(), ours.pem());
        works(client(by_address).tls(Tls::new().ca_pem(both))).await;
    }
}

#[tokio::test]
async fn a_server_that_is_not_what_it_should_be_is_refused() {
    let folder = folder();
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    for etcd in etcds() {
        let server = tls_etcd(&etcd, &ours.server(LOCAL), folder.path()).await;
        let endpoint = server.endpoint();
        let error = refused(client(endpoint).tls(trusting(&other))).await;
        says(&error, ErrorKind::Tls, &[endpoint, "UnknownIssuer"]);
        let tls = trusting(&ours).server_name("etcd.example");
        let error = refused(client(endpoint).tls(tls)).await;
        says(
            &error,
            ErrorKind::Tls,
            &[r#"not valid for name "etcd.example""#],
        );

        let server = tls_etcd(&etcd, &ours.server(&["etcd.example"]), folder.path()).await;
        let endpoint = server.endpoint();
        let error = refused(client(endpoint).tls(trusting(&ours))).await;
        says(&error, ErrorKind::Tls, &["127.0.0.1", "etcd.example"]);
        let tls = trusting(&ours).server_name("etcd.example");
        works(client(endpoint).tls(tls)).await;

        let server = tls_etcd(&etcd, &ours.expired_server(LOCAL), folder.path()).await;
        let error = refused(client(server.endpoint()).tls(trusting(&ours))).await;
        says(&error, ErrorKind::Tls, &["certificate expired"]);
    }
}

#[tokio::test]
async fn a_client_shows_who_it_is() {
    let folder = folder();
    let ours = Authority::new("ours");
    for etcd in etcds() {
        let server = mutual_tls_etcd(&etcd, &ours, folder.path(), None).await;
        let identity = ours.client("me");
        let (chain, key) = identity.write(folder.path(), "client");
        let tls = trusting(&ours).identity_files(&chain, &key);
        works(client(server.endpoint()).tls(tls)).await;
        works(client(server.endpoint()).tls(showing(identity, trusting(&ours)))).await;

        // Certificate and key in one file, as some tools write them.
        let mut both = fs::read(&key).expect("the key");
        both.extend(fs::read(&chain).expect("the certificate"));
        let tls = trusting(&ours).identity_pem(both.clone(), both);
        works(client(server.endpoint()).tls(tls)).await;
    }
}

#[tokio::test]
async fn a_client_that_the_server_does_not_take_is_told_why() {
    let folder = folder();
    let ours = Authority::new("ours");
    let none = trusting(&ours);
    let foreign = showing(Authority::new("other").client("me"), trusting(&ours));
    let expired = showing(ours.expired_client("me"), trusting(&ours));
    for etcd in etcds() {
        for flag in tls_versions(&etcd) {
            let server = mutual_tls_etcd(&etcd, &ours, folder.path(), *flag).await;
            let endpoint = server.endpoint();
            works(client(endpoint).tls(showing(ours.client("me"), none.clone()))).await;
            // Several times, since the alert races with what the client writes after its handshake.
            for _ in 0..20 {
                let error = refused(client(endpoint).tls(none.clone())).await;
                says(
                    &error,
                    ErrorKind::Tls,
                    &["asks for a client certificate", "alert"],
                );
                let error = refused(client(endpoint).tls(foreign.clone())).await;
                says(
                    &error,
                    ErrorKind::Tls,
                    &["refuses the client's certificate", "alert"],
                );
                let error = refused(client(endpoint).tls(expired.clone())).await;
                says(
                    &error,
                    ErrorKind::Tls,
                    &["refuses the client's certificate", "alert"],
                );
            }
        }
    }
}

#[tokio::test]
async fn a_lazy_client_learns_at_its_deadline_why_it_is_not_taken() {
    let folder = folder();
    let ours = Authority::new("ours");
    for etcd in etcds() {
        let server = mutual_tls_etcd(&etcd, &ours, folder.path(), None).await;
        let lazy = client(server.endpoint())
            .tls(trusting(&ours))
            .connect_lazy();
        let lazy = lazy.expect("a client");
        let get = lazy.get("key").timeout(Duration::from_secs(3));
        let error = get.await.expect_err("no connection");
        says(
            &error,
            ErrorKind::Tls,
            &["asks for a client certificate", "alert"],
        );
    }
}

#[tokio::test]
async fn a_wrong_scheme_is_recognized() {
    let folder = folder();
    let ours = Authority::new("ours");
    for etcd in etcds() {
        let plain = plain_etcd(&etcd).await;
        let endpoint = plain.endpoint().replace("http:", "https:");
        let error = refused(client(&endpoint).tls(trusting(&ours))).await;
        says(&error, ErrorKind::Tls, &[&endpoint, "is its scheme http?"]);

        let secure = tls_etcd(&etcd, &ours.server(LOCAL), folder.path()).await;
        let endpoint = secure.endpoint().replace("https:", "http:");
        for _ in 0..20 {
            let error = refused(client(&endpoint)).await;
            says(
                &error,
                ErrorKind::Connect,
                &[&endpoint, "does not speak HTTP/2", "https://"],
            );
        }
    }
}

/// A server that gives this answer to whatever it is told, once.
fn answering(answer: &'static [u8]) -> (String, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    let serving = std::thread::spawn(move || {
        let (mut stream, _): (TcpStream, _) = listener.accept().expect("a connection");
        stream.write_all(answer).expect("an answer");
        // Until the client hangs up, since closing first could discard the answer.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    (address.to_string(), serving)
}

#[tokio::test]
async fn servers_of_other_protocols_are_recognized() {
    let alert = b"\x15\x03\x01\x00\x02\x02\x0a";
    let http1 = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
    let redis = b"-ERR unknown command\r\n";
    let tls = || trusting(&Authority::new("ours"));

    let (address, _) = answering(alert);
    let error = refused(client(&format!("http://{address}"))).await;
    let parts = ["it answers in TLS", "https://"];
    says(&error, ErrorKind::Connect, &parts);

    let (address, _) = answering(http1);
    let error = refused(client(&format!("http://{address}"))).await;
    says(&error, ErrorKind::Connect, &["it answers in HTTP/1"]);

    let (address, _) = answering(redis);
    let error = refused(client(&format!("http://{address}"))).await;
    says(&error, ErrorKind::Connect, &["does not speak HTTP/2"]);

    let (address, _) = answering(http1);
    let error = refused(client(&format!("https://{address}")).tls(tls())).await;
    says(&error, ErrorKind::Tls, &["does not answer in TLS"]);
}

fn invalid(tls: Tls, parts: &[&str]) {
    let error = client("https://127.0.0.1:2379").tls(tls).connect_lazy();
    says(
        &error.expect_err("refused"),
        ErrorKind::InvalidConfig,
        parts,
    );
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let folder = folder();
    let ours = Authority::new("ours");
    let (chain, key) = ours.client("me").write(folder.path(), "client");
    let (_, other_key) = ours.client("me").write(folder.path(), "other");
    let missing = folder.path().join("missing.pem");
    let garbage = folder.path().join("garbage.pem");
    fs::write(&garbage, [0xff; 100]).expect("a file");
    // PEM around something that is not a certificate.
    let hollow = folder.path().join("hollow.pem");
    let text = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    fs::write(&hollow, text).expect("a file");

    let identity = |chain: &Path, key: &Path| trusting(&ours).identity_files(chain, key);
    invalid(Tls::new().ca_file(&missing), &["missing.pem", "No such"]);
    invalid(Tls::new().ca_file(&garbage), &["garbage.pem", "no PEM"]);
    invalid(Tls::new().ca_file(&hollow), &["hollow.pem"]);
    invalid(Tls::new().ca_file(folder.path()), &["directory"]);
    invalid(Tls::new().ca_file(&key), &["client-key.pem", "other kinds"]);
    invalid(identity(&missing, &key), &["missing.pem"]);
    invalid(identity(&chain, &missing), &["missing.pem"]);
    invalid(identity(&garbage, &key), &["garbage.pem"]);
    invalid(identity(&chain, &garbage), &["garbage.pem"]);
    invalid(identity(&hollow, &key), &["hollow.pem"]);
    invalid(identity(&key, &chain), &["client-key.pem", "other kinds"]);
    invalid(
        identity(&chain, &other_key),
        &["other-key.pem", "client.pem", "do not belong together"],
    );
    invalid(
        trusting(&ours).server_name("not a name"),
        &["\"not a name\""],
    );
}

#[test]
fn schemes_are_not_mixed() {
    let mixed = client("http://127.0.0.1:1").endpoint("https://127.0.0.1:2");
    let error = mixed.connect_lazy().expect_err("refused");
    says(&error, ErrorKind::InvalidConfig, &["mix http and https"]);
}

/// No part of a key in any of these, as text or as a list of bytes.
#[track_caller]
fn keeps_secret(key: &str, shown: &[&dyn std::fmt::Debug]) {
    for shown in shown {
        for text in [format!("{shown:?}"), format!("{shown:#?}")] {
            let text = text.replace(['\n', ' '], "");
            for line in key.lines().filter(|line| !line.contains("-----")) {
                let bytes = format!("{:?}", line.as_bytes()).replace(' ', "");
                assert!(!text.contains(line), "{text}");
                assert!(!text.contains(bytes.trim_matches(['[', ']'])), "{text}");
            }
        }
    }
}

#[test]
fn keys_are_never_shown() {
    let ours = Authority::new("ours");
    let Identity { certificate, key } = ours.client("me");
    let other = ours.client("me").certificate;
    let one_line = key.replace('\n', "\\n");
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let endless = key.replace("-----END", "END");
    let broken = key.replacen("\nM", "\n?", 1);

    let tls = trusting(&ours).identity_pem(certificate.clone(), key.clone());
    let builder = client("https://127.0.0.1:2379").tls(tls.clone());
    keeps_secret(&key, &[&tls, &builder]);
    let client_of = builder.connect_lazy().expect("a client");
    keeps_secret(&key, &[&client_of, &client_of.get("key")]);

    for (chain, key_text, why) in [
        (&certificate, &one_line, "line breaks"),
        (&certificate, &encrypted, "encrypted"),
        (&certificate, &endless, "no end"),
        (&certificate, &broken, "base64"),
        (&key, &certificate, "other kinds"),
        (&one_line, &key, "line breaks"),
        (&other, &key, "do not belong together"),
    ] {
        let tls = trusting(&ours).identity_pem(chain.as_str(), key_text.as_str());
        let builder = client("https://127.0.0.1:2379").tls(tls);
        let error = builder.connect_lazy().expect_err("refused");
        says(&error, ErrorKind::InvalidConfig, &[why]);
        keeps_secret(&key, &[&error, &error.to_string()]);
    }
    let tls = Tls::new().ca_pem(one_line.as_str());
    let builder = client("https://127.0.0.1:2379").tls(tls);
    let error = builder.connect_lazy().expect_err("refused");
    keeps_secret(&key, &[&error, &error.to_string()]);
}

/// Not a test of its own: what the next test runs with another trust store.
#[tokio::test]
#[ignore = "run by without_settings_the_platform_decides_whom_to_trust"]
async fn connect_by_platform_trust() {
    let endpoint = std::env::var("ENDPOINT").expect("an endpoint");
    match client(&endpoint).connect().await {
        Ok(client) => drop(client.put("key", "value").await.expect("a put")),
        Err(error) => {
            says(&error, ErrorKind::Tls, &["UnknownIssuer"]);
            println!("not trusted");
            return;
        }
    }
    println!("trusted");
}

#[tokio::test]
async fn without_settings_the_platform_decides_whom_to_trust() {
    let folder = folder();
    let ours = Authority::new("ours");
    let other = folder.path().join("other.pem");
    fs::write(&other, Authority::new("other").pem()).expect("a file");
    for etcd in etcds() {
        let server = tls_etcd(&etcd, &ours.server(LOCAL), folder.path()).await;
        for (store, said) in [
            (ours.write(folder.path()), "\ntrusted"),
            (other.clone(), "\nnot trusted"),
        ] {
            let this = std::env::current_exe().expect("the path of this test");
            let output = Command::new(this)
                .args(["--ignored", "--exact", "--nocapture"])
                .arg("connect_by_platform_trust")
                .env("ENDPOINT", server.endpoint())
                // The platform's trust store, on the Unix systems that keep it in a file.
                .env("SSL_CERT_FILE", store)
                .env_remove("SSL_CERT_DIR")
                .output()
                .expect("a child process");
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(text.contains(said), "{output:?}");
        }
    }
}

#[tokio::test]
async fn unix_sockets_are_endpoints_too() {
    let folder = folder();
    let ours = Authority::new("ours");
    // etcd 3.4 wants host:port here, takes it for a file's name and makes the file where it runs.
    let name = "localhost:1";
    for etcd in etcds() {
        let server = Cluster::builder(&etcd)
            .flag(format!("--listen-client-urls=unix://{name}"))
            .start()
            .await
            .expect("etcd on a socket");
        let socket = server.folder().join(name);
        let socket = socket.display();
        works(client(&format!("unix:{socket}"))).await;
        works(client(&format!("unix://{socket}"))).await;
        let error = refused(client(&format!("unixs:{socket}")).tls(trusting(&ours))).await;
        says(&error, ErrorKind::Tls, &["hangs up on TLS"]);

        let (certificate, key) = ours.server(&["localhost"]).write(folder.path(), "server");
        let server = Cluster::builder(&etcd)
            .tls(certificate, key)
            .client_ca(ours.write(folder.path()))
            .flag(format!("--listen-client-urls=unixs://{name}"))
            .start()
            .await
            .expect("etcd with TLS on a socket");
        let socket = server.folder().join(name);
        let socket = socket.display();
        let tls = showing(ours.client("me"), trusting(&ours));
        works(client(&format!("unixs:{socket}")).tls(tls.clone())).await;
        works(client(&format!("unixs://{socket}")).tls(tls.clone())).await;
        let tls = tls.server_name("etcd.example");
        let error = refused(client(&format!("unixs:{socket}")).tls(tls)).await;
        says(&error, ErrorKind::Tls, &["etcd.example"]);
        let error = refused(client(&format!("unix:{socket}"))).await;
        says(&error, ErrorKind::Connect, &["unixs:"]);
    }
}

#[tokio::test]
async fn a_socket_that_is_not_there_is_named() {
    let folder = folder();
    let missing = folder.path().join("missing.sock");
    let error = refused(client(&format!("unix:{}", missing.display()))).await;
    says(
        &error,
        ErrorKind::Connect,
        &["missing.sock", "No such file"],
    );
    let nobody = folder.path().join("nobody.sock");
    drop(std::os::unix::net::UnixListener::bind(&nobody).expect("a socket"));
    let error = refused(client(&format!("unix:{}", nobody.display()))).await;
    says(&error, ErrorKind::Connect, &["nobody.sock", "refused"]);
}

#[tokio::test]
async fn silence_is_bounded_by_the_connect_timeout() {
    // The kernel takes connections for it; nobody ever answers on them.
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    let patience = Duration::from_millis(300);
    for scheme in ["http", "https"] {
        let start = Instant::now();
        let builder = client(&format!("{scheme}://{address}"))
            .tls(trusting(&Authority::new("ours")))
            .connect_timeout(patience);
        let error = refused(builder).await;
        says(&error, ErrorKind::Connect, &["no answer within 300ms"]);
        assert!(start.elapsed() >= patience);
    }
}
