//! Keeping an eye on the member behind a stream on which nothing happens.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use etcdkit_proto::health::HealthCheckRequest;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::{
    client::{Core, HEALTH},
    policy::Class,
    transport::{attempt::Attempt, connection::Connection, pick::Tried},
    wire::Frame,
};

/// After this much silence the member is asked whether it is alive, where another one could take
/// over; a lone member is asked more rarely.
///
/// HTTP/2's own pings would be too slow: etcd closes connections that ping every five seconds. It
/// takes any number of questions for its health, which cost it some microseconds.
const SILENCE: Duration = Duration::from_millis(1250);
const SILENCE_ALONE: Duration = Duration::from_secs(5);

/// How long the answer may take before another member is asked, too.
const PATIENCE: Duration = Duration::from_secs(1);

/// Watches over one stream's connection.
pub(super) struct Vigil {
    connection: Arc<Connection>,
    heard: Instant,
    timer: Pin<Box<Sleep>>,
    state: State,
}

enum State {
    /// Waits for the silence to be long enough.
    Quiet,
    /// Has asked the member.
    Asked(Box<Attempt>),
    /// Has asked another member, too; whoever answers first decides.
    Doubting {
        here: Box<Attempt>,
        elsewhere: Box<Attempt>,
    },
}

impl Vigil {
    pub(super) fn new(connection: &Arc<Connection>) -> Self {
        let heard = Instant::now();
        Self {
            connection: Arc::clone(connection),
            heard,
            timer: Box::pin(sleep_until(heard + SILENCE)),
            state: State::Quiet,
        }
    }

    /// A message has arrived.
    pub(super) fn heard(&mut self) {
        self.heard = Instant::now();
        // The timer is left alone: when it fires it sees that it was too early.
        self.state = State::Quiet;
    }

    /// Ready with the length of the silence once the member is taken for dead.
    pub(super) fn poll(&mut self, core: &Core, cx: &mut Context<'_>) -> Poll<Duration> {
        loop {
            let answered = match &mut self.state {
                State::Quiet => false,
                State::Asked(here) => here.poll_reply(cx).is_ready(),
                State::Doubting { here, elsewhere } => {
                    // Any answer of this member will do, a refusal as well.
                    let answered = here.poll_reply(cx).is_ready();
                    match elsewhere.poll_reply(cx) {
                        Poll::Ready(Ok(_)) if !answered => {
                            self.state = State::Quiet;
                            return Poll::Ready(self.heard.elapsed());
                        }
                        // It is no better off there; a new round begins.
                        Poll::Ready(Err(_)) => true,
                        _ => answered,
                    }
                }
            };
            if answered {
                self.heard();
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.time_is_up(core);
        }
    }

    fn time_is_up(&mut self, core: &Core) {
        let mut here = Tried::default();
        here.insert(self.connection.place);
        let has_other = core.streams.has_other(here);
        let next = match std::mem::replace(&mut self.state, State::Quiet) {
            State::Quiet => {
                let silence = if has_other { SILENCE } else { SILENCE_ALONE };
                let due = self.heard + silence;
                if Instant::now() < due {
                    due
                } else {
                    match ask(core, Arc::clone(&self.connection)) {
                        Some(attempt) => {
                            self.state = State::Asked(attempt);
                            Instant::now() + PATIENCE
                        }
                        // The connection is closing, which the stream will tell.
                        None => Instant::now() + SILENCE,
                    }
                }
            }
            State::Asked(asked) => {
                self.connection.pulse.missed();
                let other = core.streams.choose(here, None).filter(|_| has_other);
                self.state = match other.and_then(|other| ask(core, other)) {
                    Some(elsewhere) => State::Doubting {
                        here: asked,
                        elsewhere,
                    },
                    None => State::Asked(asked),
                };
                Instant::now() + PATIENCE
            }
            State::Doubting { here, .. } => {
                self.state = State::Asked(here);
                Instant::now() + PATIENCE
            }
        };
        self.timer.as_mut().reset(next);
    }
}

/// Asks a member for its health.
fn ask(core: &Core, connection: Arc<Connection>) -> Option<Box<Attempt>> {
    let headers = core.without_token(Class::Probe).headers;
    let frame = Frame::of(&HealthCheckRequest::default()).bytes();
    let limit = core.config.max_receive_bytes;
    let attempt = Attempt::new(connection, &HEALTH.path, headers, frame, limit);
    attempt.ok().map(Box::new)
}
