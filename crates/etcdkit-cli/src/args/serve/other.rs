//! etcd's flags that have no effect on an embedded server, or cannot have the one they promise.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches, parser::ValueSource};

/// Which of them were given.
#[derive(Clone, Debug, Default)]
pub(crate) struct OtherFlags {
    /// Without effect.
    pub(crate) ignored: Vec<&'static str>,
    /// Impossible: the flag and why.
    pub(crate) refused: Vec<(&'static str, &'static str)>,
}

const CLUSTER: &str = "the embedded server is one node and joins no cluster";
const V2V3: &str = "the keys of v2 are apart from those of v3; use --enable-v2";
const ORIGINS: &str =
    "the embedded server answers requests of every origin and host; leave it out, or *";
const PPROF: &str = "there is no profile of this program to be had over HTTP";

/// A flag with values that would promise what is not done, and why.
struct Refusal {
    name: &'static str,
    applies: fn(&str) -> bool,
    reason: &'static str,
}

/// Those that take values.
const REFUSED: [Refusal; 9] = [
    refuse("cors", restricts, ORIGINS),
    refuse("discovery", is_set, CLUSTER),
    refuse("discovery-endpoints", is_set, CLUSTER),
    refuse("discovery-srv", is_set, CLUSTER),
    refuse("discovery-token", is_set, CLUSTER),
    refuse("experimental-enable-v2v3", is_set, V2V3),
    refuse("host-whitelist", restricts, ORIGINS),
    refuse("initial-cluster", has_several_members, CLUSTER),
    refuse("proxy", is_proxy, CLUSTER),
];

/// Those that are on or off.
const REFUSED_SWITCHES: [(&str, &str); 1] = [("enable-pprof", PPROF)];

const fn refuse(name: &'static str, applies: fn(&str) -> bool, reason: &'static str) -> Refusal {
    Refusal {
        name,
        applies,
        reason,
    }
}

fn is_set(value: &str) -> bool {
    !value.is_empty()
}

fn restricts(value: &str) -> bool {
    !matches!(value, "" | "*")
}

fn is_proxy(value: &str) -> bool {
    !matches!(value, "" | "off")
}

/// A member may have several URLs, each after its name.
fn has_several_members(value: &str) -> bool {
    let name = |member: &str| {
        member
            .split('=')
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let mut names: Vec<String> = value.split(',').map(name).collect();
    names.dedup();
    names.len() > 1
}

/// Without effect. The flags of 3.4 to 3.7 that only tune, or that only concern peers and etcd's own
/// files, and the names that etcd itself ignores.
const IGNORED: [&str; 94] = [
    "backend-batch-interval",
    "backend-batch-limit",
    "backend-bbolt-freelist-type",
    "bootstrap-defrag-threshold-megabytes",
    "client-cert-file",
    "client-key-file",
    "cluster-active-size",
    "cluster-remove-delay",
    "cluster-sync-interval",
    "compact-hash-check-time",
    "compaction-batch-limit",
    "compaction-sleep-interval",
    "config",
    "corrupt-check-time",
    "discovery-cacert",
    "discovery-cert",
    "discovery-dial-timeout",
    "discovery-fallback",
    "discovery-keepalive-time",
    "discovery-keepalive-timeout",
    "discovery-key",
    "discovery-password",
    "discovery-proxy",
    "discovery-request-timeout",
    "discovery-srv-name",
    "discovery-user",
    "distributed-tracing-address",
    "distributed-tracing-instance-id",
    "distributed-tracing-sampling-rate",
    "distributed-tracing-service-name",
    "downgrade-check-time",
    "election-timeout",
    "experimental-backend-bbolt-freelist-type",
    "experimental-bootstrap-defrag-threshold-megabytes",
    "experimental-compact-hash-check-time",
    "experimental-compaction-batch-limit",
    "experimental-compaction-sleep-interval",
    "experimental-corrupt-check-time",
    "experimental-distributed-tracing-address",
    "experimental-distributed-tracing-instance-id",
    "experimental-distributed-tracing-sampling-rate",
    "experimental-distributed-tracing-service-name",
    "experimental-downgrade-check-time",
    "experimental-snapshot-catchup-entries",
    "experimental-warning-apply-duration",
    "experimental-warning-unary-request-duration",
    "force",
    "grpc-keepalive-interval",
    "grpc-keepalive-min-time",
    "grpc-keepalive-timeout",
    "heartbeat-interval",
    "initial-cluster-state",
    "initial-cluster-token",
    "listen-metrics-urls",
    "listen-peer-urls",
    "log-format",
    "log-package-levels",
    "log-rotation-config-json",
    "logger",
    "max-concurrent-streams",
    "max-learners",
    "max-result-buffer",
    "max-retry-attempts",
    "max-snapshots",
    "max-wals",
    "metrics",
    "peer-cert-allowed-cn",
    "peer-cert-allowed-hostname",
    "peer-cert-file",
    "peer-client-cert-file",
    "peer-client-key-file",
    "peer-crl-file",
    "peer-election-timeout",
    "peer-heartbeat-interval",
    "peer-key-file",
    "peer-trusted-ca-file",
    "proxy-dial-timeout",
    "proxy-failure-wait",
    "proxy-read-timeout",
    "proxy-refresh-interval",
    "proxy-write-timeout",
    "raft-read-timeout",
    "raft-write-timeout",
    "retry-interval",
    "self-signed-cert-validity",
    "snapshot",
    "snapshot-catchup-entries",
    "snapshot-count",
    "v",
    "v2-deprecation",
    "vv",
    "wal-dir",
    "warning-apply-duration",
    "warning-unary-request-duration",
];

/// Switches without effect.
const IGNORED_SWITCHES: [&str; 24] = [
    "discovery-insecure-skip-tls-verify",
    "discovery-insecure-transport",
    "enable-distributed-tracing",
    "enable-grpc-gateway",
    "enable-log-rotation",
    "experimental-compact-hash-check-enabled",
    "experimental-enable-distributed-tracing",
    "experimental-initial-corrupt-check",
    "experimental-memory-mlock",
    "experimental-peer-skip-client-san-verification",
    "experimental-stop-grpc-service-on-defrag",
    "experimental-txn-mode-write-with-shared-buffer",
    "force-new-cluster",
    "initial-election-tick-advance",
    "memory-mlock",
    "next-cluster-version-compatible",
    "peer-auto-tls",
    "peer-client-cert-auth",
    "peer-skip-client-san-verification",
    "pre-vote",
    "socket-reuse-address",
    "socket-reuse-port",
    "strict-reconfig-check",
    "unsafe-no-fsync",
];

impl Args for OtherFlags {
    fn augment_args(command: Command) -> Command {
        let flag = |name: &'static str| Arg::new(name).long(name).hide(true);
        let switch = |name| flag(name).action(ArgAction::SetTrue);
        command
            .args(REFUSED.iter().map(|refusal| flag(refusal.name)))
            .args(REFUSED_SWITCHES.iter().map(|(name, _)| switch(name)))
            .args(IGNORED.map(flag))
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
        let value = |name: &str| matches.get_one::<String>(name).map(String::as_str);
        let is_on = |name: &str| matches.get_one::<bool>(name) == Some(&true);
        let (refused, harmless): (Vec<&Refusal>, Vec<&Refusal>) = REFUSED
            .iter()
            .filter(|refusal| given(refusal.name))
            .partition(|refusal| value(refusal.name).is_some_and(refusal.applies));
        let refused = refused.iter().map(|refusal| (refusal.name, refusal.reason));
        let switches = REFUSED_SWITCHES
            .iter()
            .copied()
            .filter(|(name, _)| is_on(name));
        let ignored = IGNORED.into_iter().chain(IGNORED_SWITCHES);
        let ignored = ignored.filter(|name| given(name));
        Ok(Self {
            ignored: harmless
                .iter()
                .map(|refusal| refusal.name)
                .chain(ignored)
                .collect(),
            refused: refused.chain(switches).collect(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> OtherFlags {
        let words = std::iter::once("serve").chain(words.iter().copied());
        let matches = super::super::command().try_get_matches_from(words).unwrap();
        OtherFlags::from_arg_matches(&matches).unwrap()
    }

    #[test]
    fn what_would_be_a_promise_is_refused() {
        for flag in [
            "--discovery=http://x",
            "--discovery-srv=example.com",
            "--initial-cluster=a=http://a:2380,b=http://b:2380",
            "--proxy=on",
            "--cors=https://example.com",
            "--host-whitelist=example.com",
            "--enable-pprof",
            "--enable-pprof=true",
            "--experimental-enable-v2v3=/x",
        ] {
            let flags = read(&[flag]);
            assert_eq!(flags.refused.len(), 1, "{flag}");
            assert!(flags.ignored.is_empty(), "{flag}");
        }
    }

    #[test]
    fn what_promises_nothing_is_accepted() {
        for flag in [
            "--discovery=",
            "--initial-cluster=a=http://a:2380",
            "--initial-cluster=a=http://a:2380,a=http://a:2381",
            "--proxy=off",
            "--cors=*",
            "--host-whitelist=",
            "--pre-vote",
            "--pre-vote=false",
            "--snapshot-count=5",
            "--listen-peer-urls=http://a",
        ] {
            let flags = read(&[flag]);
            assert!(flags.refused.is_empty(), "{flag}");
            assert_eq!(flags.ignored.len(), 1, "{flag}");
        }
        let off = read(&["--enable-pprof=false"]);
        assert!(off.refused.is_empty());
    }
}
