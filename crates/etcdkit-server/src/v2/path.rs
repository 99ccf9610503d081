//! Where a request goes, as Go's multiplexer sees it: decoded first, then cleaned.

use http::Uri;

use super::form::unescape;

/// What a path is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Path {
    /// Decoded, and clean but for a slash at the end.
    Clean(Vec<u8>),
    /// Not clean: the client is told where to go instead.
    Elsewhere(String),
    /// With a percent sign that escapes nothing.
    Malformed,
}

impl Path {
    pub(super) fn of(uri: &Uri) -> Self {
        let Some(decoded) = decode(uri.path()) else {
            return Self::Malformed;
        };
        let clean = clean(&decoded);
        if clean == decoded {
            return Self::Clean(clean);
        }
        let mut place = String::new();
        clean.iter().for_each(|byte| escape(*byte, &mut place));
        if let Some(query) = uri.query().filter(|query| !query.is_empty()) {
            place.push('?');
            for c in query.chars() {
                let mut bytes = [0; 4];
                match c.is_ascii() {
                    true => place.push(c),
                    false => c
                        .encode_utf8(&mut bytes)
                        .bytes()
                        .for_each(|byte| place.push_str(&format!("%{byte:x}"))),
                }
            }
        }
        Self::Elsewhere(place)
    }
}

fn decode(path: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let (byte, after) = match first {
            b'%' => unescape(after)?,
            byte => (*byte, after),
        };
        decoded.push(byte);
        rest = after;
    }
    Some(decoded)
}

/// Without empty segments, and with `.` and `..` followed. A slash at the end stays.
fn clean(path: &[u8]) -> Vec<u8> {
    let mut segments: Vec<&[u8]> = Vec::new();
    for segment in path.split(|byte| *byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    let mut clean = Vec::with_capacity(path.len());
    for segment in segments {
        clean.push(b'/');
        clean.extend_from_slice(segment);
    }
    if clean.is_empty() || path.ends_with(b"/") {
        clean.push(b'/');
    }
    clean
}

/// As Go writes paths.
fn escape(byte: u8, out: &mut String) {
    match byte {
        b'$' | b'&' | b'+' | b',' | b'-' | b'.' | b'/' | b':' | b';' | b'=' | b'@' | b'_'
        | b'~' => {
            out.push(char::from(byte));
        }
        byte if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
        byte => out.push_str(&format!("%{byte:02X}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str) -> Path {
        Path::of(&path.parse().unwrap())
    }

    #[test]
    fn clean_paths_are_decoded() {
        for (path, decoded) in [
            ("/v2/keys", &b"/v2/keys"[..]),
            ("/v2/keys/", b"/v2/keys/"),
            ("/v2/keys/a%2Fb+c%20d?x=//", b"/v2/keys/a/b+c d"),
            ("/v2/keys/a%00%ff", b"/v2/keys/a\0\xff"),
            ("/v2/keys/...", b"/v2/keys/..."),
            ("http://x/v2/keys", b"/v2/keys"),
        ] {
            assert_eq!(of(path), Path::Clean(decoded.to_vec()), "{path}");
        }
        assert_eq!(of("/v2/keys/%zz"), Path::Malformed);
        assert_eq!(of("/v2/keys/a%4"), Path::Malformed);
    }

    /// As 3.5.30 answered.
    #[test]
    fn others_are_sent_elsewhere() {
        for (path, place) in [
            ("//v2/keys//a?x=1&y=%zz", "/v2/keys/a?x=1&y=%zz"),
            ("/v2/keys/a/../b%20%3cc%3E?x=1", "/v2/keys/b%20%3Cc%3E?x=1"),
            ("/v2/keys/a%2F%2Fb", "/v2/keys/a/b"),
            (
                "/v2/keys/%C3%A9//%c3%a9%22'",
                "/v2/keys/%C3%A9/%C3%A9%22%27",
            ),
            ("/v2/keys/%2e%2e/machines", "/v2/machines"),
            ("/v2/keys/a/..", "/v2/keys"),
            ("/v2/keys/a/.?", "/v2/keys/a"),
            ("/v2/keys//", "/v2/keys/"),
            ("/../..", "/"),
        ] {
            assert_eq!(of(path), Path::Elsewhere(place.to_owned()), "{path}");
        }
    }
}
