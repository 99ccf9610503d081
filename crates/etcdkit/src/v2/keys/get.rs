//! Get: read a key or a directory.

use std::{future::IntoFuture, time::Duration};

use super::{Draft, look, respond, send};
use crate::v2::{Call, Client, Found, Response, Result};

impl Client {
    /// Reads a key, or a directory with what it holds. What does not exist is no error, but `None` in the
    /// answer, whose header says from where to watch for it.
    ///
    /// One member answers from what it has, which may be stale; [`Get::quorum`] asks the cluster.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
    /// # let client = etcdkit::v2::Client::connect(server.endpoint()).await?;
    /// client.set("/app/port", "80").await?;
    ///
    /// let found = client.get("/app/port").quorum().await?;
    /// assert_eq!(found.value(), Some("80"));
    /// assert_eq!(client.get("/app/port").value().await?, Some("80".to_owned()));
    ///
    /// let app = client.get("/app").recursive().sorted().await?;
    /// assert_eq!(app.nodes()[0].key, "/app/port");
    /// assert!(!client.get("/no/such/key").await?.exists());
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn get(&self, key: impl Into<String>) -> Get<'_> {
        Get {
            client: self,
            quorum: self.core.config.quorum,
            draft: Draft::read("get", key),
        }
    }

    /// Whether there is a key or directory.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
    /// # let client = etcdkit::v2::Client::connect(server.endpoint()).await?;
    /// client.set("/app/port", "80").await?;
    /// assert!(client.exists("/app/port").await?);
    /// assert!(client.exists("/app").await?);
    /// assert!(!client.exists("/app/host").await?);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn exists(&self, key: impl Into<String>) -> Exists<'_> {
        let mut get = self.get(key);
        get.draft.request.operation = "exists";
        Exists { get }
    }
}

/// A read that has not been sent yet: made by [`Client::get`], sent when awaited.
///
/// # Errors
///
/// From the server, among others: [`NotADirectory`](crate::v2::ErrorKind::NotADirectory) if there is a key
/// on the way, [`Unauthorized`](crate::v2::ErrorKind::Unauthorized), and for a
/// [`quorum`](Self::quorum) read [`RaftInternal`](crate::v2::ErrorKind::RaftInternal) if the cluster did not
/// agree in time.
///
/// Reads are sent again, to another endpoint if there is one, until they succeed or time is up.
#[derive(Debug)]
#[must_use = "a get is sent when awaited"]
pub struct Get<'a> {
    client: &'a Client,
    quorum: bool,
    draft: Draft,
}

impl<'a> Get<'a> {
    /// Asks for everything below a directory, not only for one level. What is hidden is left out.
    pub fn recursive(mut self) -> Self {
        self.draft = self.draft.flag("recursive");
        self
    }

    /// Orders what directories hold by the bytes of the names; servers choose any order otherwise.
    pub fn sorted(mut self) -> Self {
        self.draft = self.draft.flag("sorted");
        self
    }

    /// Reads what the cluster agrees on: everything that was written before is seen. Slower, and impossible
    /// without a leader. The default if the client's [builder](crate::v2::ClientBuilder::quorum) says so.
    pub fn quorum(mut self) -> Self {
        self.quorum = true;
        self
    }

    /// Reads what the member that answers has: faster, possible without a leader, but maybe stale.
    pub fn local(mut self) -> Self {
        self.quorum = false;
        self
    }

    /// Limits the time for the whole call; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.draft.request.timeout = Some(timeout);
        self
    }

    /// Takes only the value: `None` if there is no key, and for a directory.
    pub fn value(self) -> GetValue<'a> {
        GetValue { get: self }
    }

    /// Takes a key or directory that does not exist for an error,
    /// [`KeyNotFound`](crate::v2::ErrorKind::KeyNotFound), whose
    /// [cause](crate::v2::Error::cause_text) is the first part of the path that is missing.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
    /// # let client = etcdkit::v2::Client::connect(server.endpoint()).await?;
    /// client.set("/app/port", "80").await?;
    /// assert_eq!(client.get("/app/port").required().await?.value(), Some("80"));
    ///
    /// let error = client.get("/app/tls/port").required().await.unwrap_err();
    /// assert_eq!(error.cause_text(), Some("/app/tls"));
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn required(self) -> GetRequired<'a> {
        GetRequired { get: self }
    }

    fn draft(self) -> (&'a Client, Draft) {
        (self.client, self.draft.quorum(self.quorum))
    }
}

impl IntoFuture for Get<'_> {
    type Output = Result<Found>;
    type IntoFuture = Call<Found>;

    fn into_future(self) -> Call<Found> {
        let (client, draft) = self.draft();
        send(client, draft, look)
    }
}

/// A read of what has to exist that has not been sent yet: made by [`Get::required`], sent when awaited.
#[derive(Debug)]
#[must_use = "a get is sent when awaited"]
pub struct GetRequired<'a> {
    get: Get<'a>,
}

impl IntoFuture for GetRequired<'_> {
    type Output = Result<Response>;
    type IntoFuture = Call<Response>;

    fn into_future(self) -> Call<Response> {
        let (client, draft) = self.get.draft();
        send(client, draft, respond)
    }
}

/// A read of a bare value that has not been sent yet: made by [`Get::value`], sent when awaited.
#[derive(Debug)]
#[must_use = "a get is sent when awaited"]
pub struct GetValue<'a> {
    get: Get<'a>,
}

impl IntoFuture for GetValue<'_> {
    type Output = Result<Option<String>>;
    type IntoFuture = Call<Option<String>>;

    fn into_future(self) -> Call<Option<String>> {
        let (client, draft) = self.get.draft();
        send(client, draft, |answer| {
            Ok(look(answer)?.node.and_then(|node| node.value))
        })
    }
}

/// A question that has not been sent yet: made by [`Client::exists`], sent when awaited.
///
/// Its errors are those of [`Get`].
#[derive(Debug)]
#[must_use = "a question is sent when awaited"]
pub struct Exists<'a> {
    get: Get<'a>,
}

impl Exists<'_> {
    /// Asks the cluster, as [`Get::quorum`] does.
    pub fn quorum(mut self) -> Self {
        self.get = self.get.quorum();
        self
    }

    /// Asks one member, as [`Get::local`] does.
    pub fn local(mut self) -> Self {
        self.get = self.get.local();
        self
    }

    /// Limits the time for the whole call; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.get = self.get.timeout(timeout);
        self
    }
}

impl IntoFuture for Exists<'_> {
    type Output = Result<bool>;
    type IntoFuture = Call<bool>;

    fn into_future(self) -> Call<bool> {
        let (client, draft) = self.get.draft();
        send(client, draft, |answer| Ok(look(answer)?.exists()))
    }
}
