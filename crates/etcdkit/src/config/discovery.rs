//! Endpoints that DNS knows.

use std::net::SocketAddr;

/// A domain whose SRV records say where the servers of a cluster are.
///
/// `_etcd-client-ssl._tcp.DOMAIN` lists those that speak TLS, `_etcd-client._tcp.DOMAIN` those that do
/// not; a [service name](Self::service_name) tells clusters of one domain apart. One of the two lists
/// is enough. The records are what etcd's own clients and servers take, under the same names.
///
/// Made into endpoints by [`ClientBuilder::connect`](crate::ClientBuilder::connect), or by the first
/// call of a lazy client. Needs the feature `discovery`.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> etcdkit::Result<()> {
/// use etcdkit::{Client, Discovery};
///
/// let client = Client::builder().discover("example.com").connect().await?;
///
/// let blue = Discovery::new("example.com").service_name("blue").secure_only();
/// let client = Client::builder().discover(blue).connect().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Discovery {
    pub(crate) domain: String,
    pub(crate) service_name: Option<String>,
    pub(crate) secure_only: bool,
    pub(crate) name_servers: Vec<SocketAddr>,
}

impl Discovery {
    /// The records of a domain such as `example.com`.
    pub fn new(domain: impl Into<String>) -> Self {
        Self {
            domain: domain.into(),
            service_name: None,
            secure_only: false,
            name_servers: Vec::new(),
        }
    }

    /// Looks for `_etcd-client-ssl-NAME._tcp` and `_etcd-client-NAME._tcp` instead.
    pub fn service_name(mut self, name: impl Into<String>) -> Self {
        self.service_name = Some(name.into());
        self
    }

    /// Takes only servers that speak TLS, and expects the domain in their certificates unless
    /// [`Tls::server_name`](crate::Tls::server_name) says otherwise, so that whoever forges DNS
    /// gains nothing; what etcdctl does with `--insecure-discovery=false`.
    pub fn secure_only(mut self) -> Self {
        self.secure_only = true;
        self
    }

    /// Asks this name server, over UDP and TCP, instead of those of the system. May be called several
    /// times.
    pub fn name_server(mut self, server: SocketAddr) -> Self {
        self.name_servers.push(server);
        self
    }

    /// Asks DNS once for the endpoints, best first. A client of the v3 API is told by
    /// [`ClientBuilder::discover`](crate::ClientBuilder::discover) and goes on asking; this is for the
    /// client of the v2 API and for whatever else needs them.
    ///
    /// What [`secure_only`](Self::secure_only) says of certificates is up to whoever connects.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connect`](crate::ErrorKind::Connect) if DNS names none, and
    /// [`ErrorKind::InvalidConfig`](crate::ErrorKind::InvalidConfig) without the feature `discovery`.
    pub async fn resolve(&self) -> crate::Result<Vec<String>> {
        crate::endpoints::resolve(self).await
    }

    /// The name to look for, under which servers with or without TLS are listed.
    #[cfg(any(test, feature = "discovery"))]
    pub(crate) fn record(&self, secure: bool) -> String {
        let ssl = if secure { "-ssl" } else { "" };
        let name = match &self.service_name {
            Some(name) => format!("-{name}"),
            None => String::new(),
        };
        // The dot at the end keeps the system's search domains out.
        let domain = self.domain.trim_end_matches('.');
        format!("_etcd-client{ssl}{name}._tcp.{domain}.")
    }
}

impl From<&str> for Discovery {
    fn from(domain: &str) -> Self {
        Self::new(domain)
    }
}

impl From<String> for Discovery {
    fn from(domain: String) -> Self {
        Self::new(domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_named_as_etcd_names_them() {
        let plain = Discovery::new("example.com");
        assert_eq!(plain.record(true), "_etcd-client-ssl._tcp.example.com.");
        assert_eq!(plain.record(false), "_etcd-client._tcp.example.com.");
        let named = Discovery::new("example.com.").service_name("blue");
        assert_eq!(
            named.record(true),
            "_etcd-client-ssl-blue._tcp.example.com."
        );
        assert_eq!(named.record(false), "_etcd-client-blue._tcp.example.com.");
    }
}
