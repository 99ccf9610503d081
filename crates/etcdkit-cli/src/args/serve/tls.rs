//! TLS between clients and the server.

use super::other::{Refusal, is_set, refuse};

const TLS: &str = "TLS on the embedded server is not in this version of etcdkit";

pub(super) const REFUSED: [Refusal; 6] = [
    refuse("cert-file", is_set, TLS),
    refuse("client-cert-file", is_set, TLS),
    refuse("client-crl-file", is_set, TLS),
    refuse("client-key-file", is_set, TLS),
    refuse("key-file", is_set, TLS),
    refuse("trusted-ca-file", is_set, TLS),
];

pub(super) const REFUSED_SWITCHES: [(&str, &str); 2] =
    [("auto-tls", TLS), ("client-cert-auth", TLS)];
