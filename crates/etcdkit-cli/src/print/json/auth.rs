//! Users, roles, and whether they matter.

use serde::Serialize;

use super::{JsonHeader, base64, is_default, none};
use crate::print::{AuthStatus, Names, Role};

/// Names, under one of these names.
#[derive(Default, Serialize)]
pub(super) struct JsonNames<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<JsonHeader>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    roles: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    users: &'a [String],
}

impl<'a> JsonNames<'a> {
    pub(super) fn of_roles(list: &Names<'a>) -> Self {
        Self {
            header: JsonHeader::some(list.header),
            roles: list.names,
            users: &[],
        }
    }

    pub(super) fn of_users(list: &Names<'a>) -> Self {
        Self {
            header: JsonHeader::some(list.header),
            roles: &[],
            users: list.names,
        }
    }
}

#[derive(Serialize)]
pub(super) struct JsonRole<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<JsonHeader>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    perm: Vec<JsonPermission<'a>>,
}

#[derive(Serialize)]
struct JsonPermission<'a> {
    #[serde(rename = "permType", skip_serializing_if = "is_default")]
    access: i32,
    #[serde(serialize_with = "base64", skip_serializing_if = "none")]
    key: &'a [u8],
    #[serde(serialize_with = "base64", skip_serializing_if = "none")]
    range_end: &'a [u8],
}

impl<'a> From<&Role<'a>> for JsonRole<'a> {
    fn from(role: &Role<'a>) -> Self {
        let permissions = role.permissions.iter().map(|permission| JsonPermission {
            access: permission.access.number(),
            key: &permission.key,
            range_end: &permission.range_end,
        });
        Self {
            header: JsonHeader::some(role.header),
            perm: permissions.collect(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct JsonAuthStatus {
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<JsonHeader>,
    #[serde(skip_serializing_if = "is_default")]
    enabled: bool,
    #[serde(rename = "authRevision", skip_serializing_if = "is_default")]
    revision: u64,
}

impl From<&AuthStatus<'_>> for JsonAuthStatus {
    fn from(status: &AuthStatus<'_>) -> Self {
        Self {
            header: JsonHeader::some(status.header),
            enabled: status.enabled,
            revision: status.revision,
        }
    }
}
