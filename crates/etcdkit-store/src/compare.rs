//! The conditions of a transaction.

use std::cmp::Ordering;

use etcdkit_proto::etcdserverpb::Compare;
use etcdkit_proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use etcdkit_proto::mvccpb::KeyValue;

use crate::span::Span;
use crate::store::Store;

/// Whether a condition holds for every key of its span.
///
/// A span without keys compares as a key whose numbers are all 0. Only a value it does not have,
/// so every comparison of values fails there, "not equal" too.
pub(crate) fn holds(store: &Store, compare: &Compare) -> bool {
    let mut live = store
        .staged_live(Span::new(&compare.key, &compare.range_end))
        .peekable();
    if live.peek().is_none() {
        return compare.target != CompareTarget::Value as i32
            && matches(compare, &KeyValue::default());
    }
    live.all(|kv| matches(compare, kv))
}

/// Whether a condition holds for one key, by etcd's rules for odd requests too: an operand of
/// another target counts as 0 or empty, an unknown target as equal, and an unknown result as true.
fn matches(compare: &Compare, kv: &KeyValue) -> bool {
    let operand = compare.target_union.as_ref();
    let ordering = match CompareTarget::try_from(compare.target) {
        Ok(CompareTarget::Version) => kv.version.cmp(&match operand {
            Some(TargetUnion::Version(version)) => *version,
            _ => 0,
        }),
        Ok(CompareTarget::Create) => kv.create_revision.cmp(&match operand {
            Some(TargetUnion::CreateRevision(revision)) => *revision,
            _ => 0,
        }),
        Ok(CompareTarget::Mod) => kv.mod_revision.cmp(&match operand {
            Some(TargetUnion::ModRevision(revision)) => *revision,
            _ => 0,
        }),
        Ok(CompareTarget::Value) => kv.value.as_ref().cmp(match operand {
            Some(TargetUnion::Value(value)) => value.as_ref(),
            _ => &[],
        }),
        Ok(CompareTarget::Lease) => kv.lease.cmp(&match operand {
            Some(TargetUnion::Lease(lease)) => *lease,
            _ => 0,
        }),
        Err(_) => Ordering::Equal,
    };
    match CompareResult::try_from(compare.result) {
        Ok(CompareResult::Equal) => ordering.is_eq(),
        Ok(CompareResult::NotEqual) => ordering.is_ne(),
        Ok(CompareResult::Greater) => ordering.is_gt(),
        Ok(CompareResult::Less) => ordering.is_lt(),
        Err(_) => true,
    }
}
