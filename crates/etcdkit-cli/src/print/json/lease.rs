//! Leases. Their names are those of structures of etcd's client, which hold the header's fields.

use etcdkit::{Header, LeaseId};
use serde::{Serialize, Serializer};

use super::{JsonHeader, base64};
use crate::print::{LeaseTtl, TimeToLive};

#[derive(Serialize)]
pub(super) struct JsonLease {
    #[serde(flatten)]
    header: Option<JsonHeader>,
    #[serde(rename = "ID")]
    id: i64,
    #[serde(rename = "TTL")]
    ttl: i64,
    /// Empty in replies to a grant, and missing in others.
    #[serde(rename = "Error", skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

impl JsonLease {
    pub(super) fn granted(lease: &LeaseTtl<'_>) -> Self {
        Self {
            error: Some(""),
            ..Self::kept(lease)
        }
    }

    pub(super) fn kept(lease: &LeaseTtl<'_>) -> Self {
        Self {
            header: JsonHeader::some(lease.header),
            id: lease.id.0,
            ttl: lease.ttl,
            error: None,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct JsonTimeToLive<'a> {
    #[serde(flatten)]
    header: Option<JsonHeader>,
    id: i64,
    ttl: i64,
    granted_ttl: i64,
    keys: Option<Vec<Base64<'a>>>,
}

struct Base64<'a>(&'a [u8]);

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        base64(self.0, serializer)
    }
}

impl<'a> From<&TimeToLive<'a>> for JsonTimeToLive<'a> {
    fn from(lease: &TimeToLive<'a>) -> Self {
        let keys = lease.keys.filter(|keys| !keys.is_empty());
        Self {
            header: JsonHeader::some(lease.header),
            id: lease.id.0,
            ttl: lease.ttl,
            granted_ttl: lease.granted_ttl,
            keys: keys.map(|keys| keys.iter().map(|key| Base64(key)).collect()),
        }
    }
}

#[derive(Serialize)]
pub(super) struct JsonLeases {
    #[serde(flatten)]
    header: Option<JsonHeader>,
    leases: Vec<JsonLeaseId>,
}

#[derive(Serialize)]
struct JsonLeaseId {
    id: i64,
}

impl JsonLeases {
    pub(super) fn new(header: &Header, ids: &[LeaseId]) -> Self {
        Self {
            header: JsonHeader::some(header),
            leases: ids.iter().map(|id| JsonLeaseId { id: id.0 }).collect(),
        }
    }
}
