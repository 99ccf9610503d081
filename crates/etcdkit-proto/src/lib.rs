//! Messages and service stubs of etcd's v3 API.
//!
//! The code under `generated/` is written by `cargo xtask codegen` from the project's `proto/`
//! folder and committed, so that nobody who builds this crate needs a protobuf compiler.
//!
//! Features: `client` and `server` add tonic's stubs; without them only messages are compiled.

mod error;

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::future_not_send)]
mod generated {
    pub mod authpb {
        include!("generated/authpb.rs");
    }
    pub mod etcdserverpb {
        include!("generated/etcdserverpb.rs");
    }
    pub mod health {
        include!("generated/grpc.health.v1.rs");
    }
    pub mod mvccpb {
        include!("generated/mvccpb.rs");
    }
    pub mod v3electionpb {
        include!("generated/v3electionpb.rs");
    }
    pub mod v3lockpb {
        include!("generated/v3lockpb.rs");
    }
}

pub use error::{Code, EtcdError};
pub use generated::{authpb, etcdserverpb, health, mvccpb, v3electionpb, v3lockpb};
