//! The server's side of a handshake.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::client_certificate::common_name;
use super::config::Contents;
use super::{CertificateUser, ServerTls};
use crate::builder::StartError;

/// How long a handshake may take, as in etcd.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Speaks TLS on connections that were accepted, if the server has what it takes.
#[derive(Clone, Debug)]
pub(crate) struct Security(Option<Arc<Acceptor>>);

impl Security {
    /// Reads what the settings name, and checks that a server can work with it.
    pub(crate) fn new(settings: Option<ServerTls>) -> Result<Self, StartError> {
        let acceptor = settings.map(Acceptor::new).transpose();
        let acceptor = acceptor.map_err(|reason| StartError::Config {
            setting: "tls",
            reason,
        })?;
        Ok(Self(acceptor.map(Arc::new)))
    }

    /// Shakes hands. The user is whom the client's certificate names, if that is how users are known.
    pub(crate) async fn accept<I>(
        &self,
        io: I,
    ) -> io::Result<(TlsStream<I>, Option<CertificateUser>)>
    where
        I: AsyncRead + AsyncWrite + Unpin,
    {
        match &self.0 {
            Some(acceptor) => acceptor.accept(io).await,
            None => Err(io::Error::other("the server has no certificate")),
        }
    }
}

struct Acceptor {
    settings: ServerTls,
    current: Mutex<Current>,
}

struct Current {
    config: Arc<ServerConfig>,
    made_from: Contents,
    /// The last failure that was reported.
    complaint: Option<String>,
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").finish_non_exhaustive()
    }
}

impl Acceptor {
    fn new(settings: ServerTls) -> Result<Self, String> {
        let made_from = settings.read()?;
        let config = Arc::new(settings.config(&made_from)?);
        let current = Mutex::new(Current {
            config,
            made_from,
            complaint: None,
        });
        Ok(Self { settings, current })
    }

    async fn accept<I>(&self, io: I) -> io::Result<(TlsStream<I>, Option<CertificateUser>)>
    where
        I: AsyncRead + AsyncWrite + Unpin,
    {
        let acceptor = TlsAcceptor::from(self.config());
        let stream = timeout(HANDSHAKE_TIMEOUT, acceptor.accept(io))
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no TLS handshake in time"))??;
        let (_, session) = stream.get_ref();
        let shown = session.peer_certificates().and_then(<[_]>::first);
        let user = shown
            .filter(|_| self.settings.client_cert_auth)
            .map(|certificate| CertificateUser(common_name(certificate).into()));
        Ok((stream, user))
    }

    /// The configuration for a connection that begins now.
    ///
    /// Reads files on the caller's thread, which costs microseconds beside a handshake.
    fn config(&self) -> Arc<ServerConfig> {
        // Every change of it is complete in itself.
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let renewed = self.settings.read().and_then(|contents| {
            if contents == current.made_from {
                return Ok(None);
            }
            let config = self.settings.config(&contents)?;
            Ok(Some((contents, config)))
        });
        match renewed {
            Ok(None) => current.complaint = None,
            Ok(Some((contents, config))) => {
                tracing::info!("certificates have changed and are used from now on");
                *current = Current {
                    config: Arc::new(config),
                    made_from: contents,
                    complaint: None,
                };
            }
            Err(reason) => {
                if current.complaint.as_ref() != Some(&reason) {
                    tracing::warn!(
                        reason,
                        "certificates have changed and cannot be used; keeping the old ones"
                    );
                }
                current.complaint = Some(reason);
            }
        }
        Arc::clone(&current.config)
    }
}
