//! TLS settings of a client, and what they come to on a connection.

#[cfg(not(any(feature = "tls-aws-lc", feature = "tls-ring")))]
compile_error!("TLS needs one of the features tls-aws-lc and tls-ring");

mod any_certificate;
mod connector;
mod pem;
mod reload;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{ClientConfig, RootCertStore, crypto::CryptoProvider, pki_types::ServerName};
use rustls_platform_verifier::BuilderVerifierExt;

pub(crate) use self::connector::TlsConnector;
use self::{any_certificate::AnyCertificate, pem::Pem};
use crate::{Error, Result, transport::dial::Protocol};

/// How a client trusts servers and shows who it is.
///
/// Without a CA the platform's trust store decides. Used for `https://` and `unixs:` endpoints, and
/// for bare `host:port` endpoints once it is set. Debug output names files, never keys.
///
/// Files are read when the client is made and again, where they have changed, when a connection is
/// opened, so that renewed certificates need no restart. Connections that are open stay so. Files
/// that cannot be used, perhaps because they are half written, are reported by a `tracing` warning,
/// and the client goes on with what it had.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> etcdkit::Result<()> {
/// use etcdkit::{Client, Tls};
///
/// let client = Client::builder()
///     .endpoints(["https://10.0.0.1:2379", "https://10.0.0.2:2379"])
///     .tls(Tls::new().ca_file("ca.pem").identity_files("client.pem", "client-key.pem"))
///     .connect()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tls {
    roots: Option<Pem>,
    identity: Option<(Pem, Pem)>,
    server_name: Option<String>,
    accept_invalid: bool,
}

impl Tls {
    /// Trusts what the platform trusts and shows no certificate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts only the certificates of this PEM file.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.roots = Some(Pem::File(path.into()));
        self
    }

    /// Trusts only the certificates of this PEM text.
    pub fn ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots = Some(Pem::Text(pem.into()));
        self
    }

    /// Shows the certificate chain of one PEM file, with the key of the other (mutual TLS).
    pub fn identity_files(mut self, chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.identity = Some((Pem::File(chain.into()), Pem::File(key.into())));
        self
    }

    /// Shows a certificate chain given as PEM text, with its key (mutual TLS).
    pub fn identity_pem(mut self, chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.identity = Some((Pem::Text(chain.into()), Pem::Text(key.into())));
        self
    }

    /// Expects this name, or IP address, in servers' certificates instead of the endpoint's host.
    /// For `unixs:` endpoints the host is `localhost`; etcd's Go client takes the socket's file name.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Takes the server's certificate for what it says, whoever issued it, for whatever name, expired
    /// or not: **whoever can reach the network between client and server can then read and change
    /// everything**, passwords included. For labs whose certificates are made up, and for finding out
    /// what is wrong with a certificate; never for data that matters.
    ///
    /// What etcdctl does with `--insecure-skip-tls-verify`.
    pub fn danger_accept_invalid_certificates(mut self) -> Self {
        self.accept_invalid = true;
        self
    }

    /// Expects `name` in servers' certificates unless another name was asked for.
    pub(crate) fn or_server_name(mut self, name: &str) -> Self {
        self.server_name.get_or_insert_with(|| name.to_owned());
        self
    }

    /// Reads the files and makes rustls' configuration.
    fn config(&self, protocol: Protocol) -> Result<ClientConfig> {
        let provider = provider();
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| bad("no protocol version", error))?;
        let builder = match &self.roots {
            _ if self.accept_invalid => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyCertificate::new(provider))),
            None => builder
                .with_platform_verifier()
                .map_err(|error| bad("the platform's trust store cannot be used", error))?,
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                for certificate in pem.certificates("CA certificate")? {
                    roots.add(certificate).map_err(|error| {
                        let what = format!("a CA certificate in {pem:?} cannot be used");
                        bad(&what, error)
                    })?;
                }
                builder.with_root_certificates(roots)
            }
        };
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder
                .with_client_auth_cert(chain.certificates("client certificate")?, key.key()?)
                .map_err(|error| {
                    let why = match error {
                        rustls::Error::InconsistentKeys(_) => "do not belong together",
                        _ => "cannot be used",
                    };
                    let what = format!("the client certificate in {chain:?} and key in {key:?}");
                    bad(&format!("{what} {why}"), error)
                })?,
        };
        config.alpn_protocols = match protocol {
            Protocol::Http2 => vec![b"h2".to_vec()],
            Protocol::Http1 => vec![b"http/1.1".to_vec()],
        };
        Ok(config)
    }

    /// The files that the settings name.
    fn files(&self) -> impl Iterator<Item = &Path> {
        let identity = self.identity.iter().flat_map(|(chain, key)| [chain, key]);
        self.roots
            .iter()
            .chain(identity)
            .filter_map(|pem| match pem {
                Pem::File(path) => Some(path.as_path()),
                Pem::Text(_) => None,
            })
    }
}

fn bad(what: &str, error: rustls::Error) -> Error {
    Error::invalid_config(format!("TLS: {what}: {error}")).with_source(error)
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls")
            .field("roots", &self.roots)
            .field("identity", &self.identity)
            .field("server_name", &self.server_name)
            .field("accept_invalid", &self.accept_invalid)
            .finish()
    }
}

/// The provider is chosen here and given to rustls by hand, so that the process default, which
/// belongs to the application, is neither needed nor touched.
fn provider() -> Arc<CryptoProvider> {
    #[cfg(feature = "tls-aws-lc")]
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(all(feature = "tls-ring", not(feature = "tls-aws-lc")))]
    let provider = rustls::crypto::ring::default_provider();
    Arc::new(provider)
}

fn server_name(name: &str) -> Result<ServerName<'static>> {
    ServerName::try_from(name.to_owned()).map_err(|error| {
        Error::invalid_config(format!(
            "TLS: {name:?} is neither a host name nor an IP address"
        ))
        .with_source(error)
    })
}
