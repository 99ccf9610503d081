//! The endpoints of a running client: those of the cluster's members, found by asking it or DNS.

mod srv;
mod sync;
mod upkeep;
mod version;

use std::sync::Arc;

pub(crate) use self::{srv::resolve, upkeep::Upkeep};
#[cfg(feature = "v2")]
pub(crate) use self::{sync::eligible, version::parse as major_and_minor};
use crate::{
    Client, Error, MemberId, Result,
    client::Core,
    transport::endpoint::{Endpoint, IntoEndpoints, parse_all},
};

impl Client {
    /// The endpoints that the client has now, as errors name them.
    pub fn endpoints(&self) -> impl ExactSizeIterator<Item = String> + use<> {
        let places = self.core.roster.places();
        places
            .into_iter()
            .map(|place| place.endpoint.text.to_string())
    }

    /// Replaces the endpoints, for all clones of the client.
    ///
    /// Endpoints that stay keep their connections. Those that are gone get no further calls, calls
    /// under way there finish, and watches and keep-alives go on elsewhere. The new ones are also what
    /// [`sync_endpoints`](Self::sync_endpoints) falls back to.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](crate::ErrorKind::InvalidConfig) as for
    /// [`ClientBuilder::endpoints`](crate::ClientBuilder::endpoints), and without any endpoint; then
    /// nothing has changed.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (old, new) = (etcdkit_server::Server::builder().start().await?, etcdkit_server::Server::builder().start().await?);
    /// # let (old, new) = (old.endpoint(), new.endpoint());
    /// let client = etcdkit::Client::connect(old).await?;
    /// client.set_endpoints(new)?;
    /// client.put("where", "there").await?;
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn set_endpoints(&self, endpoints: impl IntoEndpoints) -> Result<()> {
        let endpoints = parse_all(&endpoints.into_endpoints(), self.core.speaks_tls())?;
        if endpoints.is_empty() {
            return Err(Error::invalid_config(
                "no endpoints to replace the client's by",
            ));
        }
        self.core.adopt_seeds(endpoints)
    }

    /// Asks the cluster for its members and makes their client URLs the endpoints.
    ///
    /// The list is one that the cluster agrees on. Taken are the URLs of members that have been
    /// started and vote, and of these, each that is new only once it has answered as a member of the
    /// same cluster: URLs that are advertised but cannot be reached from here, lead elsewhere, or
    /// would give up TLS change nothing. If none is left, the endpoints stay as they are; when none of
    /// them can be reached at the next sync, those that the client began with are tried as well.
    ///
    /// Dropping the future leaves everything as it is. [`ClientBuilder::auto_sync`](crate::ClientBuilder::auto_sync) does
    /// this now and then.
    ///
    /// # Errors
    ///
    /// As [`Cluster::members`](crate::Cluster::members): the list could not be had.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let endpoint = server.endpoint();
    /// let client = etcdkit::Client::connect(endpoint).await?;
    /// let sync = client.sync_endpoints().await?;
    /// for rejected in &sync.rejected {
    ///     eprintln!("{}: {}", rejected.endpoint, rejected.error);
    /// }
    /// assert!(client.endpoints().eq(sync.endpoints));
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub async fn sync_endpoints(&self) -> Result<EndpointSync> {
        sync::sync(&self.core).await
    }

    /// Closes the client and all its clones: connections end, calls under way and later ones fail with
    /// [`Closed`](crate::ErrorKind::Closed), watches end and leases are no longer kept alive. Returns
    /// when the connections have ended.
    ///
    /// A write under way may or may not have been applied, which its error says. To let everything
    /// under way finish, drop all clones instead.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// client.close().await;
    /// let error = client.get("k").await.expect_err("closed");
    /// assert_eq!(error.kind(), etcdkit::ErrorKind::Closed);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub async fn close(&self) {
        let core = self.core.home();
        core.closing.close();
        core.pool.ended().await;
        core.streams.ended().await;
    }
}

/// What came of [`Client::sync_endpoints`].
#[derive(Debug)]
#[non_exhaustive]
pub struct EndpointSync {
    /// The client's endpoints now.
    pub endpoints: Vec<String>,
    /// Client URLs of members that were not taken.
    pub rejected: Vec<RejectedEndpoint>,
}

/// A member's client URL that a client does not use.
#[derive(Debug)]
#[non_exhaustive]
pub struct RejectedEndpoint {
    /// The member that advertises the URL.
    pub member: MemberId,
    /// The URL.
    pub endpoint: String,
    /// Why it is not used.
    pub error: Error,
}

impl Core {
    /// Whether endpoints without a scheme speak TLS.
    pub(crate) fn speaks_tls(&self) -> bool {
        self.roster.speaks_tls(self.config.wants_tls)
    }

    /// Replaces the endpoints and what to fall back to.
    pub(crate) fn adopt_seeds(&self, endpoints: Vec<Endpoint>) -> Result<()> {
        self.dialer.prepare(&endpoints)?;
        self.roster.seed(endpoints);
        self.follow();
        Ok(())
    }

    /// Has the pools take up the roster's endpoints.
    fn follow(&self) {
        self.pool.follow();
        self.streams.follow();
    }

    /// Starts the task that looks after the endpoints, if there is need for it and it does not run.
    pub(crate) fn keep_up(self: &Arc<Self>) {
        self.upkeep.start(self);
    }
}
