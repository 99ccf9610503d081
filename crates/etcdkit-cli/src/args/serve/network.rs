//! Who the member is, and where it is reached.

use clap::Args;

#[derive(Args, Clone, Debug)]
pub(crate) struct NetworkArgs {
    /// Name of the member
    #[arg(long, env = "ETCD_NAME", default_value = "default")]
    pub(crate) name: String,

    /// Addresses to listen on: http://host:port, https://host:port, unix://path or unixs://path; port 0 takes any free one
    #[arg(
        long,
        env = "ETCD_LISTEN_CLIENT_URLS",
        value_delimiter = ',',
        default_value = "http://127.0.0.1:2379",
        value_name = "URLS"
    )]
    listen_client_urls: Vec<String>,

    /// Further addresses to listen on, which etcd uses for HTTP apart from gRPC; here both speak both
    #[arg(
        long,
        env = "ETCD_LISTEN_CLIENT_HTTP_URLS",
        value_delimiter = ',',
        value_name = "URLS"
    )]
    listen_client_http_urls: Vec<String>,

    /// The member's client URLs as it tells them to clients; those it listens on unless given
    #[arg(
        long,
        env = "ETCD_ADVERTISE_CLIENT_URLS",
        value_delimiter = ',',
        value_name = "URLS"
    )]
    pub(crate) advertise_client_urls: Vec<String>,

    /// The member's peer URLs as it tells them to clients; nothing listens there
    #[arg(
        long,
        env = "ETCD_INITIAL_ADVERTISE_PEER_URLS",
        value_delimiter = ',',
        default_value = "http://localhost:2380",
        value_name = "URLS"
    )]
    pub(crate) initial_advertise_peer_urls: Vec<String>,
}

impl NetworkArgs {
    /// Every address to listen on.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &str> {
        let urls = self.listen_client_urls.iter();
        urls.chain(&self.listen_client_http_urls)
            .map(|url| url.trim())
    }
}
