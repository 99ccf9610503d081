//! The configuration of clusters before etcd 2.0.

use std::time::Duration;

use serde::Deserialize;

use super::{AdminRequest, Client, request::Request};

impl Client {
    /// The cluster's configuration, as etcd 0.3 and 0.4 have one.
    ///
    /// They answer at the members' peer ports, 7001 by default: ask [there](AdminRequest::at). Later servers do
    /// not, with [`NotServed`](crate::v2::ErrorKind::NotServed); etcdkit's own does on request.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example() -> etcdkit::v2::Result<()> {
    /// let client = etcdkit::v2::Client::connect("http://10.0.0.1:4001").await?;
    /// let config = client.config().at("http://10.0.0.1:7001").await?;
    /// println!("{} members at most", config.active_size);
    /// # Ok(())
    /// # }
    /// ```
    pub fn config(&self) -> AdminRequest<'_, ClusterConfig> {
        let request = Request::get("config", "/v2/admin/config");
        AdminRequest::one(self, Ok(request), |answer| {
            Ok(answer.json::<Wire>()?.into())
        })
    }
}

/// The configuration of a cluster before etcd 2.0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterConfig {
    /// How many members take part in decisions at most; others stand by.
    pub active_size: u64,
    /// How long a member is missed before one that stands by takes its place.
    pub remove_delay: Duration,
    /// How often those that stand by look for the cluster's members.
    pub sync_interval: Duration,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Wire {
    active_size: u64,
    /// Seconds.
    remove_delay: f64,
    sync_interval: f64,
}

impl From<Wire> for ClusterConfig {
    fn from(wire: Wire) -> Self {
        let seconds = |seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default();
        Self {
            active_size: wire.active_size,
            remove_delay: seconds(wire.remove_delay),
            sync_interval: seconds(wire.sync_interval),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds() {
        let json = r#"{"activeSize":9,"removeDelay":1800,"syncInterval":5.5}"#;
        let config: ClusterConfig = serde_json::from_str::<Wire>(json).unwrap().into();
        assert_eq!(config.active_size, 9);
        assert_eq!(config.remove_delay, Duration::from_secs(1800));
        assert_eq!(config.sync_interval, Duration::from_millis(5500));
        let json = r#"{"removeDelay":-1}"#;
        let config: ClusterConfig = serde_json::from_str::<Wire>(json).unwrap().into();
        assert_eq!(config, ClusterConfig::default());
    }
}
