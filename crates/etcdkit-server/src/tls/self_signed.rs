//! Certificates made on the spot.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};

use super::ServerTls;

/// An authority made on the spot, and what it issues, so that tests of TLS need no files.
///
/// Keys live in memory only. Certificates are good for centuries: they are for tests and labs, where
/// everybody who trusts the authority got its certificate from the same program.
///
/// Needs the feature `self-signed`, which is off by default.
///
/// ```
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use etcdkit_server::{SelfSigned, Server};
///
/// let authority = SelfSigned::new()?;
/// let server = Server::builder()
///     .listen("https://127.0.0.1:0")
///     .tls(authority.server_tls(["localhost", "127.0.0.1"])?.client_cert_auth())
///     .start()
///     .await?;
/// let ann = authority.client("ann")?;
/// // Clients trust `authority.ca_pem()` and show `ann.certificate_pem` with `ann.key_pem`.
/// # assert!(server.endpoint().starts_with("https://127.0.0.1:"));
/// # assert!(ann.certificate_pem.contains("BEGIN CERTIFICATE"));
/// # server.shutdown().await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct SelfSigned {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate.
    pub certificate_pem: String,
    /// The private key, in PKCS #8.
    pub key_pem: String,
}

/// Keys are secrets.
impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity")
            .field("certificate_pem", &self.certificate_pem)
            .finish_non_exhaustive()
    }
}

/// Why a certificate could not be made.
#[derive(Debug, thiserror::Error)]
#[error("could not make a certificate: {0}")]
pub struct SelfSignedError(#[from] rcgen::Error);

impl SelfSigned {
    /// A new authority, with a key of its own.
    ///
    /// # Errors
    ///
    /// When the system gives no random numbers.
    pub fn new() -> Result<Self, SelfSignedError> {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "etcdkit's own authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        Ok(Self { issuer })
    }

    /// The authority's certificate as PEM, for those who shall trust it.
    pub fn ca_pem(&self) -> String {
        self.issuer.pem()
    }

    /// Settings of a server with a certificate for these names, each a host name or an IP address.
    /// Clients must show a certificate of the same authority.
    ///
    /// # Errors
    ///
    /// When a name is neither, or the system gives no random numbers.
    pub fn server_tls(
        &self,
        names: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<ServerTls, SelfSignedError> {
        let identity = self.server(names)?;
        Ok(ServerTls::new()
            .identity_pem(identity.certificate_pem, identity.key_pem)
            .client_ca_pem(self.ca_pem()))
    }

    /// A certificate for a server with these names, each a host name or an IP address.
    ///
    /// # Errors
    ///
    /// When a name is neither, or the system gives no random numbers.
    pub fn server(
        &self,
        names: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Identity, SelfSignedError> {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        let params = CertificateParams::new(names)?;
        self.issue(params, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A certificate for a client. With [`ServerTls::client_cert_auth`], its common name is the user's.
    ///
    /// # Errors
    ///
    /// When the system gives no random numbers.
    pub fn client(&self, common_name: &str) -> Result<Identity, SelfSignedError> {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, common_name);
        self.issue(params, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn issue(
        &self,
        mut params: CertificateParams,
        usage: ExtendedKeyUsagePurpose,
    ) -> Result<Identity, SelfSignedError> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Identity {
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        })
    }
}
