//! The settings as methods, and the client that they make.

#[cfg(feature = "yaml")]
use std::path::Path;
use std::{fmt, sync::Arc, time::Duration};

use http::Uri;
use tower_service::Service;

#[cfg(feature = "yaml")]
use super::yaml;
use super::{Discovery, EndpointMode, RetryPolicy, Settings, environment, url};
#[cfg(feature = "tls")]
use crate::Tls;
use crate::{
    Blob, Client, Error, Result,
    auth::TokenSource,
    client::Core,
    endpoints::{Upkeep, resolve},
    transport::{
        closing::Closing,
        connection::KeepAlive,
        dial::{Connector, Dialer, Protocol},
        endpoint::{Endpoint, IntoEndpoints},
        pool::Limits,
        roster::Roster,
    },
    wrap::namespace::Namespace,
};

/// Settings of a client under construction; made by [`Client::builder`].
///
/// # Examples
///
/// ```
/// # fn main() -> etcdkit::Result<()> {
/// use std::time::Duration;
///
/// let client = etcdkit::Client::builder()
///     .endpoints(["http://127.0.0.1:2379", "http://127.0.0.1:22379"])
///     .request_timeout(Duration::from_secs(2))
///     .connect_lazy()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a builder does nothing until it connects"]
pub struct ClientBuilder {
    pub(super) settings: Settings,
    connector: Option<Connector>,
}

impl ClientBuilder {
    pub(crate) fn new() -> Self {
        Self::of(Settings::default())
    }

    fn of(settings: Settings) -> Self {
        Self {
            settings,
            connector: None,
        }
    }

    /// The settings that the environment makes, as etcdctl reads it: `ETCDCTL_ENDPOINTS`,
    /// `ETCDCTL_DIAL_TIMEOUT`, `ETCDCTL_COMMAND_TIMEOUT`, `ETCDCTL_KEEPALIVE_TIME`,
    /// `ETCDCTL_KEEPALIVE_TIMEOUT`, `ETCDCTL_MAX_REQUEST_BYTES`, `ETCDCTL_MAX_RECV_BYTES`,
    /// `ETCDCTL_CACERT`, `ETCDCTL_CERT`, `ETCDCTL_KEY`, `ETCDCTL_INSECURE_TRANSPORT`,
    /// `ETCDCTL_INSECURE_SKIP_TLS_VERIFY`, `ETCDCTL_USER`, `ETCDCTL_PASSWORD`,
    /// `ETCDCTL_AUTH_JWT_TOKEN`, `ETCDCTL_DISCOVERY_SRV`, `ETCDCTL_DISCOVERY_SRV_NAME` and
    /// `ETCDCTL_INSECURE_DISCOVERY`.
    ///
    /// `ETCD_URL` holds all settings in one URL (see [`from_url`](Self::from_url)), over which the
    /// variables win. Without an endpoint in either it is `127.0.0.1:2379`. An empty variable counts
    /// as none, zero as the default, and a keep-alive time below 6 s, such as etcdctl's own default,
    /// as 6 s.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](crate::ErrorKind::InvalidConfig), which names the variable.
    pub fn from_env() -> Result<Self> {
        environment::settings(|name| std::env::var_os(name)).map(Self::of)
    }

    /// The settings in a URL: `etcd://name:password@a:2379,b:2379/namespace?timeout=5s`.
    ///
    /// `etcds` and `https` speak TLS, `http` does not, and `etcd` does if there are TLS settings, as
    /// an endpoint without a scheme. `unix:/path` and `unixs:/path` are sockets. In
    /// `etcd+srv://example.com` the host is a domain to [discover](Self::discover) endpoints from.
    /// Names, passwords, the namespace and the values of options are percent-encoded where they hold
    /// what means something else in a URL.
    ///
    /// The options are those of [`from_env`](Self::from_env), named like etcdctl's flags, such as
    /// `dial-timeout`, `cacert` or `insecure-skip-tls-verify`, and those that
    #[cfg_attr(feature = "yaml", doc = "[`from_yaml`](Self::from_yaml)")]
    #[cfg_attr(not(feature = "yaml"), doc = "`from_yaml`")]
    /// names; `timeout` is the [request timeout](Self::request_timeout).
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](crate::ErrorKind::InvalidConfig), which names the part of the URL and quotes
    /// no secret.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> etcdkit::Result<()> {
    /// use etcdkit::ClientBuilder;
    ///
    /// let url = "http://10.0.0.1:2379,10.0.0.2:2379?timeout=3s&endpoint-mode=pinned";
    /// let client = ClientBuilder::from_url(url)?.connect_lazy()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_url(url: impl AsRef<str>) -> Result<Self> {
        url::settings(url.as_ref()).map(Self::of)
    }

    /// The settings in YAML with the keys of the file that etcd's Go client reads: `endpoints`,
    /// `dial-timeout`, `dial-keep-alive-time`, `dial-keep-alive-timeout`, `auto-sync-interval`,
    /// `username`, `password`, `token`, `reject-old-cluster`, `permit-without-stream`,
    /// `max-unary-retries`, `backoff-wait-between`, `backoff-jitter-fraction`, `insecure-transport`,
    /// `insecure-skip-tls-verify`, `cert-file`, `key-file`, `trusted-ca-file`; and, for what that file
    /// has no key, `request-timeout`, `max-request-bytes`, `max-recv-bytes`, `server-name`,
    /// `namespace`, `endpoint-mode` (`round-robin` or `pinned`), `connections-per-endpoint`,
    /// `serializable`, `discovery-srv`, `discovery-srv-name` and `insecure-discovery`.
    ///
    /// As for the Go client, endpoints without a scheme speak TLS unless `insecure-transport` is true,
    /// numbers for durations are nanoseconds, and `max-unary-retries` counts attempts. Durations may
    /// have a unit, too. `permit-without-stream` and `backoff-jitter-fraction` are accepted and change
    /// nothing: idle connections are kept alive by TCP, since etcd hangs up on idle ones that ping,
    /// and pauses always have jitter.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](crate::ErrorKind::InvalidConfig), which names the key and quotes no secret.
    /// A key that is not known is an error.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> etcdkit::Result<()> {
    /// use etcdkit::ClientBuilder;
    ///
    /// let client = ClientBuilder::from_yaml(
    ///     "
    ///     endpoints: [http://10.0.0.1:2379, http://10.0.0.2:2379]
    ///     insecure-transport: true
    ///     dial-timeout: 3s
    ///     ",
    /// )?
    /// .connect_lazy()?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "yaml")]
    pub fn from_yaml(yaml: impl AsRef<str>) -> Result<Self> {
        yaml::settings(yaml.as_ref()).map(Self::of)
    }

    /// The settings in a file; see [`from_yaml`](Self::from_yaml). It is read at once.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](crate::ErrorKind::InvalidConfig), which names the file.
    #[cfg(feature = "yaml")]
    pub fn from_yaml_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let yaml = std::fs::read_to_string(path).map_err(|error| {
            Error::invalid_config(format!("{name}: {error}")).with_source(error)
        })?;
        Self::from_yaml(yaml).map_err(|error| error.in_config(&name))
    }

    /// Adds endpoints: `http://host:port`, `https://host:port`, `unix:path`, `unixs:path`, or
    /// `host:port`, which speaks TLS if [`tls`](Self::tls) is set. A string may hold several, with
    /// commas between them. The port may be left out where it is 2379.
    pub fn endpoints(mut self, endpoints: impl IntoEndpoints) -> Self {
        self.settings.endpoints.add(endpoints.into_endpoints());
        self
    }

    /// Adds one endpoint; see [`endpoints`](Self::endpoints).
    pub fn endpoint(self, endpoint: impl AsRef<str>) -> Self {
        self.endpoints([endpoint.as_ref()])
    }

    /// Opens connections through a tower service instead of sockets, such as the in-process
    /// connector of the embedded server. Without [`endpoints`](Self::endpoints) there is one endpoint,
    /// named `in-process`; with them the service is called with each endpoint's URI.
    pub fn connector<S>(mut self, connector: S) -> Self
    where
        S: Service<Uri> + Clone + Send + 'static,
        S::Response: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        S::Future: Send,
    {
        self.connector = Some(Connector::new(connector));
        self
    }

    /// TLS settings for `https:`, `unixs:` and bare endpoints. Without them `https:` endpoints are
    /// verified against the platform's trust store.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.settings.tls = Some(tls);
        self
    }

    /// Logs in as a user of etcd, where the cluster's authentication is on; where it is off, this has
    /// no effect until it is turned on.
    ///
    /// The client logs in once for all its calls and streams, again before the token ends, and
    /// whenever a server refuses it. [`connect`](Self::connect) fails if the server does not accept
    /// the password; with [`connect_lazy`](Self::connect_lazy) each call then fails with
    /// [`AuthFailed`](crate::ErrorKind::AuthFailed). Use TLS: the password travels as it is.
    ///
    /// A user that is known by a client certificate (`--client-cert-auth`) needs neither this nor a
    /// token.
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.settings.offered.user(name.into(), password.into());
        self
    }

    /// Sends a token that was made elsewhere, such as a JWT signed with the cluster's key, instead of
    /// logging in. The client cannot renew it: calls fail with
    /// [`InvalidAuthToken`](crate::ErrorKind::InvalidAuthToken) when it has ended and with
    /// [`AuthOldRevision`](crate::ErrorKind::AuthOldRevision) when users or roles have changed since,
    /// until [`Client::set_token`] brings the next one.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.settings.offered.token(token.into());
        self
    }

    /// How long opening one connection may take, TLS and a first answer included. Default 2 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout;
        self
    }

    /// How long a call may take with all its retries, where the call itself sets no limit.
    /// Default 5 s.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.settings.request_timeout = timeout;
        self
    }

    /// How many connections are kept to each endpoint. Default 1; more help only when one connection
    /// keeps a whole core busy.
    pub fn connections_per_endpoint(mut self, connections: usize) -> Self {
        self.settings.connections_per_endpoint = connections;
        self
    }

    /// Pings a connection on which requests wait and nothing was heard for `interval`, and gives it
    /// up when there is no answer within `timeout`. Default 10 s and 5 s. Intervals below 6 s are
    /// refused, since etcd closes connections that ping every 5 s; idle connections are not pinged.
    pub fn keep_alive(mut self, interval: Duration, timeout: Duration) -> Self {
        self.settings.keep_alive = KeepAlive { interval, timeout };
        self
    }

    /// The largest request that is sent. Default 2 MiB, as in etcd's Go client; servers take 1.5 MiB
    /// unless told otherwise.
    pub fn max_send_bytes(mut self, bytes: usize) -> Self {
        self.settings.max_send_bytes = bytes;
        self
    }

    /// The largest answer that is taken. Default 2 GiB - 1, as in etcd's Go client.
    pub fn max_receive_bytes(mut self, bytes: usize) -> Self {
        self.settings.max_receive_bytes = bytes;
        self
    }

    /// Finds the endpoints by DNS; see [`Discovery`]. They come beside those that are given here.
    ///
    /// Without the feature `discovery`, connecting fails.
    pub fn discover(mut self, discovery: impl Into<Discovery>) -> Self {
        self.settings.discovery = Some(discovery.into());
        self
    }

    /// Which of several endpoints requests go to. Default: [`EndpointMode::RoundRobin`].
    pub fn endpoint_mode(mut self, mode: EndpointMode) -> Self {
        self.settings.endpoint_mode = mode;
        self
    }

    /// Replaces the endpoints by those of the cluster's members now and then, as
    /// [`Client::sync_endpoints`] does. Default: never.
    pub fn auto_sync(mut self, interval: Duration) -> Self {
        self.settings.auto_sync = Some(interval);
        self
    }

    /// Reads serializably where a read does not say otherwise: [`get`](Client::get),
    /// [`range`](Client::range) and [`scan`](Client::scan), each of which has `linearizable()` then.
    /// Such reads are answered by one member from what it has, which may be stale.
    ///
    /// Reads in transactions stay as they are.
    pub fn serializable_by_default(mut self) -> Self {
        self.settings.serializable = true;
        self
    }

    /// Confines the client to the keys that begin with `prefix`; see [`Client::namespaced`]. Default:
    /// none.
    pub fn namespace<'a>(mut self, prefix: impl Into<Blob<'a>>) -> Self {
        self.settings.namespace = prefix.into().as_slice().to_vec();
        self
    }

    /// Makes [`connect`](Self::connect) fail with [`OldCluster`](crate::ErrorKind::OldCluster) if an
    /// endpoint that answers is older than this version of etcd. Default: every version will do.
    ///
    /// Where authentication is on, servers from 3.6.0 to 3.6.11 tell their version only to the user
    /// root; the check fails for others.
    pub fn require_server(mut self, major: u32, minor: u32) -> Self {
        self.settings.oldest_server = Some((major, minor));
        self
    }

    /// When failed requests are sent again. Default: as often as safety and time allow.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.settings.retry = policy;
        self
    }

    /// Makes the client and verifies that an endpoint can be reached and serves etcd.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](crate::ErrorKind::InvalidConfig) for settings that cannot work;
    /// [`Connect`](crate::ErrorKind::Connect) or [`Tls`](crate::ErrorKind::Tls), with the cause of
    /// each endpoint, as soon as all endpoints have failed, or if DNS knows none;
    /// [`OldCluster`](crate::ErrorKind::OldCluster) as [`require_server`](Self::require_server) says.
    pub async fn connect(mut self) -> Result<Client> {
        if let Some(discovery) = &self.settings.discovery {
            let found = resolve(discovery).await?;
            self.settings.endpoints.add(found);
        }
        let oldest = self.settings.oldest_server;
        let client = self.connect_lazy()?;
        client.core.verify().await?;
        if let Some(oldest) = oldest {
            client.core.require_server(oldest).await?;
        }
        Ok(client)
    }

    /// Makes the client without waiting for a connection; the first call opens them.
    ///
    /// What only a server can tell, such as its [version](Self::require_server), is not looked at.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](crate::ErrorKind::InvalidConfig) for settings that cannot work.
    pub fn connect_lazy(self) -> Result<Client> {
        let endpoints = self.endpoints_now()?;
        let settings = self.settings;
        settings.check()?;
        let credentials = settings.offered.clone().credentials()?;
        #[cfg(feature = "tls")]
        let dialer = Dialer::new(Protocol::Http2, self.connector, settings.tls());
        #[cfg(not(feature = "tls"))]
        let dialer = Dialer::new(Protocol::Http2, self.connector);
        dialer.prepare(&endpoints)?;
        let limits = Limits {
            connect_timeout: settings.connect_timeout,
            per_endpoint: settings.connections_per_endpoint,
            keep_alive: settings.keep_alive,
        };
        let core = Core::new(
            settings.config(),
            limits,
            Arc::new(dialer),
            Arc::new(Closing::new()),
            Arc::new(TokenSource::new(credentials)),
            Roster::new(settings.endpoint_mode, endpoints),
            Upkeep::new(settings.discovery, settings.auto_sync),
        );
        Ok(Client {
            core: core.shared(),
            namespace: Namespace::new(&settings.namespace),
        })
    }

    /// The endpoints that are known without asking anybody.
    fn endpoints_now(&self) -> Result<Vec<Endpoint>> {
        if !self.settings.endpoints.is_empty() {
            return self.settings.parse_endpoints();
        }
        match (&self.connector, &self.settings.discovery) {
            (_, Some(_)) if cfg!(feature = "discovery") => Ok(Vec::new()),
            (_, Some(_)) => Err(Error::invalid_config(
                "discovery by DNS, which etcdkit was built without; enable its feature discovery",
            )),
            (Some(_), None) => Ok(vec![Endpoint::in_process()]),
            (None, None) => Err(Error::invalid_config(
                "no endpoints; give at least one, such as http://127.0.0.1:2379",
            )),
        }
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("settings", &self.settings)
            .field("connector", &self.connector)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn refused(builder: ClientBuilder) -> String {
        let error = builder.connect_lazy().expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        error.to_string()
    }

    fn builder() -> ClientBuilder {
        Client::builder().endpoint("http://127.0.0.1:2379")
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let second = Duration::from_secs(1);
        assert!(refused(Client::builder()).contains("no endpoints"));
        assert!(refused(builder().endpoint("")).contains("is empty"));
        let why = match cfg!(feature = "tls") {
            true => "mix http and https",
            false => "built without",
        };
        assert!(refused(builder().endpoint("https://b:1")).contains(why));
        assert!(refused(builder().connect_timeout(Duration::ZERO)).contains("zero"));
        assert!(refused(builder().request_timeout(Duration::ZERO)).contains("zero"));
        assert!(refused(builder().keep_alive(second, second)).contains("below 6 s"));
        assert!(refused(builder().connections_per_endpoint(0)).contains("1 to 64"));
        assert!(refused(builder().max_send_bytes(0)).contains("max_send_bytes"));
        assert!(refused(builder().max_receive_bytes(0)).contains("max_receive_bytes"));
    }

    #[test]
    fn sockets_may_stand_beside_either_scheme() {
        builder()
            .endpoint("unix:/run/etcd.sock")
            .connect_lazy()
            .expect("accepted");
    }

    #[test]
    fn an_endpoint_named_twice_counts_once() {
        let client = builder()
            .endpoint("127.0.0.1:2379")
            .connect_lazy()
            .expect("accepted");
        assert_eq!(client.endpoints().count(), 1);
    }

    #[cfg(feature = "tls")]
    #[test]
    fn files_that_are_not_there_are_named() {
        let tls = Tls::new().ca_file("/nonexistent/ca.pem");
        let text = refused(Client::builder().endpoint("https://a:1").tls(tls));
        assert!(text.contains("/nonexistent/ca.pem"), "{text}");
        let tls = Tls::new().ca_pem("nonsense");
        assert!(refused(Client::builder().endpoint("https://a:1").tls(tls)).contains("no CA"));
    }
}
