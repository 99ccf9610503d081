//! Opening the byte stream to an endpoint: TCP, a unix socket or a caller's own connector, with TLS
//! on top where the endpoint asks for it.

use std::{fmt, future::Future, io, pin::Pin, sync::Mutex, time::Duration};

use http::Uri;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinSet,
};
use tower_service::Service;

use super::endpoint::{Address, Endpoint};

/// How long one address of a host is tried before the next one is tried beside it (RFC 8305).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// A byte stream, whatever it runs over.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

pub(crate) type BoxedIo = Box<dyn Io>;

type Connecting = Pin<Box<dyn Future<Output = io::Result<BoxedIo>> + Send>>;

/// Opens byte streams to endpoints.
pub(crate) struct Dialer {
    /// The caller's own connector; without one, sockets are opened.
    pub(crate) connector: Option<Connector>,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<super::tls::TlsConnector>,
}

/// Why no byte stream could be opened.
#[derive(Debug)]
pub(crate) struct DialError {
    pub(crate) source: io::Error,
    /// Whether TLS failed on a connection that was otherwise there.
    pub(crate) tls: bool,
}

impl Dialer {
    pub(crate) async fn dial(&self, endpoint: &Endpoint) -> Result<BoxedIo, DialError> {
        let plain = |source| DialError { source, tls: false };
        let io = match (&self.connector, &endpoint.address) {
            (Some(connector), _) => connector.connect(endpoint).await.map_err(plain)?,
            (None, Address::Tcp { host, port }) => {
                let stream = connect_tcp(host, *port).await.map_err(plain)?;
                // Requests are small and each waits for its answer: Nagle would only delay them.
                stream.set_nodelay(true).map_err(plain)?;
                Box::new(stream)
            }
            #[cfg(unix)]
            (None, Address::Unix(path)) => {
                Box::new(tokio::net::UnixStream::connect(path).await.map_err(plain)?)
            }
            #[cfg(not(unix))]
            (None, Address::Unix(_)) => {
                return Err(plain(io::Error::other("this platform has no unix sockets")));
            }
        };
        if !endpoint.tls {
            return Ok(io);
        }
        let failed = |source| DialError { source, tls: true };
        #[cfg(feature = "tls")]
        return match &self.tls {
            Some(tls) => {
                let stream = tls.connect(endpoint.host(), io).await.map_err(failed)?;
                Ok(Box::new(stream))
            }
            None => Err(failed(io::Error::other("no TLS settings"))),
        };
        #[cfg(not(feature = "tls"))]
        Err(failed(io::Error::other(
            "etcdkit was built without a tls feature",
        )))
    }
}

/// Tries the addresses of a host, each when the one before has failed or takes long, and takes the
/// first that answers.
async fn connect_tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut addresses = tokio::net::lookup_host((host, port))
        .await?
        .collect::<Vec<_>>()
        .into_iter();
    let mut attempts = JoinSet::new();
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    loop {
        if let Some(address) = addresses.next() {
            attempts.spawn(TcpStream::connect(address));
        }
        match tokio::time::timeout(NEXT_ADDRESS_AFTER, attempts.join_next()).await {
            Err(_) => {}
            Ok(Some(Ok(Ok(stream)))) => return Ok(stream),
            Ok(Some(Ok(Err(error)))) => failure = error,
            Ok(Some(Err(error))) => failure = io::Error::other(error),
            Ok(None) => return Err(failure),
        }
    }
}

/// A caller's own way to open byte streams: any tower service from a URI to a stream, such as the
/// embedded server's in-process connector.
pub(crate) struct Connector(Mutex<Box<dyn FnMut(Uri) -> Connecting + Send>>);

impl Connector {
    pub(crate) fn new<S>(mut service: S) -> Self
    where
        S: Service<Uri> + Clone + Send + 'static,
        S::Response: Io,
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        S::Future: Send,
    {
        Self(Mutex::new(Box::new(move |uri| {
            // tower wants readiness and call on the same handle, so that handle is moved out.
            let fresh = service.clone();
            let mut ready = std::mem::replace(&mut service, fresh);
            Box::pin(async move {
                std::future::poll_fn(|cx| ready.poll_ready(cx))
                    .await
                    .map_err(io::Error::other)?;
                let io = ready.call(uri).await.map_err(io::Error::other)?;
                Ok(Box::new(io) as BoxedIo)
            })
        })))
    }

    fn connect(&self, endpoint: &Endpoint) -> Connecting {
        let uri = Uri::builder()
            .scheme(endpoint.scheme())
            .authority(endpoint.authority.clone())
            .path_and_query("/")
            .build();
        match uri {
            Ok(uri) => {
                let mut connect = self.0.lock().unwrap_or_else(|broken| broken.into_inner());
                connect(uri)
            }
            Err(error) => Box::pin(std::future::ready(Err(io::Error::other(error)))),
        }
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}
