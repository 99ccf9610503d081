//! What the client tells of itself: `tracing` spans and events, and metrics where the feature
//! `metrics` is on. The crate's documentation lists all of them.
//!
//! Everything else calls the functions here and knows neither crate's macros. Nothing they are given is
//! secret: names of operations, endpoints, numbers and errors, never keys or values.

#[macro_use]
mod names;

use std::{
    borrow::Cow,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

#[cfg(feature = "metrics")]
pub use names::describe_metrics;
use tracing::{Span, debug, debug_span, field::Empty, span::Entered, trace, warn};

use crate::Error;

const CALL: &str = "etcdkit::call";
const CONNECTION: &str = "etcdkit::connection";
const STREAM: &str = "etcdkit::stream";
const WATCH: &str = "etcdkit::watch";
const LEASE: &str = "etcdkit::lease";
#[cfg(feature = "v2")]
const V2: &str = "etcdkit::v2";

/// One call under way, with all its attempts. Dropped before its end, it was cancelled.
#[derive(Debug)]
pub(crate) struct Observed {
    span: Span,
    operation: &'static str,
    started: Instant,
    ended: bool,
}

impl Observed {
    pub(crate) fn begin(operation: &'static str) -> Self {
        gauge!(CALLS_IN_FLIGHT, increment(1.0), "operation" => operation);
        let span = debug_span!(
            target: CALL,
            "etcd",
            operation,
            endpoint = Empty,
            attempts = Empty,
            outcome = Empty,
        );
        Self {
            span,
            operation,
            started: Instant::now(),
            ended: false,
        }
    }

    /// The call's span, for futures that are polled in it.
    #[cfg(feature = "v2")]
    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    /// Makes the call's span the current one.
    pub(crate) fn enter(&self) -> Entered<'_> {
        self.span.enter()
    }

    pub(crate) fn end<E: Told>(
        &mut self,
        error: Option<&E>,
        endpoint: Option<&str>,
        attempts: u32,
    ) {
        self.ended = true;
        let outcome = error.map_or(OK.into(), |error| name(&error.kind()));
        if !self.span.is_disabled() {
            if let Some(endpoint) = endpoint.or_else(|| error.and_then(Told::endpoint)) {
                self.span.record("endpoint", endpoint);
            }
            self.span.record("attempts", attempts);
            self.span.record("outcome", &*outcome);
            match error {
                Some(error) => debug!(target: CALL, parent: &self.span, %error, "failed"),
                None => trace!(target: CALL, parent: &self.span, "answered"),
            }
        }
        record!(CALL_SECONDS, self.started.elapsed(), "operation" => self.operation);
        self.count(outcome);
    }

    fn count(&self, outcome: Name) {
        gauge!(CALLS_IN_FLIGHT, decrement(1.0), "operation" => self.operation);
        count!(CALLS, 1, "operation" => self.operation, "outcome" => outcome);
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        if !self.ended {
            self.span.record("outcome", CANCELLED);
            self.count(CANCELLED.into());
        }
    }
}

const OK: &str = "ok";
const CANCELLED: &str = "cancelled";

/// An error of whichever API.
pub(crate) trait Told: fmt::Display {
    /// Its kind, whose name is what its debug output shows.
    fn kind(&self) -> impl fmt::Debug;

    fn endpoint(&self) -> Option<&str>;
}

impl Told for Error {
    fn kind(&self) -> impl fmt::Debug {
        Self::kind(self)
    }

    fn endpoint(&self) -> Option<&str> {
        Self::endpoint(self)
    }
}

/// What a call's outcome is called.
type Name = Cow<'static, str>;

/// A kind of error as a label, such as `lease_not_found`.
fn name(kind: &dyn fmt::Debug) -> Name {
    let mut name = String::new();
    for character in format!("{kind:?}").chars() {
        if character.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(character.to_ascii_lowercase());
    }
    name.into()
}

/// A call is sent, for the first time or again.
pub(crate) fn attempt(operation: &'static str, endpoint: &Arc<str>, number: u32) {
    trace!(target: CALL, operation, %endpoint, number, "attempt");
    count!(ATTEMPTS, 1, "operation" => operation, "endpoint" => Arc::clone(endpoint));
}

/// An attempt has failed, and there may be another one.
pub(crate) fn retry(operation: &'static str, error: &impl Told) {
    debug!(target: CALL, operation, %error, "trying again");
    count!(RETRIES, 1, "operation" => operation, "reason" => name(&error.kind()));
}

/// One HTTP request of the v2 API and what came of it: a status, or why there is none.
#[cfg(feature = "v2")]
pub(crate) fn exchange(method: &str, url: &str, result: Result<u16, &str>, elapsed: Duration) {
    match result {
        Ok(status) => debug!(target: V2, method, url, status, ?elapsed, "answered"),
        Err(error) => debug!(target: V2, method, url, error, ?elapsed, "no answer"),
    }
}

/// One stream under way.
#[derive(Debug)]
pub(crate) struct Stream {
    operation: &'static str,
}

impl Stream {
    pub(crate) fn opened(operation: &'static str, endpoint: &Arc<str>) -> Self {
        debug!(target: STREAM, operation, %endpoint, "stream opened");
        gauge!(STREAMS, increment(1.0), "operation" => operation);
        Self { operation }
    }

    pub(crate) fn broke(&self, error: &Error) {
        debug!(target: STREAM, operation = self.operation, %error, "stream broke");
        count!(STREAMS_BROKEN, 1, "operation" => self.operation, "reason" => name(&error.kind()));
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        gauge!(STREAMS, decrement(1.0), "operation" => self.operation);
    }
}

/// One open connection.
#[derive(Debug)]
pub(crate) struct Connected {
    endpoint: Arc<str>,
}

impl Connected {
    pub(crate) fn to(endpoint: &Arc<str>) -> Self {
        debug!(target: CONNECTION, %endpoint, "connected");
        gauge!(CONNECTIONS, increment(1.0), "endpoint" => Arc::clone(endpoint));
        Self {
            endpoint: Arc::clone(endpoint),
        }
    }

    /// The connection broke, or takes no more requests.
    pub(crate) fn lost(self, error: Option<&std::io::Error>) {
        let endpoint = &self.endpoint;
        match error {
            Some(error) => debug!(target: CONNECTION, %endpoint, %error, "connection lost"),
            None => debug!(target: CONNECTION, %endpoint, "connection is closing"),
        }
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        gauge!(CONNECTIONS, decrement(1.0), "endpoint" => Arc::clone(&self.endpoint));
    }
}

pub(crate) fn cannot_connect(endpoint: &Arc<str>, error: &dyn std::error::Error) {
    debug!(target: CONNECTION, %endpoint, %error, "cannot connect");
    count!(CONNECT_FAILURES, 1, "endpoint" => Arc::clone(endpoint));
}

/// An endpoint is avoided from now on.
pub(crate) fn suspected(endpoint: &Arc<str>) {
    debug!(target: CONNECTION, %endpoint, "avoiding the endpoint");
    gauge!(SUSPECT, set(1.0), "endpoint" => Arc::clone(endpoint));
}

/// An endpoint that was avoided is well.
pub(crate) fn recovered(endpoint: &Arc<str>) {
    debug!(target: CONNECTION, %endpoint, "the endpoint is well again");
    gauge!(SUSPECT, set(0.0), "endpoint" => Arc::clone(endpoint));
}

/// A watch that lives.
#[derive(Debug)]
pub(crate) struct Watching;

impl Watching {
    pub(crate) fn begin() -> Self {
        gauge!(WATCHES, increment(1.0));
        Self
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        gauge!(WATCHES, decrement(1.0));
    }
}

/// So many events were received for a watch.
pub(crate) fn watch_events(events: usize) {
    count!(WATCH_EVENTS, events as u64);
}

/// A program takes an update and is still so many revisions behind the newest one known.
pub(crate) fn watch_lag(revisions: i64) {
    record!(WATCH_LAG, revisions.max(0) as f64);
}

/// A watch was created anew, to go on from this revision.
pub(crate) fn watch_resumed(from: i64) {
    debug!(target: WATCH, from, "watch goes on");
    count!(WATCH_RESUMED, 1);
}

/// A watch waits for its program, which has got this revision last.
pub(crate) fn watch_paused(at: i64) {
    debug!(target: WATCH, at, "watch pauses for a slow program");
    count!(WATCH_PAUSED, 1);
}

/// A lease that is kept alive.
#[derive(Debug)]
pub(crate) struct Keeping;

impl Keeping {
    pub(crate) fn begin() -> Self {
        gauge!(LEASES, increment(1.0));
        Self
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        gauge!(LEASES, decrement(1.0));
    }
}

/// A lease was renewed when it still had so much time.
pub(crate) fn lease_slack(left: Duration) {
    record!(LEASE_SLACK, left);
}

/// A lease that was to be kept alive has ended.
pub(crate) fn lease_lost(id: i64, reason: &'static str) {
    warn!(target: LEASE, id = %format_args!("{id:x}"), reason, "lease lost");
    count!(LEASE_LOST, 1, "reason" => reason);
}
