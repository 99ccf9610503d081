//! One HTTP/2 connection to one endpoint.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use h2::{PingPong, client::SendRequest};
use tokio::{sync::Notify, task::JoinHandle, time::timeout};

use super::{
    dial::{DialError, Dialer},
    endpoint::Endpoint,
};

/// Receive windows: large enough that a reply of some megabytes is not held up by a round trip.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// How long an endpoint is avoided after its first refusal; doubled with each further one.
const AVOID_FIRST: Duration = Duration::from_secs(1);
const AVOID_MOST: Duration = Duration::from_secs(16);

/// What is known of an endpoint beyond its connections.
#[derive(Debug)]
pub(crate) struct Health {
    epoch: Instant,
    /// Milliseconds since `epoch` until which the endpoint is avoided; 0 is healthy.
    avoid_until: AtomicU64,
    strikes: AtomicU32,
}

impl Health {
    pub(crate) fn new() -> Self {
        Self {
            epoch: Instant::now(),
            avoid_until: AtomicU64::new(0),
            strikes: AtomicU32::new(0),
        }
    }

    pub(crate) fn is_suspect(&self) -> bool {
        match self.avoid_until.load(Ordering::Relaxed) {
            0 => false,
            until => until > self.epoch.elapsed().as_millis() as u64,
        }
    }

    /// Avoids the endpoint for a while: it answered that it cannot serve.
    pub(crate) fn refused(&self) {
        let strikes = self.strikes.fetch_add(1, Ordering::Relaxed).min(8);
        let pause = AVOID_FIRST.saturating_mul(1 << strikes).min(AVOID_MOST);
        let until = (self.epoch.elapsed() + pause).as_millis() as u64;
        self.avoid_until.store(until, Ordering::Relaxed);
    }

    /// Avoids the endpoint until it shows a sign of life: it did not answer at all.
    pub(crate) fn silent(&self) {
        self.avoid_until.store(u64::MAX, Ordering::Relaxed);
    }

    pub(crate) fn well(&self) {
        // Nearly every call ends here, and mostly there is nothing to write.
        if self.avoid_until.load(Ordering::Relaxed) != 0 {
            self.avoid_until.store(0, Ordering::Relaxed);
            self.strikes.store(0, Ordering::Relaxed);
        }
    }
}

/// A connection that has shown that the other side is alive.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) endpoint: Arc<Endpoint>,
    /// The endpoint's place in the client's list.
    pub(crate) place: usize,
    pub(crate) health: Arc<Health>,
    sender: SendRequest<Bytes>,
    in_flight: AtomicUsize,
    /// Answers received, from which the keep-alive sees that no ping is needed.
    answers: AtomicUsize,
    probe: Notify,
    pub(crate) retired: Notify,
}

/// Why no connection came about.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("{}", .0.source)]
    Dial(DialError),
    #[error("the server does not speak HTTP/2: {0}")]
    Handshake(#[source] h2::Error),
    #[error("no answer within {0:?}")]
    Silent(Duration),
}

impl ConnectError {
    pub(crate) fn is_tls(&self) -> bool {
        matches!(self, Self::Dial(DialError { tls: true, .. }))
    }
}

/// What keeps a connection going: its driver task and the handle for pings.
pub(crate) struct Engine {
    driver: JoinHandle<Result<(), h2::Error>>,
    ping_pong: PingPong,
}

/// When pings are sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeepAlive {
    /// After this much silence on a connection with requests under way a ping is sent.
    pub(crate) interval: Duration,
    /// Without an answer within this time the connection is given up.
    pub(crate) timeout: Duration,
}

impl Connection {
    /// Dials, shakes hands and waits for an answer, so that a peer that accepts connections but
    /// never says a word is not taken for a server.
    pub(crate) async fn open(
        dialer: &Dialer,
        endpoint: Arc<Endpoint>,
        place: usize,
        health: Arc<Health>,
        within: Duration,
    ) -> Result<(Arc<Self>, Engine), ConnectError> {
        let opening = async {
            let io = dialer.dial(&endpoint).await.map_err(ConnectError::Dial)?;
            let (sender, mut connection) = h2::client::Builder::new()
                .initial_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
                .enable_push(false)
                .handshake(io)
                .await
                .map_err(ConnectError::Handshake)?;
            // A fresh connection always has its ping handle to give.
            let ping_pong = connection.ping_pong();
            let driver = tokio::spawn(connection);
            let Some(mut ping_pong) = ping_pong else {
                return Err(no_ping_handle());
            };
            if let Err(error) = ping_pong.ping(h2::Ping::opaque()).await {
                return Err(ConnectError::Handshake(match driver.await {
                    Ok(Err(cause)) => cause,
                    _ => error,
                }));
            }
            Ok((sender, Engine { driver, ping_pong }))
        };
        let (sender, engine) = match timeout(within, opening).await {
            Ok(opened) => opened?,
            Err(_) => return Err(ConnectError::Silent(within)),
        };
        health.well();
        let connection = Self {
            endpoint,
            place,
            health,
            sender,
            in_flight: AtomicUsize::new(0),
            answers: AtomicUsize::new(0),
            probe: Notify::new(),
            retired: Notify::new(),
        };
        Ok((Arc::new(connection), engine))
    }

    pub(crate) fn sender(&self) -> SendRequest<Bytes> {
        self.sender.clone()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(crate) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn answered(&self) {
        self.answers.fetch_add(1, Ordering::Relaxed);
        self.health.well();
    }

    /// A request got no answer in its time: others go elsewhere until a ping is answered.
    pub(crate) fn missed(&self) {
        self.health.silent();
        self.probe.notify_one();
    }

    /// Takes the connection out of use; what is under way on it may still finish.
    pub(crate) fn retire(&self) {
        self.retired.notify_one();
    }

    /// Runs the connection until it breaks or goes silent; drop it to let what is left finish.
    pub(crate) async fn run(&self, engine: &mut Engine, keep_alive: KeepAlive) -> io::Error {
        let Engine { driver, ping_pong } = engine;
        tokio::select! {
            ended = &mut *driver => match ended {
                Ok(Ok(())) => io::Error::from(io::ErrorKind::ConnectionAborted),
                Ok(Err(error)) => io::Error::other(error),
                Err(error) => io::Error::other(error),
            },
            silence = self.watch_for_silence(ping_pong, keep_alive) => {
                driver.abort();
                silence
            }
        }
    }

    /// Pings when requests wait and nothing is heard. Idle connections are not pinged: etcd takes
    /// pings without a call under way for abuse and closes the connection.
    async fn watch_for_silence(&self, ping_pong: &mut PingPong, pings: KeepAlive) -> io::Error {
        let mut heard = self.answers.load(Ordering::Relaxed);
        loop {
            let asked = timeout(pings.interval, self.probe.notified()).await.is_ok();
            let answers = self.answers.load(Ordering::Relaxed);
            if !asked && (self.in_flight() == 0 || answers != heard) {
                heard = answers;
                continue;
            }
            match timeout(pings.timeout, ping_pong.ping(h2::Ping::opaque())).await {
                Ok(Ok(_)) => self.health.well(),
                Ok(Err(error)) => return io::Error::other(error),
                Err(_) => {
                    self.health.silent();
                    return io::Error::new(
                        io::ErrorKind::TimedOut,
                        format!("no answer to a ping within {:?}", pings.timeout),
                    );
                }
            }
        }
    }
}

fn no_ping_handle() -> ConnectError {
    let source = io::Error::other("a fresh connection has no ping handle");
    ConnectError::Dial(DialError { source, tls: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_forgotten_after_a_success() {
        let health = Health::new();
        assert!(!health.is_suspect());
        health.refused();
        assert!(health.is_suspect());
        health.well();
        assert!(!health.is_suspect());
        health.silent();
        assert!(health.is_suspect());
        health.well();
        assert!(!health.is_suspect());
    }

    #[test]
    fn many_refusals_do_not_overflow() {
        let health = Health::new();
        (0..100).for_each(|_| health.refused());
        assert!(health.is_suspect());
        let until = health.avoid_until.load(Ordering::Relaxed);
        assert!(until <= (health.epoch.elapsed() + AVOID_MOST).as_millis() as u64);
    }
}
