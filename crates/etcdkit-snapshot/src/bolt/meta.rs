//! Meta pages: where everything begins.

use std::io::{Read, Seek, SeekFrom};

use super::page::{HEADER, META, number};
use crate::Error;

const MAGIC: u32 = 0xed0c_daed;
const VERSION: u32 = 2;

/// The meta data's length before its checksum, and with it.
const SUMMED: usize = 56;
const LENGTH: usize = SUMMED + 8;

/// The page sizes that there are: that of the machine's memory when the file was made.
const PAGE_SIZES: std::ops::RangeInclusive<u32> = 9..=18;

/// Stands for the freelist's page where none is kept, as in the files of etcd itself on Linux.
const NO_FREELIST: u64 = u64::MAX;

/// What a meta page says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    /// The size of a page in bytes.
    pub(super) page_size: u32,
    /// The page that the root bucket begins at.
    pub(super) root: u64,
    /// How many pages there are.
    pub(super) pages: u64,
    /// Which of the two meta pages is the newer one.
    transaction: u64,
}

impl Meta {
    /// The newer one of the meta pages that are valid.
    pub(super) fn find(file: &mut (impl Read + Seek), length: u64) -> Result<Self, Error> {
        let first = Self::read(file, 0, length)?;
        // Only the first page says where the second is, unless it is broken.
        let second = match first {
            Ok(meta) => Self::read(file, meta.page_size.into(), length)?.ok(),
            Err(_) => {
                let mut found = None;
                for size in PAGE_SIZES.map(|power| 1_u64 << power) {
                    let meta = Self::read(file, size, length)?.ok();
                    found = found.or(meta.filter(|meta| u64::from(meta.page_size) == size));
                }
                found
            }
        };
        match (first, second) {
            (Ok(first), Some(second)) if second.page_size == first.page_size => {
                Ok(match second.transaction > first.transaction {
                    true => second,
                    false => first,
                })
            }
            (Ok(first), _) => Ok(first),
            (Err(_), Some(second)) => Ok(second),
            (Err(why), None) => Err(Error::NotASnapshot(why)),
        }
    }

    fn read(
        file: &mut (impl Read + Seek),
        offset: u64,
        length: u64,
    ) -> Result<Result<Self, &'static str>, Error> {
        let mut bytes = [0; HEADER + LENGTH];
        if offset + bytes.len() as u64 > length {
            return Ok(Err("it is too short"));
        }
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(&mut bytes)?;
        Ok(Self::parse(&bytes[HEADER..]))
    }

    fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let cut = "it is too short";
        let word = |offset| {
            number::<4>(bytes, offset)
                .map(u32::from_le_bytes)
                .ok_or(cut)
        };
        let long = |offset| {
            number::<8>(bytes, offset)
                .map(u64::from_le_bytes)
                .ok_or(cut)
        };
        match word(0)? {
            MAGIC => {}
            other if other == MAGIC.swap_bytes() => {
                return Err("it was written by a machine with big-endian numbers");
            }
            _ => return Err("it does not begin like a bbolt database"),
        }
        if word(4)? != VERSION {
            return Err("its bbolt format is of another version");
        }
        if fnv1a(bytes.get(..SUMMED).ok_or(cut)?) != long(SUMMED)? {
            return Err("the checksum of its meta page is wrong");
        }
        let page_size = word(8)?;
        if !page_size.is_power_of_two() || !PAGE_SIZES.contains(&page_size.ilog2()) {
            return Err("its page size is none");
        }
        Ok(Self {
            page_size,
            root: long(16)?,
            pages: long(40)?,
            transaction: long(48)?,
        })
    }

    /// The meta data of a file that has just been made.
    pub(super) fn new(page_size: u32, root: u64, pages: u64) -> Self {
        Self {
            page_size,
            root,
            pages,
            transaction: 0,
        }
    }

    /// The meta page of this number, 0 or 1. The second one is the newer.
    pub(super) fn page(&self, id: u64) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.page_size as usize);
        bytes.extend_from_slice(&id.to_le_bytes());
        bytes.extend_from_slice(&META.to_le_bytes());
        bytes.resize(HEADER, 0);
        for word in [MAGIC, VERSION, self.page_size, 0] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        let transaction = self.transaction + id;
        for long in [self.root, 0, NO_FREELIST, self.pages, transaction] {
            bytes.extend_from_slice(&long.to_le_bytes());
        }
        let sum = fnv1a(bytes.get(HEADER..).unwrap_or_default());
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes.resize(self.page_size as usize, 0);
        bytes
    }

    /// How many bytes all pages take.
    pub(super) fn size(&self) -> u64 {
        self.pages.saturating_mul(self.page_size.into())
    }
}

/// FNV-1a of 64 bits.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Cursor;

    use super::*;

    /// A meta page of a size.
    pub(in crate::bolt) fn meta_page(page_size: u32, root: u64, pages: u64, id: u64) -> Vec<u8> {
        Meta::new(page_size, root, pages).page(id)
    }

    fn find(bytes: &[u8]) -> Result<Meta, Error> {
        Meta::find(&mut Cursor::new(bytes), bytes.len() as u64)
    }

    #[test]
    fn the_newer_valid_meta_page_counts() {
        let mut bytes = meta_page(1024, 2, 9, 0);
        bytes.extend(meta_page(1024, 3, 9, 1));
        assert_eq!(find(&bytes).unwrap().root, 3);
        let mut broken = bytes.clone();
        broken[1024 + 40] ^= 1;
        assert_eq!(find(&broken).unwrap().root, 2, "the second is broken");
        bytes[40] ^= 1;
        assert_eq!(find(&bytes).unwrap().root, 3, "the first is broken");
        bytes[1024 + 40] ^= 1;
        let error = find(&bytes).unwrap_err();
        assert!(error.to_string().contains("checksum"), "{error}");
    }

    #[test]
    fn other_files_are_told_apart() {
        for (bytes, what) in [
            (&b""[..], "too short"),
            (&[0; 4096][..], "does not begin"),
            (&[b'x'; 70][..], "too short"),
        ] {
            let error = find(bytes).unwrap_err();
            assert!(error.to_string().contains(what), "{error}");
        }
        let mut swapped = meta_page(4096, 2, 9, 0);
        swapped[HEADER..HEADER + 4].reverse();
        let error = find(&swapped).unwrap_err();
        assert!(error.to_string().contains("big-endian"), "{error}");
    }
}
