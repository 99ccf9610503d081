//! TLS between clients and the server.

use super::other::Refusal;

const TLS: &str = "TLS on the embedded server is not in this version of etcdkit";

pub(super) const REFUSED: [Refusal; 6] = [
    ("cert-file", "ETCD_CERT_FILE", TLS),
    ("client-cert-file", "ETCD_CLIENT_CERT_FILE", TLS),
    ("client-crl-file", "ETCD_CLIENT_CRL_FILE", TLS),
    ("client-key-file", "ETCD_CLIENT_KEY_FILE", TLS),
    ("key-file", "ETCD_KEY_FILE", TLS),
    ("trusted-ca-file", "ETCD_TRUSTED_CA_FILE", TLS),
];

pub(super) const REFUSED_SWITCHES: [Refusal; 2] = [
    ("auto-tls", "ETCD_AUTO_TLS", TLS),
    ("client-cert-auth", "ETCD_CLIENT_CERT_AUTH", TLS),
];
