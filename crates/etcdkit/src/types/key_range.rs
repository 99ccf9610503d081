//! Which keys a request is about.

use std::{
    borrow::Cow,
    ops::{Range, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive},
};

use bytes::Bytes;
use etcdkit_proto::EtcdError;

use super::{Blob, Invalid, blob::for_each_source};

/// The smallest key: etcd knows no empty key.
const FIRST: &[u8] = b"\0";
/// A range end that etcd reads as "no end".
pub(crate) const UNBOUNDED: &[u8] = b"\0";

/// A key, or a range of keys in the order of their bytes.
///
/// Every method that takes a range takes anything that turns into one: a single key (whatever
/// turns into a [`Blob`]), Rust's own ranges of keys (`"a".."f"`, `"a"..="f"`, `"a"..`, `.."f"`,
/// `..="f"`, `..`), or what the functions here make.
///
/// # Errors
///
/// A range is checked when its request is sent, and the request then fails without being sent:
/// with [`EmptyKey`](crate::ErrorKind::EmptyKey) if its first key is empty, with
/// [`InvalidRequest`](crate::ErrorKind::InvalidRequest) if it ends before it begins. (etcd answers
/// the latter as an empty range, except for an end of `"\0"` or of no bytes, which it takes for
/// "no end" and "one key".)
///
/// # Examples
///
/// ```
/// use etcdkit::KeyRange;
///
/// let jobs = KeyRange::prefix("jobs/");
/// assert!(jobs.contains(b"jobs/1"));
/// assert!(!jobs.contains(b"jobs"));
/// assert_eq!((jobs.start(), &jobs.range_end()[..]), (&b"jobs/"[..], &b"jobs0"[..]));
///
/// let from_a_to_f = KeyRange::from("a".."f");
/// assert_eq!(from_a_to_f, KeyRange::range("a", "f"));
/// ```
#[derive(Clone, Debug)]
pub struct KeyRange<'a> {
    start: Blob<'a>,
    end: End<'a>,
}

#[derive(Clone, Debug)]
enum End<'a> {
    /// Only the first key.
    Single,
    /// All keys that begin with the first one.
    Prefix,
    /// Up to this key, without it.
    Before(Blob<'a>),
    /// Up to this key, with it.
    Through(Blob<'a>),
    Unbounded,
}

impl<'a> KeyRange<'a> {
    /// One key.
    pub fn key(key: impl Into<Blob<'a>>) -> Self {
        Self {
            start: key.into(),
            end: End::Single,
        }
    }

    /// All keys that begin with `prefix`, itself included; all keys if it is empty.
    pub fn prefix(prefix: impl Into<Blob<'a>>) -> Self {
        let start = prefix.into();
        if start.as_slice().is_empty() {
            return Self::all();
        }
        Self {
            start,
            end: End::Prefix,
        }
    }

    /// `start` and all keys above it; all keys if it is empty.
    pub fn from_key(start: impl Into<Blob<'a>>) -> Self {
        let start = start.into();
        if start.as_slice().is_empty() {
            return Self::all();
        }
        Self {
            start,
            end: End::Unbounded,
        }
    }

    /// `start` and the keys above it, up to `end` but without it.
    pub fn range(start: impl Into<Blob<'a>>, end: impl Into<Blob<'a>>) -> Self {
        Self {
            start: start.into(),
            end: End::Before(end.into()),
        }
    }

    /// All keys.
    pub const fn all() -> Self {
        Self {
            start: Blob::borrowed(FIRST),
            end: End::Unbounded,
        }
    }

    /// The range with these two keys on the wire.
    pub(crate) fn from_wire(key: Bytes, range_end: Bytes) -> KeyRange<'static> {
        KeyRange {
            start: key.into(),
            end: match &range_end[..] {
                [] => End::Single,
                UNBOUNDED => End::Unbounded,
                _ => End::Before(range_end.into()),
            },
        }
    }

    /// The first key, or the only one.
    pub fn start(&self) -> &[u8] {
        self.start.as_slice()
    }

    /// The end as it goes over the wire: the first key behind the range, `"\0"` for a range
    /// without an end, or nothing for a single key.
    pub fn range_end(&self) -> Bytes {
        let (bytes, last) = self.range_end_parts();
        match last {
            None => Bytes::copy_from_slice(bytes),
            Some(last) => [bytes, &[last]].concat().into(),
        }
    }

    /// Whether the key is in the range.
    pub fn contains(&self, key: &[u8]) -> bool {
        let start = self.start();
        match &self.end {
            End::Single => key == start,
            End::Prefix => key.starts_with(start),
            End::Before(end) => start <= key && key < end.as_slice(),
            End::Through(end) => start <= key && key <= end.as_slice(),
            End::Unbounded => start <= key,
        }
    }

    /// The same range without a borrow.
    pub fn into_owned(self) -> KeyRange<'static> {
        KeyRange {
            start: self.start.into_owned(),
            end: match self.end {
                End::Single => End::Single,
                End::Prefix => End::Prefix,
                End::Before(end) => End::Before(end.into_owned()),
                End::Through(end) => End::Through(end.into_owned()),
                End::Unbounded => End::Unbounded,
            },
        }
    }

    /// [`range_end`](Self::range_end) as a slice and perhaps one byte more.
    pub(crate) fn range_end_parts(&self) -> (&[u8], Option<u8>) {
        match &self.end {
            End::Single => (&[], None),
            End::Prefix => prefix_end(self.start()),
            End::Before(end) => (end.as_slice(), None),
            End::Through(end) => (end.as_slice(), Some(0)),
            End::Unbounded => (UNBOUNDED, None),
        }
    }

    /// The two keys of a message.
    pub(crate) fn into_wire(self) -> (Bytes, Bytes) {
        let range_end = self.range_end();
        (self.start.into_bytes(), range_end)
    }

    pub(crate) fn check(&self) -> Result<(), Invalid> {
        let start = self.start();
        if start.is_empty() {
            return Err(EtcdError::EmptyKey.into());
        }
        let (end, inclusive) = match &self.end {
            End::Before(end) => (end.as_slice(), false),
            End::Through(end) => (end.as_slice(), true),
            End::Single | End::Prefix | End::Unbounded => return Ok(()),
        };
        if end < start || (!inclusive && end == UNBOUNDED) {
            return Err(Invalid::Misuse(format!(
                "the range ends at \"{}\", before it begins at \"{}\"; swap them, or use \
                 KeyRange::from_key for a range without an end",
                abridged(end),
                abridged(start),
            )));
        }
        Ok(())
    }
}

/// The first key that does not begin with the prefix: the prefix with its last byte below 0xff
/// incremented and the bytes behind it cut off. Behind a prefix of 0xff bytes only, no key follows.
pub(crate) fn prefix_end(prefix: &[u8]) -> (&[u8], Option<u8>) {
    for (index, byte) in prefix.iter().enumerate().rev() {
        if let Some(next) = byte.checked_add(1) {
            return (prefix.get(..index).unwrap_or_default(), Some(next));
        }
    }
    (UNBOUNDED, None)
}

/// A key for an error message: readable, and never long.
fn abridged(key: &[u8]) -> String {
    const SHOWN: usize = 64;
    match key.get(..SHOWN) {
        Some(head) if head.len() < key.len() => format!("{}…", head.escape_ascii()),
        _ => key.escape_ascii().to_string(),
    }
}

impl PartialEq for KeyRange<'_> {
    /// Two ranges are equal if they are the same on the wire.
    fn eq(&self, other: &Self) -> bool {
        self.start == other.start && self.range_end() == other.range_end()
    }
}

impl Eq for KeyRange<'_> {}

macro_rules! key_from {
    ($([$($generics:tt)*] $source:ty => |$it:pat_param| $repr:expr;)*) => {
        $(impl<$($generics)*> From<$source> for KeyRange<'a> {
            fn from(key: $source) -> Self {
                Self::key(key)
            }
        })*
    };
}

for_each_source!(key_from);

impl<'a> From<Blob<'a>> for KeyRange<'a> {
    fn from(key: Blob<'a>) -> Self {
        Self::key(key)
    }
}

impl<'a> From<&'a KeyRange<'_>> for KeyRange<'a> {
    fn from(range: &'a KeyRange<'_>) -> Self {
        Self {
            start: range.start.as_slice().into(),
            end: match &range.end {
                End::Single => End::Single,
                End::Prefix => End::Prefix,
                End::Before(end) => End::Before(end.as_slice().into()),
                End::Through(end) => End::Through(end.as_slice().into()),
                End::Unbounded => End::Unbounded,
            },
        }
    }
}

impl<'a, K: Into<Blob<'a>>> From<Range<K>> for KeyRange<'a> {
    fn from(range: Range<K>) -> Self {
        Self::range(range.start, range.end)
    }
}

impl<'a, K: Into<Blob<'a>>> From<RangeInclusive<K>> for KeyRange<'a> {
    fn from(range: RangeInclusive<K>) -> Self {
        let (start, end) = range.into_inner();
        Self {
            start: start.into(),
            end: End::Through(end.into()),
        }
    }
}

impl<'a, K: Into<Blob<'a>>> From<RangeFrom<K>> for KeyRange<'a> {
    fn from(range: RangeFrom<K>) -> Self {
        Self::from_key(range.start)
    }
}

impl<'a, K: Into<Blob<'a>>> From<RangeTo<K>> for KeyRange<'a> {
    fn from(range: RangeTo<K>) -> Self {
        Self::range(FIRST, range.end)
    }
}

impl<'a, K: Into<Blob<'a>>> From<RangeToInclusive<K>> for KeyRange<'a> {
    fn from(range: RangeToInclusive<K>) -> Self {
        Self {
            start: Blob::borrowed(FIRST),
            end: End::Through(range.end.into()),
        }
    }
}

impl From<RangeFull> for KeyRange<'_> {
    fn from(_: RangeFull) -> Self {
        Self::all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a range is on the wire.
    fn wire<'a>(range: impl Into<KeyRange<'a>>) -> (Vec<u8>, Vec<u8>) {
        let range = range.into();
        range.check().unwrap();
        let (key, range_end) = range.into_wire();
        (key.into(), range_end.into())
    }

    fn pair(key: &[u8], range_end: &[u8]) -> (Vec<u8>, Vec<u8>) {
        (key.into(), range_end.into())
    }

    fn refused<'a>(range: impl Into<KeyRange<'a>>) -> Invalid {
        range.into().check().unwrap_err()
    }

    #[test]
    fn prefixes_end_before_the_next_key_of_their_length() {
        let ends: [(&[u8], &[u8]); 11] = [
            (b"a", b"b"),
            (b"b1", b"b2"),
            (b"etcd", b"etce"),
            (b"{", b"|"),
            (b"19", b"1:"),
            (b"jobs/", b"jobs0"),
            (b"a\xff", b"b"),
            (b"a\xfe\xff\xff", b"a\xff"),
            (b"\0", b"\x01"),
            (b"\xff", b"\0"),
            (b"\xff\xff", b"\0"),
        ];
        for (prefix, end) in ends {
            assert_eq!(wire(KeyRange::prefix(prefix)), pair(prefix, end));
        }
        assert_eq!(wire(KeyRange::prefix("")), pair(b"\0", b"\0"));
    }

    #[test]
    fn rust_ranges_are_key_ranges() {
        assert_eq!(wire("a"), pair(b"a", b""));
        assert_eq!(wire(String::from("a")), pair(b"a", b""));
        assert_eq!(wire("a".."f"), pair(b"a", b"f"));
        assert_eq!(wire("a"..="f"), pair(b"a", b"f\0"));
        assert_eq!(wire("a"..="a"), pair(b"a", b"a\0"));
        assert_eq!(wire("a"..), pair(b"a", b"\0"));
        assert_eq!(wire(""..), pair(b"\0", b"\0"));
        assert_eq!(wire(.."f"), pair(b"\0", b"f"));
        assert_eq!(wire(..="f"), pair(b"\0", b"f\0"));
        assert_eq!(wire(..="\0"), pair(b"\0", b"\0\0"));
        assert_eq!(wire(..), pair(b"\0", b"\0"));
        assert_eq!(wire(vec![1, 2]..vec![1, 3]), pair(&[1, 2], &[1, 3]));
        // An empty range is not a reversed one.
        assert_eq!(wire("a".."a"), pair(b"a", b"a"));
    }

    #[test]
    fn empty_keys_are_refused() {
        assert_eq!(refused(""), EtcdError::EmptyKey.into());
        assert_eq!(refused("".."a"), EtcdError::EmptyKey.into());
        assert_eq!(refused(""..="a"), EtcdError::EmptyKey.into());
    }

    #[test]
    fn reversed_ranges_are_refused() {
        let expected = "the range ends at \"a\", before it begins at \"b\\x00\"; swap them, or use \
                        KeyRange::from_key for a range without an end";
        assert_eq!(refused("b\0".."a"), Invalid::Misuse(expected.into()));
        assert!(matches!(refused("b"..="a"), Invalid::Misuse(_)));
        // These would mean "one key" and "no end" to the server.
        for end in ["", "\0"] {
            assert!(matches!(refused("a"..end), Invalid::Misuse(_)));
            assert!(matches!(refused("\0"..end), Invalid::Misuse(_)));
            assert!(matches!(refused(..end), Invalid::Misuse(_)));
        }
        assert!(matches!(refused(..=""), Invalid::Misuse(_)));
    }

    #[test]
    fn long_keys_are_abridged_in_errors() {
        let start = "b".repeat(100_000);
        let Invalid::Misuse(message) = refused(start.as_str().."a") else {
            panic!("not a misuse");
        };
        assert!(message.len() < 300, "{}", message.len());
    }

    #[test]
    fn ranges_know_the_keys_that_the_server_would_find() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let alphabet = [0, 1, b'a', b'b', 0xfe, 0xff];
        let mut key = || -> Vec<u8> {
            let length = rng.usize(1..4);
            (0..length).map(|_| alphabet[rng.usize(..6)]).collect()
        };
        for round in 0..50_000 {
            let (a, b) = (key(), key());
            let range = match round % 5 {
                0 => KeyRange::key(&a),
                1 => KeyRange::prefix(&a),
                2 => KeyRange::from_key(&a),
                3 => KeyRange::range(&a, &b),
                _ => KeyRange::from(&a..=&b),
            };
            if range.check().is_err() {
                continue;
            }
            let key = key();
            let (start, end) = range.clone().into_owned().into_wire();
            let found = match &end[..] {
                [] => key == start,
                [0] => key >= start,
                end => key >= start && &key[..] < end,
            };
            assert_eq!(range.contains(&key), found, "{range:?} {key:?}");
        }
    }
}
