//! etcd's flags that have no effect on an embedded server, or cannot have the one they promise.

use clap::{
    Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches, builder::OsStringValueParser,
    parser::ValueSource,
};

use super::{storage, tls};

/// Which of them were given.
#[derive(Clone, Debug, Default)]
pub(crate) struct OtherFlags {
    /// Without effect.
    pub(crate) ignored: Vec<&'static str>,
    /// Impossible: the flag and why.
    pub(crate) refused: Vec<(&'static str, &'static str)>,
}

const CONFIG: &str = "configuration files are not in this version of etcdkit; give flags";
const CLUSTER: &str = "the embedded server is one node and joins no cluster";

/// A flag that is refused, its variable, and why.
pub(super) type Refusal = (&'static str, &'static str, &'static str);

/// Refused, with their variables.
const REFUSED: [Refusal; 5] = [
    ("config-file", "ETCD_CONFIG_FILE", CONFIG),
    ("discovery", "ETCD_DISCOVERY", CLUSTER),
    ("discovery-endpoints", "ETCD_DISCOVERY_ENDPOINTS", CLUSTER),
    ("discovery-srv", "ETCD_DISCOVERY_SRV", CLUSTER),
    ("discovery-token", "ETCD_DISCOVERY_TOKEN", CLUSTER),
];

/// Without effect. The flags of 3.4 to 3.7 that only tune, or that only concern peers and disks.
const IGNORED: [&str; 65] = [
    "auth-token",
    "auth-token-ttl",
    "backend-batch-interval",
    "backend-batch-limit",
    "backend-bbolt-freelist-type",
    "bcrypt-cost",
    "bootstrap-defrag-threshold-megabytes",
    "cipher-suites",
    "client-cert-allowed-hostname",
    "compact-hash-check-time",
    "compaction-batch-limit",
    "compaction-sleep-interval",
    "corrupt-check-time",
    "cors",
    "distributed-tracing-address",
    "distributed-tracing-instance-id",
    "distributed-tracing-sampling-rate",
    "distributed-tracing-service-name",
    "downgrade-check-time",
    "election-timeout",
    "experimental-compaction-batch-limit",
    "experimental-corrupt-check-time",
    "experimental-warning-apply-duration",
    "experimental-watch-progress-notify-interval",
    "feature-gates",
    "grpc-keepalive-interval",
    "grpc-keepalive-min-time",
    "grpc-keepalive-timeout",
    "heartbeat-interval",
    "host-whitelist",
    "initial-cluster",
    "initial-cluster-state",
    "initial-cluster-token",
    "listen-client-http-urls",
    "listen-metrics-urls",
    "listen-peer-urls",
    "log-format",
    "log-outputs",
    "log-package-levels",
    "log-rotation-config-json",
    "logger",
    "max-concurrent-streams",
    "max-learners",
    "max-snapshots",
    "max-wals",
    "metrics",
    "peer-cert-allowed-cn",
    "peer-cert-allowed-hostname",
    "peer-cert-file",
    "peer-client-cert-file",
    "peer-client-key-file",
    "peer-crl-file",
    "peer-key-file",
    "peer-trusted-ca-file",
    "raft-read-timeout",
    "raft-write-timeout",
    "self-signed-cert-validity",
    "snapshot-catchup-entries",
    "snapshot-count",
    "tls-max-version",
    "tls-min-version",
    "v2-deprecation",
    "warning-apply-duration",
    "warning-unary-request-duration",
    "watch-progress-notify-interval",
];

/// Switches without effect.
const IGNORED_SWITCHES: [&str; 20] = [
    "debug",
    "enable-distributed-tracing",
    "enable-grpc-gateway",
    "enable-log-rotation",
    "enable-pprof",
    "enable-v2",
    "experimental-enable-lease-checkpoint",
    "experimental-enable-v2v3",
    "experimental-initial-corrupt-check",
    "force-new-cluster",
    "initial-election-tick-advance",
    "memory-mlock",
    "peer-auto-tls",
    "peer-client-cert-auth",
    "peer-skip-client-san-verification",
    "pre-vote",
    "socket-reuse-address",
    "socket-reuse-port",
    "strict-reconfig-check",
    "unsafe-no-fsync",
];

/// Every refused flag that takes a value.
fn values() -> impl Iterator<Item = &'static Refusal> {
    REFUSED.iter().chain(&storage::REFUSED).chain(&tls::REFUSED)
}

/// Every refused switch.
fn switches() -> impl Iterator<Item = &'static Refusal> {
    tls::REFUSED_SWITCHES.iter()
}

impl Args for OtherFlags {
    fn augment_args(command: Command) -> Command {
        let flag = |name: &'static str| Arg::new(name).long(name).hide(true);
        let value = |name| flag(name).value_parser(OsStringValueParser::new());
        let switch = |name| flag(name).action(ArgAction::SetTrue);
        command
            .args(values().map(|(name, variable, _)| value(name).env(variable)))
            .args(switches().map(|(name, variable, _)| switch(name).env(variable)))
            .args(IGNORED.map(value))
            .args(IGNORED_SWITCHES.map(switch))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for OtherFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let given = |name: &str| {
            let source = matches.value_source(name);
            source.is_some_and(|source| source != ValueSource::DefaultValue)
        };
        let refused = values().chain(switches());
        let ignored = IGNORED.iter().chain(&IGNORED_SWITCHES);
        Ok(Self {
            ignored: ignored.copied().filter(|name| given(name)).collect(),
            refused: refused
                .filter(|(name, ..)| given(name))
                .map(|(name, _, reason)| (*name, *reason))
                .collect(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
