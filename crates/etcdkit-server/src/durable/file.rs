//! The data file.

use std::fmt;
use std::fs;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use etcdkit_store::{Batch, Bucket, Change, Recovery, RecoveryError, Store};
use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError, TableError,
    WriteTransaction,
};

use super::disk::{Disk, OnDisk};
use super::table::{self, CLUSTER_ID, CONSISTENT_INDEX, FORMAT, MEMBER_ID, OWN, TERM};

/// The file's name in the data directory.
const FILE_NAME: &str = "etcdkit.redb";

/// What a file is called until it is complete, so that an interrupted first start leaves nothing
/// that looks like data.
const NEW_FILE_NAME: &str = "etcdkit.redb.new";

/// What etcd keeps its data in.
const ETCD_DIRECTORY: &str = "member";

/// The format written here, and the only one that is read.
const FORMAT_NUMBER: u64 = 1;

/// The storage engine's cache. All data is in memory already; this holds the inner pages of its
/// trees.
const CACHE_BYTES: usize = 16 * 1024 * 1024;

/// What is left free when the disk is nearly full, so that the alarm, and the deletions and
/// compactions that end it, find room.
const RESERVED_BYTES: u64 = 16 * 1024 * 1024;

/// Why a data file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// Another server, in this process or another, has the file open.
    #[error("another server is using it; stop that one first")]
    InUse,
    /// The directory is that of a real etcd.
    #[error(
        "it belongs to a real etcd; start with a directory of its own, and take the data along with --restore {}",
        .snapshot.display()
    )]
    OfEtcd {
        /// The file that can be restored from.
        snapshot: PathBuf,
    },
    /// There is data already where a snapshot was to be restored.
    #[error("it holds data already; a snapshot is restored to a new place only")]
    NotEmpty,
    /// A newer version of this program wrote the file.
    #[error(
        "a newer version wrote it (format {found}; this version knows {known}); use that version"
    )]
    Newer {
        /// The format of the file.
        found: u64,
        /// The newest format that can be read.
        known: u64,
    },
    /// The file holds something else.
    #[error("it is no data file of an etcdkit server: {0}")]
    Foreign(String),
    /// The file is not what was written. Nothing in it was used.
    #[error("it is damaged ({0}); restore a backup to a new place")]
    Damaged(String),
    /// The file cannot be read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl From<RecoveryError> for DataError {
    fn from(error: RecoveryError) -> Self {
        Self::Damaged(error.to_string())
    }
}

impl From<StorageError> for DataError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Io(error) => Self::Io(error),
            error => Self::Damaged(error.to_string()),
        }
    }
}

impl From<DatabaseError> for DataError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => Self::InUse,
            DatabaseError::UpgradeRequired(_) => Self::Foreign(error.to_string()),
            DatabaseError::Storage(StorageError::Io(error))
                if error.kind() == io::ErrorKind::InvalidData =>
            {
                Self::Foreign(error.to_string())
            }
            DatabaseError::Storage(error) => error.into(),
            error => Self::Damaged(error.to_string()),
        }
    }
}

/// What the storage engine's methods fail with, made one.
fn failed(error: impl Into<redb::Error>) -> DataError {
    match error.into() {
        redb::Error::Io(error) => DataError::Io(error),
        error => DataError::Damaged(error.to_string()),
    }
}

/// Where the data is.
#[derive(Clone, Debug)]
pub(crate) enum Location {
    /// In a file of a directory.
    Directory(PathBuf),
    /// On a medium of the program's own.
    Disk(Arc<dyn Disk>),
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(directory) => directory.display().fmt(f),
            Self::Disk(_) => f.write_str("the disk"),
        }
    }
}

/// The open file.
#[derive(Debug)]
pub(crate) struct DataFile {
    database: Database,
    location: Location,
}

/// What a file held when it was opened.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) store: Store,
    pub(crate) cluster_id: u64,
    pub(crate) member_id: u64,
    pub(crate) term: u64,
    pub(crate) applied_index: u64,
}

impl DataFile {
    /// Opens the file of a location, unless there is none yet.
    pub(crate) fn open(
        location: Location,
        now: Duration,
    ) -> Result<Option<(Self, Found)>, DataError> {
        // The storage engine may panic on a file that it did not write.
        let open = AssertUnwindSafe(|| Self::open_unguarded(location, now));
        panic::catch_unwind(open).unwrap_or_else(|_| {
            let reason = "the storage engine panicked while it was read";
            Err(DataError::Damaged(reason.to_owned()))
        })
    }

    fn open_unguarded(
        location: Location,
        now: Duration,
    ) -> Result<Option<(Self, Found)>, DataError> {
        let database = match &location {
            Location::Directory(directory) => {
                if directory.join(ETCD_DIRECTORY).is_dir() {
                    let snapshot = directory.join(ETCD_DIRECTORY).join("snap").join("db");
                    return Err(DataError::OfEtcd { snapshot });
                }
                let path = directory.join(FILE_NAME);
                if !path.try_exists()? {
                    return Ok(None);
                }
                builder().open(path)?
            }
            Location::Disk(disk) if disk.is_empty()? => return Ok(None),
            Location::Disk(disk) => builder().create_with_backend(OnDisk(Arc::clone(disk)))?,
        };
        let file = Self { database, location };
        let found = file.read(now)?;
        Ok(Some((file, found)))
    }

    /// Makes a new file with what `found` holds.
    pub(crate) fn create(location: Location, found: &Found) -> Result<Self, DataError> {
        let database = match &location {
            Location::Directory(directory) => {
                fs::create_dir_all(directory)?;
                let (new, path) = (directory.join(NEW_FILE_NAME), directory.join(FILE_NAME));
                remove_if_there(&new)?;
                let database = builder().create(&new)?;
                fill(&database, found)?;
                drop(database);
                fs::rename(&new, &path)?;
                sync_directory(directory)?;
                builder().open(path)?
            }
            Location::Disk(disk) => {
                let database = builder().create_with_backend(OnDisk(Arc::clone(disk)))?;
                fill(&database, found)?;
                database
            }
        };
        Ok(Self { database, location })
    }

    /// Closes the file after a failure. It can be opened anew at the location.
    pub(super) fn close_broken(self) -> Location {
        self.location
    }

    fn read(&self, now: Duration) -> Result<Found, DataError> {
        let transaction = self.database.begin_read().map_err(failed)?;
        let own = transaction
            .open_table(OWN)
            .map_err(|error| DataError::Foreign(error.to_string()))?;
        let own_number = |key: &'static [u8]| {
            let missing = || DataError::Damaged(format!("{} is missing", key.escape_ascii()));
            table::number(&own, key)?.ok_or_else(missing)
        };
        match own_number(FORMAT)? {
            FORMAT_NUMBER => {}
            found => {
                return Err(DataError::Newer {
                    found,
                    known: FORMAT_NUMBER,
                });
            }
        }
        let mut recovery = Recovery::new();
        for bucket in Bucket::STORED {
            let table = match transaction.open_table(table::of(bucket)) {
                // Files of versions without the v2 API have no table for it.
                Err(TableError::TableDoesNotExist(_)) if bucket == Bucket::V2 => continue,
                table => table.map_err(failed)?,
            };
            for entry in table.iter().map_err(failed)? {
                let (key, value) = entry.map_err(failed)?;
                recovery.take(bucket, key.value(), value.value())?;
            }
        }
        let meta = transaction
            .open_table(table::of(Bucket::Meta))
            .map_err(failed)?;
        let store = recovery.finish(now)?;
        Ok(Found {
            cluster_id: own_number(CLUSTER_ID)?,
            member_id: own_number(MEMBER_ID)?,
            term: table::number(&meta, TERM)?.unwrap_or(0),
            // Noted at an orderly end only: it would cost a page more with each commit.
            applied_index: table::number(&meta, CONSISTENT_INDEX)?
                .unwrap_or(0)
                .max(store.revision().unsigned_abs()),
            store,
        })
    }

    /// Makes a batch durable, all of it or nothing.
    pub(super) fn commit(&self, batch: &Batch) -> Result<(), DataError> {
        if batch.records().is_empty() && batch.changes().is_empty() {
            return Ok(());
        }
        let transaction = self.database.begin_write().map_err(failed)?;
        if !batch.records().is_empty() {
            let mut table = table::open(&transaction, Bucket::Key).map_err(failed)?;
            for record in batch.records() {
                let key = record.key();
                table
                    .insert(key.as_slice(), &**record.value())
                    .map_err(failed)?;
            }
        }
        // The changes of a bucket are next to each other.
        for changes in batch.changes().chunk_by(|a, b| a.bucket() == b.bucket()) {
            let Some(first) = changes.first() else {
                continue;
            };
            let mut table = table::open(&transaction, first.bucket()).map_err(failed)?;
            for change in changes {
                match change {
                    Change::Put(entry) => {
                        table.insert(&*entry.key, &*entry.value).map_err(failed)?;
                    }
                    Change::Delete(_, key) => {
                        table.remove(&**key).map_err(failed)?;
                    }
                }
            }
        }
        transaction.commit().map_err(failed)
    }

    /// Notes the term of a start.
    pub(crate) fn begin_term(&self, term: u64) -> Result<(), DataError> {
        note(self.database.begin_write().map_err(failed)?, TERM, term)
    }

    /// Gives the room of what was removed back to the system.
    pub(super) fn defragment(&mut self) -> Result<(), DataError> {
        self.database.compact().map(drop).map_err(failed)
    }

    /// The size of the file in bytes.
    pub(super) fn size(&self) -> io::Result<u64> {
        match &self.location {
            Location::Directory(directory) => Ok(fs::metadata(directory.join(FILE_NAME))?.len()),
            Location::Disk(disk) => disk.len(),
        }
    }

    /// Whether so many bytes more might leave too little on the file system.
    pub(super) fn is_nearly_full(&self, bytes: u64) -> bool {
        let Location::Directory(directory) = &self.location else {
            return false;
        };
        // Who cannot tell finds out when writing.
        rustix::fs::statvfs(directory).is_ok_and(|system| {
            let free = system.f_bavail.saturating_mul(system.f_frsize);
            free < bytes.saturating_mul(2).saturating_add(RESERVED_BYTES)
        })
    }

    /// Writes a commit that changes no data, after which both of the storage engine's slots hold the same:
    /// so damage is not taken for an interrupted commit at the next start, and rolled back.
    pub(super) fn close(self, applied_index: u64) -> Result<(), DataError> {
        let transaction = self.database.begin_write().map_err(failed)?;
        note(transaction, CONSISTENT_INDEX, applied_index)?;
        Ok(self.database.close()?)
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder
        .set_cache_size(CACHE_BYTES)
        .set_check_integrity_on_open(true);
    builder
}

/// Everything that a new file holds.
fn fill(database: &Database, found: &Found) -> Result<(), DataError> {
    let transaction = database.begin_write().map_err(failed)?;
    let mut own = transaction.open_table(OWN).map_err(failed)?;
    for (key, number) in [
        (FORMAT, FORMAT_NUMBER),
        (CLUSTER_ID, found.cluster_id),
        (MEMBER_ID, found.member_id),
    ] {
        let number = number.to_be_bytes();
        own.insert(key, &number[..]).map_err(failed)?;
    }
    drop(own);
    for bucket in Bucket::ALL {
        table::open(&transaction, bucket).map_err(failed)?;
    }
    let mut keys = table::open(&transaction, Bucket::Key).map_err(failed)?;
    for record in found.store.records() {
        let key = record.key();
        keys.insert(key.as_slice(), &**record.value())
            .map_err(failed)?;
    }
    drop(keys);
    for entry in found.store.entries() {
        let mut table = table::open(&transaction, entry.bucket).map_err(failed)?;
        table.insert(&*entry.key, &*entry.value).map_err(failed)?;
    }
    transaction.commit().map_err(failed)
}

/// Ends a transaction with a number in [`Bucket::Meta`].
fn note(transaction: WriteTransaction, key: &'static [u8], number: u64) -> Result<(), DataError> {
    let mut meta = table::open(&transaction, Bucket::Meta).map_err(failed)?;
    meta.insert(key, &number.to_be_bytes()[..])
        .map_err(failed)?;
    drop(meta);
    transaction.commit().map_err(failed)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes a rename durable. Systems that cannot open a directory do it by themselves.
fn sync_directory(directory: &Path) -> io::Result<()> {
    if cfg!(unix) {
        fs::File::open(directory)?.sync_all()?;
    }
    Ok(())
}
