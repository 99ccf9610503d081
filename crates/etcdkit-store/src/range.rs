//! Reading keys: filters, order, limit and count.

use etcdkit_proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use etcdkit_proto::etcdserverpb::{RangeRequest, RangeResponse};
use etcdkit_proto::mvccpb::KeyValue;

use crate::index::Index;
use crate::span::Span;
use crate::store::header;

/// Answers a request whose revision is known to be readable; `current` is the newest revision.
///
/// `count` is that of all keys of the span, whatever limit and filters leave of them.
pub(crate) fn answer(index: &Index, request: &RangeRequest, current: i64) -> RangeResponse {
    read(index, request, current, |rest| rest.count())
}

/// The same, but `count` is that of the keys looked at, which ends just above the limit.
pub(crate) fn answer_uncounted(
    index: &Index,
    request: &RangeRequest,
    current: i64,
) -> RangeResponse {
    read(index, request, current, |_| 0)
}

fn read(
    index: &Index,
    request: &RangeRequest,
    current: i64,
    count_rest: impl FnOnce(&mut dyn Iterator<Item = &KeyValue>) -> usize,
) -> RangeResponse {
    let at = if request.revision > 0 {
        request.revision
    } else {
        current
    };
    let mut live = index.live(Span::new(&request.key, &request.range_end), at);
    let header = header(current);
    if request.count_only {
        return RangeResponse {
            header,
            count: live.count() as i64,
            ..Default::default()
        };
    }

    let limit = usize::try_from(request.limit).unwrap_or(0);
    let mut found: Vec<&KeyValue> = if limit == 0 || needs_all(request) {
        live.by_ref().collect()
    } else {
        live.by_ref().take(limit.saturating_add(1)).collect()
    };
    let count = (found.len() + count_rest(&mut live)) as i64;

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
