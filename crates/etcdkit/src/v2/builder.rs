//! The settings of a client of the v2 API, and the client that they make.

use std::{fmt, sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderValue, Uri};
use tower_service::Service;

use super::{
    Client, Error, Exchange, Result,
    exec::{Config, Core},
    trace::Listener,
};
#[cfg(feature = "tls")]
use crate::Tls;
use crate::{
    EndpointMode, IntoEndpoints, RetryPolicy,
    auth::Secret,
    transport::{
        dial::{Connector, Dialer, Protocol},
        endpoint::{Endpoint, parse_all},
        roster::Roster,
    },
};

/// Settings of a client under construction; made by [`Client::builder`].
///
/// # Examples
///
/// ```
/// # fn main() -> etcdkit::v2::Result<()> {
/// use std::time::Duration;
///
/// let client = etcdkit::v2::Client::builder()
///     .endpoints(["http://127.0.0.1:2379", "http://127.0.0.1:22379"])
///     .user("root", "secret")
///     .quorum(true)
///     .request_timeout(Duration::from_secs(8))
///     .connect_lazy()?;
/// assert!(!format!("{client:?}").contains("secret"));
/// # Ok(())
/// # }
/// ```
#[must_use = "a builder does nothing until it connects"]
pub struct ClientBuilder {
    endpoints: Vec<String>,
    user: Option<(String, Secret)>,
    quorum: bool,
    connect_timeout: Duration,
    request_timeout: Duration,
    attempt_timeout: Option<Duration>,
    max_receive_bytes: usize,
    retry: RetryPolicy,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
    connector: Option<Connector>,
    listener: Option<Listener>,
}

impl ClientBuilder {
    pub(super) fn new() -> Self {
        Self {
            endpoints: Vec::new(),
            user: None,
            quorum: false,
            connect_timeout: Duration::from_secs(2),
            request_timeout: Duration::from_secs(10),
            attempt_timeout: None,
            max_receive_bytes: 256 << 20,
            retry: RetryPolicy::default(),
            #[cfg(feature = "tls")]
            tls: None,
            connector: None,
            listener: None,
        }
    }

    /// Adds endpoints: `http://host:port`, `https://host:port`, `unix:path`, `unixs:path`, or
    /// `host:port`, which speaks TLS if [`tls`](Self::tls) is set. A string may hold several, with
    /// commas between them. The port may be left out where it is 2379. The first one is used until it
    /// fails.
    pub fn endpoints(mut self, endpoints: impl IntoEndpoints) -> Self {
        self.endpoints.extend(endpoints.into_endpoints());
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
        self.tls = Some(tls);
        self
    }

    /// Says with each request who asks (basic authentication), where the cluster's v2 authentication
    /// is on; it is apart from the v3 one and has users of its own.
    ///
    /// The password travels with every request, so use TLS. It goes to the client's endpoints only,
    /// not to other servers that these may send a request on to. Servers hash it each time, which takes
    /// them some 100 ms.
    ///
    /// Whether the password is right shows with the first request that needs it.
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.user = Some((name.into(), Secret(password.into())));
        self
    }

    /// Whether reads go through the cluster (`quorum=true`) where a read does not say otherwise.
    /// Default: no; a member then answers from what it has, which may be stale.
    pub fn quorum(mut self, quorum: bool) -> Self {
        self.quorum = quorum;
        self
    }

    /// How long opening one connection may take, TLS included. Default 2 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a call may take with all its retries, where the call itself sets no limit; for a watch,
    /// how long until it is known to be open. Default 10 s, which hears a member out that has no leader:
    /// it answers writes after 7 s.
    ///
    /// It is also what bounds a write on a connection that has gone silent since its last use, of which
    /// HTTP/1.1 does not tell; connections that were idle for 5 s are not used again for that reason.
    /// [`attempt_timeout`](Self::attempt_timeout) makes it less.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// How long one endpoint may take until it begins to answer, connecting and being sent on included.
    /// A question is then put to the next endpoint, or to the same one on a new connection, as long as
    /// there is time for the call; a write that was sent cannot be sent again, and fails with the outcome
    /// [`Unknown`](crate::Outcome::Unknown).
    ///
    /// Default: a write is heard out for all the time of its call, and a question for a quarter of it, or
    /// until its end where there is neither another endpoint nor reason to doubt the connection.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
    /// # let silent = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// use std::time::Duration;
    ///
    /// let client = etcdkit::v2::Client::builder()
    ///     .endpoint(silent.local_addr()?.to_string())
    ///     .endpoint(server.endpoint())
    ///     .request_timeout(Duration::from_secs(60))
    ///     .attempt_timeout(Duration::from_secs(1))
    ///     .connect_lazy()?;
    /// assert!(client.list("/").await?.nodes().is_empty());
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = Some(timeout);
        self
    }

    /// The largest answer that is taken. Default 256 MiB.
    pub fn max_receive_bytes(mut self, bytes: usize) -> Self {
        self.max_receive_bytes = bytes;
        self
    }

    /// When failed requests are sent again. Default: as often as safety and time allow. A request that
    /// no connection took is not one that failed.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Has a function called with each HTTP request when the head of its answer is there, or none will
    /// come. It runs in the middle of calls, so it must not block. Nothing it is given is secret.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> etcdkit::v2::Result<()> {
    /// let client = etcdkit::v2::Client::builder()
    ///     .endpoint("http://127.0.0.1:2379")
    ///     .on_exchange(|exchange| eprintln!("{exchange}"))
    ///     .connect_lazy()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_exchange(mut self, tell: impl Fn(&Exchange) + Send + Sync + 'static) -> Self {
        self.listener = Some(Arc::new(tell));
        self
    }

    /// Makes the client and verifies that an endpoint can be reached and serves the v2 API.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](super::ErrorKind::InvalidConfig) for settings that cannot work;
    /// [`Connect`](super::ErrorKind::Connect) or [`Tls`](super::ErrorKind::Tls), with the cause of each
    /// endpoint, as soon as all endpoints have failed;
    /// [`NotServed`](super::ErrorKind::NotServed) if the server has no v2 API, or has it switched off.
    pub async fn connect(self) -> Result<Client> {
        let client = self.connect_lazy()?;
        client.verify().await?;
        Ok(client)
    }

    /// Makes the client without asking anybody; the first call opens a connection.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](super::ErrorKind::InvalidConfig) for settings that cannot work.
    pub fn connect_lazy(self) -> Result<Client> {
        let endpoints = self.endpoints_now()?;
        if endpoints.is_empty() {
            return Err(Error::invalid_config(
                "no endpoints; give at least one, such as http://127.0.0.1:2379",
            ));
        }
        let core = self.core()?;
        core.adopt(endpoints)?;
        Ok(Client {
            core: Arc::new(core),
        })
    }

    /// The endpoints that are known without asking anybody.
    fn endpoints_now(&self) -> Result<Vec<Endpoint>> {
        if self.endpoints.is_empty() && self.connector.is_some() {
            return Ok(vec![Endpoint::in_process()]);
        }
        parse_all(&self.endpoints, self.wants_tls()).map_err(Error::of_config)
    }

    fn wants_tls(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        false
    }

    /// A core with these settings that has no endpoint yet.
    pub(super) fn core(self) -> Result<Core> {
        let timeouts = [self.connect_timeout, self.request_timeout];
        if timeouts
            .into_iter()
            .chain(self.attempt_timeout)
            .any(|timeout| timeout.is_zero())
        {
            return Err(Error::invalid_config(
                "a timeout of zero; every call would fail",
            ));
        }
        if self.max_receive_bytes == 0 {
            return Err(Error::invalid_config(
                "max_receive_bytes must be at least 1",
            ));
        }
        let config = Config {
            connect_timeout: self.connect_timeout,
            request_timeout: self.request_timeout,
            attempt_timeout: self.attempt_timeout,
            max_receive_bytes: self.max_receive_bytes,
            retry: self.retry,
            quorum: self.quorum,
            wants_tls: self.wants_tls(),
        };
        let authorization = match &self.user {
            None => None,
            Some((name, password)) => Some(basic(name, password)?),
        };
        #[cfg(feature = "tls")]
        let dialer = Dialer::new(
            Protocol::Http1,
            self.connector,
            self.tls.unwrap_or_default(),
        );
        #[cfg(not(feature = "tls"))]
        let dialer = Dialer::new(Protocol::Http1, self.connector);
        let roster = Roster::new(EndpointMode::Pinned, Vec::new());
        Ok(Core::new(
            config,
            roster,
            Arc::new(dialer),
            authorization,
            self.listener,
        ))
    }
}

/// What basic authentication sends, marked so that nothing shows it.
fn basic(name: &str, password: &Secret) -> Result<HeaderValue> {
    if name.is_empty() || name.contains(':') {
        return Err(Error::invalid_config(
            "the user's name is empty or has a colon in it, which basic authentication cannot send",
        ));
    }
    let text = BASE64_STANDARD.encode(format!("{name}:{}", password.0));
    let value = HeaderValue::try_from(format!("Basic {text}"));
    let mut value =
        value.map_err(|_| Error::invalid_config("the user's name or password cannot be sent"))?;
    value.set_sensitive(true);
    Ok(value)
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ClientBuilder");
        shown
            .field("endpoints", &self.endpoints)
            .field("user", &self.user)
            .field("quorum", &self.quorum)
            .field("connect_timeout", &self.connect_timeout)
            .field("request_timeout", &self.request_timeout)
            .field("attempt_timeout", &self.attempt_timeout)
            .field("max_receive_bytes", &self.max_receive_bytes)
            .field("retry", &self.retry)
            .field("connector", &self.connector);
        #[cfg(feature = "tls")]
        shown.field("tls", &self.tls);
        shown.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v2::ErrorKind;

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
        assert!(refused(Client::builder()).contains("no endpoints"));
        assert!(refused(builder().endpoint("ftp://a:1")).contains("scheme"));
        assert!(refused(builder().connect_timeout(Duration::ZERO)).contains("zero"));
        assert!(refused(builder().request_timeout(Duration::ZERO)).contains("zero"));
        assert!(refused(builder().attempt_timeout(Duration::ZERO)).contains("zero"));
        assert!(refused(builder().max_receive_bytes(0)).contains("max_receive_bytes"));
        assert!(refused(builder().user("a:b", "pa55word")).contains("colon"));
        assert!(refused(builder().user("", "pa55word")).contains("empty"));
    }

    #[test]
    fn passwords_do_not_show() {
        let builder = builder().user("root", "pa55word");
        let shown = format!("{builder:?}");
        assert!(
            shown.contains("root") && !shown.contains("pa55word"),
            "{shown}"
        );
        let client = builder.connect_lazy().expect("a client");
        let shown = format!("{client:?} {client:#?}");
        let encoded = BASE64_STANDARD.encode("root:pa55word");
        assert!(
            !shown.contains("pa55word") && !shown.contains(&encoded),
            "{shown}"
        );
    }
}
