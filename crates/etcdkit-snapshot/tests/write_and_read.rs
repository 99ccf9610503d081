//! What is written is read again, whatever it is.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Cursor, Read, Seek, SeekFrom, Write},
    path::Path,
};

use etcdkit_proto::mvccpb::KeyValue;
use etcdkit_snapshot::{Draft, Error, Snapshot, Visit, status};
use prost::Message;

type Entries = BTreeMap<Vec<u8>, Vec<u8>>;
type Buckets = BTreeMap<Vec<u8>, Entries>;

fn written(buckets: &Buckets) -> Vec<u8> {
    let mut draft = Draft::new();
    for (bucket, entries) in buckets {
        draft.bucket(bucket);
        for (key, value) in entries {
            draft.push(bucket, key, value).expect("keys ascend");
        }
    }
    let image = draft.finish();
    let size = image.size();
    let mut file = Vec::new();
    image.write_to(&mut file).expect("memory takes it");
    assert_eq!(file.len() as u64, size + 32, "the size is known before");
    assert_eq!(size % 4096, 0);
    file
}

fn read(file: impl Read + Seek) -> Result<Buckets, Error> {
    let mut buckets = Buckets::new();
    Snapshot::of(file)?.read(|visit| -> Result<(), Error> {
        match visit {
            Visit::Bucket(name) => {
                let before = buckets.insert(name.to_vec(), Entries::new());
                assert!(before.is_none(), "a bucket comes once");
            }
            Visit::Entry(entry) => {
                let (last, entries) = buckets.last_key_value().expect("a bucket comes first");
                assert_eq!(last, entry.bucket);
                let after = entries.last_key_value();
                assert!(after.is_none_or(|(key, _)| &key[..] < entry.key));
                let entries = buckets.get_mut(entry.bucket).expect("it has come");
                entries.insert(entry.key.to_vec(), entry.value.to_vec());
            }
        }
        Ok(())
    })?;
    Ok(buckets)
}

fn random_entries(random: &mut fastrand::Rng) -> Entries {
    let mut bytes = |longest: usize| -> Vec<u8> {
        let length = match random.u8(..) {
            0 => longest,
            1..16 => random.usize(..=longest),
            _ => random.usize(..=longest.min(60)),
        };
        let byte = random.u8(..);
        let mut bytes = vec![byte; length];
        bytes
            .iter_mut()
            .take(8)
            .for_each(|byte| *byte = random.u8(..));
        bytes
    };
    let count = match bytes(3).len() {
        0 => 0,
        1 => 1,
        more => more * more * 100,
    };
    (0..count)
        .map(|_| (bytes(32_768), bytes(20_000)))
        .filter(|(key, _)| !key.is_empty())
        .collect()
}

#[test]
fn what_is_written_is_read() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for round in 0..40 {
        let buckets: Buckets = (0..random.usize(..6))
            .map(|_| {
                let name = [&[random.u8(..)][..], b"bucket"].concat();
                (name, random_entries(&mut random))
            })
            .collect();
        let file = written(&buckets);
        assert!(
            read(Cursor::new(&file)).expect("a snapshot") == buckets,
            "{round}"
        );
        assert!(
            written(&buckets) == file,
            "{round}: the same makes the same"
        );
    }
}

#[test]
fn a_file_is_read_in_pieces_of_any_size() {
    let mut random = fastrand::Rng::with_seed(1);
    let buckets = Buckets::from([(b"b".to_vec(), random_entries(&mut random))]);
    let file = written(&buckets);
    let mut draft = Draft::new();
    draft.bucket("b");
    for (key, value) in &buckets[&b"b"[..]] {
        draft.push("b", key, value).unwrap();
    }
    let mut image = draft.finish();
    let mut pieces = Vec::new();
    loop {
        let mut piece = vec![0; random.usize(1..70_000)];
        let length = image.read(&mut piece).unwrap();
        if length == 0 {
            break;
        }
        pieces.extend_from_slice(&piece[..length]);
    }
    assert!(pieces == file[..file.len() - 32]);
}

fn sample() -> Buckets {
    let revision = |main: i64| [&main.to_be_bytes()[..], b"_", &[0; 8]].concat();
    let history = (2..3000).map(|main| {
        let kv = KeyValue {
            key: format!("key {}", main % 77).into(),
            value: vec![b'v'; if main % 500 == 0 { 100_000 } else { 20 }].into(),
            mod_revision: main,
            ..KeyValue::default()
        };
        (revision(main), kv.encode_to_vec())
    });
    let meta = (b"storageVersion".to_vec(), b"3.6.0".to_vec());
    Buckets::from([
        (b"key".to_vec(), history.collect()),
        (b"lease".to_vec(), Entries::new()),
        (b"meta".to_vec(), Entries::from([meta])),
    ])
}

#[test]
fn the_status_of_what_is_written_is_that_of_its_entries() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("backup.db");
    let buckets = sample();
    fs::write(&path, written(&buckets)).unwrap();
    let mut hash = 0;
    for (bucket, entries) in &buckets {
        hash = crc32c::crc32c_append(hash, bucket);
        for (key, value) in entries {
            hash = crc32c::crc32c_append(hash, key);
            hash = crc32c::crc32c_append(hash, value);
        }
    }
    let status = status(&path).unwrap();
    assert_eq!(status.hash, hash);
    assert_eq!((status.revision, status.live_keys), (2999, 77));
    assert_eq!(status.entries, 2998 + 1);
    assert_eq!(status.version.as_deref(), Some("3.6.0"));
    assert_eq!(status.total_size + 32, fs::metadata(&path).unwrap().len());
}

#[test]
fn what_is_no_entry_is_refused_and_changes_nothing() {
    let mut draft = Draft::new();
    draft.push("b", b"k".to_vec(), b"v".to_vec()).unwrap();
    for (key, why) in [
        (b"".to_vec(), "empty"),
        (vec![b'x'; 32_769], "longer"),
        (b"k".to_vec(), "ascend"),
        (b"j".to_vec(), "ascend"),
    ] {
        let error = draft.push("b", key, Vec::new()).unwrap_err();
        assert!(matches!(error, Error::Unwritable(_)), "{error}");
        assert!(error.to_string().contains(why), "{error}");
    }
    let mut file = Vec::new();
    draft.finish().write_to(&mut file).unwrap();
    let entries = Entries::from([(b"k".to_vec(), b"v".to_vec())]);
    let buckets = Buckets::from([(b"b".to_vec(), entries)]);
    assert_eq!(read(Cursor::new(file)).unwrap(), buckets);
}

#[test]
fn every_damage_to_a_snapshot_is_noticed() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let whole = written(&sample());
    for _ in 0..300 {
        let mut bytes = whole.clone();
        let place = random.usize(..bytes.len());
        bytes[place] ^= random.u8(1..);
        let error = read(Cursor::new(bytes)).unwrap_err();
        let typed = matches!(error, Error::Digest | Error::NotASnapshot(_));
        assert!(typed, "{place}: {error}");
    }
}

#[test]
fn every_cut_is_noticed_but_one_that_takes_just_the_digest() {
    let whole = written(&sample());
    let backend = whole.len() - 32;
    for length in [0, 1, 100, 4096, 4096 + 32, backend - 4096, backend - 1]
        .into_iter()
        .chain(backend + 1..backend + 32)
    {
        let error = read(Cursor::new(&whole[..length])).unwrap_err();
        let typed = matches!(
            error,
            Error::Short { .. } | Error::Ragged { .. } | Error::NotASnapshot(_)
        );
        assert!(typed, "{length}: {error}");
    }
    // So does the file of a stopped member look.
    let mut snapshot = Snapshot::of(Cursor::new(&whole[..backend])).unwrap();
    assert!(!snapshot.has_digest());
    snapshot.read(|_| Ok::<(), Error>(())).unwrap();
}

#[test]
fn what_the_visitor_fails_with_ends_the_reading() {
    #[derive(Debug)]
    struct Enough(usize);
    impl From<Error> for Enough {
        fn from(error: Error) -> Self {
            panic!("nothing is wrong with the file: {error}");
        }
    }
    let mut snapshot = Snapshot::of(Cursor::new(written(&sample()))).unwrap();
    for _ in 0..2 {
        let mut seen = 0;
        let Enough(seen) = snapshot
            .read(|_| {
                seen += 1;
                if seen == 100 {
                    Err(Enough(seen))
                } else {
                    Ok(())
                }
            })
            .unwrap_err();
        assert_eq!(seen, 100);
    }
}

#[cfg(unix)]
#[test]
fn the_file_of_a_running_member_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    fs::write(&path, written(&sample())).unwrap();
    let open = |path: &Path| Snapshot::open(path).map(|snapshot| snapshot.size());
    let member = File::options().read(true).write(true).open(&path).unwrap();
    rustix::fs::flock(&member, rustix::fs::FlockOperation::LockExclusive).unwrap();
    assert!(matches!(open(&path), Err(Error::InUse)));
    drop(member);
    let (first, second) = (Snapshot::open(&path).unwrap(), open(&path).unwrap());
    assert_eq!(first.size(), second, "two may read at once");
}

#[test]
fn a_file_longer_than_its_database_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let buckets = sample();
    let mut bytes = written(&buckets);
    bytes.truncate(bytes.len() - 32);
    let mut file = File::create(&path).unwrap();
    file.write_all(&bytes).unwrap();
    // A member makes its file longer than it needs it at once.
    file.seek(SeekFrom::End(1 << 20)).unwrap();
    file.write_all(&[0; 4096]).unwrap();
    assert!(read(File::open(&path).unwrap()).unwrap() == buckets);
}
