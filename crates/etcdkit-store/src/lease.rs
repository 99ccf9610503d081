//! The leases that puts refer to.

/// The lease table: no lease can be granted, so no id is known.
#[derive(Debug, Default)]
pub(crate) struct Leases {}

impl Leases {
    /// Whether a put may attach its key to the lease; id 0 means no lease.
    pub(crate) fn allow(&self, id: i64) -> bool {
        id == 0
    }
}
