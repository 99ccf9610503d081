//! One request with a stream of answers.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::{Request, failure::explain};
use crate::{
    Error, ErrorKind, Result,
    client::Core,
    observe,
    policy::{Class, Ending, Verdict},
    transport::{Failure, attempt::Attempt, pick::Tried},
};

/// The answers to one request, as the server sends them. Dropping it cancels the request.
///
/// A stream that breaks is not taken up again here, because only whoever reads it knows where to
/// continue; [`Broken::passing`] says whether that makes sense.
pub(crate) struct Replies {
    core: Arc<Core>,
    attempt: Attempt,
    operation: &'static str,
    class: Class,
    /// What the token is known by that the request carries.
    generation: u64,
    observed: observe::Stream,
    /// The longest silence between two answers.
    silence: Duration,
    /// Ends the silence; made when an answer is first waited for.
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether the timer runs for the answer that comes next.
    waiting: bool,
}

/// Why a stream of answers ended early.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) error: Error,
    /// Whether the same request may well succeed elsewhere or a little later.
    pub(crate) passing: bool,
}

impl Replies {
    /// Sends the request on the best connection, waiting for one if need be.
    pub(crate) async fn open(core: &Arc<Core>, request: Request) -> Result<Self> {
        let operation = request.method.name;
        let within = request.timeout.unwrap_or(core.config.request_timeout);
        let chosen = core.pool.chosen(Tried::default(), request.only);
        let connection = timeout(within, chosen)
            .await
            .unwrap_or_else(|_| Err(core.pool.unreachable(request.only).with_story(0, within)))
            .map_err(|error| error.with_operation(operation))?;
        let admitted = core.admitted(request.class);
        let admitted = timeout(within, admitted)
            .await
            .unwrap_or_else(|_| Err(core.no_login(within)))
            .map_err(|error| error.with_operation(operation).with_story(0, within))?;
        let limit = core.config.max_receive_bytes;
        let path = &request.method.path;
        let attempt = Attempt::new(
            Arc::clone(&connection),
            path,
            admitted.headers,
            request.frame.bytes(),
            limit,
        )
        .map_err(|failure| explain(failure, request.class, &connection).2)?;
        let core = Arc::clone(core);
        Ok(Self {
            core,
            attempt,
            observed: observe::Stream::opened(operation, &connection.endpoint.text),
            operation,
            class: request.class,
            generation: admitted.generation,
            silence: within,
            timer: None,
            waiting: false,
        })
    }

    /// Changes how long the next answer may be waited for.
    pub(crate) fn limit_silence(&mut self, silence: Duration) {
        self.silence = silence;
    }

    /// The next answer, or `None` once the server has ended the stream with success. Nothing is lost
    /// when this is dropped unfinished.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Broken> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// As [`next`](Self::next), for streams.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, Broken>> {
        let broken = match self.attempt.poll_message(cx) {
            Poll::Ready(Ok(message)) => {
                self.waiting = false;
                return Poll::Ready(Ok(message));
            }
            Poll::Ready(Err(failure)) => self.broken(failure),
            Poll::Pending if self.is_silent(cx) => self.silent(),
            Poll::Pending => return Poll::Pending,
        };
        self.observed.broke(&broken.error);
        Poll::Ready(Err(broken))
    }

    /// Whether the wait for the next answer has been too long.
    fn is_silent(&mut self, cx: &mut Context<'_>) -> bool {
        let silence = self.silence;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(silence)));
        if !self.waiting {
            self.waiting = true;
            // Durations that reach beyond what the clock can tell mean "as long as it takes".
            match Instant::now().checked_add(silence) {
                Some(end) => timer.as_mut().reset(end),
                None => timer.set(sleep(silence)),
            }
        }
        timer.as_mut().poll(cx).is_ready()
    }

    fn silent(&self) -> Broken {
        let connection = self.attempt.connection();
        connection.pulse.missed();
        let what = format!("no answer within {:?}", self.silence);
        let error = Error::new(ErrorKind::Timeout, what)
            .with_endpoint(Arc::clone(&connection.endpoint.text))
            .with_operation(self.operation);
        Broken {
            error,
            passing: true,
        }
    }

    fn broken(&self, failure: Failure) -> Broken {
        let connection = self.attempt.connection();
        let (ending, Verdict { retry, .. }, error) = explain(failure, self.class, connection);
        if self.core.is_closed() {
            let error = Error::closed().with_operation(self.operation);
            return Broken {
                error,
                passing: false,
            };
        }
        if ending == Ending::NotSent {
            self.core.pool.retire(connection);
        }
        Broken {
            passing: retry || self.core.refused(self.class, self.generation, &error),
            error: error.with_operation(self.operation),
        }
    }
}
