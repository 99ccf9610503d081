//! The etcd version a server says it is.

use std::fmt;

/// The version a server names unless told otherwise.
pub(crate) const DEFAULT_VERSION: &str = "3.6.14";

/// The oldest version that may be named. Kubernetes and Cilium refuse older servers, or watch
/// them without progress requests, and nothing here behaves like one.
pub(crate) const OLDEST_VERSION: Version = Version {
    major: 3,
    minor: 5,
    patch: 13,
};

/// `major.minor.patch`, as etcd's `/version` and `Status` give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    major: u64,
    minor: u64,
    patch: u64,
}

impl Version {
    /// The newest format of etcd's file that is known: that of 3.7.
    pub(crate) const NEWEST_STORAGE: Self = Self {
        major: 3,
        minor: 7,
        patch: 0,
    };

    /// Three decimal numbers without signs, spaces or leading zeros, and nothing else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(|part| {
            let plain = part == "0" || !part.starts_with('0');
            let digits = part.bytes().all(|byte| byte.is_ascii_digit());
            if plain && digits {
                part.parse().ok()
            } else {
                None
            }
        });
        let version = Self {
            major: numbers.next()??,
            minor: numbers.next()??,
            patch: numbers.next()??,
        };
        numbers.next().is_none().then_some(version)
    }

    /// The cluster version of a cluster of such members, and the version of its storage format.
    pub(crate) fn of_cluster(self) -> Self {
        Self { patch: 0, ..self }
    }

    /// The minor version before.
    pub(crate) fn one_minor_below(self) -> Option<Self> {
        let minor = self.minor.checked_sub(1)?;
        Some(Self { minor, ..self })
    }

    /// The form without the patch, in which clusters are spoken of.
    pub(crate) fn major_and_minor(self) -> String {
        format!("{}.{}", self.major, self.minor)
    }

    /// Whether such a server reports a storage version, its quota and downgrades (3.6).
    pub(crate) fn reports_storage(self) -> bool {
        (self.major, self.minor) >= (3, 6)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_three_plain_numbers() {
        let version = Version::parse("3.10.0").unwrap();
        assert!(version > Version::parse("3.6.99").unwrap());
        assert_eq!(version.to_string(), "3.10.0");
        for text in [
            "", "3", "3.6", "3.6.x", "3.6.1.2", "3.06.1", "+3.6.1", "v3.6.1", "3.6.-1", "3..1",
        ] {
            assert_eq!(Version::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_default_is_allowed() {
        assert!(Version::parse(DEFAULT_VERSION).unwrap() >= OLDEST_VERSION);
    }
}
