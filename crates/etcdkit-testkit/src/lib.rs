//! What etcdkit's own tests stand on: real etcd processes, batteries and checkers.
//!
//! Not published. Everything here may assume a Unix machine and a test's tolerance for panics.

pub mod alarm;
pub mod certificates;
pub mod conformance;
pub mod contest;
pub mod crash;
pub mod differential;
pub mod election_checker;
pub mod etcd;
pub mod etcdctl;
pub mod fake;
pub mod lock_checker;
pub mod patience;
pub mod places;
pub mod program;
pub mod proxy;
pub mod queue;
pub mod record;
pub mod relay;
pub mod scenario;
pub mod v2;
pub mod watch_checker;
