//! The load that every compared client runs, and what is measured meanwhile.
//!
//! A client under comparison is a program of its own, which implements [`Peer`] and hands it to
//! [`main`]. The program takes one [`Job`] as JSON in its only argument, does it, prints one
//! [`Sample`] as JSON, and ends: so CPU time and peak memory are those of this client and this job
//! alone. Given `scene` and a [`SceneJob`], it plays its part in that.

mod calls;
mod contend;
mod job;
mod measure;
mod play;
mod run;
mod scene;

pub use job::{Job, RuntimeKind, Sample, Verb, Workload};
pub use measure::Allocations;
pub use run::{Failure, Peer, RangeCall, Watching, main};
pub use scene::{
    Followed, HandedOver, Increment, Incremented, Kept, Miss, Opened, Queueing, Received, Scene,
    SceneJob, Started, Survived, understand,
};

/// What a program needs to count allocations; see [`count_allocations!`].
#[doc(hidden)]
pub mod allocator {
    pub use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
}

/// Installs a counting allocator in a program; evaluates nothing.
///
/// Counting slows every allocation down, most of all the client that allocates most. Programs
/// whose time counts therefore do without it, and each client comes as two programs.
#[macro_export]
macro_rules! count_allocations {
    () => {
        #[global_allocator]
        static ALLOCATOR: &$crate::allocator::StatsAlloc<std::alloc::System> =
            &$crate::allocator::INSTRUMENTED_SYSTEM;
    };
}
