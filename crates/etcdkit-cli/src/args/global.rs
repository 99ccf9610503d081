//! The options that every command takes. Each has a variable: `ETCDCTL_` and its name.

use std::{ffi::OsString, fmt, sync::OnceLock, time::Duration};

use clap::Args;
use etcdkit::Discovery;

use crate::{
    cmd::password,
    error::{Failure, Result},
    golang::{parse_bool, parse_duration, parse_usize},
};

/// etcdctl's global flags.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct GlobalArgs {
    /// Servers to talk to: host:port, http://…, https://…, unix://…, or embedded: for a server inside this process
    #[arg(
        long,
        global = true,
        env = "ETCDCTL_ENDPOINTS",
        value_delimiter = ',',
        default_value = "127.0.0.1:2379"
    )]
    pub(crate) endpoints: Vec<String>,

    /// Whether the flag was given: the variable and the default do not count.
    #[arg(skip)]
    pub(crate) endpoints_given: bool,

    // Kept as text: etcdctl has an exit code of its own for an unknown format.
    /// Output format: fields, json, protobuf, simple, table
    #[arg(
        short,
        long,
        global = true,
        env = "ETCDCTL_WRITE_OUT",
        default_value = "simple",
        value_name = "FORMAT"
    )]
    write_out: String,

    /// Print byte strings as hex encoded strings
    #[arg(long, global = true, env = "ETCDCTL_HEX")]
    pub(crate) hex: bool,

    /// Print the settings in force and the causes of errors to standard error
    #[arg(long, global = true, env = "ETCDCTL_DEBUG")]
    pub(crate) debug: bool,

    /// Time limit for connecting to one endpoint
    #[arg(
        long,
        global = true,
        env = "ETCDCTL_DIAL_TIMEOUT",
        default_value = "2s",
        value_name = "DURATION",
        value_parser = parse_duration,
        hide_short_help = true
    )]
    pub(crate) dial_timeout: Duration,

    /// Time limit for a command's request
    #[arg(
        long,
        global = true,
        env = "ETCDCTL_COMMAND_TIMEOUT",
        default_value = "5s",
        value_name = "DURATION",
        value_parser = parse_duration
    )]
    pub(crate) command_timeout: Duration,

    /// Whether the time limit was given, by the flag or its variable.
    #[arg(skip)]
    pub(crate) command_timeout_given: bool,

    /// Time between keep-alive pings while a request is open; servers refuse less than 5s, and 10s is the least used
    #[arg(
        long,
        global = true,
        env = "ETCDCTL_KEEPALIVE_TIME",
        default_value = "2s",
        value_name = "DURATION",
        value_parser = parse_duration,
        hide_short_help = true
    )]
    pub(crate) keepalive_time: Duration,

    /// Time to wait for the answer to a keep-alive ping
    #[arg(
        long,
        global = true,
        env = "ETCDCTL_KEEPALIVE_TIMEOUT",
        default_value = "6s",
        value_name = "DURATION",
        value_parser = parse_duration,
        hide_short_help = true
    )]
    pub(crate) keepalive_timeout: Duration,

    /// Largest request to send, in bytes; 0 stands for 2 MiB
    #[arg(
        long,
        global = true,
        env = "ETCDCTL_MAX_REQUEST_BYTES",
        default_value = "0",
        value_name = "BYTES",
        value_parser = parse_usize,
        hide_short_help = true
    )]
    pub(crate) max_request_bytes: usize,

    /// Largest response to accept, in bytes; 0 stands for 2 GiB
    #[arg(
        long,
        global = true,
        env = "ETCDCTL_MAX_RECV_BYTES",
        default_value = "0",
        value_name = "BYTES",
        value_parser = parse_usize,
        hide_short_help = true
    )]
    pub(crate) max_recv_bytes: usize,

    /// Verify servers by the certificates in this PEM file
    #[arg(
        long,
        global = true,
        env = "ETCDCTL_CACERT",
        value_name = "FILE",
        hide_short_help = true
    )]
    pub(crate) cacert: Option<OsString>,

    /// Identify the client by the certificate in this PEM file
    #[arg(
        long,
        global = true,
        env = "ETCDCTL_CERT",
        value_name = "FILE",
        hide_short_help = true
    )]
    pub(crate) cert: Option<OsString>,

    /// The private key of --cert, in a PEM file
    #[arg(
        long,
        global = true,
        env = "ETCDCTL_KEY",
        value_name = "FILE",
        hide_short_help = true
    )]
    pub(crate) key: Option<OsString>,

    /// Without --cacert, --cert and --key, connect in the clear to endpoints that name no scheme; default true
    #[arg(
        long,
        global = true,
        env = "ETCDCTL_INSECURE_TRANSPORT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = parse_bool,
        value_name = "BOOL",
        hide_short_help = true
    )]
    pub(crate) insecure_transport: Option<bool>,

    /// Do not verify servers' certificates: whoever is in between reads and changes everything
    #[arg(
        long,
        global = true,
        env = "ETCDCTL_INSECURE_SKIP_TLS_VERIFY",
        hide_short_help = true
    )]
    pub(crate) insecure_skip_tls_verify: bool,

    /// Take discovered endpoints without TLS, too; default true
    #[arg(
        long,
        global = true,
        env = "ETCDCTL_INSECURE_DISCOVERY",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = parse_bool,
        value_name = "BOOL",
        hide_short_help = true
    )]
    insecure_discovery: Option<bool>,

    /// Domain whose DNS SRV records name the servers, instead of --endpoints
    #[arg(
        short,
        long,
        global = true,
        env = "ETCDCTL_DISCOVERY_SRV",
        value_name = "DOMAIN",
        hide_short_help = true
    )]
    discovery_srv: Option<String>,

    /// Which of several clusters in the domain to take
    #[arg(
        long,
        global = true,
        env = "ETCDCTL_DISCOVERY_SRV_NAME",
        value_name = "NAME",
        hide_short_help = true
    )]
    discovery_srv_name: Option<String>,

    /// User to log in as; without a password, it is asked for
    #[arg(
        long,
        global = true,
        env = "ETCDCTL_USER",
        value_name = "NAME[:PASSWORD]",
        hide_short_help = true
    )]
    user: Option<Secret>,

    /// Password of --user
    #[arg(long, global = true, env = "ETCDCTL_PASSWORD", hide_short_help = true)]
    password: Option<Secret>,

    /// Token to authenticate with instead of --user, such as a JWT signed with the cluster's key
    #[arg(
        long,
        global = true,
        env = "ETCDCTL_AUTH_JWT_TOKEN",
        value_name = "TOKEN",
        hide_short_help = true
    )]
    auth_jwt_token: Option<Secret>,

    /// The password that was asked for, so that it is asked for once.
    #[arg(skip)]
    asked: OnceLock<Secret>,
}

/// What must not be shown.
#[derive(Clone)]
pub(super) struct Secret(String);

impl Secret {
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// As whom requests are sent.
#[derive(Clone, Copy)]
pub(crate) enum Credentials<'a> {
    User { name: &'a str, password: &'a str },
    Token(&'a str),
}

/// How replies are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Simple,
    Fields,
    Json,
    Protobuf,
    Table,
}

impl Format {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Fields => "fields",
            Self::Json => "json",
            Self::Protobuf => "protobuf",
            Self::Table => "table",
        }
    }
}

/// An empty flag or variable says nothing.
fn given(secret: &Option<Secret>) -> Option<&str> {
    let text = secret.as_ref().map(|secret| secret.0.as_str());
    text.filter(|text| !text.is_empty())
}

impl GlobalArgs {
    /// The output format, refused as etcdctl refuses it.
    pub(crate) fn format(&self) -> Result<Format> {
        match self.write_out.as_str() {
            "simple" => Ok(Format::Simple),
            "fields" => Ok(Format::Fields),
            "json" => Ok(Format::Json),
            "protobuf" => Ok(Format::Protobuf),
            "table" => Ok(Format::Table),
            _ => Err(Failure::unsupported("unsupported output format")
                .hint("choose one of fields, json, protobuf, simple, table")),
        }
    }

    /// As whom to send requests, if the flags say. May ask for a password, once.
    pub(crate) fn credentials(&self) -> Result<Option<Credentials<'_>>> {
        if let Some(token) = given(&self.auth_jwt_token) {
            return Ok(Some(Credentials::Token(token)));
        }
        let Some(user) = given(&self.user) else {
            return Ok(None);
        };
        let (name, password) = match (given(&self.password), user.split_once(':')) {
            (Some(password), _) => (user, password),
            (None, Some((name, password))) => (name, password),
            (None, None) => (user, self.asked()?),
        };
        Ok(Some(Credentials::User { name, password }))
    }

    fn asked(&self) -> Result<&str> {
        let secret = match self.asked.get() {
            Some(secret) => secret,
            None => {
                let password = password::existing()?;
                self.asked.get_or_init(|| Secret(password))
            }
        };
        Ok(&secret.0)
    }

    /// The domain whose servers to use, if the flags name one.
    pub(crate) fn discovery(&self) -> Option<Discovery> {
        let domain = self
            .discovery_srv
            .as_deref()
            .filter(|name| !name.is_empty())?;
        let mut discovery = Discovery::new(domain);
        if let Some(name) = self
            .discovery_srv_name
            .as_deref()
            .filter(|name| !name.is_empty())
        {
            discovery = discovery.service_name(name);
        }
        if self.insecure_discovery == Some(false) {
            discovery = discovery.secure_only();
        }
        Some(discovery)
    }

    /// Prints the settings in force, as etcdctl's `--debug` does.
    pub(crate) fn print_settings(&self) {
        let path = |path: &Option<OsString>| {
            path.as_ref()
                .map(|path| path.to_string_lossy().into_owned())
                .unwrap_or_default()
        };
        for (name, value) in [
            ("ENDPOINTS", format!("[{}]", self.endpoints.join(","))),
            ("WRITE_OUT", self.write_out.clone()),
            ("HEX", self.hex.to_string()),
            ("DIAL_TIMEOUT", format!("{:?}", self.dial_timeout)),
            ("COMMAND_TIMEOUT", format!("{:?}", self.command_timeout)),
            ("KEEPALIVE_TIME", format!("{:?}", self.keepalive_time)),
            ("KEEPALIVE_TIMEOUT", format!("{:?}", self.keepalive_timeout)),
            ("MAX_REQUEST_BYTES", self.max_request_bytes.to_string()),
            ("MAX_RECV_BYTES", self.max_recv_bytes.to_string()),
            ("CACERT", path(&self.cacert)),
            ("CERT", path(&self.cert)),
            ("KEY", path(&self.key)),
        ] {
            eprintln!("ETCDCTL_{name}={value}");
        }
    }
}
