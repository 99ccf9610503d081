//! Rules of reads.

use etcdkit_proto::EtcdError::{Compacted, FutureRevision};
use etcdkit_proto::etcdserverpb::{DeleteRangeRequest, RangeRequest};
use etcdkit_store::Store;

use super::{compact, filled, get, keys, put, range};

#[test]
fn a_new_store_is_empty_at_revision_1() {
    let store = Store::new();
    assert_eq!(
        (store.revision(), store.compact_revision(), store.size()),
        (1, -1, 0)
    );
    for revision in [-1, 0, 1] {
        let found = store
            .range(&RangeRequest {
                revision,
                ..get("a")
            })
            .unwrap();
        assert_eq!((found.count, found.kvs.len(), found.more), (0, 0, false));
        assert_eq!(found.header.unwrap().revision, 1);
    }
    assert_eq!(
        store.range(&RangeRequest {
            revision: 2,
            ..get("a")
        }),
        Err(FutureRevision)
    );
}

#[test]
fn range_ends_mean_what_etcd_says() {
    let store = filled();
    for (key, range_end, expected) in [
        ("b", "", "b"),
        ("x", "", ""),
        ("b", "d", "b c"),
        ("b", "c\0", "b c"),
        ("bb", "z", "c d e"),
        ("c", "\0", "c d e"),
        ("\0", "\0", "a b c d e"),
        ("c", "c", ""),
        ("d", "b", ""),
    ] {
        let found = store.range(&range(key, range_end)).unwrap();
        assert_eq!(keys(&found), expected, "{key:?} to {range_end:?}");
        assert_eq!(found.count, found.kvs.len() as i64);
        assert_eq!(found.header.as_ref().unwrap().revision, 8);
    }
}

#[test]
fn a_limit_cuts_the_keys_and_not_the_count() {
    let store = filled();
    let limited = |limit| {
        store
            .range(&RangeRequest {
                limit,
                ..range("a", "e")
            })
            .unwrap()
    };
    for (limit, expected, more) in [
        (1, "a", true),
        (3, "a b c", true),
        (4, "a b c d", false),
        (5, "a b c d", false),
        (0, "a b c d", false),
        (-1, "a b c d", false),
        (i64::MAX, "a b c d", false),
    ] {
        let found = limited(limit);
        assert_eq!(
            (keys(&found).as_str(), found.more, found.count),
            (expected, more, 4),
            "{limit}"
        );
    }
}

#[test]
fn sorting_goes_by_target_and_order() {
    let store = filled();
    let (none, ascend, descend) = (0, 1, 2);
    let (key, version, create, modified, value) = (0, 1, 2, 3, 4);
    for (sort_target, sort_order, expected) in [
        (key, none, "a b c d e"),
        (key, ascend, "a b c d e"),
        (key, descend, "e d c b a"),
        (version, none, "a c d e b"),
        (version, ascend, "a c d e b"),
        (version, descend, "b a c d e"),
        (create, descend, "e d c b a"),
        (modified, ascend, "a c d e b"),
        (modified, descend, "b e d c a"),
        (value, none, "b e d c a"),
        (value, descend, "a c d e b"),
    ] {
        let request = RangeRequest {
            sort_target,
            sort_order,
            ..range("\0", "\0")
        };
        let found = store.range(&request).unwrap();
        assert_eq!(
            keys(&found),
            expected,
            "target {sort_target} order {sort_order}"
        );
    }
}

#[test]
fn a_limit_cuts_what_is_sorted() {
    let store = filled();
    let request = RangeRequest {
        limit: 2,
        sort_target: 4,
        sort_order: 1,
        ..range("\0", "\0")
    };
    let found = store.range(&request).unwrap();
    assert_eq!(
        (keys(&found).as_str(), found.more, found.count),
        ("b e", true, 5)
    );
}

#[test]
fn without_an_order_only_what_the_limit_reads_is_sorted() {
    let store = filled();
    let request = RangeRequest {
        limit: 2,
        sort_target: 4,
        ..range("\0", "\0")
    };
    let found = store.range(&request).unwrap();
    assert_eq!(
        (keys(&found).as_str(), found.more, found.count),
        ("b c", true, 5)
    );
}

#[test]
fn filters_leave_the_count_alone() {
    let store = filled();
    let all = range("\0", "\0");
    for (request, expected) in [
        (
            RangeRequest {
                min_mod_revision: 5,
                ..all.clone()
            },
            "b d e",
        ),
        (
            RangeRequest {
                max_mod_revision: 5,
                ..all.clone()
            },
            "a c d",
        ),
        (
            RangeRequest {
                min_create_revision: 3,
                max_create_revision: 4,
                ..all.clone()
            },
            "b c",
        ),
        (
            RangeRequest {
                max_mod_revision: -1,
                ..all.clone()
            },
            "",
        ),
        (
            RangeRequest {
                min_mod_revision: -1,
                ..all.clone()
            },
            "a b c d e",
        ),
    ] {
        let found = store.range(&request).unwrap();
        assert_eq!(
            (keys(&found).as_str(), found.more, found.count),
            (expected, false, 5)
        );
    }
    let cut = RangeRequest {
        min_mod_revision: 5,
        limit: 2,
        ..all
    };
    let found = store.range(&cut).unwrap();
    assert_eq!(
        (keys(&found).as_str(), found.more, found.count),
        ("b d", true, 5)
    );
}

#[test]
fn count_only_ignores_limit_and_filters() {
    let store = filled();
    let request = RangeRequest {
        count_only: true,
        limit: 1,
        min_mod_revision: 7,
        ..range("a", "e")
    };
    let found = store.range(&request).unwrap();
    assert_eq!((found.kvs.len(), found.more, found.count), (0, false, 4));
}

#[test]
fn keys_only_empties_the_value_alone() {
    let store = filled();
    let full = store.range(&get("b")).unwrap().kvs;
    let mut expected = full;
    expected[0].value.clear();
    let found = store
        .range(&RangeRequest {
            keys_only: true,
            ..get("b")
        })
        .unwrap();
    assert_eq!(found.kvs, expected);
    // Sorting still goes by the values.
    let request = RangeRequest {
        keys_only: true,
        sort_target: 4,
        ..range("\0", "\0")
    };
    assert_eq!(keys(&store.range(&request).unwrap()), "b e d c a");
}

#[test]
fn old_revisions_are_read_until_compacted() {
    let mut store = filled();
    let at = |store: &Store, revision| {
        let request = RangeRequest {
            revision,
            ..get("b")
        };
        let found = store.range(&request)?;
        assert_eq!(found.header.unwrap().revision, 8);
        Ok(found
            .kvs
            .first()
            .map(|kv| (kv.value.clone(), kv.mod_revision, kv.version)))
    };
    assert_eq!(at(&store, 2), Ok(None));
    assert_eq!(at(&store, 3), Ok(Some(("4".into(), 3, 1))));
    assert_eq!(at(&store, 6), Ok(Some(("4".into(), 3, 1))));
    assert_eq!(at(&store, 7), Ok(Some(("6".into(), 7, 2))));
    assert_eq!(at(&store, 8), Ok(Some(("0".into(), 8, 3))));
    assert_eq!(at(&store, -5), Ok(Some(("0".into(), 8, 3))));
    assert_eq!(at(&store, 9), Err(FutureRevision));
    compact(&mut store, 7).unwrap();
    assert_eq!(at(&store, 6), Err(Compacted));
    assert_eq!(at(&store, 7), Ok(Some(("6".into(), 7, 2))));
    assert_eq!(at(&store, -5), Ok(Some(("0".into(), 8, 3))));
}

#[test]
fn what_is_read_does_not_hold_on_to_the_request() {
    let mut store = Store::new();
    let network_read = bytes::Bytes::from(vec![b'x'; 10_000]);
    let mut request = put("", "");
    (request.key, request.value) = (network_read.slice(..3), network_read.slice(3..6));
    store.put(request).unwrap();
    assert!(
        network_read.is_unique(),
        "the request's buffer is still in use"
    );
}

#[test]
fn what_is_only_staged_is_not_counted() {
    let mut store = filled();
    let everything = |revision, limit| RangeRequest {
        revision,
        limit,
        ..range("\0", "\0")
    };
    for (key, value) in [("a", "again"), ("f", "new"), ("f", "newer")] {
        store.stage_put(put(key, value)).unwrap();
    }
    let deleted = DeleteRangeRequest {
        key: "b".into(),
        range_end: "d".into(),
        ..Default::default()
    };
    store.stage_delete_range(deleted).unwrap();
    let counts = |store: &Store, revision| {
        [1, 2, 4].map(|limit| store.range(&everything(revision, limit)).unwrap().count)
    };
    assert_eq!(counts(&store, 0), [5; 3]);
    store.publish();
    assert_eq!(counts(&store, 0), [4; 3]);
    assert_eq!(counts(&store, 8), [5; 3]);
    assert_eq!(counts(&store, 10), [6; 3]);
}
