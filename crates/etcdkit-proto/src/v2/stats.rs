//! Answers of `/v2/stats`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The answer of `/v2/stats/store`: what one member's store has done since the cluster began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)] // the names say it all, twice each
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
    pub expire_count: u64,
    /// How many watch now.
    pub watchers: u64,
}

/// The answer of `/v2/stats/self`: what one member has exchanged with the others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SelfStats {
    /// The member's name.
    pub name: String,
    /// The member's id in hexadecimal.
    pub id: String,
    /// `StateLeader` or `StateFollower`. A follower that has lost its leader says that it leads.
    pub state: String,
    /// When it started, in RFC 3339.
    pub start_time: String,
    /// Whom it follows.
    pub leader_info: LeaderInfo,
    /// How many messages came from the leader.
    pub recv_append_request_cnt: u64,
    /// Messages received a second; left out when there are none.
    #[serde(skip_serializing_if = "is_zero")]
    pub recv_pkg_rate: f64,
    /// Bytes received a second; left out when there are none.
    #[serde(skip_serializing_if = "is_zero")]
    pub recv_bandwidth_rate: f64,
    /// How many messages went to followers.
    pub send_append_request_cnt: u64,
    /// Messages sent a second; left out when there are none.
    #[serde(skip_serializing_if = "is_zero")]
    pub send_pkg_rate: f64,
    /// Bytes sent a second; left out when there are none.
    #[serde(skip_serializing_if = "is_zero")]
    pub send_bandwidth_rate: f64,
}

/// Whom a member follows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LeaderInfo {
    /// The leader's id in hexadecimal.
    pub leader: String,
    /// How long it leads, as Go writes durations.
    pub uptime: String,
    /// Since when it leads, in RFC 3339.
    pub start_time: String,
}

/// The answer of `/v2/stats/leader`: how the leader sees its followers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LeaderStats {
    /// The leader's id in hexadecimal.
    pub leader: String,
    /// The followers by their ids in hexadecimal.
    pub followers: BTreeMap<String, Follower>,
}

/// A follower, as its leader sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Follower {
    /// How long answers take.
    pub latency: FollowerLatency,
    /// How many there were.
    pub counts: FollowerCounts,
}

/// How long a follower takes to answer, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FollowerLatency {
    /// The last time.
    pub current: f64,
    /// On average.
    pub average: f64,
    /// How much it varies.
    pub standard_deviation: f64,
    /// At best.
    pub minimum: f64,
    /// At worst.
    pub maximum: f64,
}

/// How many messages to a follower were answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FollowerCounts {
    /// Not answered.
    pub fail: u64,
    /// Answered.
    pub success: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes references
fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_left_out_when_there_are_none() {
        let json = serde_json::to_string(&SelfStats::default()).unwrap();
        assert!(json.ends_with(r#""recvAppendRequestCnt":0,"sendAppendRequestCnt":0}"#));
        let json = serde_json::to_string(&StoreStats::default()).unwrap();
        assert!(json.starts_with(r#"{"getsSuccess":0,"getsFail":0,"setsSuccess":0"#));
        assert!(
            json.ends_with(r#""compareAndDeleteFail":0,"expireCount":0,"watchers":0}"#),
            "{json}"
        );
    }
}
