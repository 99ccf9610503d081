//! One attempt at a request: at one endpoint, and wherever that sends it on to.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use http::{StatusCode, header};

use super::{Core, run::Arrived};
use crate::{
    policy::Ending,
    transport::{
        endpoint::Endpoint,
        http1::{Answer, Failure, Progress},
    },
    v2::{
        Error, ErrorKind, Header,
        redirect::{self, Target},
        refusal,
        request::Request,
        trace::Telling,
    },
};

/// How an attempt ended that brought no success.
pub(super) struct Failed {
    pub(super) ending: Ending,
    pub(super) error: Error,
    /// Whether it is because no connection came about.
    pub(super) unreachable: bool,
}

impl Failed {
    fn of(failure: Failure, endpoint: &Endpoint) -> Self {
        let unreachable = matches!(failure, Failure::Unreachable(_) | Failure::Rejected(_));
        let (ending, error) = explain(failure);
        Self {
            ending,
            error: error.with_endpoint(Arc::clone(&endpoint.text)),
            unreachable,
        }
    }
}

/// What the transport's failures are called.
pub(super) fn explain(failure: Failure) -> (Ending, Error) {
    match failure {
        Failure::Unreachable(cause) => {
            let kind = match cause.is_tls() {
                true => ErrorKind::Tls,
                false => ErrorKind::Connect,
            };
            let error = Error::new(kind, cause.to_string()).with_source(cause);
            (Ending::NotSent, error)
        }
        Failure::NotSent(cause) => {
            let what = format!("the connection ended before the request was sent: {cause}");
            let error = Error::new(ErrorKind::Connect, what).with_source(cause);
            (Ending::NotSent, error)
        }
        Failure::Rejected(cause) => {
            let what = innermost(&*cause);
            let error = Error::new(ErrorKind::Tls, what).with_source(cause);
            (Ending::NotSent, error)
        }
        Failure::Lost(cause) => {
            let what = format!("the connection was lost: {}", innermost(&*cause));
            let error = Error::new(ErrorKind::Disconnected, what).with_source(cause);
            (Ending::Lost, error)
        }
        Failure::TooLarge { limit } => {
            let what = format!("the answer has more than {limit} bytes, which the client takes");
            let error = Error::new(ErrorKind::ResponseTooLarge, what);
            (Ending::Unusable, error)
        }
    }
}

/// The reason at the end of a chain of causes, which is the one that says something.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

impl Core {
    /// Sends a request to an endpoint and follows it on. With `head_only` the body of a success is left
    /// to come.
    pub(super) async fn attempt(
        &self,
        endpoint: &Endpoint,
        request: &Request,
        attempt: u32,
        head_only: bool,
        progress: &Progress,
    ) -> Result<Arrived, Failed> {
        let mut target = Target {
            endpoint: endpoint.clone(),
            path_and_query: request.path_and_query(),
        };
        let mut hops = 0;
        loop {
            progress.reset();
            let redirected = hops > 0;
            let answer = self
                .exchange(&target, request, attempt, redirected, progress)
                .await?;
            let status = answer.head.status;
            if !redirect::is_redirect(status) {
                return self.read(answer, &target, request, head_only).await;
            }
            let next = match hops < redirect::MOST {
                true => redirect::follow(&target, &answer.head.headers).and_then(|next| {
                    self.prepare(std::slice::from_ref(&next.endpoint))?;
                    Ok(next)
                }),
                false => Err(Error::new(
                    ErrorKind::TooManyRedirects,
                    format!(
                        "the request was sent on {} times, lastly by {}",
                        redirect::MOST,
                        target.endpoint
                    ),
                )),
            };
            target = next.map_err(|error| Failed {
                // Whoever sends a request on has not done what it asks for.
                ending: Ending::Answered(refusal::REFUSED),
                error: error
                    .with_status(status.as_u16())
                    .with_endpoint(Arc::clone(&target.endpoint.text)),
                unreachable: false,
            })?;
            hops += 1;
            self.counting.redirects.add(1);
        }
    }

    /// One HTTP request, up to the head of its answer.
    async fn exchange(
        &self,
        target: &Target,
        request: &Request,
        attempt: u32,
        redirected: bool,
        progress: &Progress,
    ) -> Result<Answer, Failed> {
        let body = request.body.bytes();
        let size = body.len();
        let message = self.message(target, request, body)?;
        let started = Instant::now();
        let telling = Telling {
            request,
            endpoint: &target.endpoint.text,
            path: target.path(),
            attempt,
            redirected,
        };
        let listener = self.listener.as_ref();
        let answered = self.http.exchange(&target.endpoint, message, progress);
        let answered = answered.await;
        if progress.is_sent() {
            self.counting.requests.add(1);
            self.counting.bytes_sent.add(size);
        }
        match answered {
            Ok(answer) => {
                let said = (
                    answer.head.status.as_u16(),
                    Header::of(&answer.head.headers),
                );
                telling.tell(listener, Ok(said), started.elapsed());
                Ok(answer)
            }
            Err(failure) => {
                let failed = Failed::of(failure, &target.endpoint);
                telling.tell(listener, Err(&failed.error.message()), started.elapsed());
                Err(failed)
            }
        }
    }

    fn message(
        &self,
        target: &Target,
        request: &Request,
        body: Bytes,
    ) -> Result<http::Request<Bytes>, Failed> {
        let mut message = http::Request::builder()
            .method(request.method.clone())
            .uri(target.path_and_query.as_str());
        if let Some(content_type) = request.body.content_type() {
            message = message.header(header::CONTENT_TYPE, content_type);
        }
        // Who asks is told to the client's own endpoints, wherever others send the request on to.
        if let Some(authorization) = &self.authorization
            && self.is_ours(&target.endpoint)
        {
            message = message.header(header::AUTHORIZATION, authorization);
        }
        message.body(body).map_err(|error| Failed {
            ending: Ending::Answered(refusal::REFUSED),
            error: Error::invalid_request(format!("the request cannot be sent: {error}"))
                .with_source(error),
            unreachable: false,
        })
    }

    async fn read(
        &self,
        answer: Answer,
        target: &Target,
        request: &Request,
        head_only: bool,
    ) -> Result<Arrived, Failed> {
        let Answer { head, body } = answer;
        let endpoint = Arc::clone(&target.endpoint.text);
        let header = Header::of(&head.headers);
        let status = head.status;
        if head_only && status.is_success() {
            return Ok(Arrived {
                status,
                header,
                endpoint,
                body: Bytes::new(),
                rest: Some(body),
            });
        }
        let body = body.rest(self.config.max_receive_bytes).await;
        let body = body.map_err(|failure| Failed::of(failure, &target.endpoint))?;
        self.counting.bytes_received.add(body.len());
        if !status.is_success() && !request.any_status {
            return Err(refused(status, &body, &request.path, endpoint));
        }
        Ok(Arrived {
            status,
            header,
            endpoint,
            body,
            rest: None,
        })
    }
}

fn refused(status: StatusCode, body: &[u8], path: &str, endpoint: Arc<str>) -> Failed {
    let (error, meaning) = refusal::read(status, body, path);
    Failed {
        ending: Ending::Answered(meaning),
        error: error.with_endpoint(endpoint),
        unreachable: false,
    }
}
