//! Whether what arrives is what the server sent. Pure.
//!
//! A server sends its backend in pieces, each with the number of bytes that are still to come, and
//! then the SHA-256 digest of them all, which that number does not count. The backend is made of pages,
//! so its size is a multiple of 512, the smallest of all page sizes; tools that restore snapshots tell
//! by that whether a file ends with a digest.

use std::fmt;

use sha2::{Digest, Sha256};

/// The length of a SHA-256 digest.
const DIGEST: usize = 32;

/// What every page size is a multiple of.
const SECTOR: u64 = 512;

/// Takes in a snapshot piece by piece.
#[derive(Debug, Default)]
pub(super) struct Check {
    hasher: Sha256,
    /// What may belong to the digest: the last bytes that arrived, 32 at most.
    tail: Vec<u8>,
    received: u64,
    /// The backend's size, as the first piece tells it.
    announced: Option<u64>,
    finished: bool,
}

/// What is wrong with a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// The server sent nothing at all.
    Empty,
    /// The server ended it early.
    Short,
    /// There is more than was announced.
    Long,
    /// The backend is not made of pages.
    Ragged { size: u64 },
    /// The digest is of something else.
    Digest,
}

impl Check {
    /// Takes a piece, and the number of bytes that the server has yet to send.
    pub(super) fn take(&mut self, piece: &[u8], remaining: u64) -> Result<(), Flaw> {
        let length = piece.len() as u64;
        self.received = self.received.saturating_add(length);
        let announced = *self
            .announced
            .get_or_insert_with(|| remaining.saturating_add(length));
        if !announced.is_multiple_of(SECTOR) {
            return Err(Flaw::Ragged { size: announced });
        }
        if self.received > announced.saturating_add(DIGEST as u64) {
            return Err(Flaw::Long);
        }
        // All but the last 32 bytes that have arrived so far cannot be the digest.
        let surplus = (self.tail.len() + piece.len()).saturating_sub(DIGEST);
        let of_tail = surplus.min(self.tail.len());
        self.hasher.update(self.tail.drain(..of_tail).as_slice());
        let (data, rest) = piece.split_at(surplus - of_tail);
        self.hasher.update(data);
        self.tail.extend_from_slice(rest);
        Ok(())
    }

    /// The server has ended the snapshot.
    pub(super) fn finish(&mut self) -> Result<(), Flaw> {
        let Some(announced) = self.announced else {
            return Err(Flaw::Empty);
        };
        if self.received < announced.saturating_add(DIGEST as u64) {
            return Err(Flaw::Short);
        }
        if std::mem::take(&mut self.hasher).finalize().as_slice() != self.tail {
            return Err(Flaw::Digest);
        }
        self.finished = true;
        Ok(())
    }

    /// Whether the last piece may be passed on: there is more to come after it, or all is verified.
    pub(super) fn is_verified_so_far(&self) -> bool {
        self.finished || self.received < self.size()
    }

    /// The size that was announced, with the digest; 0 before the first piece.
    pub(super) fn size(&self) -> u64 {
        self.announced
            .map_or(0, |size| size.saturating_add(DIGEST as u64))
    }

    pub(super) fn received(&self) -> u64 {
        self.received
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the server sent an empty snapshot"),
            Self::Short => f.write_str("the server ended the snapshot before its end"),
            Self::Long => f.write_str("the server sent more than it had announced"),
            Self::Ragged { size } => write!(
                f,
                "the server announced a backend of {size} bytes, which are not whole pages"
            ),
            Self::Digest => f.write_str("the snapshot's SHA-256 digest is not that of its bytes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(size: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..size).map(|index| (index / 7) as u8).collect();
        let digest = Sha256::digest(&bytes);
        bytes.extend_from_slice(&digest);
        bytes
    }

    /// Feeds a snapshot of 1024 bytes in pieces of a length.
    fn feed(check: &mut Check, bytes: &[u8], length: usize) -> Result<(), Flaw> {
        let mut before = 0;
        for piece in bytes.chunks(length) {
            before += piece.len() as u64;
            check.take(piece, 1024_u64.saturating_sub(before))?;
        }
        check.finish()
    }

    #[test]
    fn a_digest_is_found_however_it_is_cut() {
        for length in [1, 7, 31, 32, 33, 500, 512, 1024, 1040, 1056] {
            let mut check = Check::default();
            // A piece that reaches into the digest makes the first one count it in.
            let announced = feed(&mut check, &snapshot(1024), length);
            match length {
                1056 | 1040 => assert_eq!(
                    announced,
                    Err(Flaw::Ragged {
                        size: length as u64
                    })
                ),
                _ => assert_eq!(announced, Ok(()), "{length}"),
            }
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        for place in [0, 1, 511, 1023, 1024, 1055] {
            let mut bytes = snapshot(1024);
            bytes[place] ^= 0x10;
            let flaw = feed(&mut Check::default(), &bytes, 100);
            assert_eq!(flaw, Err(Flaw::Digest), "{place}");
        }
    }

    #[test]
    fn a_wrong_size_is_noticed() {
        let bytes = snapshot(1024);
        let mut check = Check::default();
        assert_eq!(feed(&mut check, &bytes[..1055], 100), Err(Flaw::Short));
        let mut longer = bytes;
        longer.push(0);
        let mut check = Check::default();
        assert_eq!(feed(&mut check, &longer, 100), Err(Flaw::Long));
        assert_eq!(Check::default().finish(), Err(Flaw::Empty));
        let ragged = Check::default().take(&[0; 10], 1000);
        assert_eq!(ragged, Err(Flaw::Ragged { size: 1010 }));
    }

    #[test]
    fn the_last_piece_is_held_until_the_digest_is_verified() {
        let bytes = snapshot(1024);
        let mut check = Check::default();
        check.take(&bytes[..1024], 0).unwrap();
        assert!(check.is_verified_so_far());
        check.take(&bytes[1024..], 0).unwrap();
        assert!(!check.is_verified_so_far());
        check.finish().unwrap();
        assert!(check.is_verified_so_far());
    }

    #[test]
    fn sizes_that_no_server_has_do_not_overflow() {
        let mut check = Check::default();
        let _ = check.take(&[0; 512], u64::MAX);
        let _ = check.take(&[0; 512], u64::MAX);
        assert!(check.finish().is_err());
        assert_eq!(check.received(), 1024);
    }
}
