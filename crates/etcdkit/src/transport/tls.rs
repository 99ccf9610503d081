//! TLS settings of a client, and what they come to on a connection.

#[cfg(not(any(feature = "tls-aws-lc", feature = "tls-ring")))]
compile_error!("TLS needs one of the features tls-aws-lc and tls-ring");

use std::{io, path::PathBuf, sync::Arc};

use rustls::{
    AlertDescription, ClientConfig, RootCertStore,
    crypto::CryptoProvider,
    pki_types::pem::PemObject,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem},
};
use rustls_platform_verifier::BuilderVerifierExt;

use super::dial::{
    BoxedIo,
    first_words::{First, FirstWords},
};
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

    /// Expects this name, or IP address, in servers' certificates instead of the endpoint's host.
    /// For `unixs:` endpoints the host is `localhost`; etcd's Go client takes the socket's file name.
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
                for certificate in pem.certificates("CA certificate")? {
                    roots.add(certificate).map_err(|error| {
                        bad(
                            &format!("a CA certificate in {pem:?} cannot be used"),
                            error,
                        )
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
        config.alpn_protocols = vec![b"h2".to_vec()];
        let server_name = match &self.server_name {
            None => None,
            Some(name) => Some(server_name(name)?),
        };
        Ok(TlsConnector {
            connector: tokio_rustls::TlsConnector::from(Arc::new(config)),
            server_name,
            has_identity: self.identity.is_some(),
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
            .map_err(|error| self.unusable(what, &text, &error))?;
        if certificates.is_empty() {
            return Err(self.unusable(what, &text, &pem::Error::NoItemsFound));
        }
        Ok(certificates)
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>> {
        let what = "client key";
        let text = self.read(what)?;
        PrivateKeyDer::from_pem_slice(&text).map_err(|error| self.unusable(what, &text, &error))
    }

    /// Says what is wrong in words of its own and without a source: the parser's errors quote what
    /// they read, and a key whose line breaks were lost is one such line.
    fn unusable(&self, what: &str, text: &[u8], error: &pem::Error) -> Error {
        let has = |part: &[u8]| text.windows(part.len()).any(|window| window == part);
        let why = match error {
            pem::Error::NoItemsFound if has(b"-----BEGIN ENCRYPTED PRIVATE KEY") => {
                "the key is encrypted, and etcdkit takes no passphrase"
            }
            pem::Error::NoItemsFound if has(b"-----BEGIN ") => {
                "its PEM sections are of other kinds"
            }
            pem::Error::NoItemsFound => "it holds no PEM section",
            pem::Error::MissingSectionEnd { .. } => "a PEM section has no end",
            pem::Error::IllegalSectionStart { .. } => {
                "a PEM section does not begin with a line of its own; are the line breaks lost?"
            }
            pem::Error::Base64Decode(_) => "a PEM section is not base64",
            _ => "it is not PEM",
        };
        Error::invalid_config(format!("TLS: no {what} in {self:?}: {why}"))
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
    has_identity: bool,
}

impl TlsConnector {
    /// Shakes hands, expecting a certificate for `host` unless the settings name another.
    pub(crate) async fn connect(&self, host: &str, io: BoxedIo) -> io::Result<BoxedIo> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => server_name(host).map_err(io::Error::other)?,
        };
        let has_identity = self.has_identity;
        let stream = self.connector.connect(name, io).await;
        let stream = stream.map_err(|error| {
            let hangs_up = "the server hangs up on TLS; is its scheme http?";
            explain(error, has_identity, hangs_up)
        })?;
        if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err(io::Error::other(
                "the server does not speak HTTP/2 over TLS",
            ));
        }
        // In TLS 1.3 the client is done before the server has looked at the client's certificate.
        Ok(Box::new(FirstWords::new(
            stream,
            move |first| match first {
                First::Byte(_) => Ok(()),
                First::Failed(error) => {
                    let hangs_up = "the server hangs up after the TLS handshake";
                    Err(explain(error, has_identity, hangs_up))
                }
            },
        )))
    }
}

/// Puts into words what a failure before the first answer means, where rustls is terse.
fn explain(error: io::Error, has_identity: bool, hangs_up: &str) -> io::Error {
    use rustls::Error::{AlertReceived, InvalidMessage};

    let of_tls = error.get_ref().and_then(|cause| cause.downcast_ref());
    let what = match of_tls {
        Some(AlertReceived(alert)) if is_about_client_certificate(*alert) => match has_identity {
            true => "the server refuses the client's certificate",
            false => "the server asks for a client certificate, and the TLS settings have none",
        },
        // What TLS 1.2 has for a missing certificate, and for much else.
        Some(AlertReceived(AlertDescription::HandshakeFailure)) if !has_identity => {
            "the server refuses the handshake; perhaps it asks for a client certificate, and the TLS \
             settings have none"
        }
        Some(InvalidMessage(_)) => "the server does not answer in TLS; is its scheme http?",
        Some(_) => return error,
        None => hangs_up,
    };
    io::Error::new(error.kind(), format!("{what} ({error})"))
}

/// Not every server has an alert of its own for a missing certificate: Debian's etcd 3.4 sends that of
/// a bad one.
fn is_about_client_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
    )
}
