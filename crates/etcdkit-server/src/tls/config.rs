//! From settings to what rustls works with.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion};

use super::client_certificate::{ClientCertificates, Refusals};
use super::{ServerTls, TlsVersion};
use crate::source::Source;

/// What the settings name, as read at one time. Equal contents make equal configurations.
#[derive(PartialEq, Eq)]
pub(super) struct Contents {
    chain: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
    client_crl: Option<Vec<u8>>,
}

impl ServerTls {
    pub(super) fn read(&self) -> Result<Contents, String> {
        let Some((chain, key)) = &self.identity else {
            return Err("the server's certificate and key are missing".to_owned());
        };
        let optional = |source: &Option<Source>, what| {
            source.as_ref().map(|source| source.read(what)).transpose()
        };
        Ok(Contents {
            chain: chain.read("certificate")?,
            key: key.read("key")?,
            client_ca: optional(&self.client_ca, "client CA")?,
            client_crl: optional(&self.client_crl, "client CRL")?,
        })
    }

    /// Makes rustls' configuration. The process default of rustls belongs to the application and is
    /// neither needed nor touched.
    pub(super) fn config(&self, contents: &Contents) -> Result<ServerConfig, String> {
        self.check()?;
        let provider = Arc::new(self.provider()?);
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&self.versions()?)
            .map_err(|error| format!("no version of TLS can be spoken: {error}"))?;
        let client_ca = contents.client_ca.as_deref();
        let builder = match client_ca {
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let roots = Arc::new(roots(ca)?);
                let issued = WebPkiClientVerifier::builder_with_provider(roots, provider)
                    .build()
                    .map_err(|error| format!("the client CA cannot be used: {error}"))?;
                let refusals = Refusals::new(
                    &self.allowed_common_names,
                    &self.allowed_hostnames,
                    contents.client_crl.as_deref(),
                )?;
                builder
                    .with_client_cert_verifier(Arc::new(ClientCertificates::new(issued, refusals)))
            }
        };
        let mut config = builder
            .with_single_cert(
                certificates(&contents.chain, "certificate")?,
                key(&contents.key)?,
            )
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => {
                    "the certificate and the key do not belong together".to_owned()
                }
                error => format!("the certificate and the key cannot be used: {error}"),
            })?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        if client_ca.is_some() {
            // A resumed session would not look at the client's certificate again, which may have expired
            // or been revoked.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(config)
    }

    /// Refuses settings that contradict each other.
    fn check(&self) -> Result<(), String> {
        if self.client_ca.is_none() {
            for (set, what) in [
                (self.client_cert_auth, "client_cert_auth"),
                (self.client_crl.is_some(), "client_crl_file"),
                (
                    !self.allowed_common_names.is_empty(),
                    "allowed_common_names",
                ),
                (!self.allowed_hostnames.is_empty(), "allowed_hostnames"),
            ] {
                if set {
                    return Err(format!(
                        "{what} needs a client CA, to tell whose certificates to believe"
                    ));
                }
            }
        }
        if !self.allowed_common_names.is_empty() && !self.allowed_hostnames.is_empty() {
            return Err(
                "allowed common names and allowed host names exclude each other".to_owned(),
            );
        }
        Ok(())
    }

    fn versions(&self) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
        let oldest = self.min_version.unwrap_or(TlsVersion::Tls12);
        let newest = self.max_version.unwrap_or(TlsVersion::Tls13);
        if oldest > newest {
            return Err("the oldest version of TLS is newer than the newest".to_owned());
        }
        Ok([
            (TlsVersion::Tls13, &rustls::version::TLS13),
            (TlsVersion::Tls12, &rustls::version::TLS12),
        ]
        .into_iter()
        .filter(|(version, _)| (oldest..=newest).contains(version))
        .map(|(_, version)| version)
        .collect())
    }

    /// The provider, without the cipher suites of TLS 1.2 that are not wanted.
    fn provider(&self) -> Result<CryptoProvider, String> {
        let mut provider = aws_lc_rs::default_provider();
        if self.cipher_suites.is_empty() {
            return Ok(provider);
        }
        if self.min_version == Some(TlsVersion::Tls13) {
            return Err("cipher suites can be chosen for TLS 1.2 only, which is off".to_owned());
        }
        let mut wanted = Vec::new();
        for name in &self.cipher_suites {
            let suite = provider
                .cipher_suites
                .iter()
                .find(|suite| standard_names(suite).contains(name));
            wanted.push(suite.ok_or_else(|| unknown_suite(name, &provider))?.suite());
        }
        provider
            .cipher_suites
            .retain(|suite| suite.tls13().is_some() || wanted.contains(&suite.suite()));
        Ok(provider)
    }
}

/// The registered name, and the shorter one that Go also knows.
fn standard_names(suite: &SupportedCipherSuite) -> Vec<String> {
    let name = format!("{:?}", suite.suite()).replace("TLS13_", "TLS_");
    match name.strip_suffix("_POLY1305_SHA256") {
        Some(start) => vec![format!("{start}_POLY1305"), name],
        None => vec![name],
    }
}

fn unknown_suite(name: &str, provider: &CryptoProvider) -> String {
    let known: Vec<String> = provider
        .cipher_suites
        .iter()
        .filter(|suite| suite.tls13().is_none())
        .filter_map(|suite| standard_names(suite).pop())
        .collect();
    format!(
        "no cipher suite {name:?}; there are {} and those of TLS 1.3",
        known.join(", ")
    )
}

fn roots(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem, "client CA")? {
        roots
            .add(certificate)
            .map_err(|error| format!("a client CA cannot be used: {error}"))?;
    }
    Ok(roots)
}

fn certificates(pem: &[u8], what: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("the {what} is unusable: {}", reason(&error)))?;
    if certificates.is_empty() {
        return Err(format!(
            "the {what} is unusable: there is no PEM section CERTIFICATE"
        ));
    }
    Ok(certificates)
}

fn key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(pem)
        .map_err(|error| format!("the key is unusable: {}", reason(&error)))
}

/// In words of its own: the parser's quote what they read, which may be a key.
fn reason(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::NoItemsFound => "there is no PEM section for it (keys must not be encrypted)",
        pem::Error::MissingSectionEnd { .. } => "a PEM section has no end",
        pem::Error::IllegalSectionStart { .. } => "a PEM section has no line of its own to begin",
        pem::Error::Base64Decode(_) => "a PEM section is not base64",
        _ => "it is not PEM",
    }
}
