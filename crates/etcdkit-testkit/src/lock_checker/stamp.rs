//! What is written under a lock.

use std::{fmt, str::FromStr};

use etcdkit::Revision;

/// The value of a write under a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The fencing token of the guard it was made with.
    pub token: Revision,
    /// Makes it the only one.
    pub serial: u64,
}

impl Stamp {
    /// Reads a value.
    pub fn of(value: &[u8]) -> Option<Self> {
        std::str::from_utf8(value).ok()?.parse().ok()
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.token, self.serial)
    }
}

impl FromStr for Stamp {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once(' ').and_then(|(token, serial)| {
            Some(Self {
                token: token.parse().ok()?,
                serial: serial.parse().ok()?,
            })
        });
        parts.ok_or_else(|| format!("{text:?} is not a stamp"))
    }
}
