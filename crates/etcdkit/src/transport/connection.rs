//! One HTTP/2 connection to one endpoint.

use std::{
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use h2::{PingPong, client::SendRequest};
use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{Instant, sleep_until, timeout},
};

use super::{
    dial::{BoxedIo, DialError, Dialer},
    endpoint::Endpoint,
    health::Health,
};

/// Receive windows: large enough that a reply of some megabytes is not held up by a round trip.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// How many cancelled requests are remembered, so that their late answers are expected.
const CANCELLED_REQUESTS: usize = 4096;

/// Servers count pings that come sooner than five seconds after the last one, or too often while
/// nothing is asked, and hang up at the third. Whatever they send starts the count anew.
pub(crate) const PING_APART: Duration = Duration::from_secs(6);
const PINGS_UNHEARD: u32 = 2;

/// How long a connection on which a request went unanswered may take to answer a ping.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// A timer that is later than this says that the process stood still.
const STALL: Duration = Duration::from_millis(250);

/// A connection that has shown that the other side is alive.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) endpoint: Arc<Endpoint>,
    /// The endpoint's place in the client's list.
    pub(crate) place: usize,
    pub(crate) pulse: Arc<Pulse>,
    sender: SendRequest<Bytes>,
}

/// What requests tell whoever watches over their connection. It outlives the connection's own handle,
/// with which h2 would wait for further requests for ever.
#[derive(Debug)]
pub(crate) struct Pulse {
    pub(crate) health: Arc<Health>,
    in_flight: AtomicUsize,
    /// Heads of answers received.
    answers: AtomicUsize,
    /// Asks for a ping, because a request got no answer in its time.
    probe: Notify,
    /// Tells the refiller that the connection takes no more requests.
    pub(crate) retired: Notify,
    /// Why the connection ended, for requests that only see that it did.
    broke: OnceLock<String>,
}

/// Why no connection came about.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("{}", .0.source)]
    Dial(DialError),
    #[error("the server does not speak HTTP/2: {0}")]
    Handshake(#[source] h2::Error),
    /// TLS failed after its handshake: with TLS 1.3 only then a server judges a client's certificate.
    #[error("{0}")]
    Refused(#[source] h2::Error),
    #[error("no answer within {0:?}")]
    Silent(Duration),
}

impl ConnectError {
    pub(crate) fn is_tls(&self) -> bool {
        matches!(
            self,
            Self::Dial(DialError { tls: true, .. }) | Self::Refused(_)
        )
    }

    /// What it means that HTTP/2 fails before the server's first answer.
    fn handshake(error: h2::Error, endpoint: &Endpoint) -> Self {
        // The kind that tokio-rustls gives to all that TLS itself finds wrong; h2 keeps no more.
        let of_tls = |error: &io::Error| error.kind() == io::ErrorKind::InvalidData;
        match endpoint.tls && error.get_io().is_some_and(of_tls) {
            true => Self::Refused(error),
            false => Self::Handshake(error),
        }
    }
}

/// What keeps a connection going: its driver task and the handle for pings.
pub(crate) struct Engine {
    driver: JoinHandle<Result<(), h2::Error>>,
    ping_pong: PingPong,
}

/// When pings are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
        let pulse = Arc::new(Pulse {
            health,
            in_flight: AtomicUsize::new(0),
            answers: AtomicUsize::new(0),
            probe: Notify::new(),
            retired: Notify::new(),
            broke: OnceLock::new(),
        });
        let opening = async {
            let io = dialer.dial(&endpoint).await.map_err(ConnectError::Dial)?;
            let (sender, mut connection) = h2::client::Builder::new()
                .initial_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
                .enable_push(false)
                // These bounds guard servers from hostile clients. A client that cancels many
                // requests would meet them itself, and lose the requests of others with them.
                .max_concurrent_reset_streams(CANCELLED_REQUESTS)
                .max_local_error_reset_streams(None)
                .data_frame_budget(usize::MAX)
                .handshake(io)
                .await
                .map_err(|error| ConnectError::handshake(error, &endpoint))?;
            // A fresh connection always has its ping handle to give.
            let ping_pong = connection.ping_pong();
            let driver = tokio::spawn({
                let pulse = Arc::clone(&pulse);
                async move {
                    let ended = drive(connection, &pulse).await;
                    if let Err(error) = &ended {
                        let _ = pulse.broke.set(error.to_string());
                    }
                    ended
                }
            });
            let Some(mut ping_pong) = ping_pong else {
                return Err(no_ping_handle());
            };
            if let Err(error) = ping_pong.ping(h2::Ping::opaque()).await {
                let error = match driver.await {
                    Ok(Err(cause)) => cause,
                    _ => error,
                };
                return Err(ConnectError::handshake(error, &endpoint));
            }
            Ok((sender, Engine { driver, ping_pong }))
        };
        let (sender, engine) = match timeout(within, opening).await {
            Ok(opened) => opened?,
            Err(_) => return Err(ConnectError::Silent(within)),
        };
        pulse.health.well();
        Ok((
            Arc::new(Self {
                endpoint,
                place,
                pulse,
                sender,
            }),
            engine,
        ))
    }

    pub(crate) fn sender(&self) -> SendRequest<Bytes> {
        self.sender.clone()
    }
}

/// Drives a connection to its end.
///
/// Each request wakes the connection, which tokio then runs before any other task. When several
/// are under way it lets those others go first, so that their requests leave in one write: at 16
/// callers this saves a third of a call's system time.
async fn drive(
    mut connection: h2::client::Connection<BoxedIo, Bytes>,
    pulse: &Pulse,
) -> Result<(), h2::Error> {
    let mut yielded = false;
    poll_fn(|cx| {
        yielded = !yielded && pulse.in_flight() > 1;
        if yielded {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut connection).poll(cx)
    })
    .await
}

impl Pulse {
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(crate) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn has_answered(&self) -> bool {
        self.answers.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn answered(&self) {
        self.answers.fetch_add(1, Ordering::Relaxed);
    }

    /// A request got no answer in its time: others go elsewhere until a ping is answered.
    pub(crate) fn missed(&self) {
        self.health.silent();
        self.probe.notify_one();
    }

    /// Why the connection ended, once it has.
    pub(crate) fn broke(&self) -> Option<&str> {
        self.broke.get().map(String::as_str)
    }

    /// Runs a connection until it breaks, goes silent or shall be torn down.
    pub(crate) async fn run(
        self: Arc<Self>,
        mut engine: Engine,
        pings: KeepAlive,
        torn_down: impl Future<Output = ()>,
    ) -> io::Error {
        let Engine { driver, ping_pong } = &mut engine;
        tokio::select! {
            ended = &mut *driver => match ended {
                Ok(Ok(())) => io::Error::from(io::ErrorKind::ConnectionAborted),
                Ok(Err(error)) => io::Error::other(error),
                Err(error) => io::Error::other(error),
            },
            silence = self.watch_for_silence(ping_pong, pings) => {
                let _ = self.broke.set(silence.to_string());
                driver.abort();
                silence
            }
            () = torn_down => {
                let _ = self.broke.set("it was given up".to_owned());
                driver.abort();
                // Ends as soon as the socket is closed.
                let _ = driver.await;
                io::Error::from(io::ErrorKind::ConnectionAborted)
            }
        }
    }

    /// Pings when requests wait and nothing is heard. Idle connections are not pinged: etcd takes
    /// pings without a call under way for abuse and closes the connection.
    async fn watch_for_silence(&self, ping_pong: &mut PingPong, pings: KeepAlive) -> io::Error {
        let mut heard = self.answers.load(Ordering::Relaxed);
        // Opening the connection has just taken a ping.
        let (mut last_ping, mut unheard) = (Instant::now(), 1);
        loop {
            let asked = timeout(pings.interval, self.probe.notified()).await.is_ok();
            let answers = self.answers.load(Ordering::Relaxed);
            if answers != heard {
                (heard, unheard) = (answers, 0);
                if !asked {
                    continue;
                }
            }
            let idle = self.in_flight() == 0;
            if idle && (!asked || unheard >= PINGS_UNHEARD) {
                // What was silent stays avoided for a while, and is then tried again.
                self.health.alive();
                continue;
            }
            if unheard > 0 {
                sleep_until(last_ping + PING_APART).await;
            }
            (last_ping, unheard) = (Instant::now(), unheard + 1);
            let within = if asked {
                pings.timeout.min(PROBE_TIMEOUT)
            } else {
                pings.timeout
            };
            match answer_within(within, ping_pong.ping(h2::Ping::opaque())).await {
                Some(Ok(_)) => self.health.alive(),
                Some(Err(error)) => return io::Error::other(error),
                None => {
                    self.health.silent();
                    let what = format!("no answer to a ping within {within:?}");
                    return io::Error::new(io::ErrorKind::TimedOut, what);
                }
            }
        }
    }
}

/// What is answered within a time, or `None`.
///
/// If this process itself stood still meanwhile, the answer may well be there, unread, when the time is
/// found to be over. So it then has that time once more.
async fn answer_within<T>(within: Duration, answer: impl Future<Output = T>) -> Option<T> {
    let mut answer = pin!(answer);
    for _ in 0..2 {
        let began = Instant::now();
        match timeout(within, &mut answer).await {
            Ok(answer) => return Some(answer),
            Err(_) if began.elapsed() < within + STALL => return None,
            Err(_) => {}
        }
    }
    None
}

fn no_ping_handle() -> ConnectError {
    let source = io::Error::other("a fresh connection has no ping handle");
    ConnectError::Dial(DialError { source, tls: false })
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::{
        sync::oneshot,
        time::{advance, sleep},
    };

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_came_while_the_process_stood_still_is_heard() {
        let within = Duration::from_secs(2);
        let (answer, answered) = oneshot::channel();
        let stall = tokio::spawn(async move {
            advance(within + 2 * STALL).await;
            // Whoever waits is told first that its time is over.
            sleep(Duration::from_millis(5)).await;
            answer.send(()).expect("somebody waits");
        });
        assert_eq!(answer_within(within, answered).await, Some(Ok(())));
        stall.await.expect("the stall is over");
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_not_waited_for_twice() {
        let within = Duration::from_secs(2);
        let began = Instant::now();
        assert_eq!(answer_within(within, pending::<()>()).await, None);
        assert!(began.elapsed() < within + STALL);
    }
}
