//! etcd's gRPC services, one file each: a request in, a reply or a status out.

pub(crate) mod auth;
pub(crate) mod cluster;
pub(crate) mod election;
pub(crate) mod health;
pub(crate) mod kv;
pub(crate) mod lease;
pub(crate) mod lock;
pub(crate) mod maintenance;
mod queue;
mod range_stream;
pub(crate) mod snapshot;
pub(crate) mod watch;
