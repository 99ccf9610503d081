//! TLS of the server's addresses, and what it asks of clients.

#[cfg_attr(not(feature = "tls"), path = "without.rs")]
mod acceptor;
#[cfg(feature = "tls")]
mod client_certificate;
#[cfg(feature = "tls")]
mod config;
#[cfg(feature = "self-signed")]
mod self_signed;

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

pub(crate) use self::acceptor::Security;
#[cfg(feature = "self-signed")]
pub use self::self_signed::{Identity, SelfSigned, SelfSignedError};

use crate::source::Source;

/// The name of a user, from the certificate that a connection's client has shown.
///
/// In the extensions of every request of that connection.
#[derive(Clone, Debug)]
pub(crate) struct CertificateUser(pub(crate) Arc<str>);

/// How the server proves who it is on its `https://` and `unixs:` addresses, and whether clients must.
///
/// Clients need no certificate until a [client CA](Self::client_ca_file) is set. HTTP/2 and HTTP/1.1 are
/// offered, and TLS 1.2 and 1.3 unless limited.
///
/// Files are read at the start, and again for each new connection where their contents have changed;
/// so renewed certificates need no restart. Open connections stay as they are. Files that cannot
/// be used then, perhaps because they are half written, are reported by a `tracing` warning, and the
/// server goes on with what it had.
///
/// Needs the feature `tls`, which is on by default; without it the server does not start.
/// Debug output names files, never keys.
///
/// # What is deliberately not etcd's
///
/// * Files that cannot be used later make etcd refuse connections. It reads the client CA only once.
/// * Without a client CA, etcd's `--client-cert-auth` trusts whatever the system trusts.
/// * A revoked certificate is refused in the handshake, so that the client is told; etcd hangs up after it.
/// * A client may not show a certificate that is itself a CA's, or of X.509's first version.
/// * Cipher suites without forward secrecy or with CBC do not exist. HTTP/1.1 is agreed on, where etcd
///   speaks it without saying so.
///
/// ```no_run
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use etcdkit_server::{Server, ServerTls};
///
/// let server = Server::builder()
///     .listen("https://127.0.0.1:2379")
///     .tls(ServerTls::new()
///         .identity_files("server.pem", "server-key.pem")
///         .client_ca_file("ca.pem")
///         .client_cert_auth())
///     .start()
///     .await?;
/// # server.shutdown().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "settings do nothing until they are given to a builder"]
pub struct ServerTls {
    identity: Option<(Source, Source)>,
    client_ca: Option<Source>,
    client_crl: Option<Source>,
    client_cert_auth: bool,
    allowed_common_names: Vec<String>,
    allowed_hostnames: Vec<String>,
    min_version: Option<TlsVersion>,
    max_version: Option<TlsVersion>,
    cipher_suites: Vec<String>,
}

/// A version of TLS; older ones than these are not secure, and not offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl FromStr for TlsVersion {
    type Err = String;

    /// Takes etcd's names, `TLS1.2` and `TLS1.3`.
    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "TLS1.2" => Ok(Self::Tls12),
            "TLS1.3" => Ok(Self::Tls13),
            _ => Err(format!("{name:?}: expected TLS1.2 or TLS1.3")),
        }
    }
}

impl ServerTls {
    /// Nothing set; a certificate with its key is needed.
    pub fn new() -> Self {
        Self::default()
    }

    /// The server's certificate, with those between it and its CA after it in the same PEM file, and the
    /// PEM file of its key; etcd's `--cert-file` and `--key-file`.
    pub fn identity_files(mut self, chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.identity = Some((Source::File(chain.into()), Source::File(key.into())));
        self
    }

    /// The same as PEM texts.
    pub fn identity_pem(mut self, chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.identity = Some((Source::Bytes(chain.into()), Source::Bytes(key.into())));
        self
    }

    /// Demands a certificate of every client, issued by a CA of this PEM file; etcd's
    /// `--trusted-ca-file`.
    pub fn client_ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.client_ca = Some(Source::File(path.into()));
        self
    }

    /// The same as PEM text.
    pub fn client_ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.client_ca = Some(Source::Bytes(pem.into()));
        self
    }

    /// Once authentication is on, takes a client that shows no token for the user whom the common name
    /// of its certificate names; etcd's `--client-cert-auth`. A token goes before the certificate.
    ///
    /// Needs a [client CA](Self::client_ca_file); etcd would trust whatever the system trusts.
    pub fn client_cert_auth(mut self) -> Self {
        self.client_cert_auth = true;
        self
    }

    /// Refuses clients whose certificate has none of these common names; etcd's configuration files
    /// have it as `allowed-cn`. Excludes [`allowed_hostnames`](Self::allowed_hostnames).
    pub fn allowed_common_names(
        mut self,
        names: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.allowed_common_names = names.into_iter().map(Into::into).collect();
        self
    }

    /// Refuses clients whose certificate is for none of these host names and IP addresses, as its
    /// subject alternative names say; etcd's `--client-cert-allowed-hostname`.
    pub fn allowed_hostnames(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.allowed_hostnames = names.into_iter().map(Into::into).collect();
        self
    }

    /// Refuses clients whose certificate is in this list of revoked ones, in DER; etcd's
    /// `--client-crl-file`. As in etcd only serial numbers are looked at, not who signed the list.
    pub fn client_crl_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.client_crl = Some(Source::File(path.into()));
        self
    }

    /// The oldest version of TLS that is spoken; 1.2 unless set, as with etcd's `--tls-min-version`.
    pub fn min_version(mut self, version: TlsVersion) -> Self {
        self.min_version = Some(version);
        self
    }

    /// The newest version of TLS that is spoken; 1.3 unless set. etcd's `--tls-max-version`.
    pub fn max_version(mut self, version: TlsVersion) -> Self {
        self.max_version = Some(version);
        self
    }

    /// The cipher suites of TLS 1.2 by their standard names, such as
    /// `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`; etcd's `--cipher-suites`. All unless set. Those without
    /// forward secrecy or with CBC, which etcd can still be asked for, do not exist here. As in etcd, the
    /// suites of TLS 1.3 cannot be chosen.
    pub fn cipher_suites(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.cipher_suites = names.into_iter().map(Into::into).collect();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_do_not_show_keys() {
        let tls = ServerTls::new()
            .identity_pem("chain", "secret")
            .client_ca_file("ca.pem");
        let shown = format!("{tls:?}");
        assert!(
            !shown.contains("secret") && shown.contains("ca.pem"),
            "{shown}"
        );
    }

    #[test]
    fn versions_have_etcds_names() {
        assert_eq!("TLS1.2".parse(), Ok(TlsVersion::Tls12));
        assert_eq!("TLS1.3".parse(), Ok(TlsVersion::Tls13));
        assert!("TLS1.1".parse::<TlsVersion>().is_err());
    }
}
