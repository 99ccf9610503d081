//! Who waits for what is staged to be committed, and what the thread that commits is to do.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use etcdkit_proto::{Code, EtcdError};
use tokio::sync::oneshot;

use crate::grpc::Status;

/// Whether a batch became durable; if not, what to tell those who wait for it.
pub(super) type Outcome = Result<(), Status>;

/// What the thread is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Batch,
    Defragment,
    Stop,
}

/// What the tasks that serve calls and the thread tell each other.
///
/// Its lock is taken after the engine's, never before it.
#[derive(Debug, Default)]
pub(crate) struct Commits {
    state: Mutex<State>,
    /// There is something to do, or the end has come.
    work: Condvar,
    /// A batch is done.
    done: Condvar,
}

struct State {
    /// The number of the batch that collects what is staged now.
    collecting: u64,
    /// Whether anything was staged for it.
    has_work: bool,
    /// The last batch that is done.
    done: u64,
    /// In the order of batches.
    waiting: VecDeque<(u64, oneshot::Sender<Outcome>)>,
    to_defragment: Vec<oneshot::Sender<Outcome>>,
    /// Why nothing can be written any more.
    broken: Option<String>,
    /// There is no room at present.
    is_full: bool,
    stopping: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            collecting: 1,
            has_work: false,
            done: 0,
            waiting: VecDeque::new(),
            to_defragment: Vec::new(),
            broken: None,
            is_full: false,
            stopping: false,
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("collecting", &self.collecting)
            .field("done", &self.done)
            .field("waiting", &self.waiting.len())
            .field("broken", &self.broken)
            .field("stopping", &self.stopping)
            .finish()
    }
}

impl State {
    /// Tells everybody who waits for a batch up to `number`.
    fn finish(&mut self, number: u64, outcome: &Outcome) {
        self.done = self.done.max(number);
        while let Some((batch, waiting)) = self.waiting.pop_front() {
            if batch > number {
                self.waiting.push_front((batch, waiting));
                return;
            }
            // Who went away does not want to know.
            let _ = waiting.send(outcome.clone());
        }
    }

    fn refusal(&self) -> Option<Status> {
        if let Some(reason) = &self.broken {
            return Some(broken(reason));
        }
        if self.stopping {
            return Some(EtcdError::Stopped.into());
        }
        self.is_full.then(|| EtcdError::NoSpace.into())
    }

    fn break_down(&mut self, reason: &str) {
        tracing::error!(reason, "the data file cannot be written any more");
        let outcome = Err(broken(reason));
        self.broken = Some(reason.to_owned());
        self.finish(self.collecting, &outcome);
        for waiting in self.to_defragment.drain(..) {
            let _ = waiting.send(outcome.clone());
        }
    }
}

/// Where a write waits until it is durable.
#[derive(Debug)]
pub(crate) struct Ticket(oneshot::Receiver<Outcome>);

impl Ticket {
    pub(crate) async fn wait(self) -> Outcome {
        // The thread answers everybody before it ends.
        self.0.await.unwrap_or(Err(EtcdError::Stopped.into()))
    }
}

impl Commits {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change of the state is complete in itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses a write before it is staged, if it could never become durable.
    pub(crate) fn check(&self) -> Result<(), Status> {
        self.lock().refusal().map_or(Ok(()), Err)
    }

    /// Tells the thread of what was staged, without waiting for it. To be called with the engine locked.
    pub(crate) fn announce(&self) {
        let mut state = self.lock();
        state.has_work = true;
        self.work.notify_one();
    }

    /// A ticket for everything staged so far; `None` if all of it is durable. To be called with the
    /// engine locked, after a write that left it with changes or not.
    pub(crate) fn ticket(&self, has_changes: bool) -> Option<Ticket> {
        let mut state = self.lock();
        let batch = if has_changes {
            if !state.has_work {
                state.has_work = true;
                self.work.notify_one();
            }
            state.collecting
        } else {
            state.collecting - 1
        };
        if batch <= state.done {
            return None;
        }
        let (told, waiting) = oneshot::channel();
        state.waiting.push_back((batch, told));
        Some(Ticket(waiting))
    }

    /// Blocks until everything staged so far is durable, or never will be.
    pub(crate) fn settle(&self) {
        let state = self.lock();
        let last = state.collecting - u64::from(!state.has_work);
        let wait = self
            .done
            .wait_while(state, |state| state.done < last && state.broken.is_none());
        drop(wait.unwrap_or_else(PoisonError::into_inner));
    }

    /// Gives the room of what was removed back to the system, between two batches.
    pub(crate) async fn defragment(&self) -> Outcome {
        let (told, waiting) = oneshot::channel();
        {
            let mut state = self.lock();
            if let Some(refusal) = state.refusal() {
                return Err(refusal);
            }
            state.to_defragment.push(told);
            self.work.notify_one();
        }
        Ticket(waiting).wait().await
    }

    /// How many wait for a batch.
    pub(crate) fn waiting(&self) -> u64 {
        self.lock().waiting.len() as u64
    }

    /// Why nothing can be written any more.
    pub(crate) fn broken(&self) -> Option<String> {
        self.lock().broken.clone()
    }

    /// Lets the thread end once everything staged is durable.
    pub(crate) fn stop(&self) {
        self.lock().stopping = true;
        self.work.notify_one();
    }

    /// Called with the engine locked, when its changes are taken. Returns the number of the batch.
    pub(crate) fn next_batch(&self) -> u64 {
        let mut state = self.lock();
        state.has_work = false;
        state.collecting += 1;
        state.collecting - 1
    }
}

/// The side of the thread.
impl Commits {
    /// Waits for something to do. Compacted records are removed while there is nothing else.
    pub(super) fn next(&self, has_garbage: bool) -> Next {
        let idle = |state: &mut State| {
            !(state.has_work || state.stopping || has_garbage || !state.to_defragment.is_empty())
        };
        let state = self.work.wait_while(self.lock(), idle);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        if !state.to_defragment.is_empty() {
            Next::Defragment
        } else if state.has_work || has_garbage {
            Next::Batch
        } else {
            Next::Stop
        }
    }

    /// Everything up to a batch is durable and published.
    pub(super) fn finish(&self, batch: u64) {
        self.lock().finish(batch, &Ok(()));
        self.done.notify_all();
    }

    /// There was no room for what was staged, all of which is taken back. To be called with the engine
    /// locked.
    pub(super) fn run_full(&self) {
        let batch = self.next_batch();
        let mut state = self.lock();
        state.is_full = true;
        state.finish(batch, &Err(EtcdError::NoSpace.into()));
        self.done.notify_all();
    }

    /// Waits until it is time to see whether there is room again. Returns whether to go on.
    pub(super) fn wait_for_room(&self, time: Duration) -> bool {
        let waits = |state: &mut State| !state.stopping;
        let waited = self.work.wait_timeout_while(self.lock(), time, waits);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !state.stopping
    }

    /// There is room again.
    pub(super) fn has_room(&self) {
        self.lock().is_full = false;
    }

    /// Ends all writing. To be called with the engine locked.
    pub(super) fn break_down(&self, reason: &str) {
        self.lock().break_down(reason);
        self.done.notify_all();
    }

    /// Those who wait for a defragmentation.
    pub(super) fn take_defragmenting(&self) -> Vec<oneshot::Sender<Outcome>> {
        std::mem::take(&mut self.lock().to_defragment)
    }
}

fn broken(reason: &str) -> Status {
    Status::new(
        Code::Internal,
        format!(
            "etcdkit: the data file cannot be written any more, so this was not or may not have been stored, and nothing will be until the server is restarted: {reason}"
        ),
    )
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};
    use std::thread;

    use super::*;

    fn told(ticket: &mut Option<Ticket>) -> Option<Outcome> {
        ticket.as_mut().and_then(|ticket| ticket.0.try_recv().ok())
    }

    #[test]
    fn nobody_waits_for_room_who_is_to_stop() {
        let commits = Arc::new(Commits::default());
        assert!(commits.wait_for_room(Duration::from_millis(1)), "go on");
        commits.stop();
        let (told, goes_on) = mpsc::channel();
        thread::spawn({
            let commits = Arc::clone(&commits);
            move || told.send(commits.wait_for_room(Duration::MAX))
        });
        assert_eq!(goes_on.recv_timeout(Duration::from_secs(60)), Ok(false));
    }

    #[test]
    fn tickets_are_told_of_their_own_batch() {
        let commits = Commits::default();
        assert!(commits.ticket(false).is_none(), "nothing is under way");
        let mut first = commits.ticket(true);
        let batch = commits.next_batch();
        let mut question = commits.ticket(false);
        let mut second = commits.ticket(true);
        assert_eq!(told(&mut first), None);

        commits.finish(batch);
        assert_eq!(told(&mut first), Some(Ok(())));
        assert_eq!(told(&mut question), Some(Ok(())), "it has seen the first");
        assert_eq!(told(&mut second), None);
        assert!(
            commits.ticket(false).is_none(),
            "the second is not under way"
        );
        commits.finish(commits.next_batch());
        assert_eq!(told(&mut second), Some(Ok(())));
    }

    #[test]
    fn the_thread_ends_when_everything_is_done() {
        let commits = Commits::default();
        let ticket = commits.ticket(true);
        commits.stop();
        assert!(commits.check().is_err());
        assert_eq!(commits.next(false), Next::Batch);
        commits.finish(commits.next_batch());
        assert_eq!(commits.next(true), Next::Batch);
        assert_eq!(commits.next(false), Next::Stop);
        drop(ticket);
    }

    #[test]
    fn a_full_disk_refuses_until_there_is_room() {
        let commits = Commits::default();
        let (mut first, batch) = (commits.ticket(true), commits.next_batch());
        let mut second = commits.ticket(true);
        commits.run_full();
        let refused = Err(Status::from(EtcdError::NoSpace));
        assert_eq!(told(&mut first), Some(refused.clone()));
        assert_eq!(told(&mut second), Some(refused.clone()));
        assert_eq!(commits.check(), refused);
        assert!(commits.ticket(false).is_none(), "questions do not wait");
        commits.has_room();
        assert_eq!(commits.check(), Ok(()));
        assert!(commits.ticket(true).is_some());
        assert_eq!(batch, 1);
    }

    #[test]
    fn nothing_is_written_after_a_breakdown() {
        let commits = Commits::default();
        let mut ticket = commits.ticket(true);
        commits.break_down("smoke");
        let told = told(&mut ticket).unwrap().unwrap_err();
        assert!(told.message().contains("smoke"));
        assert_eq!(commits.check(), Err(told));
        assert_eq!(commits.broken().as_deref(), Some("smoke"));
        commits.settle();
    }
}
