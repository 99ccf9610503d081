//! A call under way: choose a connection, try it, judge the failure ([`policy`]), pause or go elsewhere,
//! until an answer, the deadline or a failure that repeating cannot cure.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use etcdkit_proto::EtcdError;
use tokio::time::Instant;

use super::Plan;
use crate::{
    Error, ErrorKind, Outcome, Result, RetryPolicy,
    auth::Admission,
    exec::{
        deadline_after,
        failure::{explain, finished},
    },
    observe,
    policy::{self, Class, Ending},
    transport::{Failure, attempt::Attempt, backoff::Backoff, pick::Tried, pool::Change},
};

/// An endpoint that does not answer within this part of a call's time is doubted, and a read taken
/// elsewhere, but not sooner than a healthy server under load may need.
const ATTEMPT_SHARE: u32 = 4;
const ATTEMPT_LEAST: Duration = Duration::from_millis(500);

/// The state machine of one call. It has no timer of its own: whoever drives it waits as its turns
/// say.
pub(super) struct Running<T> {
    pub(super) plan: Plan<T>,
    retry: RetryPolicy,
    started: Instant,
    deadline: Instant,
    step: Step,
    pub(super) attempts: u32,
    /// What the latest attempt's token is known by.
    generation: u64,
    /// How many attempts ended because their token was refused.
    refusals: u32,
    tried: Tried,
    pauses: Backoff,
    /// Since when nothing has been there to take the request; only where the call is patient.
    kept_since: Option<Instant>,
    /// Whether an attempt was made that may have been applied, whatever became of later ones.
    in_doubt: bool,
    /// Why the latest attempt failed, in case there is no time for another.
    last: Option<Error>,
}

#[expect(
    clippy::large_enum_variant,
    reason = "a box would be an allocation on every call"
)]
enum Step {
    Choose,
    /// No connection is open; waits for one until the instant.
    Wait(Change, Instant),
    /// No token is known; waits for a login until the instant.
    LogIn(Change, Instant),
    /// An attempt, and when to see whether the request would fare better elsewhere.
    Try(Attempt, Instant),
    /// Waits before the next attempt, which the budget still has to pay for unless it is `paid`.
    Pause {
        until: Instant,
        paid: bool,
    },
}

/// How far one turn of the state machine got.
pub(super) enum Turn<T> {
    Done(Result<T>),
    Again,
    /// Nothing to do before this instant or a wake-up.
    Until(Instant),
}

impl<T> Running<T> {
    pub(super) fn start(plan: Plan<T>) -> Result<Self> {
        let Plan {
            core,
            request,
            deadline,
            retry,
            ..
        } = &plan;
        if request.frame.message_len() > core.config.max_send_bytes {
            return Err(Error::etcd(EtcdError::RequestTooLarge).with_operation(request.method.name));
        }
        let started = Instant::now();
        let after = |timeout| deadline_after(started, timeout);
        let deadline = match (request.timeout, *deadline) {
            (None, None) => after(core.config.request_timeout),
            (Some(timeout), None) => after(timeout),
            (None, Some(deadline)) => deadline,
            (Some(timeout), Some(deadline)) => deadline.min(after(timeout)),
        };
        if deadline <= started {
            let error = Error::new(ErrorKind::Timeout, "the deadline has passed already");
            let error = error.with_operation(request.method.name);
            return Err(error.with_story(0, Duration::ZERO));
        }
        let retry = retry.unwrap_or(core.config.retry);
        Ok(Self {
            plan,
            retry,
            started,
            deadline,
            step: Step::Choose,
            attempts: 0,
            generation: 0,
            refusals: 0,
            tried: Tried::default(),
            pauses: Backoff::new(retry.pause_first, retry.pause_most),
            kept_since: None,
            in_doubt: false,
            last: None,
        })
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Turn<T> {
        match &mut self.step {
            Step::Choose => self.choose(),
            Step::Wait(change, until) | Step::LogIn(change, until) => {
                match change.as_mut().poll(cx) {
                    Poll::Ready(()) => self.go(Step::Choose),
                    Poll::Pending => Turn::Until(*until),
                }
            }
            Step::Try(attempt, look_up) => match attempt.poll_reply(cx) {
                Poll::Pending => Turn::Until(*look_up),
                Poll::Ready(Ok(message)) => {
                    self.plan.core.budget.deposit();
                    if self.attempts > 1 {
                        self.plan.core.budget.refund();
                    }
                    // What needs one member only says nothing of whether it can serve others.
                    let class = self.plan.request.class;
                    if !matches!(class, Class::LocalWrite | Class::Local | Class::Probe) {
                        attempt.connection().pulse.health.well();
                    }
                    match self.plan.read(message) {
                        Ok(answer) => Turn::Done(Ok(answer)),
                        Err(failure) => self.failed(failure),
                    }
                }
                Poll::Ready(Err(failure)) => self.failed(failure),
            },
            Step::Pause { until, .. } => Turn::Until(*until),
        }
    }

    fn go(&mut self, step: Step) -> Turn<T> {
        self.step = step;
        Turn::Again
    }

    fn choose(&mut self) -> Turn<T> {
        let Plan { core, request, .. } = &self.plan;
        if core.is_closed() {
            return Turn::Done(Err(self.conclude(Error::closed())));
        }
        let connection = match core.pool.choose(self.tried, request.only) {
            Some(connection) => connection,
            None => {
                // Subscribed before looking once more, or an opening in between would be missed.
                let change = core.pool.change();
                match core.pool.choose(self.tried, request.only) {
                    Some(connection) => connection,
                    None => {
                        let until = self.reachable_by();
                        return self.go(Step::Wait(change, until));
                    }
                }
            }
        };
        let admitted = match core.admission(request.class) {
            Admission::Go(admitted) => admitted,
            Admission::Wait(change) => {
                let until = self.reachable_by();
                return self.go(Step::LogIn(change, until));
            }
            Admission::Fail(error) => return Turn::Done(Err(self.conclude(error))),
        };
        let limit = core.config.max_receive_bytes;
        let frame = request.frame.bytes();
        let path = &request.method.path;
        match Attempt::new(connection, path, admitted.headers, frame, limit) {
            Ok(attempt) => {
                self.generation = admitted.generation;
                self.attempts += 1;
                self.kept_since = None;
                let endpoint = &attempt.connection().endpoint.text;
                observe::attempt(request.method.name, endpoint, self.attempts);
                let look_up = self.look_up_at();
                self.go(Step::Try(attempt, look_up))
            }
            Err(Failure::NotSent(cause)) => {
                let error = Error::new(ErrorKind::InvalidConfig, cause.to_string());
                Turn::Done(Err(self.conclude(error.with_source(cause))))
            }
            Err(_) => Turn::Done(Err(finished())),
        }
    }

    /// Until when something has to be found that takes the request.
    fn reachable_by(&mut self) -> Instant {
        let Some(patience) = self.plan.patience else {
            return self.deadline;
        };
        let since = *self.kept_since.get_or_insert_with(Instant::now);
        let until = since.checked_add(patience).unwrap_or(self.deadline);
        until.min(self.deadline)
    }

    /// The endpoint that an attempt is under way on.
    pub(super) fn endpoint(&self) -> Option<&str> {
        match &self.step {
            Step::Try(attempt, _) => Some(&attempt.connection().endpoint.text),
            _ => None,
        }
    }

    fn look_up_at(&self) -> Instant {
        if self.plan.patience.is_some() {
            return self.deadline;
        }
        let share = (self.deadline - self.started) / ATTEMPT_SHARE;
        self.deadline.min(Instant::now() + share.max(ATTEMPT_LEAST))
    }

    fn failed(&mut self, failure: Failure) -> Turn<T> {
        let Step::Try(attempt, _) = std::mem::replace(&mut self.step, Step::Choose) else {
            return Turn::Again;
        };
        let connection = Arc::clone(attempt.connection());
        drop(attempt);
        let core = &self.plan.core;
        let (ending, verdict, error) = explain(failure, self.plan.request.class, &connection);
        if ending == Ending::NotSent {
            core.pool.retire(&connection);
        }
        self.in_doubt |= verdict.outcome == Outcome::Unknown;
        if core.is_closed() {
            return Turn::Done(Err(self.conclude(Error::closed().with_source(error))));
        }
        if core.refused(self.plan.request.class, self.generation, &error) {
            return self.refused(error, connection.place);
        }
        if !verdict.retry || !self.may_retry() {
            return Turn::Done(Err(self.conclude(error)));
        }
        observe::retry(self.plan.request.method.name, &error);
        self.last = Some(error);
        self.tried.insert(connection.place);
        // What was never sent burdens nobody, so it does not count against the budget.
        let paid = ending == Ending::NotSent || self.pay();
        if paid && self.has_elsewhere() {
            return self.go(Step::Choose);
        }
        self.pause(paid)
    }

    /// The token was refused, and with it the request: it is sent again with another token.
    fn refused(&mut self, error: Error, place: usize) -> Turn<T> {
        observe::retry(self.plan.request.method.name, &error);
        self.last = Some(error);
        self.tried.insert(place);
        self.refusals += 1;
        // When a token ends, all calls are refused once. That is no sign of trouble, and waiting for
        // the next token is pause enough.
        if self.refusals == 1 {
            return self.go(Step::Choose);
        }
        let paid = self.pay();
        self.pause(paid)
    }

    fn may_retry(&self) -> bool {
        self.attempts < self.retry.max_attempts
    }

    fn pay(&self) -> bool {
        !self.retry.budget || self.plan.core.budget.withdraw(Instant::now().into_std())
    }

    fn has_elsewhere(&self) -> bool {
        self.plan.request.only.is_none() && self.plan.core.pool.has_other(self.tried)
    }

    fn pause(&mut self, paid: bool) -> Turn<T> {
        self.tried = Tried::default();
        let pause = self.pauses.next(fastrand::f64());
        let until = self.deadline.min(Instant::now() + pause);
        self.go(Step::Pause { until, paid })
    }

    /// The instant that the machine waited for has come; an error ends the call.
    pub(super) fn time_is_up(&mut self) -> Option<Error> {
        let now = Instant::now();
        let over = now >= self.deadline;
        match std::mem::replace(&mut self.step, Step::Choose) {
            Step::Try(attempt, _) if over => Some(self.unanswered(attempt)),
            Step::Try(attempt, _) => {
                let mut tried = self.tried;
                tried.insert(attempt.connection().place);
                // A write cannot be asked again elsewhere. Otherwise whoever has begun to answer is
                // heard out, and so is the only one there is: if the connection is dead, the ping
                // that it now gets will end the attempt.
                let other = !self.plan.request.class.is_once_only()
                    && self.plan.request.only.is_none()
                    && self.may_retry()
                    && self.plan.core.pool.has_other(tried)
                    && !attempt.is_answered();
                if !other {
                    attempt.connection().pulse.missed();
                    self.step = Step::Try(attempt, self.deadline);
                    return None;
                }
                self.tried = tried;
                let error = self.unanswered(attempt);
                observe::retry(self.plan.request.method.name, &error);
                self.last = Some(error);
                None
            }
            Step::LogIn(_, until) if now >= until => {
                let error = self.plan.core.no_login(self.started.elapsed());
                Some(self.conclude(error))
            }
            Step::Wait(_, until) if now >= until => Some(self.unreached()),
            Step::Pause { .. } | Step::Choose if over => Some(self.unreached()),
            Step::Pause { paid, .. } => {
                if !paid && !self.pay() {
                    self.pause(false);
                }
                None
            }
            Step::Wait(..) | Step::LogIn(..) | Step::Choose => None,
        }
    }

    /// The error of a request that could not be sent again, or at all.
    fn unreached(&mut self) -> Error {
        let last = self.last.take();
        let only = self.plan.request.only;
        let error = last.unwrap_or_else(|| self.plan.core.pool.unreachable(only));
        self.conclude(error)
    }

    /// The error of a request that was given up without an answer.
    fn unanswered(&mut self, mut attempt: Attempt) -> Error {
        let connection = Arc::clone(attempt.connection());
        let ending = if attempt.is_sent() {
            Ending::Lost
        } else {
            Ending::NotSent
        };
        drop(attempt);
        let waited = self.started.elapsed();
        if waited >= ATTEMPT_LEAST && self.plan.patience.is_none() {
            connection.pulse.missed();
        }
        let outcome = policy::judge(ending, self.plan.request.class).outcome;
        self.in_doubt |= outcome == Outcome::Unknown;
        let mut error = Error::new(ErrorKind::Timeout, format!("no answer within {waited:.1?}"))
            .with_outcome(outcome)
            .with_endpoint(Arc::clone(&connection.endpoint.text));
        if let Some(cause) = self.last.take() {
            error = error.with_source(cause);
        }
        self.conclude(error)
    }

    fn conclude(&self, error: Error) -> Error {
        let error = match self.in_doubt {
            true => error.with_outcome(Outcome::Unknown),
            false => error,
        };
        error
            .with_operation(self.plan.request.method.name)
            .with_story(self.attempts, self.started.elapsed())
    }
}
