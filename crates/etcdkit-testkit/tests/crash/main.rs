//! The durable server under `kill -9` and under failing disks: nothing acknowledged is lost.
//!
//! `ETCDKIT_CRASHES` sets how often a process is killed (default 6) and `ETCDKIT_CUTS` how often a
//! disk fails (default 60); `ETCDKIT_SEED` repeats the plan of a run.

mod disk;
mod faults;
mod kill;
mod support;
mod v2;
