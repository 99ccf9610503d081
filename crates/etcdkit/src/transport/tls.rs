//! TLS settings of a client.

use std::{path::PathBuf, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use rustls_platform_verifier::BuilderVerifierExt;

use crate::{Error, Result};

/// How a client trusts servers and shows who it is.
///
/// Without a CA the platform's trust store decides. Used for `https://` and `unixs:` endpoints, and
/// for bare `host:port` endpoints once it is set. Debug output names files, never keys.
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
#[derive(Clone, Default)]
pub struct Tls {
    roots: Option<Pem>,
    identity: Option<(Pem, Pem)>,
    server_name: Option<String>,
}

/// PEM text, or the file that holds it.
#[derive(Clone)]
enum Pem {
    File(PathBuf),
    Text(Vec<u8>),
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

    /// Expects this name in servers' certificates instead of the endpoint's host.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Reads the files and makes rustls' configuration, once for the whole client.
    pub(crate) fn build(&self) -> Result<TlsConnector> {
        let bad = |what: &str, error: rustls::Error| {
            Error::invalid_config(format!("TLS: {what}: {error}")).with_source(error)
        };
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| bad("no protocol version", error))?;
        let builder = match &self.roots {
            None => builder
                .with_platform_verifier()
                .map_err(|error| bad("the platform's trust store cannot be used", error))?,
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                for certificate in pem.certificates("CA")? {
                    roots
                        .add(certificate)
                        .map_err(|error| bad("a CA certificate cannot be used", error))?;
                }
                builder.with_root_certificates(roots)
            }
        };
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder
                .with_client_auth_cert(chain.certificates("client certificate")?, key.key()?)
                .map_err(|error| bad("the client certificate and key cannot be used", error))?,
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        let server_name = match &self.server_name {
            None => None,
            Some(name) => Some(server_name(name)?),
        };
        Ok(TlsConnector {
            connector: tokio_rustls::TlsConnector::from(Arc::new(config)),
            server_name,
        })
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls")
            .field("roots", &self.roots)
            .field("identity", &self.identity)
            .field("server_name", &self.server_name)
            .finish()
    }
}

impl std::fmt::Debug for Pem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.fmt(f),
            Self::Text(_) => f.write_str("PEM text"),
        }
    }
}

impl Pem {
    fn read(&self, what: &str) -> Result<Vec<u8>> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::File(path) => std::fs::read(path).map_err(|error| {
                Error::invalid_config(format!("TLS: {what} file {}: {error}", path.display()))
                    .with_source(error)
            }),
        }
    }

    fn certificates(&self, what: &str) -> Result<Vec<CertificateDer<'static>>> {
        let text = self.read(what)?;
        let certificates = CertificateDer::pem_slice_iter(&text)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| {
                Error::invalid_config(format!("TLS: {what} in {self:?} is not PEM: {error}"))
                    .with_source(error)
            })?;
        if certificates.is_empty() {
            return Err(Error::invalid_config(format!("TLS: no {what} in {self:?}")));
        }
        Ok(certificates)
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>> {
        PrivateKeyDer::from_pem_slice(&self.read("client key")?).map_err(|error| {
            Error::invalid_config(format!("TLS: no client key in {self:?}: {error}"))
                .with_source(error)
        })
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

/// Speaks TLS on top of a connection.
#[derive(Clone)]
pub(crate) struct TlsConnector {
    connector: tokio_rustls::TlsConnector,
    server_name: Option<ServerName<'static>>,
}

impl TlsConnector {
    /// Shakes hands, expecting a certificate for `host` unless the settings name another.
    pub(crate) async fn connect<I>(
        &self,
        host: &str,
        io: I,
    ) -> std::io::Result<tokio_rustls::client::TlsStream<I>>
    where
        I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => server_name(host).map_err(std::io::Error::other)?,
        };
        let stream = self.connector.connect(name, io).await?;
        if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err(std::io::Error::other(
                "the server does not speak HTTP/2 over TLS",
            ));
        }
        Ok(stream)
    }
}
