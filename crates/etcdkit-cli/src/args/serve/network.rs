//! Who the member is, and where it is reached.

use clap::Args;

#[derive(Args, Clone, Debug)]
pub(crate) struct NetworkArgs {
    /// Name of the member
    #[arg(long, env = "ETCD_NAME", default_value = "default")]
    pub(crate) name: String,

    /// Addresses to listen on: http://host:port or unix://path; port 0 takes any free one
    #[arg(
        long,
        env = "ETCD_LISTEN_CLIENT_URLS",
        value_delimiter = ',',
        default_value = "http://127.0.0.1:2379",
        value_name = "URLS"
    )]
    pub(crate) listen_client_urls: Vec<String>,

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
