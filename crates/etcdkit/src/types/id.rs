//! The numbers that name leases and members.

use std::{fmt, num::ParseIntError, str::FromStr};

/// The id of a lease, shown and parsed as hexadecimal, as etcd's tools do.
///
/// 0 means "no lease".
///
/// # Examples
///
/// ```
/// use etcdkit::LeaseId;
///
/// let id: LeaseId = "694d77aa9e38260f".parse()?;
/// assert_eq!(id, LeaseId(0x694d_77aa_9e38_260f));
/// assert_eq!(LeaseId(255).to_string(), "00000000000000ff");
/// # Ok::<(), std::num::ParseIntError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub i64);

/// The id of a member of the cluster, shown and parsed as hexadecimal, as etcd's tools do.
///
/// # Examples
///
/// ```
/// use etcdkit::MemberId;
///
/// assert_eq!(MemberId(10276657743932975437).to_string(), "8e9e05c52164694d");
/// assert_eq!("8e9e05c52164694d".parse(), Ok(MemberId(0x8e9e_05c5_2164_694d)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub u64);

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

impl FromStr for LeaseId {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        i64::from_str_radix(text, 16).map(Self)
    }
}

impl FromStr for MemberId {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

impl From<i64> for LeaseId {
    fn from(id: i64) -> Self {
        Self(id)
    }
}

impl From<LeaseId> for i64 {
    fn from(id: LeaseId) -> Self {
        id.0
    }
}

impl From<u64> for MemberId {
    fn from(id: u64) -> Self {
        Self(id)
    }
}

impl From<MemberId> for u64 {
    fn from(id: MemberId) -> Self {
        id.0
    }
}
