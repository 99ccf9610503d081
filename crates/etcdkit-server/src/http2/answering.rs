//! One call: waiting for its answer, then sending it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Response};
use http_body::Body as _;
use pin_project_lite::pin_project;

use crate::body::Body;

pin_project! {
    /// Ends when everything is on its way, or the peer does not want it any more.
    #[project = AnsweringProj]
    pub(super) enum Answering<F> {
        None,
        Waiting {
            #[pin]
            answer: F,
            respond: SendResponse<Bytes>,
        },
        Sending {
            body: Body,
            stream: SendStream<Bytes>,
        },
    }
}

impl<F> Answering<F> {
    /// No call; ends at once.
    pub(super) fn none() -> Self {
        Self::None
    }

    pub(super) fn new(answer: F, respond: SendResponse<Bytes>) -> Self {
        Self::Waiting { answer, respond }
    }
}

impl<F: Future<Output = Response<Body>>> Future for Answering<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let sending = match self.as_mut().project() {
                AnsweringProj::None => return Poll::Ready(()),
                AnsweringProj::Waiting { answer, respond } => {
                    let Poll::Ready(response) = answer.poll(cx) else {
                        return respond.poll_reset(cx).map(drop);
                    };
                    match begin(respond, response) {
                        Ok(None) => return Poll::Ready(()),
                        Ok(Some((body, stream))) => Self::Sending { body, stream },
                        Err(error) => return failed(respond, &error),
                    }
                }
                AnsweringProj::Sending { body, stream } => {
                    return send(body, stream, cx).map(|sent| {
                        if let Err(error) = sent {
                            tracing::debug!(%error, "an answer could not be sent to its end");
                        }
                    });
                }
            };
            self.set(sending);
        }
    }
}

fn failed(respond: &mut SendResponse<Bytes>, error: &h2::Error) -> Poll<()> {
    tracing::debug!(%error, "an answer could not be sent");
    respond.send_reset(Reason::INTERNAL_ERROR);
    Poll::Ready(())
}

type Rest = Option<(Body, SendStream<Bytes>)>;

/// Sends headers, and a body of one piece with them. Returns a body that is still to come.
fn begin(respond: &mut SendResponse<Bytes>, response: Response<Body>) -> Result<Rest, h2::Error> {
    let (mut head, body) = response.into_parts();
    if !body.is_end_stream()
        && let Some(length) = body.size_hint().exact()
    {
        let length = || HeaderValue::from(length);
        head.headers.entry(CONTENT_LENGTH).or_insert_with(length);
    }
    let mut stream = respond.send_response(Response::from_parts(head, ()), body.is_end_stream())?;
    match body.into_reply() {
        Ok((message, trailers)) => {
            stream.send_data(message, false)?;
            stream.send_trailers(trailers)?;
            Ok(None)
        }
        Err(body) if body.is_end_stream() => Ok(None),
        Err(body) => Ok(Some((body, stream))),
    }
}

/// Sends piece by piece, each once the peer has room for it: until then nothing is asked of the body.
fn send(
    body: &mut Body,
    stream: &mut SendStream<Bytes>,
    cx: &mut Context<'_>,
) -> Poll<Result<(), h2::Error>> {
    loop {
        stream.reserve_capacity(1);
        while stream.capacity() == 0 {
            match ready!(stream.poll_capacity(cx)) {
                Some(capacity) => drop(capacity?),
                // The stream is closed.
                None => return Poll::Ready(Ok(())),
            }
        }
        let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) else {
            return stream.poll_reset(cx).map(|reset| reset.map(drop));
        };
        let Some(frame) = frame else {
            return Poll::Ready(stream.send_data(Bytes::new(), true));
        };
        let Ok(frame) = frame;
        match frame.into_data() {
            Ok(data) => {
                let ends = body.is_end_stream();
                stream.send_data(data, ends)?;
                if ends {
                    return Poll::Ready(Ok(()));
                }
            }
            Err(frame) => {
                let trailers = frame.into_trailers().unwrap_or_default();
                return Poll::Ready(stream.send_trailers(trailers));
            }
        }
    }
}
