//! One unary call, with all its attempts.
//!
//! A call is what is to be done ([`Plan`]) and how far it has come ([`Running`]). It is a plain future
//! without a task or a box of its own, because it is on the path of every request.

mod running;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use self::running::{Running, Turn};
use super::{Decode, Request, failure::finished};
use crate::{
    Error, Result, RetryPolicy,
    client::Core,
    observe::Observed,
    transport::Failure,
    wrap::namespace::{Foreign, Leave, Namespace},
};

pin_project! {
    /// A call under way.
    ///
    /// Nothing is sent before it is first polled. Dropping it cancels it on the wire; a write that
    /// was under way then may or may not have been applied.
    ///
    /// # Panics
    ///
    /// Polling panics outside of a tokio runtime that has its I/O and time drivers enabled.
    #[must_use = "futures do nothing unless polled"]
    pub struct Call<T> {
        stage: Stage<T>,
        #[pin]
        timer: Option<Sleep>,
    }
}

#[expect(
    clippy::large_enum_variant,
    reason = "a box would be an allocation on every call"
)]
enum Stage<T> {
    /// Not started, or failed before it could start.
    New(Result<Plan<T>>),
    Running(Running<T>, Observed),
    Done,
}

/// What to do, before the first poll starts the clock.
struct Plan<T> {
    core: Arc<Core>,
    request: Request,
    decode: Decode<T>,
    /// When the call has to be done, besides the request's own timeout.
    deadline: Option<Instant>,
    /// The caller's policy for this call; `None` takes the client's.
    retry: Option<RetryPolicy>,
    /// Takes the answer out of the namespace it was asked in.
    within: Option<(Namespace, LeaveFn<T>)>,
    /// Set where a healthy server may take its time to answer: the longest time until the request is
    /// on its way.
    patience: Option<Duration>,
}

type LeaveFn<T> = fn(&mut T, &Namespace) -> std::result::Result<(), Foreign>;

impl<T> Plan<T> {
    fn read(&self, reply: Bytes) -> Result<T, Failure> {
        let mut answer = (self.decode)(reply).map_err(Failure::Undecodable)?;
        if let Some((namespace, leave)) = &self.within {
            leave(&mut answer, namespace)
                .map_err(|foreign| Failure::Protocol(foreign.to_string()))?;
        }
        Ok(answer)
    }
}

impl<T> Call<T> {
    pub(crate) fn new(core: &Arc<Core>, request: Request, decode: Decode<T>) -> Self {
        let plan = Plan {
            core: Arc::clone(core),
            request,
            decode,
            deadline: None,
            retry: None,
            within: None,
            patience: None,
        };
        Self {
            stage: Stage::New(Ok(plan)),
            timer: None,
        }
    }

    /// The same call, to be done by a time.
    pub(super) fn by(mut self, deadline: std::time::Instant) -> Self {
        if let Stage::New(Ok(plan)) = &mut self.stage {
            plan.deadline = Some(deadline.into());
        }
        self
    }

    /// The same call, repeated as a policy says.
    pub(super) fn retried(mut self, policy: RetryPolicy) -> Self {
        if let Stage::New(Ok(plan)) = &mut self.stage {
            plan.retry = Some(policy);
        }
        self
    }

    /// The same call, for an answer whose keys are of a namespace.
    pub(crate) fn within(mut self, namespace: &Namespace) -> Self
    where
        T: Leave,
    {
        if let Stage::New(Ok(plan)) = &mut self.stage
            && !namespace.is_empty()
        {
            plan.within = Some((namespace.clone(), T::leave));
        }
        self
    }

    /// The same call, where a healthy server may leave the request unanswered for long: while it
    /// defragments, or waits for a lock. Only pings tell then whether it is alive, and how long it
    /// may take to reach it is no matter of the call's own time.
    pub(crate) fn patient(mut self, patience: Duration) -> Self {
        if let Stage::New(Ok(plan)) = &mut self.stage {
            plan.patience = Some(patience);
        }
        self
    }

    /// A call that fails at once: its request is known to be wrong before it is sent.
    pub(crate) fn failed(error: Error) -> Self {
        Self {
            stage: Stage::New(Err(error)),
            timer: None,
        }
    }
}

impl<T> Future for Call<T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let mut this = self.project();
        loop {
            match this.stage {
                Stage::New(_) => {
                    let Stage::New(plan) = std::mem::replace(this.stage, Stage::Done) else {
                        continue;
                    };
                    match plan.and_then(Running::start) {
                        Ok(running) => {
                            let observed = Observed::begin(running.plan.request.method.name);
                            *this.stage = Stage::Running(running, observed);
                        }
                        Err(error) => return Poll::Ready(Err(error)),
                    }
                }
                Stage::Running(running, observed) => {
                    let entered = observed.enter();
                    let result = match running.poll(cx) {
                        Turn::Done(result) => result,
                        Turn::Again => continue,
                        // The timer is armed only once an answer keeps us waiting.
                        Turn::Until(instant) => {
                            if this
                                .timer
                                .as_ref()
                                .as_pin_ref()
                                .is_none_or(|timer| timer.deadline() != instant)
                            {
                                this.timer.set(Some(sleep_until(instant)));
                            }
                            match this.timer.as_mut().as_pin_mut().map(|timer| timer.poll(cx)) {
                                Some(Poll::Pending) => return Poll::Pending,
                                _ => match running.time_is_up() {
                                    Some(error) => Err(error),
                                    None => continue,
                                },
                            }
                        }
                    };
                    drop(entered);
                    observed.end(result.as_ref().err(), running.endpoint(), running.attempts);
                    *this.stage = Stage::Done;
                    return Poll::Ready(result);
                }
                Stage::Done => return Poll::Ready(Err(finished())),
            }
        }
    }
}

impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = match &self.stage {
            Stage::New(Ok(plan)) => Some(plan),
            Stage::Running(running, _) => Some(&running.plan),
            Stage::New(Err(_)) | Stage::Done => None,
        };
        f.debug_struct("Call")
            .field("operation", &plan.map(|plan| plan.request.method.name))
            .finish_non_exhaustive()
    }
}
