//! The options that every command takes. Each has a variable: `ETCDCTL_` and its name.

use std::{ffi::OsString, time::Duration};

use clap::Args;

use crate::{
    error::{Failure, Result},
    golang::{parse_bool, parse_duration, parse_usize},
};

/// etcdctl's global flags. Those whose features arrive in later versions are read, so that they can
/// be refused clearly instead of being ignored.
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

    /// Skip the verification of servers' certificates; not in this version
    #[arg(
        long,
        global = true,
        env = "ETCDCTL_INSECURE_SKIP_TLS_VERIFY",
        hide_short_help = true
    )]
    insecure_skip_tls_verify: bool,

    /// Accept discovered endpoints without TLS; without effect, since discovery is not in this version
    #[arg(
        long,
        global = true,
        env = "ETCDCTL_INSECURE_DISCOVERY",
        hide_short_help = true
    )]
    insecure_discovery: bool,

    /// Domain to discover endpoints from; not in this version
    #[arg(
        short,
        long,
        global = true,
        env = "ETCDCTL_DISCOVERY_SRV",
        value_name = "DOMAIN",
        hide_short_help = true
    )]
    discovery_srv: Option<String>,

    /// Service name to discover endpoints by; not in this version
    #[arg(
        long,
        global = true,
        env = "ETCDCTL_DISCOVERY_SRV_NAME",
        value_name = "NAME",
        hide_short_help = true
    )]
    discovery_srv_name: Option<String>,

    /// User and password; not in this version
    #[arg(
        long,
        global = true,
        env = "ETCDCTL_USER",
        hide_env_values = true,
        value_name = "NAME[:PASSWORD]",
        hide_short_help = true
    )]
    user: Option<String>,

    /// Password of --user; not in this version
    #[arg(
        long,
        global = true,
        env = "ETCDCTL_PASSWORD",
        hide_env_values = true,
        hide_short_help = true
    )]
    password: Option<String>,

    /// Token to authenticate with; not in this version
    #[arg(
        long,
        global = true,
        env = "ETCDCTL_AUTH_JWT_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN",
        hide_short_help = true
    )]
    auth_jwt_token: Option<String>,
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

    /// Refuses what this version cannot do and must not ignore.
    pub(crate) fn refuse_unsupported(&self) -> Result {
        let given = [
            (self.user.is_some(), "--user", "authentication"),
            (self.password.is_some(), "--password", "authentication"),
            (
                self.auth_jwt_token.is_some(),
                "--auth-jwt-token",
                "authentication",
            ),
            (
                self.discovery_srv.is_some(),
                "--discovery-srv",
                "DNS discovery",
            ),
            (
                self.discovery_srv_name.is_some(),
                "--discovery-srv-name",
                "DNS discovery",
            ),
            (
                self.insecure_skip_tls_verify,
                "--insecure-skip-tls-verify",
                "connecting without verifying certificates",
            ),
        ];
        match given.into_iter().find(|(given, ..)| *given) {
            Some((_, flag, feature)) => Err(Failure::unsupported(format!(
                "{flag}: {feature} is not in this version of etcdkit"
            ))
            .hint(format!("unset {flag} and its variable"))),
            None => Ok(()),
        }
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
