//! Looking after a cluster and its members.

mod alarm;
mod cluster;
mod defragment;
mod downgrade;
mod hash;
mod maintenance;
mod membership;
mod move_leader;
pub(crate) mod peer_url;
mod snapshot;
mod status;

pub use alarm::{Alarm, AlarmKind, AlarmList, Disarm, DisarmAll, ListAlarms};
pub(crate) use cluster::MEMBER_LIST;
pub use cluster::{Cluster, ListMembers, Member, MemberList};
pub use defragment::{Defragment, Defragmented};
pub use downgrade::{DowngradeResponse, Downgrades, RequestDowngrade};
pub use hash::{GetHash, GetHashKv, Hash, HashKv};
pub use maintenance::Maintenance;
pub use membership::{AddMember, ChangeMember, MemberAdded};
pub use move_leader::{LeaderMoved, MoveLeader};
pub use snapshot::{OpenSnapshot, SaveSnapshot, SavedSnapshot, Snapshot, SnapshotProgress};
pub use status::{Downgrade, GetStatus, Status};
