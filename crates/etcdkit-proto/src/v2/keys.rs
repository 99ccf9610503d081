//! Answers of `/v2/keys`.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// What happened to a key or directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// It was read.
    #[default]
    Get,
    /// It was written, whatever was there before.
    Set,
    /// It was written where nothing was before.
    Create,
    /// It was written over what was there.
    Update,
    /// It was written over what a condition describes.
    CompareAndSwap,
    /// It was removed.
    Delete,
    /// What a condition describes was removed.
    CompareAndDelete,
    /// It was removed because its time was over.
    Expire,
}

impl Action {
    /// The word for it on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Set => "set",
            Self::Create => "create",
            Self::Update => "update",
            Self::CompareAndSwap => "compareAndSwap",
            Self::Delete => "delete",
            Self::CompareAndDelete => "compareAndDelete",
            Self::Expire => "expire",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A key or directory, as far as an answer shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its path from the root; empty for the root itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// The value of a key. Directories have none, nor has what was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Whether it is a directory.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dir: bool,
    /// When it expires; `None` for never.
    #[serde(
        default,
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub expiration: Option<OffsetDateTime>,
    /// The seconds until then, rounded up. Negative if it is overdue.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ttl: i64,
    /// What a directory holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<Node>,
    /// The index of the last change; 0 for the root.
    #[serde(
        default,
        rename = "modifiedIndex",
        skip_serializing_if = "is_zero_index"
    )]
    pub modified_index: u64,
    /// The index of the creation; 0 for the root.
    #[serde(
        default,
        rename = "createdIndex",
        skip_serializing_if = "is_zero_index"
    )]
    pub created_index: u64,
}

/// What a request did, what it found, or what a watch saw.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What happened.
    pub action: Action,
    /// To which key or directory; left out on request (`noValueOnSuccess`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Node>,
    /// What was there before.
    #[serde(default, rename = "prevNode", skip_serializing_if = "Option::is_none")]
    pub prev_node: Option<Node>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes references
fn is_false(value: &bool) -> bool {
    !value
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes references
fn is_zero(value: &i64) -> bool {
    *value == 0
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes references
fn is_zero_index(value: &u64) -> bool {
    *value == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn written_as_read(json: &str) -> Event {
        let event: Event = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&event).unwrap(), json);
        event
    }

    #[test]
    fn answers_are_written_as_etcd_writes_them() {
        let root = written_as_read(r#"{"action":"get","node":{"dir":true}}"#);
        assert!(root.node.unwrap().dir);
        written_as_read(concat!(
            r#"{"action":"set","node":{"key":"/a","value":"","expiration":"2026-11-21T12:00:00.12Z","#,
            r#""ttl":5,"modifiedIndex":8,"createdIndex":8},"prevNode":{"key":"/a","value":"x","#,
            r#""modifiedIndex":7,"createdIndex":7}}"#
        ));
        written_as_read(concat!(
            r#"{"action":"compareAndDelete","node":{"key":"/a","modifiedIndex":9,"createdIndex":8},"#,
            r#""prevNode":{"key":"/a","value":"x","modifiedIndex":8,"createdIndex":8}}"#
        ));
        written_as_read(r#"{"action":"set"}"#);
    }

    #[test]
    fn what_is_unknown_is_passed_over() {
        let event: Event = serde_json::from_str(
            r#"{"action":"get","node":{"key":"/a","dir":true,"new":1,"ttl":-3},"more":[]}"#,
        )
        .unwrap();
        assert_eq!(event.node.unwrap().ttl, -3);
    }

    #[test]
    fn every_action_has_its_word() {
        for action in [
            Action::Get,
            Action::Set,
            Action::Create,
            Action::Update,
            Action::CompareAndSwap,
            Action::Delete,
            Action::CompareAndDelete,
            Action::Expire,
        ] {
            assert_eq!(
                serde_json::to_string(&action).unwrap(),
                format!("\"{action}\"")
            );
        }
    }
}
