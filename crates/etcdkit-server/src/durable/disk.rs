//! A medium other than a file.

use std::fmt;
use std::io;
use std::sync::Arc;

use redb::StorageBackend;

/// Where a durable server keeps its data when that is not a file: a disk that tests let fail, or
/// storage of the program's own. It holds one array of bytes.
///
/// Methods may be called by several threads at once, never two that write. Errors of kind
/// [`StorageFull`](io::ErrorKind::StorageFull) raise the alarm NOSPACE; any other ends all writing, since
/// nobody knows what is on the medium then.
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// How many bytes there are.
    ///
    /// # Errors
    ///
    /// Those of the medium.
    fn len(&self) -> io::Result<u64>;

    /// Whether there are no bytes, as on a new disk.
    ///
    /// # Errors
    ///
    /// Those of the medium.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Reads exactly as many bytes as `out` has room for.
    ///
    /// # Errors
    ///
    /// Those of the medium, and if there are not so many bytes.
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;

    /// Writes bytes; they may stay in a cache until [`sync`](Self::sync).
    ///
    /// # Errors
    ///
    /// Those of the medium.
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()>;

    /// Cuts the end off, or appends zeros.
    ///
    /// # Errors
    ///
    /// Those of the medium.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Returns when everything written before will survive a loss of power.
    ///
    /// # Errors
    ///
    /// Those of the medium.
    fn sync(&self) -> io::Result<()>;
}

/// The storage engine's view of a disk.
#[derive(Debug)]
pub(super) struct OnDisk(pub(super) Arc<dyn Disk>);

impl StorageBackend for OnDisk {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }
}
