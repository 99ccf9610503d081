//! Endpoints, and what is done to the members behind them.

use etcdkit::{Alarm, AlarmList, HashKv, Status};
use serde::Serialize;

use super::{JsonHeader, is_default};
use crate::print::{At, Health, protobuf::alarm_number};

#[derive(Serialize)]
pub(super) struct JsonHealth<'a> {
    endpoint: &'a str,
    health: bool,
    took: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    error: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct JsonAtStatus<'a> {
    endpoint: &'a str,
    status: JsonStatus<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonStatus<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<JsonHeader>,
    #[serde(skip_serializing_if = "str::is_empty")]
    version: &'a str,
    #[serde(skip_serializing_if = "is_default")]
    db_size: i64,
    #[serde(skip_serializing_if = "is_default")]
    leader: u64,
    #[serde(skip_serializing_if = "is_default")]
    raft_index: u64,
    #[serde(skip_serializing_if = "is_default")]
    raft_term: u64,
    #[serde(skip_serializing_if = "is_default")]
    raft_applied_index: u64,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [String],
    #[serde(skip_serializing_if = "is_default")]
    db_size_in_use: i64,
    #[serde(skip_serializing_if = "is_default")]
    is_learner: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    storage_version: &'a str,
    #[serde(skip_serializing_if = "is_default")]
    db_size_quota: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    downgrade_info: Option<JsonDowngrade<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonDowngrade<'a> {
    #[serde(skip_serializing_if = "is_default")]
    enabled: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    target_version: &'a str,
}

#[derive(Serialize)]
pub(super) struct JsonAtHash<'a> {
    #[serde(rename = "Endpoint")]
    endpoint: &'a str,
    #[serde(rename = "HashKV")]
    hash_kv: JsonHash,
}

#[derive(Serialize)]
struct JsonHash {
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<JsonHeader>,
    #[serde(skip_serializing_if = "is_default")]
    hash: u32,
    #[serde(skip_serializing_if = "is_default")]
    compact_revision: i64,
    #[serde(skip_serializing_if = "is_default")]
    hash_revision: i64,
}

impl<'a> From<&'a Health> for JsonHealth<'a> {
    fn from(health: &'a Health) -> Self {
        Self {
            endpoint: &health.endpoint,
            health: health.error.is_none(),
            took: &health.took,
            error: health.error.as_deref().unwrap_or_default(),
        }
    }
}

impl<'a> From<&'a At<Status>> for JsonAtStatus<'a> {
    fn from(at: &'a At<Status>) -> Self {
        let status = &at.reply;
        Self {
            endpoint: &at.endpoint,
            status: JsonStatus {
                header: JsonHeader::some(&status.header),
                version: &status.version,
                db_size: status.db_size,
                leader: status.leader.map_or(0, u64::from),
                raft_index: status.raft_index,
                raft_term: status.raft_term,
                raft_applied_index: status.raft_applied_index,
                errors: &status.errors,
                db_size_in_use: status.db_size_in_use,
                is_learner: status.is_learner,
                storage_version: &status.storage_version,
                db_size_quota: status.db_size_quota,
                downgrade_info: status.downgrade.as_ref().map(|info| JsonDowngrade {
                    enabled: info.enabled,
                    target_version: &info.target_version,
                }),
            },
        }
    }
}

impl<'a> From<&'a At<HashKv>> for JsonAtHash<'a> {
    fn from(at: &'a At<HashKv>) -> Self {
        Self {
            endpoint: &at.endpoint,
            hash_kv: JsonHash {
                header: JsonHeader::some(&at.reply.header),
                hash: at.reply.hash,
                compact_revision: at.reply.compact_revision,
                hash_revision: at.reply.hash_revision,
            },
        }
    }
}

#[derive(Serialize)]
pub(super) struct JsonAlarms {
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<JsonHeader>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    alarms: Vec<JsonAlarm>,
}

#[derive(Serialize)]
struct JsonAlarm {
    #[serde(rename = "memberID", skip_serializing_if = "is_default")]
    member_id: u64,
    #[serde(skip_serializing_if = "is_default")]
    alarm: i32,
}

impl From<&AlarmList> for JsonAlarms {
    fn from(list: &AlarmList) -> Self {
        let alarm = |alarm: &Alarm| JsonAlarm {
            member_id: alarm.member_id.into(),
            alarm: alarm_number(alarm.kind),
        };
        Self {
            header: JsonHeader::some(&list.header),
            alarms: list.alarms.iter().map(alarm).collect(),
        }
    }
}

/// The reply to steps of a downgrade.
#[derive(Serialize)]
pub(super) struct JsonVersion<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) header: Option<JsonHeader>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) version: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct JsonSnapshot<'a> {
    hash: u32,
    revision: i64,
    total_key: u64,
    total_size: u64,
    version: &'a str,
}

impl<'a> From<&'a etcdkit_snapshot::Status> for JsonSnapshot<'a> {
    fn from(status: &'a etcdkit_snapshot::Status) -> Self {
        Self {
            hash: status.hash,
            revision: status.revision,
            total_key: status.live_keys,
            total_size: status.total_size,
            version: status.version.as_deref().unwrap_or_default(),
        }
    }
}
