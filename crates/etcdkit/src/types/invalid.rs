//! Requests that are refused before they are sent.

use etcdkit_proto::EtcdError;

use crate::Error;

/// What is wrong with a request. Parts of a transaction carry it until the transaction is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Invalid {
    /// The server would answer with this error.
    Etcd(EtcdError),
    /// The server would misread the request, or silently ignore a part of it.
    Misuse(String),
}

impl From<EtcdError> for Invalid {
    fn from(error: EtcdError) -> Self {
        Self::Etcd(error)
    }
}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        match invalid {
            Invalid::Etcd(error) => Self::etcd(error),
            Invalid::Misuse(message) => Self::invalid_request(message),
        }
    }
}
