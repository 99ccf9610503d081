//! Messages and service stubs of etcd's v3 API, and the JSON of its v2 API.
//!
//! The code under `generated/` is written by `cargo xtask codegen` from the project's `proto/`
//! folder and committed, so that nobody who builds this crate needs a protobuf compiler.
//!
//! Features: `client` and `server` add tonic's stubs; without them only messages are compiled. `v2` adds
//! the module of that name, `json` the JSON that both APIs' tools write.

#[cfg(feature = "json")]
pub mod duration;
mod error;
#[cfg(feature = "json")]
pub mod json;
#[cfg(feature = "v2")]
pub mod v2;

#[allow(clippy::all, clippy::clone_on_ref_ptr, clippy::future_not_send)]
mod generated {
    /// Users, roles and permissions (package `authpb`).
    pub mod authpb {
        include!("generated/authpb.rs");
    }
    /// etcd's own services: KV, Watch, Lease, Cluster, Maintenance and Auth (package `etcdserverpb`).
    pub mod etcdserverpb {
        include!("generated/etcdserverpb.rs");
    }
    /// gRPC's standard health check (package `grpc.health.v1`).
    pub mod health {
        include!("generated/grpc.health.v1.rs");
    }
    /// Keys and their changes (package `mvccpb`).
    pub mod mvccpb {
        include!("generated/mvccpb.rs");
    }
    /// The election service (package `v3electionpb`).
    pub mod v3electionpb {
        include!("generated/v3electionpb.rs");
    }
    /// The lock service (package `v3lockpb`).
    pub mod v3lockpb {
        include!("generated/v3lockpb.rs");
    }
}

pub use error::{Code, EtcdError};
pub use generated::{authpb, etcdserverpb, health, mvccpb, v3electionpb, v3lockpb};
