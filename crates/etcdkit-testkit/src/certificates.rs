//! Certificates for tests: an authority, and what it issues to servers and clients.
//!
//! Made afresh for each test, so that no file in the repository ever expires.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};

/// A certificate authority.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// A new authority with a key of its own.
    ///
    /// # Panics
    ///
    /// When `name` is not a common name.
    pub fn new(name: &str) -> Self {
        let mut params = named(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, new_key()).expect("a self-signed CA");
        Self { issuer }
    }

    /// The authority's certificate as PEM, for those who shall trust it.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Writes the authority's certificate to `folder/ca.pem`.
    ///
    /// # Panics
    ///
    /// When the file cannot be written.
    pub fn write(&self, folder: &Path) -> PathBuf {
        write(folder.join("ca.pem"), &self.pem())
    }

    /// A certificate for a server with these names, each a DNS name or an IP address.
    ///
    /// # Panics
    ///
    /// When one is neither.
    pub fn server(&self, names: &[&str]) -> Identity {
        // etcd's own gateway connects to etcd's client port with the server's certificate, so it
        // must serve as a client's too.
        self.issue(
            named("server", names),
            &[
                ExtendedKeyUsagePurpose::ServerAuth,
                ExtendedKeyUsagePurpose::ClientAuth,
            ],
        )
    }

    /// A certificate for a server that was valid in the year 2000 only.
    ///
    /// # Panics
    ///
    /// As [`server`](Self::server).
    pub fn expired_server(&self, names: &[&str]) -> Identity {
        let mut params = named("server", names);
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(2001, 1, 1);
        self.issue(params, &[ExtendedKeyUsagePurpose::ServerAuth])
    }

    /// A certificate for a client; etcd takes its common name for the user's.
    ///
    /// # Panics
    ///
    /// When `name` is not a common name.
    pub fn client(&self, name: &str) -> Identity {
        self.issue(named(name, &[]), &[ExtendedKeyUsagePurpose::ClientAuth])
    }

    /// A certificate for a client that was valid in the year 2000 only.
    ///
    /// # Panics
    ///
    /// When `name` is not a common name.
    pub fn expired_client(&self, name: &str) -> Identity {
        let mut params = named(name, &[]);
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(2001, 1, 1);
        self.issue(params, &[ExtendedKeyUsagePurpose::ClientAuth])
    }

    fn issue(&self, mut params: CertificateParams, usages: &[ExtendedKeyUsagePurpose]) -> Identity {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = usages.to_vec();
        params.use_authority_key_identifier_extension = true;
        let key = new_key();
        let certificate = params.signed_by(&key, &self.issuer);
        Identity {
            certificate: certificate.expect("a certificate").pem(),
            key: key.serialize_pem(),
        }
    }
}

/// A certificate and its key, both as PEM.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// Its private key, in PKCS #8.
    pub key: String,
}

impl Identity {
    /// Writes `name.pem` and `name-key.pem` to a folder and returns their paths in this order.
    ///
    /// # Panics
    ///
    /// When the files cannot be written.
    pub fn write(&self, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        (
            write(folder.join(format!("{name}.pem")), &self.certificate),
            write(folder.join(format!("{name}-key.pem")), &self.key),
        )
    }
}

fn named(common_name: &str, names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("DNS names and IP addresses");
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params
}

fn new_key() -> KeyPair {
    KeyPair::generate().expect("a P-256 key")
}

fn write(path: PathBuf, text: &str) -> PathBuf {
    fs::write(&path, text).expect("a file in the test's own folder");
    path
}
