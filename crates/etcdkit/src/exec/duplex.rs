//! One two-way stream, as watches and keep-alives need it.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;

use super::{Broken, Method, failure::explain, vigil::Vigil};
use crate::{
    Error, ErrorKind,
    auth::Refusal,
    client::Core,
    observe,
    policy::{Class, Ending},
    transport::{Failure, connection::Connection, exchange::Exchange, pick::Tried},
};

/// A two-way stream on a connection apart from those of calls. Dropping it ends it, on the wire too.
///
/// A stream that breaks is not taken up again here, because only whoever uses it knows what the
/// server has to be told anew; [`Broken::passing`] says whether that makes sense.
///
/// While nothing arrives the server is asked for a sign of life now and then ([`Vigil`]), and a
/// member that is silent while another one answers breaks the stream.
pub(crate) struct Duplex {
    core: Arc<Core>,
    exchange: Exchange,
    method: &'static Method,
    class: Class,
    generation: u64,
    vigil: Vigil,
    /// How the stream ended, until that is told.
    end: Option<std::result::Result<Option<Bytes>, Failure>>,
    observed: observe::Stream,
}

impl Duplex {
    /// Opens a stream to the best endpoint, waiting for a connection as long as it takes. Endpoints
    /// in `tried` are taken only if there is no other.
    ///
    /// A server does not answer before it has something to say, so that an open stream does not
    /// mean that the server has accepted it.
    pub(crate) async fn open(
        core: &Arc<Core>,
        method: &'static Method,
        class: Class,
        tried: Tried,
    ) -> Result<Self, Broken> {
        let connection = match core.streams.chosen(tried, None).await {
            Ok(connection) => connection,
            Err(error) => {
                let (error, passing) = (error.with_operation(method.name), false);
                return Err(Broken { error, passing });
            }
        };
        let admitted = match core.admitted(class).await {
            Ok(admitted) => admitted,
            Err(error) => {
                let (error, passing) = (error.with_operation(method.name), false);
                return Err(Broken { error, passing });
            }
        };
        let generation = admitted.generation;
        let limit = core.config.max_receive_bytes;
        let exchange = match Exchange::open(&connection, &method.path, admitted.headers, limit) {
            Ok(exchange) => exchange,
            Err(failure) => {
                let carried = (class, generation);
                return Err(broken(core, failure, carried, method, &connection));
            }
        };
        Ok(Self {
            core: Arc::clone(core),
            vigil: Vigil::new(&connection),
            end: None,
            observed: observe::Stream::opened(method.name, &connection.endpoint.text),
            exchange,
            method,
            class,
            generation,
        })
    }

    /// The connection that the stream runs on.
    pub(crate) fn connection(&self) -> &Arc<Connection> {
        self.exchange.connection()
    }

    /// Whether a new stream with another token may be accepted what this one was refused, in a
    /// message rather than at its end. A stream keeps the token that it was opened with, also when
    /// calls have a newer one, and servers look at it again with each watch that is created on it.
    pub(crate) fn is_token_to_blame(&self, kind: ErrorKind) -> bool {
        let refusal = match kind {
            ErrorKind::PermissionDenied => Some(Refusal::Denied),
            kind => Refusal::of(kind),
        };
        refusal.is_some_and(|refusal| self.core.tokens.refused(self.generation, refusal))
    }

    /// Sends framed messages, one or several in a row; never waits. That a stream is broken shows in
    /// [`next`](Self::next).
    pub(crate) fn send(&mut self, messages: Bytes) {
        self.exchange.send(messages);
    }

    /// The next message of the server. Nothing is lost when this is dropped unfinished.
    pub(crate) async fn next(&mut self) -> Result<Bytes, Broken> {
        let next = self.receive().await;
        if let Err(broken) = &next {
            self.observed.broke(&broken.error);
        }
        next
    }

    async fn receive(&mut self) -> Result<Bytes, Broken> {
        let failure = poll_fn(|cx| match self.end.take() {
            Some(end) => Poll::Ready(Ok(end)),
            None => match self.exchange.poll_message(cx) {
                Poll::Ready(message) => Poll::Ready(Ok(message)),
                Poll::Pending => self.vigil.poll(&self.core, cx).map(Err),
            },
        });
        let failure = match failure.await {
            Ok(Ok(Some(message))) => {
                self.vigil.heard();
                return Ok(message);
            }
            Ok(Err(failure)) => failure,
            Ok(Ok(None)) => {
                let error = Error::new(ErrorKind::Disconnected, "the server ended the stream");
                return Err(self.passing(error));
            }
            Err(silence) => {
                let what =
                    format!("no sign of life for {silence:.1?} while another member answers");
                return Err(self.passing(Error::new(ErrorKind::Timeout, what)));
            }
        };
        let connection = self.exchange.connection();
        Err(broken(
            &self.core,
            failure,
            (self.class, self.generation),
            self.method,
            connection,
        ))
    }

    /// The next message, if it is there already. Whoever gets none calls [`next`](Self::next) to wait for
    /// it, and to learn whether the stream has ended.
    pub(crate) fn ready(&mut self) -> Option<Bytes> {
        if self.end.is_some() {
            return None;
        }
        match self
            .exchange
            .poll_message(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(Ok(Some(message))) => Some(message),
            Poll::Ready(end) => {
                self.end = Some(end);
                None
            }
            Poll::Pending => None,
        }
    }

    fn passing(&self, error: Error) -> Broken {
        let endpoint = Arc::clone(&self.connection().endpoint.text);
        Broken {
            error: error
                .with_endpoint(endpoint)
                .with_operation(self.method.name),
            passing: true,
        }
    }
}

fn broken(
    core: &Core,
    failure: Failure,
    (class, generation): (Class, u64),
    method: &Method,
    connection: &Arc<Connection>,
) -> Broken {
    let (ending, verdict, error) = explain(failure, class, connection);
    if core.is_closed() {
        let error = Error::closed().with_operation(method.name);
        return Broken {
            error,
            passing: false,
        };
    }
    if ending == Ending::NotSent {
        core.streams.retire(connection);
    }
    Broken {
        passing: verdict.retry || core.refused(class, generation, &error),
        error: error.with_operation(method.name),
    }
}
