//! Why something about users, roles or authentication is refused.

use std::fmt;

use etcdkit_proto::v2::KeysError;

/// Why something about users, roles or authentication is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthError {
    /// By a rule, of which etcd tells.
    Refused {
        /// The status of the HTTP answer.
        status: u16,
        /// etcd's text.
        text: String,
    },
    /// By the tree that users and roles are stored in.
    Tree(KeysError),
    /// For a reason that etcd tells only its log.
    Internal,
}

impl AuthError {
    pub(super) fn invalid(text: impl fmt::Display) -> Self {
        Self::refused(400, text)
    }

    pub(super) fn forbidden(text: impl fmt::Display) -> Self {
        Self::refused(403, text)
    }

    pub(super) fn missing(text: impl fmt::Display) -> Self {
        Self::refused(404, text)
    }

    pub(super) fn conflict(text: impl fmt::Display) -> Self {
        Self::refused(409, text)
    }

    fn refused(status: u16, text: impl fmt::Display) -> Self {
        Self::Refused {
            status,
            text: format!("auth: {text}"),
        }
    }
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { text, .. } => f.write_str(text),
            Self::Tree(error) => write!(f, "{}: {}", error.error_code, error.message),
            Self::Internal => f.write_str("Internal Server Error"),
        }
    }
}

impl std::error::Error for AuthError {}

impl From<KeysError> for AuthError {
    fn from(error: KeysError) -> Self {
        Self::Tree(error)
    }
}
