//! Opening the byte stream to an endpoint: TCP, a unix socket or a caller's own connector, with TLS
//! on top where the endpoint asks for it.

pub(super) mod first_words;

#[cfg(feature = "tls")]
use std::sync::OnceLock;
use std::{fmt, future::Future, io, net::SocketAddr, pin::Pin, sync::Mutex, time::Duration};

use http::Uri;
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinSet,
};
use tower_service::Service;

use self::first_words::{First, FirstWords};
use super::endpoint::{Address, Endpoint};
#[cfg(feature = "tls")]
use super::tls::{Tls, TlsConnector};
use crate::Error;

/// How long one address of a host is tried before the next one is tried beside it (RFC 8305).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// How long a connection may be idle before TCP itself asks whether the other end is still there,
/// as Go's sockets do.
const IDLE_PROBE: Duration = Duration::from_secs(15);

/// A byte stream, whatever it runs over.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

pub(crate) type BoxedIo = Box<dyn Io>;

type Connecting = Pin<Box<dyn Future<Output = io::Result<BoxedIo>> + Send>>;

/// What is spoken on the byte streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http2,
    #[cfg_attr(
        not(feature = "v2"),
        expect(dead_code, reason = "only the v2 API is spoken so")
    )]
    Http1,
}

/// Opens byte streams to endpoints.
pub(crate) struct Dialer {
    protocol: Protocol,
    /// The caller's own connector; without one, sockets are opened.
    connector: Option<Connector>,
    #[cfg(feature = "tls")]
    tls: Tls,
    /// Made when the first endpoint needs it.
    #[cfg(feature = "tls")]
    tls_connector: OnceLock<TlsConnector>,
}

/// Why no byte stream could be opened.
#[derive(Debug)]
pub(crate) struct DialError {
    pub(crate) source: io::Error,
    /// Whether TLS failed on a connection that was otherwise there.
    pub(crate) tls: bool,
}

impl Dialer {
    pub(crate) fn new(
        protocol: Protocol,
        connector: Option<Connector>,
        #[cfg(feature = "tls")] tls: Tls,
    ) -> Self {
        Self {
            protocol,
            connector,
            #[cfg(feature = "tls")]
            tls,
            #[cfg(feature = "tls")]
            tls_connector: OnceLock::new(),
        }
    }

    /// Reads what the endpoints need, and fails if it cannot be used.
    pub(crate) fn prepare(&self, endpoints: &[Endpoint]) -> Result<(), Error> {
        #[cfg(feature = "tls")]
        if endpoints.iter().any(|endpoint| endpoint.tls) && self.tls_connector.get().is_none() {
            let connector = TlsConnector::new(self.tls.clone(), self.protocol)?;
            // Another thread may have been faster, with the same.
            let _ = self.tls_connector.set(connector);
        }
        #[cfg(not(feature = "tls"))]
        let _ = endpoints;
        Ok(())
    }

    pub(crate) async fn dial(&self, endpoint: &Endpoint) -> Result<BoxedIo, DialError> {
        let plain = |source| DialError { source, tls: false };
        let io = match (&self.connector, &endpoint.address) {
            (Some(connector), _) => {
                let io = connector.connect(endpoint).await.map_err(plain)?;
                self.boxed(io, endpoint)
            }
            (None, Address::Tcp { host, port }) => {
                let addresses = tokio::net::lookup_host((host.as_str(), *port));
                let addresses = addresses.await.map_err(plain)?;
                let stream = connect_tcp(addresses).await.map_err(plain)?;
                // Requests are small and each waits for its answer: Nagle would only delay them.
                stream.set_nodelay(true).map_err(plain)?;
                // An idle connection is not pinged; this finds out when the other end is gone, and
                // keeps it alive in the tables of routers in between.
                let probes = TcpKeepalive::new()
                    .with_time(IDLE_PROBE)
                    .with_interval(IDLE_PROBE);
                SockRef::from(&stream)
                    .set_tcp_keepalive(&probes)
                    .map_err(plain)?;
                self.boxed(stream, endpoint)
            }
            #[cfg(unix)]
            (None, Address::Unix(path)) => {
                let stream = tokio::net::UnixStream::connect(path).await;
                self.boxed(stream.map_err(plain)?, endpoint)
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
        return match self.tls_connector.get() {
            Some(tls) => tls.connect(endpoint.host(), io).await.map_err(failed),
            None => Err(failed(io::Error::other(
                "the client speaks TLS only if one of its own endpoints does",
            ))),
        };
        #[cfg(not(feature = "tls"))]
        Err(failed(io::Error::other(super::endpoint::NO_TLS)))
    }

    /// Boxes a stream. In the clear it tells a server that expects something else from one that is not
    /// there; under TLS the handshake tells.
    fn boxed(&self, io: impl Io, endpoint: &Endpoint) -> BoxedIo {
        if endpoint.tls {
            return Box::new(io);
        }
        let protocol = self.protocol;
        let advice = match endpoint.address {
            Address::Tcp { .. } => "if it expects TLS, its endpoint begins with https://",
            Address::Unix(_) => "if it expects TLS, its endpoint begins with unixs:",
        };
        Box::new(FirstWords::new(io, move |first| {
            plain_first(first, protocol, advice)
        }))
    }
}

/// What the first words of a server mean that was spoken to in the clear.
fn plain_first(first: First, protocol: Protocol, advice: &str) -> io::Result<()> {
    let what = match first {
        // An HTTP/2 server begins with a SETTINGS frame and thus with the upper byte of a small
        // length. TLS begins an alert with 0x15, an HTTP/1 server with the H of HTTP.
        First::Byte(0x15) => "it answers in TLS".to_owned(),
        First::Byte(b'H') if protocol == Protocol::Http2 => "it answers in HTTP/1".to_owned(),
        First::Byte(_) => return Ok(()),
        // Go's TLS server hangs up without an alert.
        First::Failed(error) => format!("it closed the connection without a word ({error})"),
    };
    Err(io::Error::new(
        io::ErrorKind::ConnectionAborted,
        format!("{what}; {advice}"),
    ))
}

/// Tries the addresses of a host, each when the one before has failed or takes long, and takes the
/// first that answers.
async fn connect_tcp(
    mut addresses: impl Iterator<Item = SocketAddr> + Send,
) -> io::Result<TcpStream> {
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

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, time::Duration};

    use tokio::{
        net::{TcpListener, TcpSocket},
        time::{Instant, timeout},
    };

    use super::*;

    /// An address that takes connection requests and never answers them: a listener whose queue is
    /// full. What is returned must be held.
    async fn black_hole() -> (SocketAddr, TcpListener, Vec<TcpStream>) {
        let listener = bound().listen(1).expect("a listener");
        let address = listener.local_addr().expect("an address");
        let mut queue = Vec::new();
        let fill = Duration::from_millis(500);
        while let Ok(stream) = timeout(fill, TcpStream::connect(address)).await {
            queue.push(stream.expect("a place in the queue"));
            assert!(queue.len() < 100, "the queue has no end");
        }
        (address, listener, queue)
    }

    /// An address that refuses connections: nobody listens, nor can as long as what is returned is
    /// held.
    fn refusing() -> (SocketAddr, TcpSocket) {
        let socket = bound();
        (socket.local_addr().expect("an address"), socket)
    }

    fn bound() -> TcpSocket {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket
            .bind((Ipv4Addr::LOCALHOST, 0).into())
            .expect("a port");
        socket
    }

    #[tokio::test]
    async fn addresses_that_refuse_or_are_silent_do_not_keep_from_the_one_that_answers() {
        let (silent, _listener, _queue) = black_hole().await;
        let (refusing, _socket) = refusing();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a port");
        let live = listener.local_addr().expect("an address");
        for addresses in [
            vec![live],
            vec![refusing, live],
            vec![silent, live],
            vec![silent, refusing, live, silent],
        ] {
            let stream = timeout(
                Duration::from_secs(20),
                connect_tcp(addresses.clone().into_iter()),
            );
            let stream = stream.await.expect("in time").expect("a connection");
            assert_eq!(stream.peer_addr().expect("a peer"), live, "{addresses:?}");
        }
    }

    #[tokio::test]
    async fn a_refusal_is_known_at_once_and_silence_takes_until_the_timeout() {
        let [(one, _one), (other, _other)] = [refusing(), refusing()];
        let addresses = [one, other];
        let error = connect_tcp(addresses.into_iter()).await;
        let error = error.expect_err("nobody listens");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let error = connect_tcp([].into_iter()).await.expect_err("no address");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);

        let (silent, _listener, _queue) = black_hole().await;
        let patience = Duration::from_millis(600);
        let start = Instant::now();
        let connecting = timeout(patience, connect_tcp([silent].into_iter()));
        assert!(connecting.await.is_err(), "it answered");
        assert!(start.elapsed() >= patience);
    }
}
