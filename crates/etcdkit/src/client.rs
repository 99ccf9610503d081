//! The handle that users hold.

use std::{
    fmt,
    future::Future,
    sync::{Arc, Weak},
};

use etcdkit_proto::health::{HealthCheckRequest, HealthCheckResponse};
use http::uri::PathAndQuery;
use prost::Message;

use crate::{
    EndpointMode, Error, Result,
    auth::TokenSource,
    config::{ClientBuilder, Config},
    endpoints::Upkeep,
    exec::{Call, Method, Request, RetryBudget},
    lease,
    policy::Class,
    transport::{
        closing::Closing,
        dial::Dialer,
        endpoint::{Endpoint, IntoEndpoints},
        pool::{Limits, Pool},
        roster::Roster,
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

    /// The client that the environment describes, as etcdctl reads it, without waiting for a
    /// connection; see [`ClientBuilder::from_env`] for the variables, and for a client that is
    /// verified.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](crate::ErrorKind::InvalidConfig), which names the variable.
    pub fn from_env() -> Result<Self> {
        ClientBuilder::from_env()?.connect_lazy()
    }

    /// Begins a client with settings of its own.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
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
    pub(crate) roster: Arc<Roster>,
    pub(crate) closing: Arc<Closing>,
    pub(crate) upkeep: Upkeep,
    pub(crate) dialer: Arc<Dialer>,
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
        limits: Limits,
        dialer: Arc<Dialer>,
        closing: Arc<Closing>,
        tokens: Arc<TokenSource>,
        roster: Roster,
        upkeep: Upkeep,
    ) -> Self {
        let roster = Arc::new(roster);
        let pool = Pool::new(
            Arc::clone(&dialer),
            limits,
            Arc::clone(&roster),
            Arc::clone(&closing),
        );
        Self {
            config,
            streams: pool.sibling(),
            pool,
            leases: lease::Hub::new(),
            budget: RetryBudget::new(),
            watches: watch::Hub::default(),
            roster,
            closing,
            upkeep,
            dialer,
            limits,
            tokens,
            #[cfg(feature = "blocking")]
            background: std::sync::OnceLock::new(),
            home: Weak::new(),
        }
    }

    /// The core as a client shares it.
    pub(crate) fn shared(self) -> Arc<Self> {
        let core = Arc::new(self);
        for pool in [&core.pool, &core.streams] {
            let core = Arc::downgrade(&core);
            pool.on_start(move || {
                if let Some(core) = core.upgrade() {
                    core.keep_up();
                }
            });
        }
        core
    }

    /// The core that logs in: all cores of a client share one token.
    pub(crate) fn home(self: &Arc<Self>) -> Arc<Self> {
        self.home.upgrade().unwrap_or_else(|| Arc::clone(self))
    }

    /// The core to ask one endpoint through, and the endpoint's place in it: this one if the
    /// endpoint is the client's, otherwise one of its own with the same settings.
    pub(crate) fn at(self: &Arc<Self>, endpoint: &str) -> Result<(Arc<Self>, usize)> {
        self.at_endpoint(Endpoint::parse(endpoint, self.speaks_tls())?)
    }

    /// The same for an endpoint that is parsed.
    pub(crate) fn at_endpoint(self: &Arc<Self>, wanted: Endpoint) -> Result<(Arc<Self>, usize)> {
        let places = self.roster.places();
        if let Some(place) = places.iter().find(|place| *place.endpoint == wanted) {
            return Ok((Arc::clone(self), place.number));
        }
        if wanted.tls && !self.speaks_tls() {
            return Err(Error::invalid_config(format!(
                "{wanted} needs TLS, which the client has not set up: its own endpoints use none"
            )));
        }
        let core = self.apart(wanted);
        let place = core.roster.places().first().map_or(0, |place| place.number);
        Ok((core, place))
    }

    /// A core with connections of its own to one endpoint, and this one's settings.
    pub(crate) fn apart(self: &Arc<Self>, endpoint: Endpoint) -> Arc<Self> {
        let mut core = Self::new(
            self.config,
            self.limits,
            Arc::clone(&self.dialer),
            Arc::clone(&self.closing),
            Arc::clone(&self.tokens),
            Roster::new(EndpointMode::RoundRobin, vec![endpoint]),
            Upkeep::default(),
        );
        core.home = Arc::downgrade(&self.home());
        Arc::new(core)
    }

    /// Whether the core is not a client's own, but for an endpoint that is none of its.
    pub(crate) fn is_foreign(&self) -> bool {
        self.home.strong_count() > 0
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closing.is_closed()
    }

    /// Ends when the client is closed, for tasks that serve it.
    pub(crate) fn closed(&self) -> impl Future<Output = ()> + Send + use<> {
        self.closing.closed()
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
