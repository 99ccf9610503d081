//! The handle that users hold.

use std::{fmt, sync::Arc};

use http::Method;

use super::{
    ClientBuilder, Counters, Error, ErrorKind, Result, exec::Core, path, request::Request,
};
use crate::{IntoEndpoints, policy::Class, transport::endpoint::parse_all};

/// A client of the v2 API of one etcd cluster.
///
/// Cheap to clone, `Send` and `Sync`; every method takes `&self`. All clones share connections.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> etcdkit::v2::Result<()> {
/// use etcdkit::v2::Client;
///
/// let client = Client::connect(["http://10.0.0.1:2379", "http://10.0.0.2:2379"]).await?;
/// println!("{:?}", client.endpoints().collect::<Vec<_>>());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    pub(crate) core: Arc<Core>,
}

impl Client {
    /// Connects to a cluster with default settings and verifies that it can be reached and serves the
    /// v2 API: one endpoint or several, such as `"http://127.0.0.1:2379"`.
    ///
    /// # Errors
    ///
    /// As [`ClientBuilder::connect`].
    pub async fn connect(endpoints: impl IntoEndpoints) -> Result<Self> {
        Self::builder().endpoints(endpoints).connect().await
    }

    /// Begins a client with settings of its own.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    /// The endpoints that the client has now, as errors name them.
    pub fn endpoints(&self) -> impl ExactSizeIterator<Item = String> + use<> {
        let places = self.core.roster.places();
        places
            .into_iter()
            .map(|place| place.endpoint.text.to_string())
    }

    /// Replaces the endpoints, for all clones of the client. Calls under way finish where they are.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) as for [`ClientBuilder::endpoints`], and without any
    /// endpoint; then nothing has changed.
    pub fn set_endpoints(&self, endpoints: impl IntoEndpoints) -> Result<()> {
        let secure = self.core.config.wants_tls;
        let endpoints = parse_all(&endpoints.into_endpoints(), secure).map_err(Error::of_config)?;
        if endpoints.is_empty() {
            return Err(Error::invalid_config(
                "no endpoints to replace the client's by",
            ));
        }
        self.core.adopt(endpoints)
    }

    /// What this client and its clones have done so far.
    pub fn counters(&self) -> Counters {
        self.core.counters()
    }

    /// Finds out whether an endpoint can be reached and serves the API.
    pub(super) async fn verify(&self) -> Result<()> {
        let mut request = Request::new("connect", Method::HEAD, path::of_key("/"), Class::Probe);
        request.hasty = true;
        // Dialling takes one timeout at the most; the second is for whatever comes between.
        request.timeout = Some(self.core.config.connect_timeout.saturating_mul(2));
        match self.core.call(request).await {
            Ok(_) => Ok(()),
            // The answer to HEAD has no body that would say so, but the v2 API always has a root.
            Err(error) if error.status() == Some(404) => {
                let what = "this server does not serve the v2 API";
                let not_served = Error::new(ErrorKind::NotServed, what).with_status(404);
                let not_served = match error.endpoint() {
                    Some(endpoint) => not_served.with_endpoint(endpoint.into()),
                    None => not_served,
                };
                let elapsed = error.elapsed().unwrap_or_default();
                Err(not_served
                    .with_operation("connect")
                    .with_story(error.attempts(), elapsed))
            }
            // Whoever refuses serves it, if perhaps only to others or not just now.
            Err(error) if error.status().is_some() && error.kind() != ErrorKind::Tls => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("core", &self.core)
            .finish_non_exhaustive()
    }
}
