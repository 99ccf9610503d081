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
pub(crate) struct Address {
    place: Place,
    speaks: Speaks,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// `host:port`; the host may be a name.
    Tcp(String),
    /// A socket file.
    #[cfg(unix)]
    Unix(PathBuf),
}

/// What is spoken at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaks {
    Plain,
    Tls,
    /// Either, as the first byte of a connection tells; etcd does so if `http` and `https` are given with the same
    /// address.
    Both,
}

impl Address {
    /// Takes `host:port`, `http://host:port`, `unix:path` and `unix://path`, and for TLS
    /// `https://host:port`, `unixs:path` and `unixs://path`.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        for (scheme, speaks) in [("unix:", Speaks::Plain), ("unixs:", Speaks::Tls)] {
            if let Some(path) = text.strip_prefix(scheme) {
                let place = Place::unix(path.strip_prefix("//").unwrap_or(path))?;
                return Ok(Self { place, speaks });
            }
        }
        let (authority, speaks) = match text.strip_prefix("https://") {
            Some(authority) => (authority, Speaks::Tls),
            None => (text.strip_prefix("http://").unwrap_or(text), Speaks::Plain),
        };
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        match authority.rsplit_once(':') {
            Some((host, port))
                if !host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok() =>
            {
                let place = Place::Tcp(authority.to_owned());
                Ok(Self { place, speaks })
            }
            _ => Err("expected host:port, such as 127.0.0.1:2379, or unix:path"),
        }
    }

    /// Adds an address to others, or makes one that is there already speak both.
    pub(crate) fn add_to(self, addresses: &mut Vec<Self>) -> Result<(), &'static str> {
        let same = addresses
            .iter_mut()
            .find(|other| other.place == self.place && !self.place.is_any_port());
        let Some(same) = same else {
            addresses.push(self);
            return Ok(());
        };
        match (&same.place, same.speaks == self.speaks) {
            (_, true) => Err("the address is given twice"),
            (Place::Tcp(_), false) => {
                same.speaks = Speaks::Both;
                Ok(())
            }
            #[cfg(unix)]
            (Place::Unix(_), false) => Err("a socket file speaks either TLS or not"),
        }
    }

    /// Whether TLS is spoken there.
    pub(crate) fn is_secure(&self) -> bool {
        self.speaks != Speaks::Plain
    }

    /// Whether anything else than TLS is spoken there.
    pub(crate) fn is_plain(&self) -> bool {
        self.speaks != Speaks::Tls
    }
}

impl Place {
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

    /// Whether each use of it gets a port of its own.
    fn is_any_port(&self) -> bool {
        match self {
            Self::Tcp(authority) => authority.ends_with(":0"),
            #[cfg(unix)]
            Self::Unix(_) => false,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Tcp(authority) => f.write_str(authority),
            #[cfg(unix)]
            Place::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A bound address.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: Socket,
    speaks: Speaks,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener, SocketAddr),
    #[cfg(unix)]
    Unix(UnixListener, SocketFile),
}

impl Listener {
    pub(crate) async fn bind(address: &Address) -> io::Result<Self> {
        let socket = match &address.place {
            Place::Tcp(authority) => {
                let listener = TcpListener::bind(authority).await?;
                let local = listener.local_addr()?;
                Socket::Tcp(listener, local)
            }
            #[cfg(unix)]
            Place::Unix(path) => {
                remove_stale_socket(path)?;
                let listener = UnixListener::bind(path)?;
                Socket::Unix(listener, SocketFile(path.clone()))
            }
        };
        let speaks = address.speaks;
        Ok(Self { socket, speaks })
    }

    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Tcp(_, local) => Some(*local),
            #[cfg(unix)]
            Socket::Unix(..) => None,
        }
    }

    /// What clients on this machine connect to.
    pub(crate) fn endpoints(&self) -> Vec<String> {
        let schemes: &[&str] = match (&self.socket, self.speaks) {
            (Socket::Tcp(..), Speaks::Plain) => &["http"],
            (Socket::Tcp(..), Speaks::Tls) => &["https"],
            (Socket::Tcp(..), Speaks::Both) => &["http", "https"],
            #[cfg(unix)]
            (Socket::Unix(..), Speaks::Plain) => &["unix"],
            #[cfg(unix)]
            (Socket::Unix(..), _) => &["unixs"],
        };
        let place = match &self.socket {
            Socket::Tcp(_, local) => reachable(*local).to_string(),
            #[cfg(unix)]
            Socket::Unix(_, file) => file.0.display().to_string(),
        };
        schemes
            .iter()
            .map(|scheme| format!("{scheme}://{place}"))
            .collect()
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
        match &self.socket {
            Socket::Tcp(listener, _) => {
                let (stream, _) = listener.accept().await?;
                // Without it a small reply would wait for the peer's delayed acknowledgement.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "could not set TCP_NODELAY");
                }
                Ok(match self.speaks {
                    Speaks::Plain => connections.serve(stream),
                    Speaks::Tls => connections.serve_tls(stream),
                    Speaks::Both => connections.serve_either(stream),
                })
            }
            #[cfg(unix)]
            Socket::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok(match self.speaks {
                    Speaks::Plain => connections.serve(stream),
                    Speaks::Tls | Speaks::Both => connections.serve_tls(stream),
                })
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

    fn tcp(authority: &str, speaks: Speaks) -> Address {
        let place = Place::Tcp(authority.to_owned());
        Address { place, speaks }
    }

    #[test]
    fn addresses_have_a_host_and_a_port() {
        for (text, authority, speaks) in [
            ("127.0.0.1:0", "127.0.0.1:0", Speaks::Plain),
            ("http://localhost:2379", "localhost:2379", Speaks::Plain),
            ("http://localhost:2379/", "localhost:2379", Speaks::Plain),
            ("https://localhost:2379", "localhost:2379", Speaks::Tls),
            ("[::1]:2379", "[::1]:2379", Speaks::Plain),
        ] {
            assert_eq!(Address::parse(text), Ok(tcp(authority, speaks)));
        }
        for text in [
            "",
            ":",
            ":2379",
            "localhost",
            "localhost:",
            "a:99999",
            "https://a",
            "ftp://a:1",
            "unix:",
            "unixs://",
        ] {
            assert!(Address::parse(text).is_err(), "{text:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn socket_files_have_a_path() {
        for (text, speaks) in [
            ("unix:/run/a", Speaks::Plain),
            ("unix:///run/a", Speaks::Plain),
            ("unixs:/run/a", Speaks::Tls),
            ("unixs:///run/a", Speaks::Tls),
        ] {
            let place = Place::Unix("/run/a".into());
            assert_eq!(Address::parse(text), Ok(Address { place, speaks }));
        }
    }

    #[test]
    fn one_address_may_speak_both() {
        let mut addresses = Vec::new();
        let mut add = |text| Address::parse(text).unwrap().add_to(&mut addresses);
        add("http://a:1").unwrap();
        add("https://a:1").unwrap();
        add("http://a:0").unwrap();
        add("http://a:0").unwrap();
        add("unix:/b").unwrap();
        assert!(add("unixs:/b").is_err());
        add("http://b:1").unwrap();
        assert!(add("b:1").is_err());
        assert_eq!(addresses.len(), 5);
        assert_eq!(addresses[0], tcp("a:1", Speaks::Both));
        assert!(addresses[0].is_secure() && addresses[0].is_plain());
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
