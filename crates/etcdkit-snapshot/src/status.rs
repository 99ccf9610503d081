//! What a snapshot holds, as `snapshot status` of etcd's tools tells it.

use std::{
    collections::HashSet,
    fs::File,
    io::{Read, Seek},
    path::Path,
};

use etcdkit_proto::mvccpb::KeyValue;
use prost::Message;

use crate::{
    Error,
    bolt::{Database, Entry, Visit},
};

/// The bucket of all revisions of all keys, and that of what etcd notes about the backend.
const KEY: &[u8] = b"key";
const META: &[u8] = b"meta";

const STORAGE_VERSION: &[u8] = b"storageVersion";

/// What ends the name of a revision that deleted its key.
const TOMBSTONE: u8 = b't';

/// What a snapshot holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// CRC-32C over the names of all buckets and all that they hold.
    pub hash: u32,
    /// The revision of the newest change; 0 if there is none.
    pub revision: i64,
    /// How many entries all buckets have: what etcd's tools up to 3.5 call total keys.
    pub entries: u64,
    /// How many keys exist at that revision: what etcd's tools call total keys since 3.6.
    pub live_keys: u64,
    /// The size of the backend in bytes; the digest behind it does not count.
    pub total_size: u64,
    /// The version of the backend's format, such as `3.6.0`. `None` if it was made before etcd 3.6.
    pub version: Option<String>,
}

/// Reads a snapshot file from its first page to its last, and tells what it holds.
///
/// The pages are verified on the way: each is reached once, is of the right kind and holds its
/// elements in order. The SHA-256 digest that may follow the backend is not looked at, as etcd's tools
/// do not either.
///
/// Takes as much memory as the names of all keys, and blocks while it reads.
///
/// # Errors
///
/// [`Error::Io`] if the file cannot be read, and otherwise what is wrong with it.
pub fn status(path: impl AsRef<Path>) -> Result<Status, Error> {
    of(File::open(path)?)
}

fn of(file: impl Read + Seek) -> Result<Status, Error> {
    let mut database = Database::open(file)?;
    let mut status = Status {
        total_size: database.size(),
        ..Status::default()
    };
    let mut live = HashSet::new();
    database.walk(|visit| -> Result<(), Error> {
        let (hashed, more): (&[u8], &[u8]) = match visit {
            Visit::Bucket(name) => (name, &[]),
            Visit::Entry(entry) => {
                status.entries += 1;
                match entry.bucket {
                    KEY => status.revision = change(&entry, &mut live)?,
                    META if entry.key == STORAGE_VERSION && !entry.value.is_empty() => {
                        status.version = Some(String::from_utf8_lossy(entry.value).into_owned());
                    }
                    _ => {}
                }
                (entry.key, entry.value)
            }
        };
        status.hash = crc32c::crc32c_append(status.hash, hashed);
        status.hash = crc32c::crc32c_append(status.hash, more);
        Ok(())
    })?;
    status.live_keys = live.len() as u64;
    Ok(status)
}

/// Takes one change of one key into account, and tells its revision.
fn change(entry: &Entry<'_>, live: &mut HashSet<Vec<u8>>) -> Result<i64, Error> {
    // Eight bytes of the revision, an underscore, eight of the place within it, and perhaps a mark.
    let (revision, rest) = entry
        .key
        .split_first_chunk()
        .ok_or(Error::Foreign("the name of a revision is too short"))?;
    let deleted = match rest {
        [b'_', _, _, _, _, _, _, _, _] => false,
        [b'_', _, _, _, _, _, _, _, _, TOMBSTONE] => true,
        _ => return Err(Error::Foreign("the name of a revision is none")),
    };
    let kv = KeyValue::decode(entry.value)
        .map_err(|_| Error::Foreign("a revision does not hold a key and its value"))?;
    match deleted {
        true => live.remove(&kv.key[..]),
        false => live.insert(kv.key.to_vec()),
    };
    Ok(i64::from_be_bytes(*revision))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::bolt::tests::{PAGE, bucket_at, database, inline_bucket, page};

    fn revision(main: i64, mark: &str) -> Vec<u8> {
        let mut name = main.to_be_bytes().to_vec();
        name.push(b'_');
        name.extend_from_slice(&0_i64.to_be_bytes());
        name.extend_from_slice(mark.as_bytes());
        name
    }

    fn value(key: &'static str) -> Vec<u8> {
        KeyValue {
            key: key.into(),
            value: "v".into(),
            ..KeyValue::default()
        }
        .encode_to_vec()
    }

    /// Two puts of a key, one of another and its deletion, on pages of their own.
    fn sample() -> Vec<u8> {
        let first = [(revision(2, ""), value("a")), (revision(3, ""), value("b"))];
        let second = [
            (revision(4, ""), value("a")),
            (revision(5, "t"), value("b")),
        ];
        let root = [
            bucket_at("key", 3),
            inline_bucket("meta", &[(STORAGE_VERSION.to_vec(), b"3.6.0".to_vec())]),
        ];
        database(&[
            page::leaf(2, 0, &root),
            page::branch(3, &[(revision(2, ""), 4), (revision(4, ""), 5)]),
            page::leaf(4, 0, &first.map(page::entry)),
            page::leaf(5, 0, &second.map(page::entry)),
        ])
    }

    #[test]
    fn what_a_database_holds_is_told() {
        let status = of(Cursor::new(sample())).unwrap();
        let mut hashed = b"key".to_vec();
        for (name, value) in [
            (revision(2, ""), value("a")),
            (revision(3, ""), value("b")),
            (revision(4, ""), value("a")),
            (revision(5, "t"), value("b")),
        ] {
            hashed.extend(name);
            hashed.extend(value);
        }
        hashed.extend_from_slice(b"metastorageVersion3.6.0");
        assert_eq!(
            status,
            Status {
                hash: crc32c::crc32c(&hashed),
                revision: 5,
                entries: 5,
                live_keys: 1,
                total_size: 6 * PAGE as u64,
                version: Some("3.6.0".to_owned()),
            }
        );
    }

    #[test]
    fn a_database_of_something_else_is_told_apart() {
        let entry = page::entry((b"short".to_vec(), vec![]));
        let root = [bucket_at("key", 3)];
        let bytes = database(&[page::leaf(2, 0, &root), page::leaf(3, 0, &[entry])]);
        assert!(matches!(of(Cursor::new(bytes)), Err(Error::Foreign(_))));
        let stray = page::entry((b"stray".to_vec(), vec![]));
        let bytes = database(&[page::leaf(2, 0, &[stray])]);
        assert!(matches!(of(Cursor::new(bytes)), Err(Error::Foreign(_))));
    }

    #[test]
    fn pages_that_lead_astray_are_noticed() {
        let key = || revision(2, "");
        let leaf = || page::leaf(4, 0, &[page::entry((key(), value("a")))]);
        for (what, pages) in [
            (
                "outside of the file",
                vec![page::leaf(2, 0, &[bucket_at("key", 99)])],
            ),
            (
                "reached twice",
                vec![page::leaf(2, 0, &[bucket_at("key", 2)])],
            ),
            (
                "reached twice",
                vec![
                    page::leaf(2, 0, &[bucket_at("key", 3)]),
                    page::branch(3, &[(key(), 4), (revision(3, ""), 4)]),
                    leaf(),
                ],
            ),
            (
                "out of order",
                vec![
                    page::leaf(2, 0, &[bucket_at("key", 3), bucket_at("auth", 4)]),
                    page::leaf(3, 0, &[]),
                    leaf(),
                ],
            ),
            (
                "beyond the end",
                vec![page::leaf(2, 7, &[bucket_at("key", 3)])],
            ),
            (
                "neither a branch nor a leaf",
                vec![
                    page::leaf(2, 0, &[bucket_at("key", 3)]),
                    page::of_kind(0x10, 3),
                ],
            ),
        ] {
            let error = of(Cursor::new(database(&pages))).unwrap_err();
            assert!(error.to_string().contains(what), "{what}: {error}");
        }
    }

    #[test]
    fn a_file_that_is_cut_is_short() {
        let bytes = sample();
        let error = of(Cursor::new(&bytes[..bytes.len() - 1])).unwrap_err();
        assert!(matches!(error, Error::Short { .. }), "{error}");
    }

    #[test]
    fn no_damage_makes_it_panic() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let whole = sample();
        let (mut noticed, rounds) = (0, 20_000);
        for _ in 0..rounds {
            let mut bytes = whole.clone();
            for _ in 0..random.usize(1..=4) {
                // Mostly where pages tell of themselves; the meta pages have a checksum.
                let page = random.usize(2..6) * PAGE;
                let place = page + random.usize(..PAGE.min(300));
                bytes[place] = random.u8(..);
            }
            if random.u8(..) == 0 {
                bytes.truncate(random.usize(..bytes.len()));
            }
            noticed += usize::from(of(Cursor::new(bytes)).is_err());
        }
        assert!(noticed > rounds / 10, "{noticed} of {rounds}");
    }
}
