//! One call, with all its attempts.

use std::{pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::StatusCode;
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::Instrument;

use super::{Core, Told, attempt::Failed};
use crate::{
    Outcome, RetryPolicy,
    exec::deadline_after,
    observe::{self, Observed},
    policy::{self, Class, Ending},
    transport::{
        backoff::Backoff,
        health::Health,
        http1::{Body, Progress},
        pick::Tried,
        roster::Place,
    },
    v2::{Error, ErrorKind, Header, Result, request::Request},
};

/// A read goes elsewhere, or on another connection, when an endpoint has not answered within this part
/// of the call's time, but not sooner than a healthy server under load may need.
const ATTEMPT_SHARE: u32 = 4;
const ATTEMPT_LEAST: Duration = Duration::from_millis(500);

/// A success.
pub(super) struct Arrived {
    pub(super) status: StatusCode,
    pub(super) header: Header,
    pub(super) endpoint: Arc<str>,
    pub(super) body: Bytes,
    /// The body, where only the head was waited for.
    pub(super) rest: Option<Body>,
}

pub(super) struct Run<'a> {
    core: &'a Core,
    request: &'a Request,
    head_only: bool,
    retry: RetryPolicy,
    started: Instant,
    deadline: Instant,
    /// How often the request was handed to a connection.
    attempts: u32,
    tried: Tried,
    pauses: Backoff,
    /// Whether an attempt was made that may have been applied, whatever became of later ones.
    in_doubt: bool,
    /// Why the latest attempt failed.
    last: Option<Error>,
    /// Why endpoints could not be reached, since one was tried a second time.
    unreachable: Vec<String>,
}

impl<'a> Run<'a> {
    pub(super) fn new(core: &'a Core, request: &'a Request, head_only: bool) -> Self {
        let started = Instant::now();
        let timeout = request.timeout.unwrap_or(core.config.request_timeout);
        let limit = deadline_after(started, timeout);
        let deadline = match (request.deadline, request.timeout) {
            (None, _) => limit,
            (Some(deadline), None) => deadline.into(),
            (Some(deadline), Some(_)) => limit.min(deadline.into()),
        };
        let retry = request.retry.unwrap_or(core.config.retry);
        Self {
            core,
            request,
            head_only,
            retry,
            started,
            deadline,
            attempts: 0,
            tried: Tried::default(),
            pauses: Backoff::new(retry.pause_first, retry.pause_most),
            in_doubt: false,
            last: None,
            unreachable: Vec::new(),
        }
    }

    /// Runs the call within its span.
    pub(super) async fn observed(mut self) -> Result<(Arrived, Told)> {
        let mut observed = Observed::begin(self.request.operation);
        let result = self.run().instrument(observed.span()).await;
        let endpoint = result.as_ref().ok().map(|arrived| &*arrived.endpoint);
        observed.end(result.as_ref().err(), endpoint, self.attempts);
        match result {
            Ok(arrived) => {
                let told = Told {
                    endpoint: Arc::clone(&arrived.endpoint),
                    operation: self.request.operation,
                    class: self.request.class,
                    attempts: self.attempts,
                    elapsed: self.started.elapsed(),
                };
                Ok((arrived, told))
            }
            Err(error) => {
                self.core.counting.failures.add(1);
                Err(error)
            }
        }
    }

    async fn run(&mut self) -> Result<Arrived> {
        if self.deadline <= self.started {
            let error = Error::new(ErrorKind::Timeout, "the deadline has passed already");
            return Err(self.conclude(error));
        }
        loop {
            let Some(place) = self.choose() else {
                let error = Error::new(ErrorKind::Connect, "no endpoint is known");
                return Err(self.conclude(error));
            };
            let failed = match self.attempt(&place).await {
                Ok(arrived) => {
                    self.succeeded(&place);
                    return Ok(arrived);
                }
                Err(failed) => failed,
            };
            let (again, paid) = self.failed(&place, failed)?;
            if !again || !paid {
                self.pause(paid).await?;
            }
        }
    }

    /// The endpoint to try next: the one that requests stay at, else those after it, those that
    /// lately failed last.
    fn choose(&self) -> Option<Arc<Place>> {
        if let Some(only) = &self.request.only {
            let places = self.core.roster.places();
            let known = places.into_iter().find(|place| *place.endpoint == *only);
            return Some(known.unwrap_or_else(|| {
                Arc::new(Place {
                    number: 0,
                    endpoint: Arc::new(only.clone()),
                    health: Arc::new(Health::of(Arc::clone(&only.text))),
                })
            }));
        }
        let mut places = self.core.roster.places();
        let pinned = self.core.roster.pinned();
        if let Some(at) = places.iter().position(|place| pinned == Some(place.number)) {
            places.rotate_left(at);
        }
        let chosen = places
            .into_iter()
            .filter(|place| !self.tried.contains(place.number))
            .min_by_key(|place| place.health.is_suspect())?;
        if pinned != Some(chosen.number) {
            self.core.roster.pin(chosen.number);
        }
        Some(chosen)
    }

    async fn attempt(&mut self, place: &Arc<Place>) -> Result<Arrived, Failed> {
        let (core, request) = (self.core, self.request);
        let number = self.attempts + 1;
        observe::attempt(request.operation, &place.endpoint.text, number);
        let progress = Progress::default();
        let mut attempt =
            pin!(core.attempt(&place.endpoint, request, number, self.head_only, &progress));
        let last = self.give_up_at();
        let mut until = self.look_up_at(last);
        let ended = loop {
            match timeout_at(until, attempt.as_mut()).await {
                Ok(ended) => break Some(ended),
                Err(_) if until >= self.deadline => break None,
                // Whoever has begun to answer is heard out.
                Err(_) if progress.is_answered() => until = self.deadline,
                Err(_) if until >= last => break None,
                Err(_) if self.has_other(place) || progress.is_on_reused() => break None,
                Err(_) => until = last,
            }
        };
        if progress.is_sent() {
            self.attempts = number;
            if number > 1 {
                core.counting.retries.add(1);
            }
        }
        ended.unwrap_or_else(|| {
            let waited = self.started.elapsed();
            let ending = match progress.is_sent() {
                true => Ending::Lost,
                false => Ending::NotSent,
            };
            if waited >= ATTEMPT_LEAST {
                place.health.refused();
            }
            core.http.forget(&place.endpoint.text);
            let what = format!("no answer within {waited:.1?}");
            let mut error = Error::new(ErrorKind::Timeout, what)
                .with_endpoint(Arc::clone(&place.endpoint.text));
            if let Some(cause) = self.last.take() {
                error = error.with_source(cause);
            }
            Err(Failed {
                ending,
                error,
                unreachable: false,
            })
        })
    }

    /// When an attempt that begins now has had as long as it may have.
    fn give_up_at(&self) -> Instant {
        match self.core.config.attempt_timeout {
            Some(most) => self.deadline.min(deadline_after(Instant::now(), most)),
            None => self.deadline,
        }
    }

    /// When to see whether the request would fare better elsewhere, which a write never does: it
    /// cannot be asked twice.
    fn look_up_at(&self, last: Instant) -> Instant {
        if self.request.class.is_once_only() || self.attempts + 1 >= self.retry.max_attempts {
            return last;
        }
        let share = (self.deadline - self.started) / ATTEMPT_SHARE;
        last.min(Instant::now() + share.max(ATTEMPT_LEAST))
    }

    /// Whether there is another endpoint that has not been tried.
    fn has_other(&self, place: &Place) -> bool {
        let other =
            |other: &Arc<Place>| other.number != place.number && !self.tried.contains(other.number);
        self.request.only.is_none() && self.core.roster.places().iter().any(other)
    }

    fn succeeded(&self, place: &Place) {
        self.core.budget.deposit();
        if self.attempts > 1 {
            self.core.budget.refund();
        }
        // What needs one member only says nothing of whether it can serve others.
        if !matches!(
            self.request.class,
            Class::LocalWrite | Class::Local | Class::Probe
        ) {
            place.health.well();
        }
    }

    /// Judges a failure. Either it ends the call, or the request goes on: to another endpoint at once
    /// if the first is true, and at no further cost if the second is.
    fn failed(&mut self, place: &Place, failed: Failed) -> Result<(bool, bool)> {
        let Failed {
            ending,
            error,
            unreachable,
        } = failed;
        let verdict = policy::judge(ending, self.request.class);
        if verdict.avoid || unreachable {
            place.health.refused();
        }
        self.in_doubt |= verdict.outcome == Outcome::Unknown;
        let error = error.with_outcome(verdict.outcome);
        if unreachable {
            self.unreachable
                .push(format!("{}: {}", place.endpoint, error.message()));
        }
        let over = Instant::now() >= self.deadline;
        if !verdict.retry || over || self.attempts >= self.retry.max_attempts {
            return Err(self.conclude(error));
        }
        let elsewhere = self.has_other(place);
        if self.request.hasty && !elsewhere {
            return Err(self.conclude(error));
        }
        observe::retry(self.request.operation, &error);
        self.last = Some(error);
        self.tried.insert(place.number);
        // What was never sent burdens nobody, so it does not count against the budget.
        let paid = ending == Ending::NotSent || self.pay();
        Ok((elsewhere, paid))
    }

    fn pay(&self) -> bool {
        !self.retry.budget || self.core.budget.withdraw(Instant::now().into_std())
    }

    /// Waits before all endpoints are tried anew, and until the budget pays for that.
    async fn pause(&mut self, mut paid: bool) -> Result<()> {
        self.tried = Tried::default();
        loop {
            let pause = self.pauses.next(fastrand::f64());
            sleep_until(self.deadline.min(Instant::now() + pause)).await;
            if Instant::now() >= self.deadline {
                let last = self.last.take();
                let error = last.unwrap_or_else(|| Error::new(ErrorKind::Timeout, "no answer"));
                return Err(self.conclude(error));
            }
            paid = paid || self.pay();
            if paid {
                self.unreachable.clear();
                return Ok(());
            }
        }
    }

    fn conclude(&mut self, error: Error) -> Error {
        let error = match (error.kind(), error.status(), self.unreachable.len()) {
            (kind @ (ErrorKind::Connect | ErrorKind::Tls), None, 1..) => {
                let causes = self.unreachable.join("; ");
                let what = format!("no endpoint can be reached ({causes})");
                Error::new(kind, what).with_source(error)
            }
            _ => error,
        };
        let error = match self.in_doubt {
            true => error.with_outcome(Outcome::Unknown),
            false => error,
        };
        error
            .with_operation(self.request.operation)
            .with_story(self.attempts, self.started.elapsed())
    }
}
