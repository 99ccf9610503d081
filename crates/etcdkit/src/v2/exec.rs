//! The one request core of the v2 client.
//!
//! Choose an endpoint, try, judge what came of it by the policy that the v3 client has, go elsewhere or
//! pause, until an answer, the deadline or a failure that repeating cannot cure.

mod attempt;
mod run;

use std::{
    fmt,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use serde::de::DeserializeOwned;

use self::run::{Arrived, Run};
use super::{
    Counters, Error, ErrorKind, Header, Result, counters::Counting, refusal, request::Request,
    trace::Listener,
};
use crate::{
    Outcome, RetryPolicy,
    exec::RetryBudget,
    policy::Class,
    transport::{
        dial::Dialer,
        endpoint::Endpoint,
        http1::{self, Http1},
        roster::Roster,
    },
};

/// What the execution core needs to know of the settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    pub(crate) connect_timeout: Duration,
    pub(crate) request_timeout: Duration,
    /// How long one endpoint may take to begin its answer; `None` leaves that to the class of the request.
    pub(crate) attempt_timeout: Option<Duration>,
    pub(crate) max_receive_bytes: usize,
    pub(crate) retry: RetryPolicy,
    /// Whether reads ask for the cluster's agreement where they do not say otherwise.
    pub(crate) quorum: bool,
    /// Whether endpoints without a scheme speak TLS.
    pub(crate) wants_tls: bool,
}

/// What all clones of a client share.
pub(crate) struct Core {
    pub(crate) config: Config,
    pub(crate) roster: Roster,
    dialer: Arc<Dialer>,
    http: Arc<Http1>,
    budget: RetryBudget,
    /// Marked as sensitive, so that nothing shows it.
    authorization: Option<HeaderValue>,
    counting: Counting,
    listener: Option<Listener>,
    /// Whether the cluster has said that it knows refreshes (etcd 2.3).
    pub(super) knows_refresh: AtomicBool,
    /// Keeps the background thread for as long as anything needs the core.
    #[cfg(feature = "blocking")]
    pub(super) background: std::sync::OnceLock<Arc<crate::blocking::Background>>,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) header: Header,
    pub(crate) body: Bytes,
    pub(crate) told: Told,
}

/// What a later failure to make sense of an answer has to tell.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) endpoint: Arc<str>,
    operation: &'static str,
    class: Class,
    attempts: u32,
    elapsed: Duration,
}

/// An answer whose body is still coming, such as that of a watch.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) header: Header,
    pub(crate) told: Told,
    body: http1::Body,
}

impl Core {
    pub(super) fn new(
        config: Config,
        roster: Roster,
        dialer: Arc<Dialer>,
        authorization: Option<HeaderValue>,
        listener: Option<Listener>,
    ) -> Self {
        Self {
            config,
            roster,
            http: Http1::new(Arc::clone(&dialer), config.connect_timeout),
            dialer,
            budget: RetryBudget::new(),
            authorization,
            counting: Counting::default(),
            listener,
            knows_refresh: AtomicBool::new(false),
            #[cfg(feature = "blocking")]
            background: std::sync::OnceLock::new(),
        }
    }

    /// Sends a request and reads its whole answer. Dropping the future cancels the request on the wire.
    ///
    /// # Errors
    ///
    /// Whatever is not a success, with its story.
    pub(crate) async fn call(&self, request: Request) -> Result<Answer> {
        let (arrived, told) = Run::new(self, &request, false).observed().await?;
        let Arrived {
            status,
            header,
            body,
            ..
        } = arrived;
        Ok(Answer {
            status,
            header,
            body,
            told,
        })
    }

    /// Sends a request and waits for the head of its answer only, which the request's time limits. How
    /// long the body takes is up to the server.
    pub(crate) async fn open(&self, request: Request) -> Result<Opened> {
        let (arrived, told) = Run::new(self, &request, true).observed().await?;
        let Some(body) = arrived.rest else {
            return Err(told.error(ErrorKind::Protocol, "the answer has no body"));
        };
        Ok(Opened {
            header: arrived.header,
            told,
            body,
        })
    }

    /// Whether endpoints without a scheme speak TLS.
    pub(super) fn speaks_tls(&self) -> bool {
        self.roster.speaks_tls(self.config.wants_tls)
    }

    /// An endpoint as an address of this client, with whatever TLS it needs.
    pub(crate) fn endpoint(&self, text: &str) -> Result<Endpoint> {
        let endpoint = Endpoint::parse(text, self.speaks_tls()).map_err(Error::of_config)?;
        self.prepare(std::slice::from_ref(&endpoint))?;
        Ok(endpoint)
    }

    /// Replaces the endpoints.
    pub(super) fn adopt(&self, endpoints: Vec<Endpoint>) -> Result<()> {
        self.prepare(&endpoints)?;
        self.roster.seed(endpoints);
        Ok(())
    }

    fn prepare(&self, endpoints: &[Endpoint]) -> Result<()> {
        self.dialer.prepare(endpoints).map_err(Error::of_config)
    }

    pub(super) fn counters(&self) -> Counters {
        self.counting.now()
    }

    /// Whether an endpoint is one of the client's, however it is written.
    pub(super) fn is_ours(&self, endpoint: &Endpoint) -> bool {
        let same = |ours: &Endpoint| ours.address == endpoint.address && ours.tls == endpoint.tls;
        self.roster
            .places()
            .iter()
            .any(|place| same(&place.endpoint))
    }
}

impl Answer {
    /// The body as a message of etcd's.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| self.told.not_json(error))
    }

    /// The body as text, such as the lists of machines.
    pub(crate) fn text(&self) -> Result<&str> {
        std::str::from_utf8(&self.body).map_err(|error| {
            let error = Error::new(ErrorKind::Protocol, "the answer is no text").with_source(error);
            self.told.tell(error)
        })
    }
}

impl Opened {
    /// The next piece of the body, whatever it holds; `None` is the end. Cancelling is safe, nothing
    /// is lost.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>> {
        match self.body.chunk().await {
            Ok(chunk) => Ok(chunk),
            Err(failure) => Err(self.told.tell(attempt::explain(failure).1)),
        }
    }
}

impl Told {
    /// An error about the answer, with the story of the request.
    pub(crate) fn error(&self, kind: ErrorKind, what: impl Into<String>) -> Error {
        self.tell(Error::new(kind, what))
    }

    pub(crate) fn not_json(&self, error: serde_json::Error) -> Error {
        let what = format!("the server sent something else than etcd's answer: {error}");
        self.tell(Error::new(ErrorKind::Protocol, what).with_source(error))
    }

    /// The error that a message of the server's is, such as one in the body of a watch.
    pub(crate) fn refusal(&self, status: StatusCode, body: &[u8]) -> Error {
        self.tell(refusal::read(status, body, "/v2/keys").0)
    }

    fn tell(&self, error: Error) -> Error {
        let outcome = match self.class.is_once_only() {
            true => Outcome::Unknown,
            false => Outcome::NotApplied,
        };
        error
            .with_outcome(outcome)
            .with_operation(self.operation)
            .with_endpoint(Arc::clone(&self.endpoint))
            .with_story(self.attempts, self.elapsed)
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("config", &self.config)
            .field("roster", &self.roster)
            .field("authorization", &self.authorization)
            .finish_non_exhaustive()
    }
}
