//! Removing keys of the v2 API whose time is over.

use std::time::Duration;

use crate::grpc::Status;
use crate::node::Node;

/// How often the leader of an etcd looks for them.
const TICK: Duration = Duration::from_millis(500);

/// When to look for them: at the ticks that find some.
#[derive(Debug, Default)]
pub(super) struct Ticks {
    next: Option<Duration>,
}

impl Ticks {
    /// Removes what is due if the tick has come. Returns how long it is to the next one; `None` if nothing will
    /// be due by itself.
    pub(super) fn look(&mut self, node: &Node) -> Result<Option<Duration>, Status> {
        // What was overdue without a leader goes as soon as there is one.
        if node.stands_still() {
            return Ok(None);
        }
        let now = node.clock.now();
        if self.next.is_some_and(|tick| tick <= now) {
            remove_due(node)?;
        }
        let deadline = node.applier.read(|store| Ok(store.v2().next_deadline()))?;
        let until = deadline.map(|deadline| deadline.until(node.clock.unix_time()));
        self.next = until.map(|until| tick_at(now.saturating_add(until)));
        Ok(self.next.map(|tick| tick.saturating_sub(now)))
    }
}

/// Removes what is due now.
pub(super) fn remove_due(node: &Node) -> Result<(), Status> {
    if node.stands_still() {
        return Ok(());
    }
    let now = node.clock.unix_time();
    let next = node.applier.read(|store| Ok(store.v2().next_deadline()))?;
    if next.is_some_and(|deadline| deadline.is_due(now)) {
        node.applier.apply_detached(|store| {
            store.v2_mut().expire_due(now);
            Ok(())
        })?;
    }
    Ok(())
}

/// The first tick that is not before a time.
fn tick_at(time: Duration) -> Duration {
    let ticks = time.as_nanos().div_ceil(TICK.as_nanos());
    u32::try_from(ticks).map_or(time, |ticks| TICK * ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_half_a_second_apart() {
        for (time, tick) in [(0, 0), (1, 500), (500, 500), (501, 1_000)] {
            let time = Duration::from_millis(time);
            assert_eq!(tick_at(time), Duration::from_millis(tick));
        }
        assert!(tick_at(Duration::MAX) >= Duration::MAX);
    }
}
