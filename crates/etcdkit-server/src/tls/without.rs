//! In place of the acceptor in a build without TLS.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};

use super::{CertificateUser, ServerTls};
use crate::builder::StartError;

/// Nothing: TLS cannot be spoken.
#[derive(Clone, Debug)]
pub(crate) struct Security;

impl Security {
    /// Refuses every setting.
    pub(crate) fn new(settings: Option<ServerTls>) -> Result<Self, StartError> {
        match settings {
            None => Ok(Self),
            Some(_) => Err(StartError::MissingFeature {
                setting: "tls",
                feature: "tls",
            }),
        }
    }

    pub(crate) async fn accept<I>(&self, _: I) -> io::Result<(I, Option<CertificateUser>)>
    where
        I: AsyncRead + AsyncWrite + Unpin,
    {
        Err(io::Error::other("TLS is not built in"))
    }
}
