//! How a client is set up: plain data and its validation.

use std::{sync::Arc, time::Duration};

use http::Uri;
use tower_service::Service;

#[cfg(feature = "tls")]
use crate::transport::tls::Tls;
use crate::{
    Blob, Client, Error, Result,
    auth::{Offered, TokenSource},
    client::Core,
    transport::{
        connection::{KeepAlive, PING_APART},
        dial::{Connector, Dialer},
        endpoint::{Address, Endpoint, IntoEndpoints},
        pool::Limits,
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
#[derive(Debug)]
#[must_use = "a builder does nothing until it connects"]
pub struct ClientBuilder {
    endpoints: Vec<String>,
    connector: Option<Connector>,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
    connect_timeout: Duration,
    request_timeout: Duration,
    connections_per_endpoint: usize,
    keep_alive: KeepAlive,
    max_send_bytes: usize,
    max_receive_bytes: usize,
    namespace: Namespace,
    offered: Offered,
}

/// What the execution core needs to know of the settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    pub(crate) connect_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) max_send_bytes: usize,
    pub(crate) max_receive_bytes: usize,
}

impl ClientBuilder {
    pub(crate) fn new() -> Self {
        Self {
            endpoints: Vec::new(),
            connector: None,
            #[cfg(feature = "tls")]
            tls: None,
            connect_timeout: Duration::from_secs(2),
            request_timeout: Duration::from_secs(5),
            connections_per_endpoint: 1,
            keep_alive: KeepAlive {
                interval: Duration::from_secs(10),
                timeout: Duration::from_secs(5),
            },
            max_send_bytes: 2 << 20,
            max_receive_bytes: i32::MAX as usize,
            namespace: Namespace::default(),
            offered: Offered::default(),
        }
    }

    /// Adds endpoints: `http://host:port`, `https://host:port`, `unix:path`, `unixs:path`, or
    /// `host:port`, which speaks TLS if [`tls`](Self::tls) is set. A string may hold several, with
    /// commas between them. The port may be left out where it is 2379.
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
        self.offered.user(name.into(), password.into());
        self
    }

    /// Sends a token that was made elsewhere, such as a JWT signed with the cluster's key, instead of
    /// logging in. The client cannot renew it: calls fail with
    /// [`InvalidAuthToken`](crate::ErrorKind::InvalidAuthToken) when it has ended and with
    /// [`AuthOldRevision`](crate::ErrorKind::AuthOldRevision) when users or roles have changed since,
    /// until [`Client::set_token`] brings the next one.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.offered.token(token.into());
        self
    }

    /// How long opening one connection may take, TLS and a first answer included. Default 2 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a call may take with all its retries, where the call itself sets no limit.
    /// Default 5 s.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// How many connections are kept to each endpoint. Default 1; more help only when one connection
    /// keeps a whole core busy.
    pub fn connections_per_endpoint(mut self, connections: usize) -> Self {
        self.connections_per_endpoint = connections;
        self
    }

    /// Pings a connection on which requests wait and nothing was heard for `interval`, and gives it
    /// up when there is no answer within `timeout`. Default 10 s and 5 s. Intervals below 6 s are
    /// refused, since etcd closes connections that ping every 5 s; idle connections are not pinged.
    pub fn keep_alive(mut self, interval: Duration, timeout: Duration) -> Self {
        self.keep_alive = KeepAlive { interval, timeout };
        self
    }

    /// The largest request that is sent. Default 2 MiB, as in etcd's Go client; servers take 1.5 MiB
    /// unless told otherwise.
    pub fn max_send_bytes(mut self, bytes: usize) -> Self {
        self.max_send_bytes = bytes;
        self
    }

    /// The largest answer that is taken. Default 2 GiB - 1, as in etcd's Go client.
    pub fn max_receive_bytes(mut self, bytes: usize) -> Self {
        self.max_receive_bytes = bytes;
        self
    }

    /// Confines the client to the keys that begin with `prefix`; see
    /// [`Client::namespaced`](crate::Client::namespaced). Default: none.
    pub fn namespace<'a>(mut self, prefix: impl Into<Blob<'a>>) -> Self {
        self.namespace = Namespace::new(prefix.into().as_slice());
        self
    }

    /// Makes the client and verifies that an endpoint can be reached and serves etcd.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](crate::ErrorKind::InvalidConfig) for settings that cannot work;
    /// [`Connect`](crate::ErrorKind::Connect) or [`Tls`](crate::ErrorKind::Tls), with the cause of
    /// each endpoint, as soon as all endpoints have failed.
    pub async fn connect(self) -> Result<Client> {
        let client = self.connect_lazy()?;
        client.core.verify().await?;
        Ok(client)
    }

    /// Makes the client without waiting for a connection; the first call opens them.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](crate::ErrorKind::InvalidConfig) for settings that cannot work.
    pub fn connect_lazy(self) -> Result<Client> {
        let endpoints = self.parse_endpoints()?;
        self.check()?;
        let credentials = self.offered.credentials()?;
        let dialer = Dialer {
            connector: self.connector,
            #[cfg(feature = "tls")]
            tls: match endpoints.iter().any(|endpoint| endpoint.tls) {
                true => Some(self.tls.unwrap_or_default().build()?),
                false => None,
            },
        };
        let limits = Limits {
            connect_timeout: self.connect_timeout,
            per_endpoint: self.connections_per_endpoint,
            keep_alive: self.keep_alive,
        };
        let config = Config {
            connect_timeout: self.connect_timeout,
            request_timeout: self.request_timeout,
            max_send_bytes: self.max_send_bytes,
            max_receive_bytes: self.max_receive_bytes,
        };
        let tokens = Arc::new(TokenSource::new(credentials));
        let core = Core::new(config, Arc::new(dialer), limits, endpoints, tokens);
        Ok(Client {
            core: Arc::new(core),
            namespace: self.namespace,
        })
    }

    fn parse_endpoints(&self) -> Result<Vec<Endpoint>> {
        if self.endpoints.is_empty() {
            return match self.connector {
                Some(_) => Ok(vec![Endpoint::in_process()]),
                None => Err(Error::invalid_config(
                    "no endpoints; give at least one, such as http://127.0.0.1:2379",
                )),
            };
        }
        #[cfg(feature = "tls")]
        let tls_configured = self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        let tls_configured = false;
        let mut endpoints: Vec<Endpoint> = Vec::with_capacity(self.endpoints.len());
        for text in &self.endpoints {
            let endpoint = Endpoint::parse(text, tls_configured)?;
            // An endpoint named twice would get twice its share of requests.
            if !endpoints.contains(&endpoint) {
                endpoints.push(endpoint);
            }
        }
        let on_tcp = |tls| {
            let is_tcp = |address: &Address| matches!(address, Address::Tcp { .. });
            endpoints
                .iter()
                .any(|endpoint| endpoint.tls == tls && is_tcp(&endpoint.address))
        };
        if on_tcp(true) && on_tcp(false) {
            return Err(Error::invalid_config(
                "the endpoints mix http and https, so that some requests would travel in the clear; \
                 use one scheme for all",
            ));
        }
        Ok(endpoints)
    }

    fn check(&self) -> Result<()> {
        let refuse = |what: &str| Err(Error::invalid_config(what));
        if self.connect_timeout.is_zero() || self.request_timeout.is_zero() {
            return refuse("a timeout of zero; every call would fail");
        }
        if self.keep_alive.interval < PING_APART {
            return refuse("a keep-alive interval below 6 s, for which etcd closes connections");
        }
        if self.keep_alive.timeout.is_zero() {
            return refuse("a keep-alive timeout of zero; every connection would be given up");
        }
        if !(1..=64).contains(&self.connections_per_endpoint) {
            return refuse("connections_per_endpoint must be 1 to 64");
        }
        if self.max_send_bytes == 0 || self.max_send_bytes > u32::MAX as usize {
            return refuse("max_send_bytes must be 1 to 4 GiB - 1, which is what gRPC can frame");
        }
        if self.max_receive_bytes == 0 {
            return refuse("max_receive_bytes must be at least 1");
        }
        Ok(())
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
