//! The handle that users hold.

use std::{
    fmt,
    sync::{Arc, Weak},
};

use etcdkit_proto::health::{HealthCheckRequest, HealthCheckResponse};
use http::uri::PathAndQuery;
use prost::Message;

use crate::{
    Error, Result,
    auth::TokenSource,
    config::{ClientBuilder, Config},
    exec::{Call, Method, Request, RetryBudget},
    lease,
    policy::Class,
    transport::{
        dial::Dialer,
        endpoint::{Endpoint, IntoEndpoints},
        pool::{Limits, Pool},
    },
    watch,
    wire::Frame,
    wrap::namespace::Namespace,
};

/// A client of one etcd cluster.
///
/// Cheap to clone, `Send` and `Sync`; every method takes `&self`. All clones share connections,
/// which are opened to every endpoint, reopened when they break and closed with the last clone.
///
/// A call fails only when its deadline has passed or repeating it could do harm or no good: reads,
/// and writes that certainly had no effect, are sent again to another endpoint. See
/// [`Error::outcome`](crate::Error::outcome) for what is known when a write fails.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = etcdkit_server::Server::builder().start().await?;
/// # let endpoint = server.endpoint();
/// use etcdkit::Client;
///
/// let client = Client::connect(endpoint).await?;
/// client.put("greeting", "hello").await?;
/// let kv = client.get("greeting").await?.expect("just written");
/// assert_eq!(kv.value, "hello");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    pub(crate) core: Arc<Core>,
    pub(crate) namespace: Namespace,
}

impl Client {
    /// Connects to a cluster with default settings and verifies that it can be reached: one endpoint
    /// or several, such as `"http://127.0.0.1:2379"`.
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

    /// The endpoints of the client, as errors name them.
    pub fn endpoints(&self) -> impl ExactSizeIterator<Item = &str> {
        self.core.pool.endpoints().map(|endpoint| &*endpoint.text)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("pool", &self.core.pool)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

/// What all clones of a client share.
pub(crate) struct Core {
    pub(crate) config: Config,
    /// The connections that calls share.
    pub(crate) pool: Pool,
    /// The connections of long-lived streams, which must not wait behind large answers. Opened when
    /// the first stream is.
    pub(crate) streams: Pool,
    /// The leases that are kept alive.
    pub(crate) leases: lease::Hub,
    pub(crate) budget: RetryBudget,
    pub(crate) watches: watch::Hub,
    dialer: Arc<Dialer>,
    limits: Limits,
    pub(crate) tokens: Arc<TokenSource>,
    /// Keeps the background thread for as long as anything needs the core.
    #[cfg(feature = "blocking")]
    pub(crate) background: std::sync::OnceLock<Arc<crate::blocking::Background>>,
    /// The client's own core, in one for a foreign endpoint.
    home: Weak<Self>,
}

/// The question that every server answers, whoever asks.
pub(crate) static HEALTH: Method = Method {
    name: "connect",
    path: PathAndQuery::from_static("/grpc.health.v1.Health/Check"),
};

impl Core {
    pub(crate) fn new(
        config: Config,
        dialer: Arc<Dialer>,
        limits: Limits,
        endpoints: Vec<Endpoint>,
        tokens: Arc<TokenSource>,
    ) -> Self {
        let pool = Pool::new(Arc::clone(&dialer), limits, endpoints);
        Self {
            config,
            streams: pool.sibling(),
            pool,
            leases: lease::Hub::new(),
            budget: RetryBudget::new(),
            watches: watch::Hub::default(),
            dialer,
            limits,
            tokens,
            #[cfg(feature = "blocking")]
            background: std::sync::OnceLock::new(),
            home: Weak::new(),
        }
    }

    /// The core that logs in: all cores of a client share one token.
    pub(crate) fn home(self: &Arc<Self>) -> Arc<Self> {
        self.home.upgrade().unwrap_or_else(|| Arc::clone(self))
    }

    /// The core to ask one endpoint through, and the endpoint's place in it: this one if the
    /// endpoint is the client's, otherwise one of its own with the same settings.
    pub(crate) fn at(self: &Arc<Self>, endpoint: &str) -> Result<(Arc<Self>, usize)> {
        let secure = self.pool.endpoints().any(|endpoint| endpoint.tls);
        let wanted = Endpoint::parse(endpoint, secure)?;
        if let Some(place) = self.pool.endpoints().position(|known| **known == wanted) {
            return Ok((Arc::clone(self), place));
        }
        if wanted.tls && !secure {
            return Err(Error::invalid_config(format!(
                "{wanted} needs TLS, which the client has not set up: its own endpoints use none"
            )));
        }
        let dialer = Arc::clone(&self.dialer);
        let tokens = Arc::clone(&self.tokens);
        let mut core = Self::new(self.config, dialer, self.limits, vec![wanted], tokens);
        core.home = Arc::downgrade(&self.home());
        Ok((Arc::new(core), 0))
    }

    /// Waits for a connection, asks for the server's health, which needs no permission, and logs in
    /// where there are credentials for it.
    pub(crate) async fn verify(self: &Arc<Self>) -> Result<()> {
        // Dialling takes one timeout at the most; the second is for whatever comes between.
        self.pool
            .first(self.config.connect_timeout.saturating_mul(2))
            .await?;
        let request = Request {
            method: &HEALTH,
            frame: Frame::of(&HealthCheckRequest::default()),
            class: Class::Probe,
            timeout: None,
            only: None,
        };
        match Call::new(self, request, HealthCheckResponse::decode).await {
            Ok(_) => {}
            // Any refusal comes from a server that speaks gRPC, such as a learner, or one without a
            // health service.
            Err(error) if error.code().is_some() => {}
            Err(error) => return Err(error),
        }
        self.first_login().await
    }
}
