//! What a store gives a backend is enough to make the same store again, wherever that stops.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use etcdkit_proto::authpb::{Permission, permission::Type};
use etcdkit_proto::etcdserverpb::*;
use etcdkit_store::{Batch, Bucket, Change, Recovery, Store};
use fastrand::Rng;

const NOW: Duration = Duration::from_secs(7);

/// What a file holds.
type File = BTreeMap<(Bucket, Bytes), Bytes>;

fn write(file: &mut File, batch: &Batch) {
    for record in batch.records() {
        let key = Bytes::copy_from_slice(record.key().as_slice());
        let old = file.insert((Bucket::Key, key), record.value().clone());
        assert_eq!(old, None, "a record is written once");
    }
    for change in batch.changes() {
        match change {
            Change::Put(entry) => {
                file.insert((entry.bucket, entry.key.clone()), entry.value.clone());
            }
            Change::Delete(bucket, key) => {
                file.remove(&(*bucket, key.clone()));
            }
        }
    }
}

fn recovered(file: &File) -> Store {
    let mut recovery = Recovery::new();
    for ((bucket, key), value) in file {
        recovery
            .take(*bucket, key, value)
            .expect("an entry of our own");
    }
    recovery.finish(NOW).expect("a whole file")
}

fn dumped(store: &Store) -> File {
    let records = store.records().iter().map(|record| {
        let key = Bytes::copy_from_slice(record.key().as_slice());
        ((Bucket::Key, key), record.value().clone())
    });
    let entries = store.entries().into_iter();
    records
        .chain(entries.map(|entry| ((entry.bucket, entry.key), entry.value)))
        .collect()
}

fn hashes(store: &Store) -> Vec<HashKvResponse> {
    let first = store.compact_revision().max(1);
    (first..=store.revision())
        .map(|revision| store.hash_kv(revision).expect("a retained revision"))
        .collect()
}

fn assert_same(store: &Store, other: &Store) {
    assert_eq!(other.revision(), store.revision());
    assert_eq!(other.compact_revision(), store.compact_revision());
    assert_eq!(dumped(other), dumped(store));
    // A hash that a compaction remembered is made anew by the same rules, except at the compacted
    // revision, where the dropped records are gone.
    let (ours, theirs) = (hashes(store), hashes(other));
    let skipped = usize::from(store.compact_revision() > 0);
    assert_eq!(ours[skipped..], theirs[skipped..]);
    assert_eq!(other.size(), store.size());
    for lease in other.lease_leases().leases {
        let keys = |store: &Store| -> Vec<Vec<u8>> {
            store.lease_keys(lease.id).map(<[u8]>::to_vec).collect()
        };
        assert_eq!(keys(other), keys(store));
    }
    assert_eq!(other.auth().user_list(), store.auth().user_list());
    assert_eq!(other.alarms().list(0), store.alarms().list(0));
}

/// Whether it was refused does not matter.
fn tried<T>(_: T) {}

/// Does something, refused or not.
fn step(store: &mut Store, random: &mut Rng) {
    let key = |random: &mut Rng| -> Bytes { vec![b'a' + random.u8(..6)].into() };
    let lease = |random: &mut Rng| random.i64(1..4);
    let name = |random: &mut Rng| ["ann", "bob", "root"][random.usize(..3)].to_owned();
    let put = |random: &mut Rng| PutRequest {
        key: key(random),
        value: vec![b'v'; random.usize(..9)].into(),
        lease: if random.bool() { 0 } else { lease(random) },
        ..Default::default()
    };
    match random.u8(..16) {
        0..=4 => tried(store.stage_put(put(random))),
        5 | 6 => tried(store.stage_delete_range(DeleteRangeRequest {
            key: key(random),
            range_end: if random.bool() {
                key(random)
            } else {
                Bytes::new()
            },
            ..Default::default()
        })),
        7 => {
            let op = |request| RequestOp {
                request: Some(request),
            };
            let request = TxnRequest {
                success: vec![
                    op(request_op::Request::RequestPut(PutRequest {
                        key: "x".into(),
                        ..put(random)
                    })),
                    op(request_op::Request::RequestDeleteRange(
                        DeleteRangeRequest {
                            key: "a".into(),
                            range_end: key(random),
                            ..Default::default()
                        },
                    )),
                ],
                ..Default::default()
            };
            tried(store.stage_txn(request));
        }
        8 => tried(store.stage_compact(&CompactionRequest {
            revision: random.i64(0..store.revision() + 3),
            physical: false,
        })),
        9 => tried(store.lease_grant(
            &LeaseGrantRequest {
                id: lease(random),
                ttl: 60,
            },
            NOW,
        )),
        10 => tried(store.stage_lease_revoke(&LeaseRevokeRequest { id: lease(random) })),
        11 => tried(
            store.auth_mut().user_add(AuthUserAddRequest {
                name: name(random),
                options: random
                    .bool()
                    .then_some(etcdkit_proto::authpb::UserAddOptions { no_password: true }),
                hashed_password: "aGFzaA==".into(),
                ..Default::default()
            }),
        ),
        12 => {
            let (user, role) = (name(random), name(random));
            let auth = store.auth_mut();
            tried(auth.role_add(AuthRoleAddRequest { name: role.clone() }));
            tried(auth.role_grant_permission(AuthRoleGrantPermissionRequest {
                name: role.clone(),
                perm: Some(Permission {
                    perm_type: Type::Write.into(),
                    key: key(random),
                    range_end: Bytes::new(),
                }),
            }));
            tried(auth.user_grant_role(AuthUserGrantRoleRequest { user, role }));
        }
        13 => {
            let name = name(random);
            let auth = store.auth_mut();
            match random.u8(..4) {
                0 => tried(auth.user_delete(&AuthUserDeleteRequest { name })),
                1 => tried(auth.role_delete(&AuthRoleDeleteRequest { role: name })),
                2 => tried(auth.enable()),
                _ => tried(auth.disable()),
            }
        }
        _ => {
            let alarms = store.alarms_mut();
            match random.bool() {
                true => tried(alarms.activate(random.u64(..2), random.i32(1..3))),
                false => tried(alarms.deactivate(random.u64(..2), random.i32(1..3))),
            }
        }
    }
}

#[test]
fn a_store_comes_back_from_what_it_gave() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = Rng::with_seed(seed);
    for _ in 0..100 {
        let mut store = Store::new();
        store.keep_journal();
        let mut file = dumped(&store);
        for _ in 0..random.usize(..60) {
            for _ in 0..random.usize(1..6) {
                step(&mut store, &mut random);
            }
            // Writes go on while a batch is written.
            let batch = store.take_changes();
            step(&mut store, &mut random);
            write(&mut file, &batch);
            store.publish_up_to(batch.position(), |_, _| {});
            if random.u8(..8) == 0 {
                // Interrupted: what was published is there, and what is staged is not.
                let again = recovered(&file);
                assert!(again.revision() >= store.revision());
                assert_eq!(again.compact_revision(), store.compact_revision());
                let retained = store.compact_revision().max(0) + 1..=store.revision();
                for revision in retained {
                    assert_eq!(
                        again.hash_kv(revision).unwrap().hash,
                        store.hash_kv(revision).unwrap().hash
                    );
                }
                if random.bool() {
                    store = again;
                }
            }
        }
        while store.has_changes() || store.has_garbage() {
            let batch = store.take_changes();
            write(&mut file, &batch);
            store.publish_up_to(batch.position(), |_, _| {});
        }
        assert_eq!(file, dumped(&store));
        assert_same(&store, &recovered(&file));
    }
}

#[test]
fn compacted_records_are_removed_oldest_first_and_in_parts() {
    let mut store = Store::new();
    store.keep_journal();
    let mut file = dumped(&store);
    for _ in 0..10_000 {
        let put = PutRequest {
            key: "k".into(),
            ..Default::default()
        };
        store.stage_put(put).unwrap();
    }
    let revision = 10_001;
    store
        .stage_compact(&CompactionRequest {
            revision,
            physical: true,
        })
        .unwrap();
    let batch = store.take_changes();
    assert!(!store.has_changes());
    write(&mut file, &batch);
    let mut told = 0;
    store.publish_up_to(batch.position(), |records, _| told = records.len());
    assert_eq!(
        told, 10_000,
        "watchers hear of what is compacted right away"
    );

    let mut batches = 0;
    let mut at_compacted = Vec::new();
    while store.has_changes() || store.has_garbage() {
        let first = file
            .keys()
            .find(|(bucket, _)| *bucket == Bucket::Key)
            .cloned()
            .unwrap();
        let batch = store.take_changes();
        write(&mut file, &batch);
        assert!(!file.contains_key(&first), "the oldest goes first");
        store.publish_up_to(batch.position(), |_, _| {});
        batches += 1;
        let recovered = recovered(&file);
        assert_same(&store, &recovered);
        at_compacted.push(recovered.hash_kv(revision).unwrap());
        assert!(batches < 10);
    }
    at_compacted.dedup();
    assert_eq!(
        at_compacted.len(),
        1,
        "wherever the removal was interrupted"
    );
    assert!(batches > 1);
    assert_eq!(file, dumped(&store));
}

#[test]
fn what_is_staged_cannot_be_read_and_is_compacted_only_when_published() {
    let mut store = Store::new();
    let put = |value: &'static str| PutRequest {
        key: "k".into(),
        value: value.into(),
        ..Default::default()
    };
    store.put(put("1")).unwrap();
    store.stage_put(put("2")).unwrap();
    store
        .stage_compact(&CompactionRequest {
            revision: 3,
            physical: false,
        })
        .unwrap();
    let get = RangeRequest {
        key: "k".into(),
        ..Default::default()
    };
    let read = |store: &Store| store.range(&get).unwrap().kvs[0].value.clone();
    assert_eq!(read(&store), "1");
    assert_eq!(store.compact_revision(), -1);
    let again = store.stage_compact(&CompactionRequest {
        revision: 3,
        physical: false,
    });
    assert_eq!(
        again,
        Err(etcdkit_proto::EtcdError::Compacted),
        "writes see it"
    );
    store.publish();
    assert_eq!(read(&store), "2");
    assert_eq!(store.compact_revision(), 3);
}

#[test]
fn entries_that_etcd_would_not_write_are_refused() {
    let record = |main: i64| [&main.to_be_bytes()[..], b"_", &[0; 8]].concat();
    for (bucket, key, value) in [
        (Bucket::Key, b"short".to_vec(), b"".to_vec()),
        (Bucket::Key, record(2), b"\xff".to_vec()),
        (Bucket::Key, record(2), b"\x0a\x01k\x18\x03".to_vec()),
        (Bucket::Key, record(i64::MAX), b"".to_vec()),
        (
            Bucket::Meta,
            b"scheduledCompactRev".to_vec(),
            record(i64::MAX),
        ),
        (Bucket::Lease, vec![0; 8], b"\x08\x01".to_vec()),
        (Bucket::Lease, vec![0; 7], b"".to_vec()),
        (Bucket::Alarm, b"\xff".to_vec(), b"".to_vec()),
        (Bucket::Auth, b"authEnabled".to_vec(), b"2".to_vec()),
        (Bucket::Auth, b"authRevision".to_vec(), b"2".to_vec()),
        (Bucket::AuthUsers, b"ann".to_vec(), b"\xff".to_vec()),
        (Bucket::AuthRoles, b"ann".to_vec(), b"\xff".to_vec()),
        (Bucket::Meta, b"finishedCompactRev".to_vec(), b"2".to_vec()),
    ] {
        let mut recovery = Recovery::new();
        let error = recovery.take(bucket, &key, &value).unwrap_err();
        assert!(error.to_string().contains(bucket.name()), "{error}");
    }
    let mut recovery = Recovery::new();
    recovery
        .take(Bucket::Key, &record(3), b"\x0a\x01k\x18\x03")
        .unwrap();
    assert!(
        recovery
            .take(Bucket::Key, &record(3), b"\x0a\x01k\x18\x03")
            .is_err()
    );
}

/// `etcdutl snapshot restore --bump-revision=997 --mark-compacted` leaves such entries.
#[test]
fn a_raised_revision_is_taken_over() {
    let record = |main: i64| [&main.to_be_bytes()[..], b"_", &[0; 8]].concat();
    let mut recovery = Recovery::new();
    for (bucket, key, value) in [
        (Bucket::Key, record(3), b"\x0a\x01k\x18\x03".to_vec()),
        (Bucket::Key, record(1000), Vec::new()),
        (Bucket::Meta, b"scheduledCompactRev".to_vec(), record(1000)),
    ] {
        recovery.take(bucket, &key, &value).unwrap();
    }
    let store = recovery.finish(NOW).unwrap();
    assert_eq!((store.revision(), store.compact_revision()), (1000, 1000));
    let all = RangeRequest {
        key: "\0".into(),
        range_end: "\0".into(),
        ..Default::default()
    };
    let found = store.range(&all).unwrap();
    assert_eq!((found.count, &*found.kvs[0].key), (1, &b"k"[..]));
    assert_eq!(store.records().len(), 2, "it counts for hashes");
}

#[test]
fn a_store_that_dropped_its_journal_notes_nothing() {
    let mut random = Rng::with_seed(1);
    let mut store = Store::new();
    store.keep_journal();
    for _ in 0..300 {
        step(&mut store, &mut random);
    }
    store.publish();
    store.drop_journal();
    for _ in 0..300 {
        step(&mut store, &mut random);
    }
    store.publish();
    assert!(!store.has_garbage());
    assert!(store.take_changes().changes().is_empty());
}
