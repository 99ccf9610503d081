//! Statistics of a member: its store, its messages, its followers.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use etcdkit_proto::v2 as wire;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{AdminRequest, Client, members, request::Request};
use crate::config::go_duration;

impl Client {
    /// Statistics of the member that answers.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
    /// # let client = etcdkit::v2::Client::connect(server.endpoint()).await?;
    /// let before = client.stats().store().await?;
    /// client.set("/message", "hello").await?;
    /// let after = client.stats().store().await?;
    /// assert_eq!(after.sets_success, before.sets_success + 1);
    ///
    /// let member = client.stats().self_().await?;
    /// assert!(member.is_leader());
    /// let leader = client.stats().leader().await?;
    /// assert_eq!(leader.leader, member.id);
    /// assert!(leader.followers.is_empty());
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn stats(&self) -> Stats<'_> {
        Stats { client: self }
    }
}

/// Statistics, by [`Client::stats`].
///
/// Each member has its own, and which member answers is up to the client: ask one of them with
/// [`AdminRequest::at`].
#[derive(Clone, Copy, Debug)]
pub struct Stats<'a> {
    client: &'a Client,
}

impl<'a> Stats<'a> {
    /// What the member's store has done.
    pub fn store(&self) -> AdminRequest<'a, StoreStats> {
        let request = Request::get("stats store", "/v2/stats/store");
        AdminRequest::one(self.client, Ok(request), |answer| {
            Ok(answer.json::<wire::StoreStats>()?.into())
        })
    }

    /// What the member has exchanged with the others.
    pub fn self_(&self) -> AdminRequest<'a, SelfStats> {
        let request = Request::get("stats self", "/v2/stats/self");
        AdminRequest::one(self.client, Ok(request), |answer| {
            Ok(answer.json::<wire::SelfStats>()?.into())
        })
    }

    /// How the leader sees its followers.
    ///
    /// Only the leader knows. If another member answers that it is not, the leader is asked at the client
    /// URLs that it advertises.
    ///
    /// # Errors
    ///
    /// Among others [`Server`](crate::v2::ErrorKind::Server) with status 503 while there is no leader.
    pub fn leader(&self) -> AdminRequest<'a, LeaderStats> {
        const OPERATION: &str = "stats leader";
        let request = Request::get(OPERATION, "/v2/stats/leader");
        AdminRequest::several(self.client, |asker| async move {
            let mut asked = asker.ask(request.clone()).await;
            if asked
                .as_ref()
                .is_err_and(|error| error.status() == Some(403))
            {
                let leader = members::leader(OPERATION, &asker).await?;
                for url in leader.client_urls {
                    asked = asker.at(&url)?.ask(request.clone()).await;
                    if asked.is_ok() {
                        break;
                    }
                }
            }
            Ok(asked?.json::<wire::LeaderStats>()?.into())
        })
    }
}

/// What one member's store has done since the cluster began: the numbers survive restarts, since they are
/// made again by replaying the log.
///
/// Each request to the key space looks for the settings of authentication, too, so
/// [`gets_fail`](Self::gets_fail) grows with every request as long as there are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names say it all")]
pub struct StoreStats {
    pub gets_success: u64,
    pub gets_fail: u64,
    pub sets_success: u64,
    pub sets_fail: u64,
    pub delete_success: u64,
    pub delete_fail: u64,
    pub update_success: u64,
    pub update_fail: u64,
    pub create_success: u64,
    pub create_fail: u64,
    pub compare_and_swap_success: u64,
    pub compare_and_swap_fail: u64,
    pub compare_and_delete_success: u64,
    pub compare_and_delete_fail: u64,
    /// How many keys and directories have expired.
    pub expire_count: u64,
    /// How many watch now.
    pub watchers: u64,
}

impl From<wire::StoreStats> for StoreStats {
    fn from(stats: wire::StoreStats) -> Self {
        Self {
            gets_success: stats.gets_success,
            gets_fail: stats.gets_fail,
            sets_success: stats.sets_success,
            sets_fail: stats.sets_fail,
            delete_success: stats.delete_success,
            delete_fail: stats.delete_fail,
            update_success: stats.update_success,
            update_fail: stats.update_fail,
            create_success: stats.create_success,
            create_fail: stats.create_fail,
            compare_and_swap_success: stats.compare_and_swap_success,
            compare_and_swap_fail: stats.compare_and_swap_fail,
            compare_and_delete_success: stats.compare_and_delete_success,
            compare_and_delete_fail: stats.compare_and_delete_fail,
            expire_count: stats.expire_count,
            watchers: stats.watchers,
        }
    }
}

/// What one member has exchanged with the others since it started.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct SelfStats {
    /// The member's name.
    pub name: String,
    /// The member's id in hexadecimal; before etcd 2.0 its name.
    pub id: String,
    /// `StateLeader` or `StateFollower` (before etcd 2.0 `leader` or `follower`). A follower that has lost its
    /// leader says that it leads: [`Members::leader`](crate::v2::Members::leader) knows better.
    pub state: String,
    /// When it started.
    pub started: Option<SystemTime>,
    /// Whom it follows.
    pub leader: LeaderInfo,
    /// How many messages came from the leader.
    pub received: u64,
    /// Messages received a second.
    pub received_per_second: f64,
    /// Bytes received a second.
    pub received_bytes_per_second: f64,
    /// How many messages went to followers.
    pub sent: u64,
    /// Messages sent a second.
    pub sent_per_second: f64,
    /// Bytes sent a second.
    pub sent_bytes_per_second: f64,
}

impl SelfStats {
    /// Whether the member says that it leads.
    pub fn is_leader(&self) -> bool {
        matches!(self.state.as_str(), "StateLeader" | "leader")
    }
}

impl From<wire::SelfStats> for SelfStats {
    fn from(stats: wire::SelfStats) -> Self {
        Self {
            name: stats.name,
            id: stats.id,
            state: stats.state,
            started: time_of(&stats.start_time),
            leader: LeaderInfo {
                id: stats.leader_info.leader,
                uptime: go_duration(&stats.leader_info.uptime),
                since: time_of(&stats.leader_info.start_time),
            },
            received: stats.recv_append_request_cnt,
            received_per_second: stats.recv_pkg_rate,
            received_bytes_per_second: stats.recv_bandwidth_rate,
            sent: stats.send_append_request_cnt,
            sent_per_second: stats.send_pkg_rate,
            sent_bytes_per_second: stats.send_bandwidth_rate,
        }
    }
}

/// Whom a member follows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaderInfo {
    /// The leader's id in hexadecimal; before etcd 2.0 its name.
    pub id: String,
    /// How long it leads.
    pub uptime: Option<Duration>,
    /// Since when it leads.
    pub since: Option<SystemTime>,
}

/// How the leader sees its followers.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct LeaderStats {
    /// The leader's id in hexadecimal; before etcd 2.0 its name.
    pub leader: String,
    /// The followers by their ids.
    pub followers: BTreeMap<String, FollowerStats>,
}

/// A follower, as its leader sees it. Times are those from a message to its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct FollowerStats {
    /// How long the last answer took, in milliseconds.
    pub latency: f64,
    /// The average of all, in milliseconds.
    pub average: f64,
    /// How much they vary, in milliseconds.
    pub standard_deviation: f64,
    /// The quickest, in milliseconds.
    pub minimum: f64,
    /// The slowest, in milliseconds.
    pub maximum: f64,
    /// How many messages were answered.
    pub success: u64,
    /// How many were not.
    pub fail: u64,
}

impl From<wire::LeaderStats> for LeaderStats {
    fn from(stats: wire::LeaderStats) -> Self {
        let follower = |(id, stats): (String, wire::Follower)| {
            let follower = FollowerStats {
                latency: stats.latency.current,
                average: stats.latency.average,
                standard_deviation: stats.latency.standard_deviation,
                minimum: stats.latency.minimum,
                maximum: stats.latency.maximum,
                success: stats.counts.success,
                fail: stats.counts.fail,
            };
            (id, follower)
        };
        Self {
            leader: stats.leader,
            followers: stats.followers.into_iter().map(follower).collect(),
        }
    }
}

/// What cannot be read is left out, since it is only for information.
fn time_of(text: &str) -> Option<SystemTime> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    Some(time.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_members_own_statistics_are_read_whole() {
        let json = r#"{"name":"a","id":"8e9e05c52164694d","state":"StateFollower",
            "startTime":"2026-11-21T12:00:00.5Z",
            "leaderInfo":{"leader":"91bc3c398fb3c146","uptime":"1m0.5s","startTime":"2026-11-21T13:00:00+01:00"},
            "recvAppendRequestCnt":12,"recvPkgRate":8.5,"recvBandwidthRate":524.5,"sendAppendRequestCnt":0}"#;
        let stats: SelfStats = serde_json::from_str::<wire::SelfStats>(json)
            .unwrap()
            .into();
        assert!(!stats.is_leader());
        assert_eq!(stats.leader.uptime, Some(Duration::from_millis(60_500)));
        let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_262_400);
        assert_eq!(stats.leader.since, Some(noon));
        assert_eq!(stats.started, Some(noon + Duration::from_millis(500)));
        assert_eq!((stats.received, stats.sent), (12, 0));
        assert_eq!(stats.received_per_second, 8.5);
    }

    #[test]
    fn a_leader_tells_of_each_follower() {
        let json = r#"{"leader":"a","followers":{"b":{"latency":{"current":1.5,"average":2.5,
            "standardDeviation":0.5,"minimum":1,"maximum":9},"counts":{"fail":1,"success":70}}}}"#;
        let stats: LeaderStats = serde_json::from_str::<wire::LeaderStats>(json)
            .unwrap()
            .into();
        let follower = stats.followers["b"];
        assert_eq!((follower.latency, follower.maximum), (1.5, 9.0));
        assert_eq!((follower.success, follower.fail), (70, 1));
    }
}
