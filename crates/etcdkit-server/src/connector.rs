//! Calls from inside the process, without a port.

use std::future::{Ready, ready};
use std::io;
use std::sync::Weak;
use std::task::{Context, Poll};

use http::Uri;
use tokio::io::{DuplexStream, duplex};
use tower_service::Service;

use crate::connection::Connections;

/// How much each side of a pipe may write before the other reads.
const PIPE_BYTES: usize = 64 * 1024;

/// Opens connections to a [`Server`](crate::Server) in the same process; made by
/// [`Server::connector`](crate::Server::connector).
///
/// Each call opens one in-memory pipe that speaks the same HTTP/1 and HTTP/2 as the port. The URI
/// does not matter. Once the server has stopped, or while it was told to refuse connections, connecting fails
/// with [`io::ErrorKind::ConnectionRefused`]. A connector does not keep its server alive.
#[derive(Clone)]
pub struct Connector {
    connections: Weak<Connections>,
}

impl Connector {
    pub(crate) fn new(connections: Weak<Connections>) -> Self {
        Self { connections }
    }

    /// Opens one connection.
    ///
    /// # Errors
    /// [`io::ErrorKind::ConnectionRefused`] when the server has stopped.
    pub fn open(&self) -> io::Result<DuplexStream> {
        let refused = || {
            io::Error::new(
                io::ErrorKind::ConnectionRefused,
                "the embedded server has stopped",
            )
        };
        let connections = self.connections.upgrade().ok_or_else(refused)?;
        if connections.node().faults.is_refusing() {
            return Err(io::Error::new(
                io::ErrorKind::ConnectionRefused,
                "the embedded server was told to refuse connections",
            ));
        }
        let (ours, theirs) = duplex(PIPE_BYTES);
        connections.serve(ours).map_err(|_| refused())?;
        Ok(theirs)
    }
}

impl Service<Uri> for Connector {
    type Response = DuplexStream;
    type Error = io::Error;
    type Future = Ready<io::Result<DuplexStream>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(self.open())
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}
