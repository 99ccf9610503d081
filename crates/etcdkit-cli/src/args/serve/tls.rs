//! TLS between clients and the server.

use std::ffi::OsString;

use clap::Args;
use etcdkit_server::TlsVersion;

use crate::golang::parse_bool;

#[derive(Args, Clone, Debug)]
pub(crate) struct TlsArgs {
    /// Certificate of the server, for https:// and unixs:// addresses
    #[arg(long, env = "ETCD_CERT_FILE", value_name = "FILE")]
    pub(crate) cert_file: Option<OsString>,

    /// Key of the server's certificate
    #[arg(long, env = "ETCD_KEY_FILE", value_name = "FILE")]
    pub(crate) key_file: Option<OsString>,

    /// CA of clients' certificates; every client must then show one
    #[arg(long, env = "ETCD_TRUSTED_CA_FILE", value_name = "FILE")]
    pub(crate) trusted_ca_file: Option<OsString>,

    /// Take clients without a token for the users whom their certificates name
    #[arg(
        long,
        env = "ETCD_CLIENT_CERT_AUTH",
        num_args = 0..=1,
        require_equals = true,
        default_value = "false",
        default_missing_value = "true",
        value_parser = parse_bool,
        value_name = "BOOL"
    )]
    pub(crate) client_cert_auth: bool,

    /// Host names and addresses; clients' certificates must be for one of them
    #[arg(
        long,
        env = "ETCD_CLIENT_CERT_ALLOWED_HOSTNAME",
        value_delimiter = ',',
        value_name = "NAMES"
    )]
    pub(crate) client_cert_allowed_hostname: Vec<String>,

    /// Common names; clients' certificates must have one of them. Not a flag of etcd's: its configuration files
    /// have it.
    #[arg(long, value_delimiter = ',', value_name = "NAMES", hide = true)]
    pub(crate) client_cert_allowed_cn: Vec<String>,

    /// List of revoked certificates of clients, in DER
    #[arg(long, env = "ETCD_CLIENT_CRL_FILE", value_name = "FILE")]
    pub(crate) client_crl_file: Option<OsString>,

    /// Make a certificate on the spot, which clients cannot verify
    #[arg(
        long,
        env = "ETCD_AUTO_TLS",
        num_args = 0..=1,
        require_equals = true,
        default_value = "false",
        default_missing_value = "true",
        value_parser = parse_bool,
        value_name = "BOOL"
    )]
    pub(crate) auto_tls: bool,

    /// Oldest version of TLS to speak: TLS1.2 or TLS1.3
    #[arg(
        long,
        env = "ETCD_TLS_MIN_VERSION",
        default_value = "TLS1.2",
        value_parser = parse_version,
        value_name = "VERSION"
    )]
    pub(crate) tls_min_version: Version,

    /// Newest version of TLS to speak; the newest there is unless given
    #[arg(
        long,
        env = "ETCD_TLS_MAX_VERSION",
        default_value = "",
        hide_default_value = true,
        value_parser = parse_version,
        value_name = "VERSION"
    )]
    pub(crate) tls_max_version: Version,

    /// Cipher suites of TLS 1.2 to speak; all unless given
    #[arg(
        long,
        env = "ETCD_CIPHER_SUITES",
        value_delimiter = ',',
        value_name = "NAMES"
    )]
    pub(crate) cipher_suites: Vec<String>,
}

/// A version of TLS, or none in particular, as with an empty text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Version(pub(crate) Option<TlsVersion>);

fn parse_version(text: &str) -> Result<Version, String> {
    match text {
        "" => Ok(Version(None)),
        name => name.parse().map(|version| Version(Some(version))),
    }
}
