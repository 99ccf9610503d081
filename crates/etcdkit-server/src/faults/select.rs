//! Which RPCs a fault is for.

use crate::rpc::Rpc;

/// A set of RPCs: one, several, or all of them.
///
/// ```
/// use etcdkit_server::faults::{Rpc, Rpcs};
///
/// assert!(Rpcs::from(Rpc::KvPut).contains(Rpc::KvPut));
/// assert!(!Rpcs::from([Rpc::KvPut, Rpc::KvTxn]).contains(Rpc::KvRange));
/// assert!(Rpcs::ALL.contains(Rpc::Watch));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rpcs(u64);

const _: () = assert!(
    Rpc::COUNT <= u64::BITS as usize,
    "a set has a bit for each RPC"
);

impl Rpcs {
    /// Every RPC.
    pub const ALL: Self = Self(u64::MAX);

    /// No RPC.
    pub const NONE: Self = Self(0);

    /// Whether an RPC is in the set.
    pub const fn contains(self, rpc: Rpc) -> bool {
        self.0 & 1 << rpc.index() != 0
    }

    /// What is in either set.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl From<Rpc> for Rpcs {
    fn from(rpc: Rpc) -> Self {
        Self(1 << rpc.index())
    }
}

impl FromIterator<Rpc> for Rpcs {
    fn from_iter<I: IntoIterator<Item = Rpc>>(rpcs: I) -> Self {
        let sets = rpcs.into_iter().map(Self::from);
        sets.fold(Self::NONE, Self::and)
    }
}

impl<const N: usize> From<[Rpc; N]> for Rpcs {
    fn from(rpcs: [Rpc; N]) -> Self {
        rpcs.into_iter().collect()
    }
}

impl From<&[Rpc]> for Rpcs {
    fn from(rpcs: &[Rpc]) -> Self {
        rpcs.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_it_was_made_of() {
        let some = [Rpc::KvRange, Rpc::Watch, Rpc::HealthWatch];
        let set = Rpcs::from(some);
        for rpc in Rpc::ALL {
            assert_eq!(set.contains(*rpc), some.contains(rpc), "{rpc}");
            assert!(Rpcs::ALL.contains(*rpc));
            assert!(!Rpcs::NONE.contains(*rpc));
        }
        assert_eq!(Rpcs::from(&some[..]), set);
    }
}
