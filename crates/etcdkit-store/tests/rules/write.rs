//! Rules of puts and deletes, and of staging.

use etcdkit_proto::EtcdError::{KeyNotFound, LeaseNotFound};
use etcdkit_proto::etcdserverpb::{DeleteRangeRequest, PutRequest, RangeRequest};
use etcdkit_store::{Revision, Store};

use super::{delete, filled, get, keys, put, range};

#[test]
fn versions_count_from_creation() {
    let mut store = Store::new();
    let state = |store: &Store| {
        let kv = store.range(&get("a")).unwrap().kvs.remove(0);
        (kv.create_revision, kv.mod_revision, kv.version)
    };
    assert_eq!(
        store.put(put("a", "1")).unwrap().header.unwrap().revision,
        2
    );
    assert_eq!(state(&store), (2, 2, 1));
    store.put(put("b", "1")).unwrap();
    store.put(put("a", "1")).unwrap();
    assert_eq!(state(&store), (2, 4, 2));
    store.delete_range(delete("a", "")).unwrap();
    store.put(put("a", "1")).unwrap();
    assert_eq!(state(&store), (6, 6, 1));
}

#[test]
fn prev_kv_is_the_state_before() {
    let mut store = Store::new();
    let put = |value| PutRequest {
        prev_kv: true,
        ..put("a", value)
    };
    assert_eq!(store.put(put("1")).unwrap().prev_kv, None);
    let prev = store.put(put("2")).unwrap().prev_kv.unwrap();
    assert_eq!(
        (prev.value.as_ref(), prev.mod_revision),
        (b"1".as_slice(), 2)
    );
    let request = DeleteRangeRequest {
        prev_kv: true,
        ..delete("a", "")
    };
    let deleted = store.delete_range(request).unwrap();
    assert_eq!(deleted.prev_kvs[0].value, "2");
    assert_eq!(store.put(put("3")).unwrap().prev_kv, None);
}

#[test]
fn ignore_value_keeps_the_value_of_an_existing_key() {
    let mut store = Store::new();
    for (ignore_value, ignore_lease) in [(true, false), (false, true), (true, true)] {
        let request = PutRequest {
            ignore_value,
            ignore_lease,
            ..put("a", "")
        };
        assert_eq!(store.put(request), Err(KeyNotFound));
    }
    store.put(put("a", "old")).unwrap();
    store
        .put(PutRequest {
            ignore_value: true,
            ..put("a", "")
        })
        .unwrap();
    let kv = store.range(&get("a")).unwrap().kvs.remove(0);
    assert_eq!((kv.value.as_ref(), kv.version), (b"old".as_slice(), 2));
    store.delete_range(delete("a", "")).unwrap();
    assert_eq!(
        store.put(PutRequest {
            ignore_value: true,
            ..put("a", "")
        }),
        Err(KeyNotFound)
    );
}

#[test]
fn an_unknown_lease_changes_nothing() {
    let mut store = Store::new();
    for lease in [1, -1, i64::MAX] {
        assert_eq!(
            store.put(PutRequest {
                lease,
                ..put("a", "1")
            }),
            Err(LeaseNotFound)
        );
        // The lease is looked up before the key.
        let request = PutRequest {
            lease,
            ignore_value: true,
            ..put("a", "")
        };
        assert_eq!(store.put(request), Err(LeaseNotFound));
    }
    assert_eq!(store.revision(), 1);
}

#[test]
fn a_delete_takes_one_revision_if_it_deletes_anything() {
    let mut store = filled();
    let deleted = store.delete_range(delete("b", "e")).unwrap();
    assert_eq!((deleted.deleted, deleted.header.unwrap().revision), (3, 9));
    let again = DeleteRangeRequest {
        prev_kv: true,
        ..delete("b", "e")
    };
    let again = store.delete_range(again).unwrap();
    assert_eq!((again.deleted, again.header.unwrap().revision), (0, 9));
    let reversed = store.delete_range(delete("z", "a")).unwrap();
    assert_eq!(
        (reversed.deleted, reversed.header.unwrap().revision),
        (0, 9)
    );
    assert_eq!(keys(&store.range(&range("\0", "\0")).unwrap()), "a e");
    let before = RangeRequest {
        revision: 8,
        ..range("\0", "\0")
    };
    assert_eq!(keys(&store.range(&before).unwrap()), "a b c d e");
    assert_eq!(store.delete_range(delete("\0", "\0")).unwrap().deleted, 2);
}

#[test]
fn staged_writes_build_on_each_other_and_are_unseen_until_published() {
    let mut store = filled();
    let hash = store.hash_kv(0).unwrap();
    assert_eq!(
        store
            .stage_put(put("a", "x"))
            .unwrap()
            .header
            .unwrap()
            .revision,
        9
    );
    let deleted = store.stage_delete_range(delete("a", "c")).unwrap();
    assert_eq!((deleted.deleted, deleted.header.unwrap().revision), (2, 10));
    let put = PutRequest {
        ignore_value: true,
        ..put("a", "")
    };
    assert_eq!(store.stage_put(put), Err(KeyNotFound));

    assert_eq!(store.revision(), 8);
    assert_eq!(store.range(&get("a")).unwrap().kvs[0].value, "5");
    assert_eq!(store.range(&range("a", "z")).unwrap().count, 5);
    assert_eq!(store.hash_kv(0).unwrap(), hash);
    let staged = store
        .records()
        .iter()
        .filter(|record| record.revision().main > 8)
        .map(|record| (record.revision(), record.is_tombstone()));
    let revision = |main, sub| Revision { main, sub };
    assert_eq!(
        staged.collect::<Vec<_>>(),
        [
            (revision(9, 0), false),
            (revision(10, 0), true),
            (revision(10, 1), true)
        ]
    );

    store.publish();
    assert_eq!(store.revision(), 10);
    assert_eq!(keys(&store.range(&range("a", "z")).unwrap()), "c d e");
    assert_ne!(store.hash_kv(0).unwrap().hash, hash.hash);
}
