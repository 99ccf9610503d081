//! How the keys of places are named.
//!
//! The layout of etcd's Go client: the name, a slash, and the lease's id in hexadecimal, to which those of whom
//! a session may have several add a number.

use bytes::Bytes;

use crate::LeaseId;

/// What all keys below a name begin with.
pub(in crate::sync) fn directory(name: &[u8]) -> Bytes {
    [name, b"/"].concat().into()
}

/// The only place of a session.
pub(super) fn plain(prefix: &[u8], lease: LeaseId) -> Bytes {
    let mut key = prefix.to_vec();
    // Without leading zeros, as Go prints it.
    key.extend(format!("{:x}", lease.0).into_bytes());
    key.into()
}

/// What all keys of a session's numbered places begin with.
pub(super) fn numbered_by(prefix: &[u8], lease: LeaseId) -> Bytes {
    [&plain(prefix, lease)[..], b"-"].concat().into()
}

/// One of a session's numbered places.
pub(super) fn numbered(prefix: &[u8], lease: LeaseId, number: u64) -> Bytes {
    let number = number.to_string();
    [&numbered_by(prefix, lease)[..], number.as_bytes()]
        .concat()
        .into()
}

/// The number at the end of a key: digits only, without leading zeros.
pub(super) fn number(text: &[u8]) -> Option<u64> {
    let number: u64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    // The highest one leaves no room for the next.
    let is_named = number < u64::MAX && number.to_string().as_bytes() == text;
    is_named.then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_the_name_the_lease_in_hexadecimal_and_the_number() {
        let prefix = directory(b"a");
        assert_eq!(prefix, "a/");
        assert_eq!(plain(&prefix, LeaseId(0xab)), "a/ab");
        assert_eq!(numbered(&prefix, LeaseId(0xab), 17), "a/ab-17");
    }

    #[test]
    fn only_what_the_session_has_named_is_its_number() {
        assert_eq!(number(b"1"), Some(1));
        assert_eq!(number(b"42"), Some(42));
        for other in [
            "",
            "+1",
            "-1",
            "01",
            "1/2",
            "1 ",
            "x",
            "18446744073709551615",
        ] {
            assert_eq!(number(other.as_bytes()), None, "{other}");
        }
    }
}
