//! All settings of a client as plain data, and their validation.

use std::{fmt, time::Duration};

use super::{Discovery, EndpointMode, RetryPolicy};
#[cfg(feature = "tls")]
use crate::Tls;
use crate::{
    Error, Result,
    auth::Offered,
    transport::{
        connection::{KeepAlive, PING_APART},
        endpoint::{Endpoint, parse_all},
    },
};

/// Everything that can be said of a client but its connector, which is code. Debug output shows no
/// secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) endpoints: Endpoints,
    pub(crate) discovery: Option<Discovery>,
    pub(crate) endpoint_mode: EndpointMode,
    pub(crate) auto_sync: Option<Duration>,
    /// The oldest version, major and minor, that a server may have.
    pub(crate) oldest_server: Option<(u32, u32)>,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Tls>,
    pub(crate) offered: Offered,
    /// Empty for none.
    pub(crate) namespace: Vec<u8>,
    pub(crate) connect_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) connections_per_endpoint: usize,
    pub(crate) keep_alive: KeepAlive,
    pub(crate) max_send_bytes: usize,
    pub(crate) max_receive_bytes: usize,
    pub(crate) retry: RetryPolicy,
    pub(crate) serializable: bool,
}

/// What the execution core needs to know of the settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    pub(crate) connect_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) max_send_bytes: usize,
    pub(crate) max_receive_bytes: usize,
    pub(crate) retry: RetryPolicy,
    pub(crate) serializable: bool,
    /// Whether endpoints without a scheme speak TLS.
    pub(crate) wants_tls: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            endpoints: Endpoints::default(),
            discovery: None,
            endpoint_mode: EndpointMode::RoundRobin,
            auto_sync: None,
            oldest_server: None,
            #[cfg(feature = "tls")]
            tls: None,
            offered: Offered::default(),
            namespace: Vec::new(),
            connect_timeout: Duration::from_secs(2),
            request_timeout: Duration::from_secs(5),
            connections_per_endpoint: 1,
            keep_alive: KeepAlive {
                interval: Duration::from_secs(10),
                timeout: Duration::from_secs(5),
            },
            max_send_bytes: 2 << 20,
            max_receive_bytes: i32::MAX as usize,
            retry: RetryPolicy::default(),
            serializable: false,
        }
    }
}

impl Settings {
    pub(super) fn config(&self) -> Config {
        Config {
            connect_timeout: self.connect_timeout,
            request_timeout: self.request_timeout,
            max_send_bytes: self.max_send_bytes,
            max_receive_bytes: self.max_receive_bytes,
            retry: self.retry,
            serializable: self.serializable,
            wants_tls: self.wants_tls(),
        }
    }

    /// The endpoints, each once.
    pub(super) fn parse_endpoints(&self) -> Result<Vec<Endpoint>> {
        parse_all(&self.endpoints.0, self.wants_tls())
    }

    /// Whether endpoints without a scheme speak TLS.
    pub(super) fn wants_tls(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        false
    }

    /// The TLS settings, for endpoints that need some.
    #[cfg(feature = "tls")]
    pub(super) fn tls(&self) -> Tls {
        let tls = self.tls.clone().unwrap_or_default();
        match &self.discovery {
            // etcdctl's rule: the certificate vouches for the domain that was asked for, since the
            // names that DNS answered with prove nothing.
            Some(discovery) if discovery.secure_only => tls.or_server_name(&discovery.domain),
            _ => tls,
        }
    }

    /// Refuses settings that cannot work.
    pub(super) fn check(&self) -> Result<()> {
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
        if self.auto_sync.is_some_and(|interval| interval.is_zero()) {
            return refuse("an auto-sync interval of zero; leave it out to sync by hand only");
        }
        Ok(())
    }
}

/// The endpoints as they were given.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Endpoints(Vec<String>);

impl Endpoints {
    pub(super) fn add<S: AsRef<str>>(&mut self, endpoints: impl IntoIterator<Item = S>) {
        for text in endpoints {
            let each = text.as_ref().split(',').map(|text| text.trim().to_owned());
            self.0.extend(each);
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Endpoints with user information are refused, but not before they are parsed.
impl fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.iter().map(|text| match text.rsplit_once('@') {
            None => text.as_str(),
            Some((_, host)) => host,
        });
        f.debug_list().entries(shown).finish()
    }
}
