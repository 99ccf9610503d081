//! Addresses to listen on, and taking connections from them.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
#[cfg(unix)]
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::net::UnixListener;

use crate::connection::{Connections, Stopped};

/// How long to wait after a failed accept (usually: no file descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A parsed `listen` address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// `host:port`; the host may be a name.
    Tcp(String),
    /// A socket file.
    #[cfg(unix)]
    Unix(PathBuf),
}

impl Address {
    /// Takes `host:port`, `http://host:port`, `unix:path` and `unix://path`.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if let Some(path) = text
            .strip_prefix("unix://")
            .or_else(|| text.strip_prefix("unix:"))
        {
            return Self::unix(path);
        }
        if text.starts_with("https://") {
            return Err("TLS is not supported; use http://");
        }
        let authority = text.strip_prefix("http://").unwrap_or(text);
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        match authority.rsplit_once(':') {
            Some((host, port))
                if !host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok() =>
            {
                Ok(Self::Tcp(authority.to_owned()))
            }
            _ => Err("expected host:port, such as 127.0.0.1:2379, or unix:path"),
        }
    }

    #[cfg(unix)]
    fn unix(path: &str) -> Result<Self, &'static str> {
        match path {
            "" => Err("the path of the socket file is missing"),
            path => Ok(Self::Unix(path.into())),
        }
    }

    #[cfg(not(unix))]
    fn unix(_: &str) -> Result<Self, &'static str> {
        Err("unix sockets are not available on this system")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(authority) => f.write_str(authority),
            #[cfg(unix)]
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A bound address.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener, SocketAddr),
    #[cfg(unix)]
    Unix(UnixListener, SocketFile),
}

impl Listener {
    pub(crate) async fn bind(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp(authority) => {
                let listener = TcpListener::bind(authority).await?;
                let local = listener.local_addr()?;
                Ok(Self::Tcp(listener, local))
            }
            #[cfg(unix)]
            Address::Unix(path) => {
                remove_stale_socket(path)?;
                let listener = UnixListener::bind(path)?;
                Ok(Self::Unix(listener, SocketFile(path.clone())))
            }
        }
    }

    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(_, local) => Some(*local),
            #[cfg(unix)]
            Self::Unix(..) => None,
        }
    }

    /// What a client on this machine connects to.
    pub(crate) fn endpoint(&self) -> String {
        match self {
            Self::Tcp(_, local) => format!("http://{}", reachable(*local)),
            #[cfg(unix)]
            Self::Unix(_, file) => format!("unix://{}", file.0.display()),
        }
    }

    /// Takes connections until the server stops.
    pub(crate) async fn accept_all(self, connections: Arc<Connections>) {
        loop {
            match self.accept_one(&connections).await {
                Ok(Ok(())) => {}
                Ok(Err(Stopped)) => return,
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn accept_one(&self, connections: &Connections) -> io::Result<Result<(), Stopped>> {
        match self {
            Self::Tcp(listener, _) => {
                let (stream, _) = listener.accept().await?;
                // Without it a small reply would wait for the peer's delayed acknowledgement.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "could not set TCP_NODELAY");
                }
                Ok(connections.serve(stream))
            }
            #[cfg(unix)]
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok(connections.serve(stream))
            }
        }
    }
}

/// An address bound to every interface is reached over loopback.
fn reachable(mut local: SocketAddr) -> SocketAddr {
    if local.ip().is_unspecified() {
        local.set_ip(match local.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    local
}

/// A socket file that goes away with its listener.
#[cfg(unix)]
#[derive(Debug)]
pub(crate) struct SocketFile(PathBuf);

#[cfg(unix)]
impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::debug!(%error, path = %self.0.display(), "could not remove the socket file");
        }
    }
}

/// A killed server leaves its socket file behind, and the next one could not bind. Like etcd, but
/// only sockets that nobody answers on are removed.
#[cfg(unix)]
fn remove_stale_socket(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt as _;
    use std::os::unix::net::UnixStream;

    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let refused = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    if is_socket && UnixStream::connect(path).is_err_and(|error| refused(&error)) {
        std::fs::remove_file(path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_and_a_port() {
        for (text, authority) in [
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("http://localhost:2379", "localhost:2379"),
            ("http://localhost:2379/", "localhost:2379"),
            ("[::1]:2379", "[::1]:2379"),
        ] {
            assert_eq!(Address::parse(text), Ok(Address::Tcp(authority.to_owned())));
        }
        for text in [
            "",
            ":",
            ":2379",
            "localhost",
            "localhost:",
            "a:99999",
            "https://a:1",
            "ftp://a:1",
            "unix:",
        ] {
            assert!(Address::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_endpoint_can_be_connected_to() {
        for (bound, endpoint) in [
            ("0.0.0.0:1", "127.0.0.1:1"),
            ("[::]:1", "[::1]:1"),
            ("10.0.0.1:1", "10.0.0.1:1"),
        ] {
            let bound: SocketAddr = bound.parse().unwrap();
            assert_eq!(reachable(bound).to_string(), endpoint);
        }
    }
}
