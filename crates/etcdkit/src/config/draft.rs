//! Settings as they are put together from texts.

use std::{str::FromStr, time::Duration};

use super::{Discovery, EndpointMode, Settings, duration, option::Setting};
use crate::{Error, Result, transport::connection::PING_APART};

/// The oldest version of etcd that etcdkit knows. What the Go client rejects depends on its own
/// version instead.
const OLDEST_SERVER: (u32, u32) = (3, 4);

/// Settings of which some belong together and are only complete at the end.
#[derive(Default)]
pub(super) struct Draft {
    settings: Settings,
    discovery_domain: Option<String>,
    discovery_name: Option<String>,
    insecure_discovery: Option<bool>,
    insecure_transport: Option<bool>,
    skip_verify: bool,
    ca: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
    server_name: Option<String>,
    /// `name` or `name:password`.
    user: Option<String>,
    user_name: Option<String>,
    password: Option<String>,
    token: Option<String>,
}

impl Draft {
    /// Sets an option to the text that was found under `name`. Only lists take more than one value.
    pub(super) fn set(&mut self, setting: Setting, name: &str, values: &[&str]) -> Result<()> {
        let given = Given { name, values };
        let settings = &mut self.settings;
        match setting {
            Setting::Endpoints => {
                // Endpoints from a later source replace those from an earlier one.
                settings.endpoints.clear();
                settings.endpoints.add(values);
            }
            Setting::DiscoverySrv => self.discovery_domain = Some(given.text()?),
            Setting::DiscoverySrvName => self.discovery_name = Some(given.text()?),
            Setting::InsecureDiscovery => self.insecure_discovery = Some(given.bool()?),
            // Zero means the default where etcd's own clients have it mean "no limit": every call of
            // this client ends in time.
            Setting::DialTimeout => given.non_zero(&mut settings.connect_timeout)?,
            Setting::CommandTimeout => given.non_zero(&mut settings.request_timeout)?,
            Setting::KeepAliveTime => {
                let interval = &mut settings.keep_alive.interval;
                given.non_zero(interval)?;
                // etcdctl's own default of 2 s would be taken for abuse, were it not that gRPC raises
                // it without a word; so does this.
                *interval = PING_APART.max(*interval);
            }
            Setting::KeepAliveTimeout => given.non_zero(&mut settings.keep_alive.timeout)?,
            // A ping without a request under way makes etcd close the connection, so there are none;
            // TCP itself keeps idle connections alive.
            Setting::PermitWithoutStream => drop(given.bool()?),
            Setting::ConnectionsPerEndpoint => {
                settings.connections_per_endpoint = given.number("a number")?;
            }
            Setting::MaxRequestBytes => given.bytes(&mut settings.max_send_bytes)?,
            Setting::MaxRecvBytes => given.bytes(&mut settings.max_receive_bytes)?,
            Setting::InsecureTransport => self.insecure_transport = Some(given.bool()?),
            Setting::InsecureSkipTlsVerify => self.skip_verify = given.bool()?,
            Setting::CaCert => self.ca = Some(given.text()?),
            Setting::Cert => self.certificate = Some(given.text()?),
            Setting::Key => self.key = Some(given.text()?),
            Setting::ServerName => self.server_name = Some(given.text()?),
            Setting::User => self.user = Some(given.text()?),
            Setting::UserName => self.user_name = Some(given.text()?),
            Setting::Password => self.password = Some(given.text()?),
            Setting::Token => self.token = Some(given.text()?),
            Setting::Namespace => settings.namespace = given.text()?.into_bytes(),
            Setting::EndpointMode => {
                settings.endpoint_mode = match &*given.text()? {
                    "round-robin" => EndpointMode::RoundRobin,
                    "pinned" => EndpointMode::Pinned,
                    _ => return Err(given.is_not("round-robin or pinned")),
                };
            }
            Setting::AutoSyncInterval => {
                let interval = given.duration()?;
                settings.auto_sync = (!interval.is_zero()).then_some(interval);
            }
            Setting::RejectOldCluster => {
                settings.oldest_server = given.bool()?.then_some(OLDEST_SERVER);
            }
            Setting::Serializable => settings.serializable = given.bool()?,
            Setting::MaxAttempts => {
                let attempts: u32 = given.number("a number")?;
                if attempts > 0 {
                    settings.retry = settings.retry.max_attempts(attempts);
                }
            }
            Setting::BackoffWait => {
                let (mut first, most) = (settings.retry.pause_first, settings.retry.pause_most);
                given.non_zero(&mut first)?;
                settings.retry = settings.retry.pauses(first, most);
            }
            // Pauses always have the jitter that spreads clients best.
            Setting::BackoffJitter => {
                let fraction: f64 = given.number("a number from 0 to 1")?;
                if !(0.0..=1.0).contains(&fraction) {
                    return Err(given.is_not("a number from 0 to 1"));
                }
            }
        }
        Ok(())
    }

    /// Whether nothing has said yet where a server is.
    pub(super) fn names_no_server(&self) -> bool {
        self.settings.endpoints.is_empty() && self.discovery_domain.is_none()
    }

    /// Puts together what belongs together.
    pub(super) fn finish(mut self) -> Result<Settings> {
        self.finish_credentials()?;
        self.finish_discovery()?;
        self.finish_tls()?;
        Ok(self.settings)
    }

    fn finish_credentials(&mut self) -> Result<()> {
        let refuse = |what: &str| Err(Error::invalid_config(what));
        let user = match (self.user.take(), self.user_name.take()) {
            (Some(_), Some(_)) => return refuse("user and username are given, which are the same"),
            (Some(user), None) => match (self.password.take(), user.split_once(':')) {
                // As for etcdctl, a password of its own means that all of `user` is the name.
                (Some(password), _) => Some((user, password)),
                (None, Some((name, password))) => Some((name.to_owned(), password.to_owned())),
                (None, None) => {
                    return refuse(
                        "a user is given without a password; write name:password, or set the password",
                    );
                }
            },
            (None, Some(name)) => match self.password.take() {
                Some(password) => Some((name, password)),
                None => return refuse("a user name is given without a password"),
            },
            (None, None) if self.password.is_some() => {
                return refuse("a password is given without a user");
            }
            (None, None) => None,
        };
        let offered = &mut self.settings.offered;
        if let Some((name, password)) = user {
            offered.user(name, password);
        }
        if let Some(token) = self.token.take() {
            offered.token(token);
        }
        offered.clone().credentials().map(drop)
    }

    fn finish_discovery(&mut self) -> Result<()> {
        let Some(domain) = self.discovery_domain.take() else {
            if self.discovery_name.is_some() {
                let what = "discovery-srv-name is given without discovery-srv";
                return Err(Error::invalid_config(what));
            }
            return Ok(());
        };
        let mut discovery = Discovery::new(domain);
        if let Some(name) = self.discovery_name.take() {
            discovery = discovery.service_name(name);
        }
        if self.insecure_discovery == Some(false) {
            discovery = discovery.secure_only();
        }
        self.settings.discovery = Some(discovery);
        Ok(())
    }

    #[cfg(feature = "tls")]
    fn finish_tls(&mut self) -> Result<()> {
        let wanted = self.insecure_transport == Some(false) || self.names_tls();
        let mut tls = crate::Tls::new();
        if let Some(file) = self.ca.take() {
            tls = tls.ca_file(file);
        }
        tls = match (self.certificate.take(), self.key.take()) {
            (Some(certificate), Some(key)) => tls.identity_files(certificate, key),
            (None, None) => tls,
            _ => {
                let what =
                    "a certificate and its key (cert and key) are given together or not at all";
                return Err(Error::invalid_config(what));
            }
        };
        if let Some(name) = self.server_name.take() {
            tls = tls.server_name(name);
        }
        if self.skip_verify {
            tls = tls.danger_accept_invalid_certificates();
        }
        self.settings.tls = wanted.then_some(tls);
        Ok(())
    }

    #[cfg(not(feature = "tls"))]
    fn finish_tls(&mut self) -> Result<()> {
        match self.insecure_transport == Some(false) || self.names_tls() {
            true => Err(Error::invalid_config(format!(
                "the TLS settings: the client {}",
                crate::transport::endpoint::NO_TLS
            ))),
            false => Ok(()),
        }
    }

    fn names_tls(&self) -> bool {
        let texts = [&self.ca, &self.certificate, &self.key, &self.server_name];
        self.skip_verify || texts.iter().any(|text| text.is_some())
    }
}

/// A value as it was given, with the name that errors call it by. They quote it only where it cannot
/// be a secret.
struct Given<'a> {
    name: &'a str,
    values: &'a [&'a str],
}

impl Given<'_> {
    fn one(&self) -> Result<&str> {
        match self.values {
            [value] => Ok(value),
            _ => Err(Error::invalid_config(format!("{} is a list", self.name))),
        }
    }

    fn text(&self) -> Result<String> {
        match self.one()? {
            "" => Err(Error::invalid_config(format!("{} is empty", self.name))),
            text => Ok(text.to_owned()),
        }
    }

    /// As Go reads booleans.
    fn bool(&self) -> Result<bool> {
        match self.one()? {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            _ => Err(self.is_not("true or false")),
        }
    }

    fn duration(&self) -> Result<Duration> {
        match duration::parse(self.one()?.trim()) {
            Some(duration) => Ok(duration),
            None => Err(self.is_not("a duration such as 5s or 500ms")),
        }
    }

    fn number<N: FromStr>(&self, what: &str) -> Result<N> {
        self.one()?.trim().parse().map_err(|_| self.is_not(what))
    }

    /// Changes a duration unless the one given is zero.
    fn non_zero(&self, value: &mut Duration) -> Result<()> {
        let duration = self.duration()?;
        if !duration.is_zero() && duration < Duration::from_millis(1) {
            return Err(self.is_not("a duration of at least 1ms; numbers without a unit count nanoseconds, as etcd has it"));
        }
        if !duration.is_zero() {
            *value = duration;
        }
        Ok(())
    }

    /// Changes a size unless the one given is zero.
    fn bytes(&self, value: &mut usize) -> Result<()> {
        match self.number("a number of bytes")? {
            0 => {}
            bytes => *value = bytes,
        }
        Ok(())
    }

    fn is_not(&self, what: &str) -> Error {
        let value = self.values.join(",");
        Error::invalid_config(format!("{} is {value:?}, which is not {what}", self.name))
    }
}
