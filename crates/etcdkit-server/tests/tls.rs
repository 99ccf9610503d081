//! Addresses with TLS, clients with certificates, and certificates that change.

#![cfg(feature = "tls")]
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use etcdkit_proto::etcdserverpb::kv_client::KvClient;
use etcdkit_server::{Server, ServerBuilder, ServerTls, TlsVersion};
use hyper_util::rt::TokioIo;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};

use common::{get, put, service_fn};

/// Far above anything a working server needs.
const LONG: Duration = Duration::from_secs(20);

struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key as PEM.
#[derive(Clone)]
struct Identity(String, String);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    fn issue(&self, name: &str, sans: &[&str], serial: u64) -> Identity {
        let sans: Vec<String> = sans.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(sans).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.serial_number = Some(SerialNumber::from(serial));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity(certificate.pem(), key.serialize_pem())
    }

    fn server(&self) -> Identity {
        self.issue("server", &["localhost", "127.0.0.1"], 1)
    }

    fn revoking(&self, serial: u64) -> Vec<u8> {
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(2124, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![RevokedCertParams {
                serial_number: SerialNumber::from(serial),
                revocation_time: date_time_ymd(2024, 1, 1),
                reason_code: None,
                invalidity_date: None,
            }],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.0).unwrap().der().to_vec()
    }
}

fn settings(identity: Identity) -> ServerTls {
    ServerTls::new().identity_pem(identity.0, identity.1)
}

fn builder(tls: ServerTls) -> ServerBuilder {
    Server::builder().listen("https://127.0.0.1:0").tls(tls)
}

async fn serving(tls: ServerTls) -> Server {
    builder(tls).start().await.unwrap()
}

/// What a client trusts, shows and offers.
fn client(authority: &Authority, identity: Option<Identity>, protocols: &[&str]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(authority.0.pem().as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(Identity(chain, key)) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(chain.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap(),
    };
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().into())
        .collect();
    config
}

async fn shake_hands(
    address: SocketAddr,
    config: ClientConfig,
) -> std::io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    connector.connect(name, tcp).await
}

/// The serial number of the certificate that the server shows.
async fn shown_serial(server: &Server, authority: &Authority) -> Vec<u8> {
    let config = client(authority, None, &["h2"]);
    let stream = shake_hands(server.local_addr().unwrap(), config)
        .await
        .unwrap();
    let shown = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
    let (_, certificate) = x509_parser::parse_x509_certificate(&shown).unwrap();
    certificate.raw_serial().to_vec()
}

async fn kv(address: SocketAddr, config: ClientConfig) -> Result<KvClient<Channel>, String> {
    let endpoint = Endpoint::from_static("http://localhost");
    let connector = service_fn(move |_| {
        let config = config.clone();
        async move { shake_hands(address, config).await.map(TokioIo::new) }
    });
    let channel = endpoint.connect_with_connector(connector).await;
    channel
        .map(KvClient::new)
        .map_err(|error| format!("{error:?}"))
}

/// Whether a client with this certificate may read.
async fn is_let_in(server: &Server, authority: &Authority, identity: Option<&Identity>) -> bool {
    let config = client(authority, identity.cloned(), &["h2"]);
    match kv(server.local_addr().unwrap(), config).await {
        // In TLS 1.3 the client is done before the server has looked at its certificate.
        Ok(mut kv) => kv.range(get("k")).await.is_ok(),
        Err(_) => false,
    }
}

#[tokio::test]
async fn calls_and_plain_http_go_over_tls() {
    let ours = Authority::new();
    let server = serving(settings(ours.server())).await;
    let address = server.local_addr().unwrap();
    assert_eq!(server.endpoint(), format!("https://{address}"));

    let mut kv = kv(address, client(&ours, None, &["h2"])).await.unwrap();
    kv.put(put("k", "v")).await.unwrap();
    let kvs = kv.range(get("k")).await.unwrap().into_inner().kvs;
    assert_eq!(kvs[0].value, "v");

    for protocols in [&["http/1.1"][..], &[]] {
        let config = client(&ours, None, protocols);
        let mut stream = shake_hands(address, config).await.unwrap();
        let request = b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        // Like Go, the server may hang up without a farewell.
        let _ = stream.read_to_string(&mut answer).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    }
}

#[tokio::test]
async fn what_is_not_tls_ends_without_an_answer() {
    let ours = Authority::new();
    let server = serving(settings(ours.server())).await;
    for hello in ["GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut tcp = TcpStream::connect(server.local_addr().unwrap())
            .await
            .unwrap();
        tcp.write_all(hello.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        timeout(LONG, tcp.read_to_end(&mut answer))
            .await
            .expect("the server hangs up")
            .ok();
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    }
    assert!(is_let_in(&server, &ours, None).await);
}

#[tokio::test]
async fn who_says_nothing_keeps_nobody_waiting() {
    let ours = Authority::new();
    let server = serving(settings(ours.server())).await;
    let address = server.local_addr().unwrap();
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let answered = timeout(LONG, is_let_in(&server, &ours, None));
    assert!(answered.await.expect("an answer"));
    timeout(LONG, server.shutdown())
        .await
        .expect("handshakes do not hold up the end")
        .unwrap();
}

#[tokio::test]
async fn a_client_must_show_a_certificate_that_is_taken() {
    let (ours, other) = (Authority::new(), Authority::new());
    let ann = ours.issue("ann", &["10.0.0.7", "ann.example"], 7);
    let bob = ours.issue("bob", &["bob.example"], 8);
    let mutual = settings(ours.server()).client_ca_pem(ours.0.pem());

    let any = serving(mutual.clone()).await;
    assert!(is_let_in(&any, &ours, Some(&ann)).await);
    assert!(is_let_in(&any, &ours, Some(&bob)).await);
    assert!(!is_let_in(&any, &ours, None).await);
    let foreign = other.issue("ann", &["ann.example"], 7);
    assert!(!is_let_in(&any, &ours, Some(&foreign)).await);

    for allowed in [
        mutual.clone().allowed_common_names(["eve", "ann"]),
        mutual.clone().allowed_hostnames(["ann.example"]),
        mutual.clone().allowed_hostnames(["10.0.0.7"]),
    ] {
        let server = serving(allowed).await;
        assert!(is_let_in(&server, &ours, Some(&ann)).await);
        assert!(!is_let_in(&server, &ours, Some(&bob)).await);
    }

    let folder = tempfile::tempdir().unwrap();
    let crl = folder.path().join("crl.der");
    fs::write(&crl, ours.revoking(8)).unwrap();
    let server = serving(mutual.client_crl_file(&crl)).await;
    assert!(is_let_in(&server, &ours, Some(&ann)).await);
    assert!(!is_let_in(&server, &ours, Some(&bob)).await);
    fs::write(&crl, ours.revoking(7)).unwrap();
    assert!(!is_let_in(&server, &ours, Some(&ann)).await);
    assert!(is_let_in(&server, &ours, Some(&bob)).await);
}

fn write(folder: &Path, Identity(chain, key): &Identity) {
    fs::write(folder.join("server.pem"), chain).unwrap();
    fs::write(folder.join("server-key.pem"), key).unwrap();
}

#[tokio::test]
async fn renewed_certificates_are_shown_on_new_connections() {
    let ours = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let with_serial = |serial| ours.issue("server", &["localhost"], serial);
    write(folder.path(), &with_serial(11));
    let files = ServerTls::new().identity_files(
        folder.path().join("server.pem"),
        folder.path().join("server-key.pem"),
    );
    let server = serving(files).await;
    assert_eq!(shown_serial(&server, &ours).await, [11]);
    let mut open = kv(server.local_addr().unwrap(), client(&ours, None, &["h2"]))
        .await
        .unwrap();

    write(folder.path(), &with_serial(12));
    assert_eq!(shown_serial(&server, &ours).await, [12]);
    open.range(get("k")).await.unwrap();

    // The certificate is there before its key.
    let next = with_serial(13);
    fs::write(folder.path().join("server.pem"), &next.0).unwrap();
    assert_eq!(shown_serial(&server, &ours).await, [12]);
    fs::remove_file(folder.path().join("server-key.pem")).unwrap();
    assert_eq!(shown_serial(&server, &ours).await, [12]);
    write(folder.path(), &next);
    assert_eq!(shown_serial(&server, &ours).await, [13]);
}

#[tokio::test]
async fn one_server_speaks_tls_and_plainly() {
    let ours = Authority::new();
    // A port that is free now, since any free port would be another for each of the two.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap();
    drop(free);
    let server = Server::builder()
        .listen("http://127.0.0.1:0")
        .listen("https://127.0.0.1:0")
        .listen(format!("http://{port}"))
        .listen(format!("https://{port}"))
        .tls(settings(ours.server()))
        .start()
        .await
        .unwrap();
    assert_eq!(server.endpoints().len(), 4);
    for endpoint in server.endpoints() {
        let (scheme, address) = endpoint.split_once("://").unwrap();
        let mut kv = match scheme {
            "http" => common::connect(endpoint.clone()).await,
            _ => kv(address.parse().unwrap(), client(&ours, None, &["h2"]))
                .await
                .unwrap(),
        };
        kv.put(put(endpoint, "v")).await.unwrap();
    }
}

#[tokio::test]
async fn versions_and_cipher_suites_are_limited() {
    let ours = Authority::new();
    let suite = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305";
    let limited = settings(ours.server()).cipher_suites([suite]);
    let tls12 = serving(limited.clone().max_version(TlsVersion::Tls12)).await;
    let config = client(&ours, None, &["h2"]);
    let stream = shake_hands(tls12.local_addr().unwrap(), config)
        .await
        .unwrap();
    let (_, session) = stream.get_ref();
    assert_eq!(
        session.protocol_version(),
        Some(rustls::ProtocolVersion::TLSv1_2)
    );
    let spoken = session.negotiated_cipher_suite().unwrap().suite();
    assert_eq!(format!("{spoken:?}"), format!("{suite}_SHA256"));

    let tls13 = serving(settings(ours.server()).min_version(TlsVersion::Tls13)).await;
    let config = client(&ours, None, &["h2"]);
    let stream = shake_hands(tls13.local_addr().unwrap(), config)
        .await
        .unwrap();
    let (_, session) = stream.get_ref();
    assert_eq!(
        session.protocol_version(),
        Some(rustls::ProtocolVersion::TLSv1_3)
    );
}

#[tokio::test]
async fn settings_that_contradict_each_other_are_refused() {
    let ours = Authority::new();
    let good = settings(ours.server());
    let mutual = good.clone().client_ca_pem(ours.0.pem());
    for (tls, why) in [
        (
            good.clone().client_cert_auth(),
            "client_cert_auth needs a client CA",
        ),
        (
            good.clone().allowed_hostnames(["a"]),
            "allowed_hostnames needs",
        ),
        (
            mutual
                .clone()
                .allowed_hostnames(["a"])
                .allowed_common_names(["a"]),
            "exclude each other",
        ),
        (
            mutual.clone().allowed_hostnames(["not a name"]),
            "neither a host name",
        ),
        (
            good.clone().client_ca_pem("none"),
            "the client CA is unusable",
        ),
        (
            good.clone()
                .min_version(TlsVersion::Tls13)
                .max_version(TlsVersion::Tls12),
            "newer than the newest",
        ),
        (
            good.clone()
                .min_version(TlsVersion::Tls13)
                .cipher_suites(["a"]),
            "TLS 1.2 only",
        ),
        (
            good.cipher_suites(["TLS_RSA_WITH_AES_128_CBC_SHA"]),
            "there are TLS_ECDHE_ECDSA",
        ),
        (
            settings(Identity(ours.server().0, ours.server().1)),
            "do not belong together",
        ),
        (
            settings(Identity(ours.server().1, ours.server().0)),
            "the certificate is unusable",
        ),
    ] {
        let error = builder(tls).start().await.unwrap_err().to_string();
        assert!(error.contains("`tls`") && error.contains(why), "{error}");
    }
}
