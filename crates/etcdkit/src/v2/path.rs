//! Paths as they are sent: clean, and percent-encoded segment by segment.
//!
//! A server answers a path with `//`, `/./` or `/../` in it with a redirect to the clean one, which
//! whoever follows it naively turns into a GET; so paths are cleaned here.

use std::fmt::Write;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What means nothing but itself in a path and in a form (RFC 3986, 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A key as etcd knows it: from the root, without empty segments, `.` and `..`. The root is `/`.
pub(crate) fn clean(key: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in key.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    let mut clean = String::with_capacity(key.len() + 1);
    for segment in segments {
        clean.push('/');
        clean.push_str(segment);
    }
    match clean.is_empty() {
        true => "/".to_owned(),
        false => clean,
    }
}

/// The path of a key's resource.
///
/// A trailing slash is kept. It means nothing to the store, but roles are granted for paths as they
/// are sent: one for `/dev/*` allows `/dev/` and refuses `/dev`. For the same reason the root has one.
pub(crate) fn of_key(key: &str) -> String {
    let clean = clean(key);
    let mut path = "/v2/keys".to_owned();
    for segment in clean.split('/').skip(1) {
        path.push('/');
        path.push_str(&encode(segment));
    }
    if key.ends_with('/') && !path.ends_with('/') {
        path.push('/');
    }
    path
}

/// One segment of a path, such as a user's name, or a value in a form.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    // Writing to a string cannot fail.
    let _ = write!(encoded, "{}", utf8_percent_encode(text, RESERVED));
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_cleaned_as_the_server_cleans_them() {
        for (key, cleaned) in [
            ("", "/"),
            ("/", "/"),
            ("//", "/"),
            ("a", "/a"),
            ("/a/", "/a"),
            ("/a//b/./c", "/a/b/c"),
            ("/a/../b", "/b"),
            ("/../../a", "/a"),
            ("/a/..", "/"),
            ("/...", "/..."),
            ("/_hidden/x", "/_hidden/x"),
        ] {
            assert_eq!(clean(key), cleaned, "{key}");
        }
    }

    #[test]
    fn paths_carry_any_key() {
        for (key, path) in [
            ("/", "/v2/keys/"),
            ("", "/v2/keys/"),
            ("foo/bar", "/v2/keys/foo/bar"),
            ("/dev/", "/v2/keys/dev/"),
            ("/a b+c", "/v2/keys/a%20b%2Bc"),
            ("/50%/?#&=;", "/v2/keys/50%25/%3F%23%26%3D%3B"),
            ("/grün", "/v2/keys/gr%C3%BCn"),
            ("/nul\0/line\n", "/v2/keys/nul%00/line%0A"),
            ("/~x-y_z.w", "/v2/keys/~x-y_z.w"),
        ] {
            assert_eq!(of_key(key), path, "{key}");
        }
    }
}
