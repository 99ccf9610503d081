//! Compacting now and then, as etcd's `--auto-compaction-mode` does.

mod schedule;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use etcdkit_proto::EtcdError;
use etcdkit_proto::etcdserverpb::CompactionRequest;
use tokio::sync::Notify;

use self::schedule::Schedule;
use crate::node::Node;

/// What to forget without being asked; see
/// [`ServerBuilder::auto_compaction`](crate::ServerBuilder::auto_compaction).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AutoCompaction {
    /// Nothing: history grows until a client compacts.
    #[default]
    Off,
    /// What is older than this. A zero turns it off, as in etcd; less than 10 ms counts as that.
    Periodic(Duration),
    /// All but so many of the newest revisions, looked at every five minutes. Zero and less turn it
    /// off.
    Revision(i64),
}

/// The schedule of a server, and who waits for its next turn.
pub(crate) struct AutoCompactor {
    schedule: Mutex<Option<Schedule>>,
    moved: Notify,
}

impl AutoCompactor {
    pub(crate) fn new(mode: AutoCompaction, now: Duration, current: i64) -> Self {
        Self {
            schedule: Mutex::new(Schedule::new(mode, now, current)),
            moved: Notify::new(),
        }
    }

    fn schedule(&self) -> MutexGuard<'_, Option<Schedule>> {
        // Every turn leaves it complete.
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes every turn when it comes, for as long as it runs. Returns if there is none to take.
pub(crate) async fn run(node: Arc<Node>) {
    loop {
        let Some(next) = node.auto_compactor.schedule().as_ref().map(Schedule::next) else {
            return;
        };
        tokio::select! {
            () = tokio::time::sleep(next.saturating_sub(node.clock.now())) => {}
            () = node.auto_compactor.moved.notified() => {}
        }
        let now = node.clock.now();
        if let Some(schedule) = node.auto_compactor.schedule().as_mut()
            && schedule.next() <= now
        {
            take_turn(&node, schedule, now);
        }
    }
}

/// Takes the turns of time that is skipped, as if it had passed without a request.
pub(crate) fn catch_up(node: &Node, now: Duration) {
    if let Some(schedule) = node.auto_compactor.schedule().as_mut() {
        schedule.skip_uneventful(now);
        while schedule.next() <= now {
            let turn = schedule.next();
            take_turn(node, schedule, turn);
        }
    }
    node.auto_compactor.moved.notify_one();
}

fn take_turn(node: &Node, schedule: &mut Schedule, now: Duration) {
    let Ok(current) = node.applier.read(|store| Ok(store.revision())) else {
        return;
    };
    let Some(revision) = schedule.turn(now, current) else {
        return;
    };
    // As in etcd, only the leader compacts, and a turn that it misses is lost.
    if node.stands_still() {
        return;
    }
    let compacted = node.applier.apply_detached(|store| {
        store.alarms().check_intact()?;
        let request = CompactionRequest {
            revision,
            ..Default::default()
        };
        match store.stage_compact(&request) {
            // Somebody else was faster.
            Ok(_) | Err(EtcdError::Compacted) => Ok(()),
            Err(error) => Err(error),
        }
    });
    match compacted {
        Ok(()) => {
            schedule.compacted(now, revision);
            tracing::info!(revision, "compacted automatically");
        }
        Err(status) => tracing::warn!(?status, revision, "the automatic compaction failed"),
    }
}
