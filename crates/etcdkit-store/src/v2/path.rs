//! Where something is: a path from the root of all, which has a directory for each namespace.

use std::fmt;

use bytes::Bytes;

/// How many components a path of a user's may have. etcd has no such limit, and a client that sends the
/// longest URL makes it answer with objects nested thousands of levels deep.
pub const MAX_DEPTH: usize = 256;

/// The root of all, which nobody asks for.
pub(super) const ROOT: &[u8] = b"/";

/// A directory directly below the root of all, as etcd has them. They share one index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Namespace {
    /// What etcd notes about the cluster: its members and its version.
    Cluster,
    /// What users see.
    Keys,
    /// Users, roles, and whether authentication is on. Its directory does not exist until it is created.
    Auth,
}

impl Namespace {
    /// The path of its directory, all of the same length.
    pub(super) const fn prefix(self) -> &'static [u8] {
        match self {
            Self::Cluster => b"/0",
            Self::Keys => b"/1",
            Self::Auth => b"/2",
        }
    }
}

/// The path of a key or directory, cleaned, and in which namespace.
///
/// Paths are bytes: etcd takes whatever a URL can say, also what is no text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Bytes);

impl Path {
    /// A path below a namespace, such as `/a/b`; `/` is the namespace itself. Empty components and `.` are left
    /// out and `..` steps back, but never out of the namespace.
    pub fn new(namespace: Namespace, path: impl AsRef<[u8]>) -> Self {
        let mut clean: Vec<&[u8]> = Vec::new();
        for component in components(path.as_ref()) {
            match component {
                b"" | b"." => {}
                b".." => drop(clean.pop()),
                name => clean.push(name),
            }
        }
        let mut full = namespace.prefix().to_vec();
        for name in clean {
            full.push(b'/');
            full.extend_from_slice(name);
        }
        Self(full.into())
    }

    /// The path of a user's key.
    pub fn of_key(path: impl AsRef<[u8]>) -> Self {
        Self::new(Namespace::Keys, path)
    }

    /// The path of what a directory holds.
    pub(super) fn child(&self, name: &[u8]) -> Self {
        Self(joined(&self.0, name).into())
    }

    pub(super) fn full(&self) -> &Bytes {
        &self.0
    }
}

/// As users write it.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match shown(&self.0).as_str() {
            "" => f.write_str("/"),
            path => f.write_str(path),
        }
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What is between the slashes of a full path; nothing for the root of all.
pub(super) fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty())
}

/// The way to a full path: each path on it, which is as far as one has come, and its name.
pub(super) fn steps(path: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let slashes = path.iter().enumerate().skip(1);
    let slashes = slashes.filter_map(|(at, byte)| (*byte == b'/').then_some(at));
    let mut start = 1;
    slashes
        .chain([path.len()])
        .filter_map(move |end| {
            let name = path.get(start..end)?;
            start = end + 1;
            Some((path.get(..end)?, name))
        })
        .filter(|(_, name)| !name.is_empty())
}

/// The directory of a path, and the name in it.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => {
            let (directory, name) = path.split_at(slash);
            (directory, name.get(1..).unwrap_or_default())
        }
        None => (ROOT, path),
    }
}

pub(super) fn joined(directory: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(directory.len() + 1 + name.len());
    if directory != ROOT {
        path.extend_from_slice(directory);
    }
    path.push(b'/');
    path.extend_from_slice(name);
    path
}

/// Whether a path is below a directory.
pub(super) fn is_below(path: &[u8], directory: &[u8]) -> bool {
    path.strip_prefix(directory)
        .is_some_and(|rest| rest.starts_with(b"/"))
}

/// Whether a name starts with `_`, which keeps it out of listings.
pub(super) fn is_hidden(name: &[u8]) -> bool {
    name.starts_with(b"_")
}

/// A full path without its namespace, as answers show it; empty for the namespace itself.
pub(super) fn shown(path: &[u8]) -> String {
    text(
        path.get(Namespace::Keys.prefix().len()..)
            .unwrap_or_default(),
    )
}

/// Bytes in JSON: each that is not part of a character is replaced, as Go does it.
pub(super) fn text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_etcd_cleans_them() {
        for (path, clean) in [
            ("", "/1"),
            ("/", "/1"),
            ("a", "/1/a"),
            ("//a///b/", "/1/a/b"),
            ("/a/./b/../c", "/1/a/c"),
            ("/../../0/members", "/1/0/members"),
        ] {
            assert_eq!(Path::of_key(path).full(), clean, "{path}");
        }
        assert_eq!(Path::new(Namespace::Auth, "/users").full(), "/2/users");
        assert_eq!(Path::of_key("/a").to_string(), "/a");
        assert_eq!(Path::of_key("/").to_string(), "/");
    }

    #[test]
    fn what_is_no_text_is_replaced_byte_by_byte() {
        assert_eq!(text(b"a\xffb"), "a\u{fffd}b");
        // The beginning of a character of three bytes: Rust's own conversion makes one of it.
        assert_eq!(text(b"\xe2\x82"), "\u{fffd}\u{fffd}");
        assert_eq!(shown(b"/1"), "");
    }

    #[test]
    fn the_way_to_a_path_has_every_directory() {
        let way: Vec<_> = steps(b"/1/ab/c").collect();
        let expected: [(&[u8], &[u8]); 3] = [(b"/1", b"1"), (b"/1/ab", b"ab"), (b"/1/ab/c", b"c")];
        assert_eq!(way, expected);
        assert_eq!(steps(ROOT).count(), 0);
    }

    #[test]
    fn being_below_ends_at_slashes() {
        assert!(is_below(b"/1/a/b", b"/1/a"));
        assert!(!is_below(b"/1/ab", b"/1/a"));
        assert!(!is_below(b"/1/a", b"/1/a"));
        assert_eq!(split(b"/1/a/b"), (&b"/1/a"[..], &b"b"[..]));
    }
}
