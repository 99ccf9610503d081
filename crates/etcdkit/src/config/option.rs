//! The named options: what each is called in variables, URLs and YAML files.

/// An option that can be given as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    Endpoints,
    DiscoverySrv,
    DiscoverySrvName,
    InsecureDiscovery,
    DialTimeout,
    CommandTimeout,
    KeepAliveTime,
    KeepAliveTimeout,
    PermitWithoutStream,
    ConnectionsPerEndpoint,
    MaxRequestBytes,
    MaxRecvBytes,
    InsecureTransport,
    InsecureSkipTlsVerify,
    CaCert,
    Cert,
    Key,
    ServerName,
    User,
    UserName,
    Password,
    Token,
    Namespace,
    EndpointMode,
    AutoSyncInterval,
    RejectOldCluster,
    Serializable,
    MaxAttempts,
    BackoffWait,
    BackoffJitter,
}

/// Each option with its name and its other names. The first name of those that etcdctl has is its
/// flag's, which is also its variable's; the others are those of the YAML file of etcd's Go client, or
/// ours where etcd has none.
const OPTIONS: &[(Setting, Source, &[&str])] = {
    use Setting as S;
    use Source::{Anywhere, NoVariable};
    &[
        (S::Endpoints, Anywhere, &["endpoints"]),
        (S::DiscoverySrv, Anywhere, &["discovery-srv"]),
        (S::DiscoverySrvName, Anywhere, &["discovery-srv-name"]),
        (S::InsecureDiscovery, Anywhere, &["insecure-discovery"]),
        (
            S::DialTimeout,
            Anywhere,
            &["dial-timeout", "connect-timeout"],
        ),
        (
            S::CommandTimeout,
            Anywhere,
            &["command-timeout", "request-timeout", "timeout"],
        ),
        (
            S::KeepAliveTime,
            Anywhere,
            &["keepalive-time", "dial-keep-alive-time"],
        ),
        (
            S::KeepAliveTimeout,
            Anywhere,
            &["keepalive-timeout", "dial-keep-alive-timeout"],
        ),
        (
            S::PermitWithoutStream,
            NoVariable,
            &["permit-without-stream"],
        ),
        (
            S::ConnectionsPerEndpoint,
            NoVariable,
            &["connections-per-endpoint"],
        ),
        // The Go client's file has no names of its own for the limits, so there they are called as
        // the fields are.
        (
            S::MaxRequestBytes,
            Anywhere,
            &["max-request-bytes", "MaxCallSendMsgSize"],
        ),
        (
            S::MaxRecvBytes,
            Anywhere,
            &["max-recv-bytes", "MaxCallRecvMsgSize"],
        ),
        (S::InsecureTransport, Anywhere, &["insecure-transport"]),
        (
            S::InsecureSkipTlsVerify,
            Anywhere,
            &["insecure-skip-tls-verify"],
        ),
        (
            S::CaCert,
            Anywhere,
            &["cacert", "trusted-ca-file", "ca-file"],
        ),
        (S::Cert, Anywhere, &["cert", "cert-file"]),
        (S::Key, Anywhere, &["key", "key-file"]),
        (S::ServerName, NoVariable, &["server-name"]),
        (S::User, Anywhere, &["user"]),
        (S::UserName, NoVariable, &["username"]),
        (S::Password, Anywhere, &["password"]),
        (S::Token, Anywhere, &["auth-jwt-token", "token"]),
        (S::Namespace, NoVariable, &["namespace"]),
        (S::EndpointMode, NoVariable, &["endpoint-mode"]),
        (S::AutoSyncInterval, NoVariable, &["auto-sync-interval"]),
        (S::RejectOldCluster, NoVariable, &["reject-old-cluster"]),
        (S::Serializable, NoVariable, &["serializable"]),
        (
            S::MaxAttempts,
            NoVariable,
            &["max-unary-retries", "max-attempts"],
        ),
        (S::BackoffWait, NoVariable, &["backoff-wait-between"]),
        (S::BackoffJitter, NoVariable, &["backoff-jitter-fraction"]),
    ]
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// etcdctl has a flag, and thus a variable, for it.
    Anywhere,
    NoVariable,
}

impl Setting {
    /// The option with a name, as URLs and YAML files have it; `_` may stand for `-`.
    pub(super) fn named(name: &str) -> Option<Self> {
        let dashed = name.replace('_', "-");
        let found = OPTIONS
            .iter()
            .find(|(_, _, names)| names.contains(&&*dashed));
        found.map(|(setting, ..)| *setting)
    }

    /// The options that have a variable, with its name.
    pub(super) fn variables() -> impl Iterator<Item = (Self, String)> {
        OPTIONS.iter().filter_map(|(setting, source, names)| {
            let name = names.first().filter(|_| *source == Source::Anywhere)?;
            let name = name.to_ascii_uppercase().replace('-', "_");
            Some((*setting, format!("ETCDCTL_{name}")))
        })
    }

    /// Whether the value is a duration, which etcd's YAML file has in nanoseconds.
    #[cfg(feature = "yaml")]
    pub(super) fn is_duration(self) -> bool {
        matches!(
            self,
            Self::DialTimeout
                | Self::CommandTimeout
                | Self::KeepAliveTime
                | Self::KeepAliveTimeout
                | Self::AutoSyncInterval
                | Self::BackoffWait
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_means_one_option() {
        for (setting, _, names) in OPTIONS {
            for name in *names {
                assert_eq!(Setting::named(name), Some(*setting), "{name}");
            }
        }
        assert_eq!(Setting::named("dial_timeout"), Some(Setting::DialTimeout));
        assert_eq!(Setting::named("dialtimeout"), None);
    }

    #[test]
    fn the_variables_are_those_of_etcdctl() {
        let variables: Vec<String> = Setting::variables().map(|(_, name)| name).collect();
        for name in [
            "ETCDCTL_ENDPOINTS",
            "ETCDCTL_DIAL_TIMEOUT",
            "ETCDCTL_COMMAND_TIMEOUT",
            "ETCDCTL_KEEPALIVE_TIME",
            "ETCDCTL_KEEPALIVE_TIMEOUT",
            "ETCDCTL_MAX_REQUEST_BYTES",
            "ETCDCTL_MAX_RECV_BYTES",
            "ETCDCTL_INSECURE_TRANSPORT",
            "ETCDCTL_INSECURE_DISCOVERY",
            "ETCDCTL_INSECURE_SKIP_TLS_VERIFY",
            "ETCDCTL_CERT",
            "ETCDCTL_KEY",
            "ETCDCTL_CACERT",
            "ETCDCTL_USER",
            "ETCDCTL_PASSWORD",
            "ETCDCTL_AUTH_JWT_TOKEN",
            "ETCDCTL_DISCOVERY_SRV",
            "ETCDCTL_DISCOVERY_SRV_NAME",
        ] {
            assert!(variables.contains(&name.to_owned()), "{name}");
        }
        assert_eq!(variables.len(), 18);
    }
}
