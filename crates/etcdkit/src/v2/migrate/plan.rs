//! What is to be done about a key, from what is known of it on both sides. Pure.
//!
//! Beside each key that it writes, a migration leaves a note in v3, in the same transaction. So a key
//! whose last change is that of its note is as the migration left it; every other one belongs to
//! somebody else.

use std::fmt;

use bytes::Bytes;

use crate::Revision;

/// A key that v2 has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// Its name in v2.
    pub(super) source: String,
    /// Its name in v3.
    pub(super) target: Bytes,
    pub(super) value: Bytes,
    pub(super) version: Version,
    /// The seconds that it has to live, from when it was listed.
    pub(super) ttl: Option<u64>,
}

/// What tells one state of a key of v2 from all others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Version {
    /// Its modified index.
    pub(super) index: u64,
    /// When it expires, in seconds since 1970; 0 for never. A directory's time can change, and with it
    /// that of all keys in it, without a change of theirs.
    pub(super) expires: u64,
}

/// What the migration noted when it wrote a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) version: Version,
    pub(super) mod_revision: Revision,
}

/// A key that v3 has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Present {
    pub(super) value: Bytes,
    pub(super) mod_revision: Revision,
    pub(super) is_leased: bool,
}

/// What is to be done about a key that v2 has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It is to be written where nothing is.
    Create,
    /// It is to be written over what is there.
    Update,
    /// It is as the migration left it, and so is its source.
    Unchanged,
    /// Somebody else has written the same.
    Equal,
    Conflict(Reason),
}

/// Why a key was not copied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// v3 has another value there, which the migration did not write or which was changed since.
    Differs,
    /// Somebody removed the key from v3 after it had been copied.
    Removed,
    /// Another key of v2, which is named, becomes the same key of v3.
    SameTarget(String),
    /// Nothing is left of the name, or it is within the migration's own notes.
    Name,
    /// The value is larger than the server takes in one request.
    TooLarge,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Differs => f.write_str("v3 has another value there"),
            Self::Removed => f.write_str("its copy was removed from v3"),
            Self::SameTarget(other) => write!(f, "{other} becomes the same key"),
            Self::Name => f.write_str("v3 cannot have a key of that name here"),
            Self::TooLarge => f.write_str("its value is larger than a request may be"),
        }
    }
}

pub(super) fn decide(
    item: &Item,
    present: Option<&Present>,
    note: Option<&Note>,
    overwrite: bool,
) -> Decision {
    match (present, note) {
        (None, Some(_)) if !overwrite => Decision::Conflict(Reason::Removed),
        (None, _) => Decision::Create,
        (Some(present), Some(note)) if present.mod_revision == note.mod_revision => {
            match note.version == item.version && present.value == item.value {
                true => Decision::Unchanged,
                false => Decision::Update,
            }
        }
        (Some(present), _) => {
            let same = present.value == item.value && present.is_leased == item.ttl.is_some();
            match (same, overwrite) {
                (true, _) => Decision::Equal,
                (false, true) => Decision::Update,
                (false, false) => Decision::Conflict(Reason::Differs),
            }
        }
    }
}

/// Whether a key that was copied, and that v2 has no longer, is to be removed from v3: unless somebody
/// has written it since.
pub(super) fn is_ours(present: Option<&Present>, note: &Note) -> bool {
    present.is_some_and(|present| present.mod_revision == note.mod_revision)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION: Version = Version {
        index: 7,
        expires: 0,
    };

    fn item(value: &'static str) -> Item {
        Item {
            source: "/a".to_owned(),
            target: "a".into(),
            value: value.into(),
            version: VERSION,
            ttl: None,
        }
    }

    fn present(value: &'static str, mod_revision: Revision) -> Option<Present> {
        Some(Present {
            value: value.into(),
            mod_revision,
            is_leased: false,
        })
    }

    fn note(index: u64, mod_revision: Revision) -> Option<Note> {
        Some(Note {
            version: Version { index, ..VERSION },
            mod_revision,
        })
    }

    #[track_caller]
    fn decided(present: Option<Present>, note: Option<Note>, gentle: Decision, forced: Decision) {
        let decide = |overwrite| decide(&item("x"), present.as_ref(), note.as_ref(), overwrite);
        assert_eq!((decide(false), decide(true)), (gentle, forced));
    }

    #[test]
    fn what_is_ours_follows_its_source() {
        use Decision::{Create, Unchanged, Update};
        decided(None, None, Create, Create);
        decided(present("x", 5), note(7, 5), Unchanged, Unchanged);
        decided(present("x", 5), note(6, 5), Update, Update);
        decided(present("y", 5), note(7, 5), Update, Update);
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        use Decision::{Conflict, Create, Equal, Update};
        decided(present("y", 5), None, Conflict(Reason::Differs), Update);
        decided(
            present("y", 6),
            note(7, 5),
            Conflict(Reason::Differs),
            Update,
        );
        decided(present("x", 5), None, Equal, Equal);
        decided(present("x", 6), note(7, 5), Equal, Equal);
        decided(None, note(7, 5), Conflict(Reason::Removed), Create);
    }

    #[test]
    fn a_key_that_must_expire_is_not_equal_to_one_that_does_not() {
        let mut expiring = item("x");
        expiring.ttl = Some(9);
        let present = present("x", 5);
        assert_eq!(
            decide(&expiring, present.as_ref(), None, false),
            Decision::Conflict(Reason::Differs)
        );
    }

    #[test]
    fn only_what_is_ours_is_removed() {
        let note = note(7, 5).expect("a note");
        assert!(is_ours(present("x", 5).as_ref(), &note));
        assert!(!is_ours(present("x", 6).as_ref(), &note));
        assert!(!is_ours(None, &note));
    }
}
