//! One request on one connection, once.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use http::{HeaderMap, Method, Request, Uri, Version, uri::PathAndQuery};

use super::{Failure, connection::Connection, reply::Messages};

/// A request under way with one message of the client's. Dropping it resets the stream, which tells
/// the server to stop.
#[derive(Debug)]
pub(crate) struct Attempt {
    connection: Arc<Connection>,
    limit: usize,
    stage: Stage,
    /// The reply of a unary request, until the status behind it is known.
    reply: Option<Bytes>,
}

#[derive(Debug)]
enum Stage {
    New {
        sender: SendRequest<Bytes>,
        head: Request<()>,
        message: Bytes,
    },
    /// Handed over.
    Sent {
        sender: SendRequest<Bytes>,
        answer: Answer,
    },
    Failed,
}

/// A response, from the wait for its head to the status at its end.
#[derive(Debug)]
pub(super) enum Answer {
    Head(ResponseFuture),
    Body(Messages),
}

impl Answer {
    /// The next message, or `None` once the server has ended the response with success.
    pub(super) fn poll_message(
        &mut self,
        connection: &Connection,
        limit: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, Failure>> {
        loop {
            match self {
                Self::Head(response) => {
                    let response =
                        ready!(Pin::new(response).poll(cx)).map_err(Failure::of_stream)?;
                    connection.pulse.answered();
                    *self = Self::Body(Messages::new(response, limit)?);
                }
                Self::Body(messages) => return messages.poll_next(cx),
            }
        }
    }
}

impl Attempt {
    pub(crate) fn new(
        connection: Arc<Connection>,
        path: &PathAndQuery,
        headers: HeaderMap,
        message: Bytes,
        limit: usize,
    ) -> Result<Self, Failure> {
        let head = head(&connection, path, headers)?;
        let sender = connection.sender();
        connection.pulse.begin();
        let stage = Stage::New {
            sender,
            head,
            message,
        };
        Ok(Self {
            connection,
            limit,
            stage,
            reply: None,
        })
    }

    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// Whether anything may have reached the server: not while the request waits for room among the
    /// streams that the server allows.
    pub(crate) fn is_sent(&mut self) -> bool {
        match &mut self.stage {
            Stage::New { .. } => false,
            Stage::Sent {
                sender,
                answer: Answer::Head(_),
            } => {
                let mut cx = Context::from_waker(Waker::noop());
                !matches!(sender.poll_ready(&mut cx), Poll::Pending)
            }
            Stage::Sent { .. } | Stage::Failed => true,
        }
    }

    /// Whether the answer has begun.
    pub(crate) fn is_answered(&self) -> bool {
        let is_body = |answer: &Answer| matches!(answer, Answer::Body(_));
        matches!(&self.stage, Stage::Sent { answer, .. } if is_body(answer))
    }

    /// The reply of a unary request, once the server has also said that all went well.
    pub(crate) fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Failure>> {
        loop {
            let unexpected = match (ready!(self.poll_message(cx))?, self.reply.take()) {
                (Some(first), None) => {
                    self.reply = Some(first);
                    continue;
                }
                (None, Some(reply)) => return Poll::Ready(Ok(reply)),
                (Some(_), Some(_)) => "two messages where one belongs",
                (None, None) => "a success without a message",
            };
            return Poll::Ready(Err(Failure::protocol(unexpected)));
        }
    }

    /// The next message of the answer, or `None` once the server has ended it with success.
    pub(crate) fn poll_message(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, Failure>> {
        loop {
            match &mut self.stage {
                Stage::New { .. } => {
                    let stage = std::mem::replace(&mut self.stage, Stage::Failed);
                    let Stage::New {
                        mut sender,
                        head,
                        message,
                    } = stage
                    else {
                        continue;
                    };
                    let (response, mut body) =
                        sender.send_request(head, false).map_err(not_sent)?;
                    // A failure here shows in the response too, and there with its cause.
                    let _ = body.send_data(message, true);
                    let answer = Answer::Head(response);
                    self.stage = Stage::Sent { sender, answer };
                }
                Stage::Sent { answer, .. } => {
                    return answer.poll_message(&self.connection, self.limit, cx);
                }
                Stage::Failed => {
                    return Poll::Ready(Err(Failure::protocol("nothing to a failed attempt")));
                }
            }
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.connection.pulse.end();
    }
}

/// A connection that takes no request is closing; the request is as good as new.
pub(super) fn not_sent(error: h2::Error) -> Failure {
    Failure::NotSent(error.into())
}

pub(super) fn head(
    connection: &Connection,
    path: &PathAndQuery,
    headers: HeaderMap,
) -> Result<Request<()>, Failure> {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(connection.endpoint.scheme());
    parts.authority = Some(connection.endpoint.authority.clone());
    parts.path_and_query = Some(path.clone());
    let mut head = Request::new(());
    *head.uri_mut() = Uri::from_parts(parts).map_err(|error| Failure::NotSent(error.into()))?;
    *head.method_mut() = Method::POST;
    *head.version_mut() = Version::HTTP_2;
    *head.headers_mut() = headers;
    Ok(head)
}
