//! The end of what has one.

use std::time::Duration;

use etcdkit_proto::v2::Action;

use super::deadline::Deadline;
use super::tree::Tree;

impl Tree {
    /// The next end of a key or directory.
    pub fn next_deadline(&self) -> Option<Deadline> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Removes everything whose end has come, in the order of the ends, each with an event of its own. What is in
    /// a directory goes with it, without one. Returns how many events there were.
    pub fn expire_due(&mut self, now: Duration) -> usize {
        let mut expired = 0;
        while let Some((deadline, path)) = self.deadlines.first()
            && deadline.is_due(now)
        {
            let entry = (*deadline, path.clone());
            // Gone in any case, so that this ends.
            self.deadlines.remove(&entry);
            if self.remove(Action::Expire, &entry.1, now).is_ok() {
                self.stats.expired();
                self.journal.mark_state();
                expired += 1;
            }
        }
        expired
    }
}
