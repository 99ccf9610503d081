//! What a failing call is told.

use std::borrow::Cow;

use etcdkit_proto::{Code, EtcdError};

use crate::grpc::Status;

/// A gRPC code and a text: one of etcd's errors, or any other.
///
/// ```
/// use etcdkit_server::faults::{Code, EtcdError, Failure};
///
/// let etcds = Failure::from(EtcdError::NoLeader); // Unavailable: etcdserver: no leader
/// let other = Failure::from((Code::Internal, "the proxy in between had a bad day"));
/// # assert_ne!(etcds, other);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(Status);

impl Failure {
    pub(super) fn status(&self) -> &Status {
        &self.0
    }

    pub(super) fn into_status(self) -> Status {
        self.0
    }
}

/// With the code that etcd sends.
impl From<EtcdError> for Failure {
    fn from(error: EtcdError) -> Self {
        Self(error.into())
    }
}

impl<T: Into<Cow<'static, str>>> From<(Code, T)> for Failure {
    fn from((code, text): (Code, T)) -> Self {
        Self(Status::new(code, text))
    }
}
