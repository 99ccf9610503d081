//! One two-way stream on one connection.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use h2::SendStream;
use http::{HeaderMap, uri::PathAndQuery};

use super::{
    Failure,
    attempt::{Answer, head, not_sent},
    connection::Connection,
};

/// A stream on which both sides send messages as they like. Dropping it resets the stream, which
/// tells the server to forget it.
#[derive(Debug)]
pub(crate) struct Exchange {
    connection: Arc<Connection>,
    limit: usize,
    requests: SendStream<Bytes>,
    answer: Answer,
}

impl Exchange {
    /// Opens the stream. The server begins to answer when it has something to say.
    pub(crate) fn open(
        connection: &Arc<Connection>,
        path: &PathAndQuery,
        headers: HeaderMap,
        limit: usize,
    ) -> Result<Self, Failure> {
        let head = head(connection, path, headers)?;
        let (response, requests) = connection
            .sender()
            .send_request(head, false)
            .map_err(not_sent)?;
        connection.pulse.begin();
        Ok(Self {
            connection: Arc::clone(connection),
            limit,
            requests,
            answer: Answer::Head(response),
        })
    }

    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// Sends framed messages, one or several in a row. What the peer has no room for yet waits in
    /// memory; a stream that has failed shows it in its answer, with the cause.
    pub(crate) fn send(&mut self, messages: Bytes) {
        let _ = self.requests.send_data(messages, false);
    }

    /// The next message of the answer, or `None` once the server has ended it with success.
    pub(crate) fn poll_message(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, Failure>> {
        self.answer.poll_message(&self.connection, self.limit, cx)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.connection.pulse.end();
    }
}
