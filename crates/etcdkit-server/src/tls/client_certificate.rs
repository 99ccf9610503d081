//! What is asked of a client's certificate beyond that a known CA has issued it.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};

/// The common name of a certificate's subject: the last one if there are several, and nothing if there
/// is none, as in Go.
pub(super) fn common_name(certificate: &CertificateDer<'_>) -> String {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else {
        return String::new();
    };
    let name = certificate.subject().iter_common_name().last();
    name.and_then(|name| name.as_str().ok())
        .unwrap_or_default()
        .to_owned()
}

/// Which certificates are refused although a known CA has issued them.
pub(super) struct Refusals {
    /// If any, the only ones.
    common_names: Vec<String>,
    /// If any, a certificate must be for one.
    hostnames: Vec<ServerName<'static>>,
    /// Serial numbers, as they are written in DER.
    revoked: Vec<Vec<u8>>,
}

impl Refusals {
    pub(super) fn new(
        common_names: &[String],
        hostnames: &[String],
        crl: Option<&[u8]>,
    ) -> Result<Self, String> {
        let hostnames = hostnames
            .iter()
            .map(|name| {
                ServerName::try_from(name.clone())
                    .map_err(|_| format!("{name:?} is neither a host name nor an IP address"))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            common_names: common_names.to_vec(),
            hostnames,
            revoked: crl.map(revoked).transpose()?.unwrap_or_default(),
        })
    }

    fn check(&self, certificate: &CertificateDer<'_>) -> Result<(), CertificateError> {
        if !self.common_names.is_empty() && !self.common_names.contains(&common_name(certificate)) {
            return Err(CertificateError::NotValidForName);
        }
        if !self.hostnames.is_empty() {
            let parsed = ParsedCertificate::try_from(certificate)
                .map_err(|_| CertificateError::BadEncoding)?;
            let is_for = |name: &ServerName<'_>| verify_server_name(&parsed, name).is_ok();
            if !self.hostnames.iter().any(is_for) {
                return Err(CertificateError::NotValidForName);
            }
        }
        Ok(())
    }

    /// etcd looks at every certificate that the client has sent.
    fn check_revoked(&self, certificate: &CertificateDer<'_>) -> Result<(), CertificateError> {
        if self.revoked.is_empty() {
            return Ok(());
        }
        let (_, certificate) =
            X509Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
        let serial = certificate.raw_serial();
        match self.revoked.iter().any(|revoked| revoked == serial) {
            true => Err(CertificateError::Revoked),
            false => Ok(()),
        }
    }
}

fn revoked(crl: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let (_, list) = CertificateRevocationList::from_der(crl).map_err(|_| {
        "the client CRL is not a list of revoked certificates in DER (`openssl crl -outform DER` \
         makes one of PEM)"
    })?;
    let serials = list.iter_revoked_certificates();
    Ok(serials
        .map(|revoked| revoked.raw_serial().to_vec())
        .collect())
}

/// Takes certificates of known CAs, unless they are refused.
pub(super) struct ClientCertificates {
    issued: Arc<dyn ClientCertVerifier>,
    refusals: Refusals,
}

impl ClientCertificates {
    pub(super) fn new(issued: Arc<dyn ClientCertVerifier>, refusals: Refusals) -> Self {
        Self { issued, refusals }
    }
}

impl fmt::Debug for ClientCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificates").finish_non_exhaustive()
    }
}

impl ClientCertVerifier for ClientCertificates {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.issued.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self
            .issued
            .verify_client_cert(end_entity, intermediates, now)
            .map_err(|error| match error {
                // An issuer with the name of a known CA and another key. What clients would be told of it
                // otherwise does not sound like their certificate's fault.
                Error::InvalidCertificate(CertificateError::BadSignature) => {
                    CertificateError::UnknownIssuer.into()
                }
                error => error,
            })?;
        self.refusals.check(end_entity)?;
        for certificate in std::iter::once(end_entity).chain(intermediates) {
            self.refusals.check_revoked(certificate)?;
        }
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.issued
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.issued
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.issued.supported_verify_schemes()
    }
}
