//! All that a snapshot file holds.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

use sha2::{Digest, Sha256};

use crate::{Error, Visit, bolt::Database};

/// What every page size is a multiple of.
const SECTOR: u64 = 512;

/// The length of a SHA-256 digest.
const DIGEST: u64 = 32;

/// How much is read at once for the digest.
const PIECE: usize = 256 * 1024;

/// A snapshot file, or the `member/snap/db` of a member that does not run.
#[derive(Debug)]
pub struct Snapshot<R = File> {
    database: Database<R>,
    has_digest: bool,
}

impl Snapshot<File> {
    /// Opens a file and verifies its digest, for which all of it is read once.
    ///
    /// A snapshot ends with the SHA-256 digest of what is before; the file of a stopped member does
    /// not. Like etcd's tools this tells them apart by size, as pages are multiples of 512 bytes. A
    /// stopped member's newest changes may be in its log only, which is not read: if it was killed,
    /// start and stop it, or take a snapshot of it.
    ///
    /// Blocks while it reads.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the file cannot be read; [`Error::InUse`] if a member has it open;
    /// [`Error::Digest`], [`Error::Short`], [`Error::Ragged`] and [`Error::NotASnapshot`] if it is
    /// not whole.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let file = File::open(path)?;
        refuse_if_in_use(&file)?;
        Self::of(file)
    }
}

impl<R: Read + Seek> Snapshot<R> {
    /// Reads a snapshot from anywhere; see [`open`](Snapshot::open).
    ///
    /// # Errors
    ///
    /// Those of [`open`](Snapshot::open).
    pub fn of(mut file: R) -> Result<Self, Error> {
        let length = file.seek(SeekFrom::End(0))?;
        let has_digest = length % SECTOR == DIGEST;
        let mut database = Database::open(file)?;
        if has_digest {
            check_digest(database.file(), length - DIGEST)?;
        } else if length % SECTOR != 0 {
            return Err(Error::Ragged { size: length });
        }
        Ok(Self {
            database,
            has_digest,
        })
    }

    /// The size of the backend in bytes; the digest behind it does not count.
    pub fn size(&self) -> u64 {
        self.database.size()
    }

    /// Whether a digest ends the file. Without one, damage to values goes unnoticed.
    pub fn has_digest(&self) -> bool {
        self.has_digest
    }

    /// Visits all buckets in the order of their names, and in each all entries in the order of their
    /// keys.
    ///
    /// Pages are verified when they are reached. Takes as much memory as the largest page and blocks
    /// while it reads. May be called again.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::Damaged`] and [`Error::Foreign`], and whatever `visit` fails with,
    /// which ends the reading.
    pub fn read<E: From<Error>>(
        &mut self,
        visit: impl FnMut(Visit<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.database.walk(visit)
    }
}

fn check_digest(file: &mut (impl Read + Seek), length: u64) -> Result<(), Error> {
    file.seek(SeekFrom::Start(0))?;
    let mut hasher = Sha256::new();
    let mut piece = vec![0; PIECE];
    let mut rest = length;
    while rest > 0 {
        let wanted = usize::try_from(rest).map_or(PIECE, |rest| rest.min(PIECE));
        let piece = piece.get_mut(..wanted).unwrap_or_default();
        file.read_exact(piece)?;
        hasher.update(piece);
        rest -= wanted as u64;
    }
    let mut digest = [0; DIGEST as usize];
    file.read_exact(&mut digest)?;
    match hasher.finalize().as_slice() == digest {
        true => Ok(()),
        false => Err(Error::Digest),
    }
}

/// A running member has its file locked, and may change any of its pages.
#[cfg(unix)]
fn refuse_if_in_use(file: &File) -> Result<(), Error> {
    use rustix::{
        fs::{FlockOperation, flock},
        io::Errno,
    };
    match flock(file, FlockOperation::NonBlockingLockShared) {
        Err(Errno::WOULDBLOCK) => Err(Error::InUse),
        // Some file systems have no locks; then nobody holds one.
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(not(unix))]
fn refuse_if_in_use(_: &File) -> Result<(), Error> {
    Ok(())
}
