//! Keys and values as arguments.

use std::{borrow::Cow, fmt};

use bytes::Bytes;

/// Bytes given to a request: a key or a value, borrowed or owned.
///
/// Nobody needs to name this type: every method that takes a key or a value takes anything that
/// turns into it, which is text (`&str`, `String`), bytes (`&[u8]`, `[u8; N]`, `Vec<u8>`,
/// [`Bytes`]) and either as [`Cow`] or behind a reference. Borrowed bytes are copied once, into
/// the request itself.
///
/// # Examples
///
/// ```
/// use etcdkit::Blob;
///
/// let text: Blob<'_> = "jobs/1".into();
/// let bytes: Blob<'_> = [0xff, 0x00].into();
/// assert_eq!(text.as_slice(), b"jobs/1");
/// assert_eq!(bytes.as_slice(), [0xff, 0x00]);
/// ```
#[derive(Clone)]
pub struct Blob<'a>(Repr<'a>);

#[derive(Clone)]
enum Repr<'a> {
    Borrowed(&'a [u8]),
    Owned(Vec<u8>),
    Shared(Bytes),
}

impl<'a> Blob<'a> {
    pub(crate) const fn borrowed(bytes: &'a [u8]) -> Self {
        Self(Repr::Borrowed(bytes))
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Repr::Borrowed(bytes) => bytes,
            Repr::Owned(bytes) => bytes,
            Repr::Shared(bytes) => bytes,
        }
    }

    /// The bytes without a borrow; copies only what was borrowed.
    pub fn into_bytes(self) -> Bytes {
        match self.0 {
            Repr::Borrowed(bytes) => Bytes::copy_from_slice(bytes),
            Repr::Owned(bytes) => bytes.into(),
            Repr::Shared(bytes) => bytes,
        }
    }

    /// The same bytes without a borrow; copies only what was borrowed.
    pub fn into_owned(self) -> Blob<'static> {
        self.into_bytes().into()
    }
}

impl fmt::Debug for Blob<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.as_slice().escape_ascii())
    }
}

impl PartialEq for Blob<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Blob<'_> {}

/// Calls `$callback!` with every type that is a key or a value, and how it becomes a [`Repr`].
macro_rules! for_each_source {
    ($callback:ident) => {
        $callback! {
            ['a] &'a str => |it| Repr::Borrowed(it.as_bytes());
            ['a] &'a &str => |it| Repr::Borrowed(it.as_bytes());
            ['a] &'a String => |it| Repr::Borrowed(it.as_bytes());
            ['a] String => |it| Repr::Owned(it.into_bytes());
            ['a] Cow<'a, str> => |it| match it {
                Cow::Borrowed(it) => Repr::Borrowed(it.as_bytes()),
                Cow::Owned(it) => Repr::Owned(it.into_bytes()),
            };
            ['a] &'a [u8] => |it| Repr::Borrowed(it);
            ['a] &'a &[u8] => |it| Repr::Borrowed(it);
            ['a] &'a Vec<u8> => |it| Repr::Borrowed(it);
            ['a] Vec<u8> => |it| Repr::Owned(it);
            ['a] Cow<'a, [u8]> => |it| match it {
                Cow::Borrowed(it) => Repr::Borrowed(it),
                Cow::Owned(it) => Repr::Owned(it),
            };
            ['a] &'a Bytes => |it| Repr::Borrowed(it);
            ['a] Bytes => |it| Repr::Shared(it);
            ['a, const N: usize] &'a [u8; N] => |it| Repr::Borrowed(it);
            ['a, const N: usize] [u8; N] => |it| Repr::Owned(it.to_vec());
        }
    };
}

macro_rules! blob_from {
    ($([$($generics:tt)*] $source:ty => |$it:ident| $repr:expr;)*) => {
        $(impl<$($generics)*> From<$source> for Blob<'a> {
            fn from($it: $source) -> Self {
                Self($repr)
            }
        })*
    };
}

for_each_source!(blob_from);

pub(super) use for_each_source;
