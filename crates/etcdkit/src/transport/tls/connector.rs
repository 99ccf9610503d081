//! TLS on a connection.

use std::io;

use rustls::{AlertDescription, pki_types::ServerName};

use super::{Tls, reload::Reload, server_name};
use crate::{
    Result,
    transport::dial::{
        BoxedIo, Protocol,
        first_words::{First, FirstWords},
    },
};

/// Speaks TLS on top of connections.
pub(crate) struct TlsConnector {
    config: Reload,
    protocol: Protocol,
    server_name: Option<ServerName<'static>>,
    has_identity: bool,
}

impl TlsConnector {
    /// Reads what the settings name.
    pub(crate) fn new(settings: Tls, protocol: Protocol) -> Result<Self> {
        let server_name = match &settings.server_name {
            None => None,
            Some(name) => Some(server_name(name)?),
        };
        let has_identity = settings.identity.is_some();
        Ok(Self {
            config: Reload::new(settings, protocol)?,
            protocol,
            server_name,
            has_identity,
        })
    }

    /// Shakes hands, expecting a certificate for `host` unless the settings name another.
    pub(crate) async fn connect(&self, host: &str, io: BoxedIo) -> io::Result<BoxedIo> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => server_name(host).map_err(io::Error::other)?,
        };
        let (protocol, has_identity) = (self.protocol, self.has_identity);
        let connector = tokio_rustls::TlsConnector::from(self.config.current());
        let stream = connector.connect(name, io).await;
        let stream = stream.map_err(|error| {
            let hangs_up = "the server hangs up on TLS; is its scheme http?";
            explain(error, has_identity, hangs_up)
        })?;
        match (self.protocol, stream.get_ref().1.alpn_protocol()) {
            (Protocol::Http2, Some(b"h2")) | (Protocol::Http1, None | Some(b"http/1.1")) => {}
            (Protocol::Http2, _) => {
                return Err(io::Error::other(
                    "the server does not speak HTTP/2 over TLS",
                ));
            }
            (Protocol::Http1, _) => {
                return Err(io::Error::other(
                    "the server does not speak HTTP/1.1 over TLS",
                ));
            }
        }
        // In TLS 1.3 the client is done before the server has looked at the client's certificate.
        Ok(Box::new(FirstWords::new(
            stream,
            move |first| match first {
                First::Byte(_) => Ok(()),
                First::Failed(error) => {
                    let hangs_up = "the server hangs up after the TLS handshake";
                    let is_certain = protocol == Protocol::Http2 || is_rejection(&error);
                    let error = explain(error, has_identity, hangs_up);
                    Err(match is_certain {
                        true => error,
                        // The server may well have read a request before.
                        false => io::Error::other(error),
                    })
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

/// Whether the server ended the session because of what the client is, before it has read anything.
fn is_rejection(error: &io::Error) -> bool {
    let of_tls = error.get_ref().and_then(|cause| cause.downcast_ref());
    match of_tls {
        Some(rustls::Error::AlertReceived(alert)) => {
            let of_handshake = [
                AlertDescription::HandshakeFailure,
                AlertDescription::DecryptError,
            ];
            is_about_client_certificate(*alert) || of_handshake.contains(alert)
        }
        _ => false,
    }
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
