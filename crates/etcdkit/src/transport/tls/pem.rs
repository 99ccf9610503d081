//! PEM, from a text or a file.

use std::{fmt, fs, path::PathBuf};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject};

use crate::{Error, Result};

/// PEM text, or the file that holds it.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Pem {
    File(PathBuf),
    Text(Vec<u8>),
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
            Self::File(path) => fs::read(path).map_err(|error| {
                Error::invalid_config(format!("TLS: {what} file {}: {error}", path.display()))
                    .with_source(error)
            }),
        }
    }

    pub(super) fn certificates(&self, what: &str) -> Result<Vec<CertificateDer<'static>>> {
        let text = self.read(what)?;
        let certificates = CertificateDer::pem_slice_iter(&text)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| self.unusable(what, &text, &error))?;
        if certificates.is_empty() {
            return Err(self.unusable(what, &text, &pem::Error::NoItemsFound));
        }
        Ok(certificates)
    }

    pub(super) fn key(&self) -> Result<PrivateKeyDer<'static>> {
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
