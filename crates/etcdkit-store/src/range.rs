//! Reading keys: filters, order, limit and count.

use etcdkit_proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use etcdkit_proto::etcdserverpb::{RangeRequest, RangeResponse};
use etcdkit_proto::mvccpb::KeyValue;

use crate::index::Index;
use crate::log::Log;
use crate::record::Record;
use crate::span::Span;
use crate::store::header;

/// The most changes after a revision with which keys are counted backwards from now. To look at more of
/// them is no better than to look at the keys.
const FEW_CHANGES: usize = 1_000;

/// Answers a request whose revision is known to be readable; `current` is the newest revision.
///
/// `count` is that of all keys of the span, whatever limit and filters leave of them.
pub(crate) fn answer(
    index: &Index,
    log: &Log,
    request: &RangeRequest,
    current: i64,
) -> RangeResponse {
    let span = Span::new(&request.key, &request.range_end);
    let at = revision_of(request, current);
    let count = |rest: &mut dyn Iterator<Item = &KeyValue>, counted: usize| match log.after(at) {
        later if later.len() <= FEW_CHANGES => {
            index.count(span, at, later.iter().map(Record::changed_key))
        }
        _ => counted + rest.count(),
    };
    read(index, request, current, count)
}

/// The same, but `count` is that of the keys looked at, which ends just above the limit.
pub(crate) fn answer_uncounted(
    index: &Index,
    request: &RangeRequest,
    current: i64,
) -> RangeResponse {
    read(index, request, current, |_, counted| counted)
}

fn revision_of(request: &RangeRequest, current: i64) -> i64 {
    if request.revision > 0 {
        request.revision
    } else {
        current
    }
}

/// `count` gets the keys that were not looked at, and how many were.
fn read(
    index: &Index,
    request: &RangeRequest,
    current: i64,
    count: impl FnOnce(&mut dyn Iterator<Item = &KeyValue>, usize) -> usize,
) -> RangeResponse {
    let at = revision_of(request, current);
    let mut live = index.live(Span::new(&request.key, &request.range_end), at);
    let header = header(current);
    if request.count_only {
        return RangeResponse {
            header,
            count: count(&mut live, 0) as i64,
            ..Default::default()
        };
    }

    let limit = usize::try_from(request.limit).unwrap_or(0);
    let all = limit == 0 || needs_all(request);
    let mut found: Vec<&KeyValue> = if all {
        live.by_ref().collect()
    } else {
        live.by_ref().take(limit.saturating_add(1)).collect()
    };
    let count = if all || found.len() <= limit {
        found.len()
    } else {
        count(&mut live, found.len())
    };
    let count = count as i64;

    found.retain(|kv| passes(request, kv));
    sort(&mut found, request);
    let more = limit > 0 && found.len() > limit;
    if more {
        found.truncate(limit);
    }
    let kvs = if request.keys_only {
        found.into_iter().map(without_value).collect()
    } else {
        found.into_iter().cloned().collect()
    };
    RangeResponse {
        header,
        kvs,
        more,
        count,
    }
}

/// Whether the limit must wait until every key is filtered and sorted.
///
/// Not so for a sort target without an order, although that sorts as well: etcd then sorts only the
/// first `limit + 1` keys.
fn needs_all(request: &RangeRequest) -> bool {
    request.sort_order != SortOrder::None as i32
        || request.min_mod_revision != 0
        || request.max_mod_revision != 0
        || request.min_create_revision != 0
        || request.max_create_revision != 0
}

fn passes(request: &RangeRequest, kv: &KeyValue) -> bool {
    let within =
        |revision, min, max| (min == 0 || revision >= min) && (max == 0 || revision <= max);
    within(
        kv.mod_revision,
        request.min_mod_revision,
        request.max_mod_revision,
    ) && within(
        kv.create_revision,
        request.min_create_revision,
        request.max_create_revision,
    )
}

/// Sorts what comes in key order. A target other than the key sorts ascending when no order is
/// given.
fn sort(kvs: &mut [&KeyValue], request: &RangeRequest) {
    let target = SortTarget::try_from(request.sort_target).unwrap_or_default();
    let order = SortOrder::try_from(request.sort_order).unwrap_or_default();
    let compare = match target {
        SortTarget::Key => |a: &KeyValue, b: &KeyValue| a.key.cmp(&b.key),
        SortTarget::Version => |a: &KeyValue, b: &KeyValue| a.version.cmp(&b.version),
        SortTarget::Create => {
            |a: &KeyValue, b: &KeyValue| a.create_revision.cmp(&b.create_revision)
        }
        SortTarget::Mod => |a: &KeyValue, b: &KeyValue| a.mod_revision.cmp(&b.mod_revision),
        SortTarget::Value => |a: &KeyValue, b: &KeyValue| a.value.cmp(&b.value),
    };
    match (target, order) {
        (SortTarget::Key, SortOrder::None | SortOrder::Ascend) => {}
        (_, SortOrder::None | SortOrder::Ascend) => kvs.sort_by(|a, b| compare(a, b)),
        (_, SortOrder::Descend) => kvs.sort_by(|a, b| compare(b, a)),
    }
}

/// Keeps the lease, as etcd does up to 3.6.
fn without_value(kv: &KeyValue) -> KeyValue {
    KeyValue {
        key: kv.key.clone(),
        value: Default::default(),
        ..*kv
    }
}
