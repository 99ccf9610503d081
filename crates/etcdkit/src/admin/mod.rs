//! Looking after a cluster and its members.

mod cluster;
mod maintenance;

pub use cluster::{Cluster, ListMembers, Member, MemberList};
pub use maintenance::{
    Alarm, AlarmKind, AlarmList, Downgrade, GetHashKv, GetStatus, HashKv, ListAlarms, Maintenance,
    Status,
};
