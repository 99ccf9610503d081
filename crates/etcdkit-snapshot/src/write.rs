//! Snapshot files are written from entries that are all there.

use std::io::{self, Read, Write};

use sha2::{Digest, Sha256};

use crate::{Error, bolt};

/// bbolt's limits for keys and values, in bytes.
const LONGEST_KEY: usize = 32_768;
const LONGEST_VALUE: usize = (1 << 31) - 2;

/// The buckets and entries of a snapshot that is to be written.
///
/// ```
/// use etcdkit_snapshot::{Draft, Snapshot, Visit};
///
/// let mut draft = Draft::new();
/// draft.bucket("meta");
/// draft.push("cluster", "clusterVersion", "3.6.0")?;
/// let mut file = Vec::new();
/// draft.finish().write_to(&mut file)?;
///
/// let mut snapshot = Snapshot::of(std::io::Cursor::new(file))?;
/// let mut seen = 0;
/// snapshot.read(|visit| {
///     if let Visit::Entry(entry) = visit {
///         assert_eq!(entry.value, b"3.6.0");
///         seen += 1;
///     }
///     Ok::<(), etcdkit_snapshot::Error>(())
/// })?;
/// assert_eq!(seen, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Draft<K, V> {
    /// In the order of their names.
    buckets: Vec<bolt::Bucket<(K, V)>>,
}

impl<K, V> Default for Draft<K, V> {
    fn default() -> Self {
        Self {
            buckets: Vec::new(),
        }
    }
}

impl<K: AsRef<[u8]>, V: AsRef<[u8]>> Draft<K, V> {
    /// A draft without buckets.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a bucket, which stays empty until entries come. Nothing happens if it is there.
    pub fn bucket(&mut self, name: impl AsRef<[u8]>) {
        self.entries(name.as_ref());
    }

    /// Adds an entry to a bucket, and the bucket if it is not there. The key must be above all keys
    /// that the bucket has.
    ///
    /// # Errors
    ///
    /// [`Error::Unwritable`] if the key is empty, longer than 32 KiB or out of order, or the value
    /// longer than 2 GiB. The draft stays as it was.
    pub fn push(&mut self, bucket: impl AsRef<[u8]>, key: K, value: V) -> Result<(), Error> {
        let refused = match key.as_ref().len() {
            0 => Some("a key is empty"),
            length if length > LONGEST_KEY => Some("a key is longer than 32 KiB"),
            _ if value.as_ref().len() > LONGEST_VALUE => Some("a value is longer than 2 GiB"),
            _ => None,
        };
        if let Some(why) = refused {
            return Err(Error::Unwritable(why));
        }
        let entries = self.entries(bucket.as_ref());
        match entries.last() {
            Some((last, _)) if last.as_ref() >= key.as_ref() => {
                Err(Error::Unwritable("keys of a bucket do not ascend"))
            }
            _ => {
                entries.push((key, value));
                Ok(())
            }
        }
    }

    fn entries(&mut self, bucket: &[u8]) -> &mut Vec<(K, V)> {
        let buckets = &mut self.buckets;
        let found = buckets.binary_search_by(|other| other.name.as_ref().cmp(bucket));
        let place = found.unwrap_or_else(|place| {
            let bucket = bolt::Bucket {
                name: bucket.into(),
                entries: Vec::new(),
            };
            buckets.insert(place, bucket);
            place
        });
        &mut buckets[place].entries
    }

    /// Decides what goes onto which page. The same draft always makes the same file.
    pub fn finish(self) -> Image<K, V> {
        let file = bolt::File::new(self.buckets);
        Image {
            size: file.size(),
            file,
            page: Vec::new(),
            given: 0,
        }
    }
}

/// A backend's file as [`Draft::finish`] planned it, to be read from beginning to end.
///
/// Pages are made when they are read, so that beside the entries there is one page in memory, or a
/// value with its key if that is larger. Reading never fails and does not block. What is read is the
/// backend without the digest that ends a snapshot; [`write_to`](Self::write_to) adds it.
#[derive(Debug)]
pub struct Image<K, V> {
    file: bolt::File<(K, V)>,
    size: u64,
    /// The page that is given out, and how much of it has been.
    page: Vec<u8>,
    given: usize,
}

impl<K: AsRef<[u8]>, V: AsRef<[u8]>> Image<K, V> {
    /// The size of the backend in bytes, known before the first one is read; a multiple of 4096.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Writes a snapshot file: what has not been read yet of the backend, and then the SHA-256 digest
    /// of that, as `etcdutl snapshot restore` wants it.
    ///
    /// # Errors
    ///
    /// Those of `target`.
    pub fn write_to(mut self, target: &mut impl Write) -> io::Result<()> {
        let mut hasher = Sha256::new();
        while self.turn() {
            let page = self.page.get(self.given..).unwrap_or_default();
            hasher.update(page);
            target.write_all(page)?;
            self.given = self.page.len();
        }
        target.write_all(&hasher.finalize())
    }

    /// Makes the next page if the last has been given out; tells whether there is one.
    fn turn(&mut self) -> bool {
        if self.given < self.page.len() {
            return true;
        }
        match self.file.next_page() {
            Some(page) => {
                self.page = page;
                self.given = 0;
                true
            }
            None => false,
        }
    }
}

impl<K: AsRef<[u8]>, V: AsRef<[u8]>> Read for Image<K, V> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || !self.turn() {
            return Ok(0);
        }
        let mut rest = self.page.get(self.given..).unwrap_or_default();
        let taken = rest.read(buffer)?;
        self.given += taken;
        Ok(taken)
    }
}
