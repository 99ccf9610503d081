//! Rules of compaction and of its hashes.

use etcdkit_proto::EtcdError::{Compacted, FutureRevision};
use etcdkit_proto::etcdserverpb::RangeRequest;
use etcdkit_store::Store;

use super::{compact, delete, filled, get, keys, op, put, range, then};

#[test]
fn a_compaction_goes_forward_and_not_into_the_future() {
    let mut store = filled();
    assert_eq!(compact(&mut store, -1), Err(Compacted));
    assert_eq!(compact(&mut store, 9), Err(FutureRevision));
    assert_eq!(compact(&mut store, 0), Ok(()));
    assert_eq!(compact(&mut store, 0), Err(Compacted));
    assert_eq!(compact(&mut store, 4), Ok(()));
    assert_eq!(compact(&mut store, 4), Err(Compacted));
    assert_eq!(compact(&mut store, 3), Err(Compacted));
    assert_eq!(compact(&mut store, 8), Ok(()));
    assert_eq!((store.revision(), store.compact_revision()), (8, 8));
}

#[test]
fn what_the_compacted_revision_shows_stays() {
    let mut store = filled();
    store.delete_range(delete("c", "")).unwrap();
    store.put(put("c", "9")).unwrap();
    let at = |store: &Store, revision| {
        keys(
            &store
                .range(&RangeRequest {
                    revision,
                    ..range("\0", "\0")
                })
                .unwrap(),
        )
    };
    for revision in 7..=10 {
        compact(&mut store, revision).unwrap();
        for readable in revision..=10 {
            let expected = if readable == 9 {
                "a b d e"
            } else {
                "a b c d e"
            };
            assert_eq!(
                at(&store, readable),
                expected,
                "at {readable} after {revision}"
            );
        }
    }
    let kv = store.range(&get("b")).unwrap().kvs.remove(0);
    assert_eq!((kv.create_revision, kv.mod_revision, kv.version), (3, 8, 3));
}

#[test]
fn versions_survive_compaction() {
    let mut store = filled();
    compact(&mut store, 8).unwrap();
    store.put(put("b", "7")).unwrap();
    let kv = store.range(&get("b")).unwrap().kvs.remove(0);
    assert_eq!((kv.create_revision, kv.mod_revision, kv.version), (3, 9, 4));
}

#[test]
fn a_tombstone_at_the_compacted_revision_stays_until_the_next() {
    let mut store = Store::new();
    store.put(put("a", "1")).unwrap();
    store.delete_range(delete("a", "")).unwrap();
    // A key of 18 bytes, and tag, length and byte of the deleted key.
    let tombstone = 18 + 3;
    compact(&mut store, 3).unwrap();
    assert_eq!(store.size(), tombstone);
    store.put(put("b", "1")).unwrap();
    let before = store.size();
    compact(&mut store, 4).unwrap();
    assert_eq!(store.size(), before - tombstone);
}

#[test]
fn staged_writes_survive_a_compaction() {
    let mut store = filled();
    let request = |revision| etcdkit_proto::etcdserverpb::CompactionRequest {
        revision,
        ..Default::default()
    };
    assert_eq!(store.stage_compact(&request(9)), Err(FutureRevision));
    store.stage_compact(&request(8)).unwrap();
    let position = store.staged_position();
    store.stage_put(put("a", "staged")).unwrap();
    store.publish_up_to(position, |_, _| {});
    assert_eq!(store.compact_revision(), 8);
    assert_eq!(store.range(&get("a")).unwrap().kvs[0].value, "5");
    store.publish();
    assert_eq!(store.range(&get("a")).unwrap().kvs[0].value, "staged");
    let kv = store
        .range(&RangeRequest {
            revision: 8,
            ..get("a")
        })
        .unwrap()
        .kvs
        .remove(0);
    assert_eq!(kv.value, "5");
}

#[test]
fn a_compaction_of_revision_0_answers_for_the_current_hash() {
    let mut store = filled();
    let empty = Store::new().hash_kv(0).unwrap();
    compact(&mut store, 0).unwrap();
    let hash = store.hash_kv(0).unwrap();
    assert_eq!(
        (hash.hash, hash.compact_revision, hash.hash_revision),
        (empty.hash, -1, 0)
    );
    assert_ne!(store.hash_kv(8).unwrap().hash, empty.hash);
}

#[test]
fn a_put_behind_an_open_delete_survives_a_compaction_right_there() {
    let mut store = Store::new();
    store.put(put("a", "1")).unwrap();
    store
        .txn(then(vec![op(delete("a", "\0")), op(put("a", "2"))]))
        .unwrap();
    compact(&mut store, 3).unwrap();
    let kv = store.range(&get("a")).unwrap().kvs.remove(0);
    assert_eq!(
        (kv.value.as_ref(), kv.create_revision, kv.version),
        (b"2".as_slice(), 3, 1)
    );
}
