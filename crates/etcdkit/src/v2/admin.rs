//! Requests beside the key space: members, statistics, users and the like.

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    time::Duration,
};

use tokio::time::Instant;

use super::{Call, Client, Result, exec::Answer, request::Request};
use crate::{exec::deadline_after, transport::endpoint::Endpoint};

/// A request that has not been sent yet, sent when awaited.
///
/// Which errors it can fail with says the method that made it. Questions are repeated, on another endpoint if
/// there is one, until they are answered or time is up; what changes something is sent again on its own only
/// when it certainly had no effect.
#[must_use = "a request is sent when awaited"]
pub struct AdminRequest<'a, T> {
    client: &'a Client,
    timeout: Option<Duration>,
    endpoint: Option<String>,
    steps: Steps<T>,
}

/// What to send, and what to make of the answers.
type Steps<T> = Box<dyn FnOnce(Asker) -> Running<T> + Send>;

type Running<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

impl<'a, T: 'static> AdminRequest<'a, T> {
    /// One request, unless it is refused before it is sent.
    pub(super) fn one(
        client: &'a Client,
        request: Result<Request>,
        read: fn(Answer) -> Result<T>,
    ) -> Self {
        Self::several(client, move |asker| async move {
            read(asker.ask(request?).await?)
        })
    }

    /// Several requests, within the time of one.
    pub(super) fn several<F>(
        client: &'a Client,
        steps: impl FnOnce(Asker) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        Self {
            client,
            timeout: None,
            endpoint: None,
            steps: Box::new(|asker| Box::pin(steps(asker))),
        }
    }
}

impl<T> AdminRequest<'_, T> {
    /// Asks this endpoint and no other. It need not be one of the client's; if it is none, it is not told who
    /// asks.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
    /// # let client = etcdkit::v2::Client::connect(server.endpoint()).await?;
    /// for url in client.machines().await? {
    ///     let health = client.health().at(&url).await?;
    ///     println!("{url}: {}", if health.healthy { "well" } else { "unwell" });
    /// }
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn at(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// Limits the time for the whole call; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl<T: 'static> IntoFuture for AdminRequest<'_, T> {
    type Output = Result<T>;
    type IntoFuture = Call<T>;

    fn into_future(self) -> Call<T> {
        let client = self.client.clone();
        Call::new(async move {
            let only = match self.endpoint {
                Some(endpoint) => Some(client.core.endpoint(&endpoint)?),
                None => None,
            };
            let asker = Asker::new(&client, self.timeout);
            (self.steps)(Asker { only, ..asker }).await
        })
    }
}

impl<T> fmt::Debug for AdminRequest<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminRequest")
            .field("endpoint", &self.endpoint)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// Sends the requests of one call.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    client: Client,
    deadline: std::time::Instant,
    /// The one endpoint to ask.
    only: Option<Endpoint>,
}

impl Asker {
    pub(super) fn new(client: &Client, timeout: Option<Duration>) -> Self {
        let timeout = timeout.unwrap_or(client.core.config.request_timeout);
        Self {
            client: client.clone(),
            deadline: deadline_after(Instant::now(), timeout).into_std(),
            only: None,
        }
    }

    pub(super) async fn ask(&self, request: Request) -> Result<Answer> {
        let request = Request {
            deadline: Some(self.deadline),
            only: self.only.clone(),
            ..request
        };
        self.client.core.call(request).await
    }

    /// The same for another endpoint.
    pub(super) fn at(&self, endpoint: &str) -> Result<Self> {
        Ok(Self {
            only: Some(self.client.core.endpoint(endpoint)?),
            ..self.clone()
        })
    }
}
