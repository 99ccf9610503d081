//! One HTTP/1.1 connection, which carries one request at a time.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::{
        TrySendError,
        http1::{Builder, SendRequest},
    },
};
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;

use crate::{
    observe::Connected,
    transport::{
        dial::{DialError, Dialer},
        endpoint::Endpoint,
    },
};

pub(super) struct Connection {
    endpoint: Arc<str>,
    sender: SendRequest<Full<Bytes>>,
    /// Moves the bytes. Ended with the connection, so that nothing of a cancelled request goes on.
    driver: JoinHandle<()>,
}

impl Connection {
    pub(super) async fn open(dialer: &Dialer, endpoint: &Endpoint) -> Result<Self, DialError> {
        let io = dialer.dial(endpoint).await?;
        let handshake = Builder::new().handshake(TokioIo::new(io)).await;
        // Nothing is read or written yet.
        let (sender, connection) = handshake.map_err(|error| DialError {
            source: std::io::Error::other(error),
            tls: false,
        })?;
        let connected = Connected::to(&endpoint.text);
        let driver = tokio::spawn(async move {
            // How it ended is told to the request that was under way.
            let _ = connection.await;
            connected.lost(None);
        });
        Ok(Self {
            endpoint: Arc::clone(&endpoint.text),
            sender,
            driver,
        })
    }

    pub(super) fn endpoint(&self) -> &Arc<str> {
        &self.endpoint
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Whether the connection takes a request before the time is up.
    pub(super) async fn settles_within(&mut self, time: Duration) -> bool {
        matches!(
            tokio::time::timeout(time, self.sender.ready()).await,
            Ok(Ok(()))
        )
    }

    pub(super) fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<Full<Bytes>>>>> + use<>
    {
        self.sender.try_send_request(request)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}
