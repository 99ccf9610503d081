//! The options of every v2 command: etcdctl's under `ETCDCTL_API=2`, which take the names that they have
//! in v3, too.

use std::{env, ffi::OsString, time::Duration};

use clap::Args;
use etcdkit::Discovery;

use crate::{
    args::global::Secret,
    cmd::v2::{Code, plain},
    error::Result,
    golang::parse_duration,
};

/// Where etcdctl looks for servers when nothing names any: the port of etcd 2 and later, and that of
/// earlier ones.
const DEFAULT_ENDPOINTS: &str = "http://127.0.0.1:2379,http://127.0.0.1:4001";

/// How long connecting to one endpoint may take unless --timeout says otherwise.
const CONNECT: Duration = Duration::from_secs(2);

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options of every v2 command")]
pub(crate) struct GlobalArgs {
    /// Servers to talk to: http://host:port, https://host:port, or embedded: for a server inside this process; or $ETCDCTL_ENDPOINTS; by default ports 2379 and 4001 of this machine
    #[arg(long, global = true, value_name = "URLS")]
    endpoints: Option<String>,

    /// An older name of --endpoints
    #[arg(long, global = true, value_name = "URL", hide = true)]
    endpoint: Option<String>,

    /// An older name of --endpoints
    #[arg(short = 'C', long, global = true, value_name = "URLS", hide = true)]
    peers: Option<String>,

    // Kept as text, so that etcdctl's exit code can be given for an unknown one.
    /// Output format: simple, extended, json
    #[arg(
        short,
        long,
        global = true,
        default_value = "simple",
        value_name = "FORMAT",
        alias = "write-out",
        short_alias = 'w'
    )]
    output: String,

    /// Print each HTTP request to standard error, as a curl command, values left out
    #[arg(long, global = true)]
    pub(crate) debug: bool,

    /// Use the endpoints as they are given; otherwise the cluster is asked for those of its members first
    #[arg(long, global = true)]
    pub(crate) no_sync: bool,

    /// Time limit for one endpoint to begin its answer, after which reads go on to the next; 0s for none; unless it is given, 2s for connecting, and writes are heard out
    #[arg(
        long,
        global = true,
        value_name = "DURATION",
        value_parser = parse_duration,
        alias = "dial-timeout"
    )]
    timeout: Option<Duration>,

    /// Time limit for the command, without what watches and locks wait for; asking for the members first has as long again
    #[arg(
        long,
        global = true,
        default_value = "5s",
        value_name = "DURATION",
        value_parser = parse_duration,
        alias = "command-timeout"
    )]
    pub(crate) total_timeout: Duration,

    /// Verify servers by the certificates in this PEM file; or $ETCDCTL_CA_FILE
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        alias = "cacert",
        hide_short_help = true
    )]
    ca_file: Option<OsString>,

    /// Identify the client by the certificate in this PEM file; or $ETCDCTL_CERT_FILE
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        alias = "cert",
        hide_short_help = true
    )]
    cert_file: Option<OsString>,

    /// The private key of --cert-file, in a PEM file; or $ETCDCTL_KEY_FILE
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        alias = "key",
        hide_short_help = true
    )]
    key_file: Option<OsString>,

    /// Do not verify servers' certificates: whoever is in between reads and changes everything
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) insecure_skip_tls_verify: bool,

    /// User to send requests as; without a password, it is asked for; or $ETCDCTL_USERNAME
    #[arg(
        short,
        long,
        global = true,
        value_name = "NAME[:PASSWORD]",
        alias = "user"
    )]
    username: Option<Secret>,

    /// Password of --username
    #[arg(long, global = true, hide = true)]
    password: Option<Secret>,

    /// Domain whose DNS SRV records name the servers, instead of --endpoints; or $ETCDCTL_DISCOVERY_SRV
    #[arg(
        short = 'D',
        long,
        global = true,
        value_name = "DOMAIN",
        short_alias = 'd',
        hide_short_help = true
    )]
    discovery_srv: Option<String>,

    /// Which of several clusters in the domain to take; or $ETCDCTL_DISCOVERY_SRV_NAME
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    discovery_srv_name: Option<String>,

    /// Take discovered endpoints without TLS, too; or $ETCDCTL_INSECURE_DISCOVERY
    #[arg(long, global = true, hide_short_help = true)]
    insecure_discovery: bool,
}

/// How answers are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Simple,
    Extended,
    Json,
}

/// The files that TLS needs, as far as any are named.
#[derive(Clone, Debug, Default)]
pub(crate) struct TlsFiles {
    pub(crate) ca: Option<OsString>,
    pub(crate) cert: Option<OsString>,
    pub(crate) key: Option<OsString>,
}

impl GlobalArgs {
    /// The output format. etcdctl does what it is told first, and only then finds that it cannot show it.
    pub(crate) fn format(&self) -> Result<Format> {
        match self.output.as_str() {
            "simple" => Ok(Format::Simple),
            "extended" => Ok(Format::Extended),
            "json" => Ok(Format::Json),
            other => Err(
                plain(Code::BadArgs, format!("Unsupported output format: {other}"))
                    .hint("choose one of simple, extended, json"),
            ),
        }
    }

    /// How long connecting to an endpoint may take, and if it is limited, how long it may take until it
    /// begins to answer. As with etcdctl 0s is no limit, which leaves that of the command.
    pub(crate) fn timeouts(&self) -> (Duration, Option<Duration>) {
        match self.timeout {
            None => (CONNECT, None),
            Some(limit) if limit.is_zero() => (self.total_timeout, None),
            Some(limit) => (limit, Some(limit)),
        }
    }

    /// The servers to talk to. Flags come before variables, and newer names before older ones.
    pub(crate) fn endpoints(&self) -> Vec<String> {
        let flags = [&self.endpoints, &self.endpoint, &self.peers];
        let flag = flags.into_iter().flatten().find(|text| !text.is_empty());
        let given = flag.cloned().or_else(|| {
            ["ETCDCTL_ENDPOINTS", "ETCDCTL_ENDPOINT", "ETCDCTL_PEERS"]
                .into_iter()
                .find_map(text_variable)
        });
        let given = given.as_deref().unwrap_or(DEFAULT_ENDPOINTS);
        given.split(',').map(|one| one.trim().to_owned()).collect()
    }

    /// The domain whose servers to use, if one is named.
    pub(crate) fn discovery(&self) -> Option<Discovery> {
        let domain = text(&self.discovery_srv, "ETCDCTL_DISCOVERY_SRV")?;
        let mut discovery = Discovery::new(domain);
        if let Some(name) = text(&self.discovery_srv_name, "ETCDCTL_DISCOVERY_SRV_NAME") {
            discovery = discovery.service_name(name);
        }
        if !self.takes_insecure() {
            discovery = discovery.secure_only();
        }
        Some(discovery)
    }

    /// The name that discovered servers must have in their certificates, so that whoever forges DNS
    /// gains nothing.
    pub(crate) fn server_name(&self) -> Option<String> {
        let domain = text(&self.discovery_srv, "ETCDCTL_DISCOVERY_SRV");
        domain.filter(|_| !self.takes_insecure())
    }

    /// Any text at all in the variable says yes, as with etcdctl.
    fn takes_insecure(&self) -> bool {
        self.insecure_discovery || variable("ETCDCTL_INSECURE_DISCOVERY").is_some()
    }

    /// The files that TLS needs; a v3 variable counts where that of v2 is not set.
    pub(crate) fn tls_files(&self) -> TlsFiles {
        let file = |flag: &Option<OsString>, names: [&str; 2]| {
            let flag = flag.clone().filter(|file| !file.is_empty());
            flag.or_else(|| names.into_iter().find_map(variable))
        };
        TlsFiles {
            ca: file(&self.ca_file, ["ETCDCTL_CA_FILE", "ETCDCTL_CACERT"]),
            cert: file(&self.cert_file, ["ETCDCTL_CERT_FILE", "ETCDCTL_CERT"]),
            key: file(&self.key_file, ["ETCDCTL_KEY_FILE", "ETCDCTL_KEY"]),
        }
    }

    /// As whom to send requests: a name and a password, which may be asked for.
    pub(crate) fn credentials(
        &self,
        ask: impl FnOnce() -> Result<String>,
    ) -> Result<Option<(String, String)>> {
        let flag = self.username.as_ref().map(|user| user.reveal().to_owned());
        let user = flag.filter(|user| !user.is_empty()).or_else(|| {
            ["ETCDCTL_USERNAME", "ETCDCTL_USER"]
                .into_iter()
                .find_map(text_variable)
        });
        let Some(user) = user else {
            return Ok(None);
        };
        let flag = self.password.as_ref().map(|word| word.reveal().to_owned());
        let password = flag.or_else(|| text_variable("ETCDCTL_PASSWORD"));
        Ok(Some(match (user.split_once(':'), password) {
            (Some((name, password)), _) => (name.to_owned(), password.to_owned()),
            (None, Some(password)) => (user, password),
            (None, None) => (user, ask()?),
        }))
    }
}

/// A flag's text, or else its variable's; an empty one says nothing.
fn text(flag: &Option<String>, name: &str) -> Option<String> {
    let flag = flag.clone().filter(|text| !text.is_empty());
    flag.or_else(|| text_variable(name))
}

fn text_variable(name: &str) -> Option<String> {
    variable(name)?.into_string().ok()
}

fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}
