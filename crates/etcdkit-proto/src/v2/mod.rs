//! The JSON of etcd's v2 API: what its HTTP answers hold, and the one table of its errors.
//!
//! Fields, their order and what is left out are those of etcd 2.0 to 3.5. Reading is more forgiving than
//! writing: unknown fields are passed over and missing ones take their defaults, since servers from 0.4 on
//! and proxies in front of them differ in such things.

mod auth;
mod error;
mod keys;
mod members;
mod stats;

pub use auth::{
    AuthEnabled, KeyPermissions, Permissions, Role, RoleChange, Roles, User, UserChange, UserNames,
    Users,
};
pub use error::{ErrorCode, KeysError, Message};
pub use keys::{Action, Event, Node};
pub use members::{Attributes, Member, MemberRequest, Members};
pub use stats::{
    Follower, FollowerCounts, FollowerLatency, LeaderInfo, LeaderStats, SelfStats, StoreStats,
};
