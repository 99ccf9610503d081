//! Where certificates and keys come from.

use std::fmt;
use std::path::PathBuf;

/// The bytes of a certificate or key, or the file that holds them.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Source {
    File(PathBuf),
    Bytes(Vec<u8>),
}

/// Keys are secrets, so only the file is named.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.fmt(f),
            Self::Bytes(_) => f.write_str("bytes in memory"),
        }
    }
}

#[cfg(any(feature = "tls", feature = "jwt"))]
impl Source {
    /// What it holds now; `what` names it when it cannot be read.
    pub(crate) fn read(&self, what: &str) -> Result<Vec<u8>, String> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.clone()),
            Self::File(path) => std::fs::read(path)
                .map_err(|error| format!("the {what} file {}: {error}", path.display())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_memory_is_not_shown() {
        let shown = format!("{:?}", Source::Bytes(b"secret".to_vec()));
        assert_eq!(shown, "bytes in memory");
        assert_eq!(format!("{:?}", Source::File("a.pem".into())), "\"a.pem\"");
    }
}
