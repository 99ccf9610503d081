//! The thread that commits, and those who wait for it.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use etcdkit_proto::etcdserverpb::AlarmType;
use etcdkit_proto::{Code, EtcdError};
use etcdkit_store::{Batch, Store};
use tokio::sync::oneshot;

use super::file::{DataError, DataFile};
use crate::grpc::Status;
use crate::node::Node;

/// How often it is tried whether a full disk has room again.
const RETRY_FULL: Duration = Duration::from_millis(200);

/// Whether a batch became durable; if not, what to tell those who wait for it.
type Outcome = Result<(), Status>;

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

/// Starts the thread.
pub(crate) fn spawn(node: Arc<Node>, file: DataFile) -> io::Result<JoinHandle<()>> {
    node.applier.note_size(file.size()?);
    thread::Builder::new()
        .name("etcdkit-commit".to_owned())
        .spawn(move || {
            let Some(commits) = node.applier.commits() else {
                return;
            };
            let run = AssertUnwindSafe(|| {
                Committer {
                    node: &node,
                    commits,
                    file: Some(file),
                }
                .run()
            });
            if panic::catch_unwind(run).is_err() {
                break_down(&node, commits, "the storage engine panicked");
            }
            commits.done.notify_all();
        })
}

struct Committer<'a> {
    node: &'a Node,
    commits: &'a Commits,
    /// `None` only while it is opened anew.
    file: Option<DataFile>,
}

impl Committer<'_> {
    fn run(mut self) {
        let ended = loop {
            match self.wait() {
                Next::Batch => {}
                Next::Defragment => {
                    self.defragment();
                    continue;
                }
                Next::Stop => break Ok(()),
            }
            if let Err(error) = self.commit() {
                break Err(error);
            }
        };
        let applied_index = self.node.applier.applied_index();
        let closed = ended.and_then(|()| match self.file.take() {
            Some(file) => file.close(applied_index),
            None => Ok(()),
        });
        if let Err(error) = closed {
            break_down(self.node, self.commits, &error.to_string());
        }
    }

    /// Waits for something to do. Compacted records are removed while there is nothing else.
    fn wait(&self) -> Next {
        let has_garbage = self.node.applier.has_garbage();
        let idle = |state: &mut State| {
            !(state.has_work || state.stopping || has_garbage || !state.to_defragment.is_empty())
        };
        let state = self.commits.work.wait_while(self.commits.lock(), idle);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        if !state.to_defragment.is_empty() {
            Next::Defragment
        } else if state.has_work || has_garbage {
            Next::Batch
        } else {
            Next::Stop
        }
    }

    /// Makes everything durable that is staged now.
    fn commit(&mut self) -> Result<(), DataError> {
        let applier = &self.node.applier;
        let Some(file) = &self.file else {
            return Err(gone());
        };
        let (number, batch) = applier.take_batch(self.commits).map_err(engine)?;
        let is_nearly_full = file.is_nearly_full(size(&batch));
        match file.commit(&batch, applier.applied_index()) {
            Ok(()) => {
                self.note_size();
                applier.publish(batch.position()).map_err(engine)?;
                self.commits.lock().finish(number, &Ok(()));
                self.commits.done.notify_all();
                if is_nearly_full {
                    self.raise_alarm();
                }
                Ok(())
            }
            Err(DataError::Io(error)) if is_full(&error) => self.go_back(),
            Err(error) => Err(error),
        }
    }

    /// Before there is no room at all, so that the alarm itself can be stored.
    fn raise_alarm(&self) {
        let member = self.node.identity.member_id;
        let raised = self.node.applier.apply_detached(|store| {
            let raised = store.alarms().list(AlarmType::Nospace.into());
            if !raised.iter().any(|alarm| alarm.member_id == member) {
                tracing::warn!("the disk is nearly full; alarm NOSPACE");
                self.activate_alarm(store);
            }
            Ok(())
        });
        if let Err(status) = raised {
            tracing::debug!(?status, "the alarm could not be raised");
        }
    }

    /// There was no room: refuses writes until there is some, and takes back what was staged. The
    /// alarm is not stored then.
    fn go_back(&mut self) -> Result<(), DataError> {
        tracing::warn!("the disk is full; alarm NOSPACE");
        let location = self.file.take().ok_or_else(gone)?.close_broken();
        let applier = &self.node.applier;
        let refuse = |store: &mut Store| {
            self.activate_alarm(store);
            drop(store.take_changes());
            let number = self.commits.next_batch();
            let mut state = self.commits.lock();
            state.is_full = true;
            state.finish(number, &Err(EtcdError::NoSpace.into()));
        };
        applier.interrupt(refuse).map_err(engine)?;
        self.commits.done.notify_all();
        let (file, found) = loop {
            match DataFile::open(location.clone(), self.node.clock.now()) {
                Ok(Some(opened)) => break opened,
                Ok(None) => return Err(gone()),
                // To open it means to write to it.
                Err(DataError::Io(error)) if is_full(&error) => {}
                Err(error) => return Err(error),
            }
            let state = self.commits.lock();
            if state.stopping {
                return Ok(());
            }
            drop(self.commits.work.wait_timeout(state, RETRY_FULL));
        };
        self.file = Some(file);
        let mut store = found.store;
        self.activate_alarm(&mut store);
        let batch = store.take_changes();
        store.publish_up_to(batch.position(), |_| {});
        applier.replace(store).map_err(engine)?;
        self.commits.lock().is_full = false;
        Ok(())
    }

    fn activate_alarm(&self, store: &mut Store) {
        let member = self.node.identity.member_id;
        store
            .alarms_mut()
            .activate(member, AlarmType::Nospace.into());
    }

    fn defragment(&mut self) {
        let waiting = std::mem::take(&mut self.commits.lock().to_defragment);
        let outcome = match self.file.as_mut().map(DataFile::defragment) {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(not_defragmented(&error)),
            None => Err(EtcdError::Stopped.into()),
        };
        self.note_size();
        for waiting in waiting {
            let _ = waiting.send(outcome.clone());
        }
    }

    fn note_size(&self) {
        if let Some(Ok(bytes)) = self.file.as_ref().map(DataFile::size) {
            self.node.applier.note_size(bytes);
        }
    }
}

/// Ends all writing. What was staged is forgotten, so that nobody waits for it.
fn break_down(node: &Node, commits: &Commits, reason: &str) {
    let interrupted = node.applier.interrupt(|store| {
        drop(store.take_changes());
        commits.lock().break_down(reason);
    });
    if interrupted.is_err() {
        commits.lock().break_down(reason);
    }
    commits.done.notify_all();
}

enum Next {
    Batch,
    Defragment,
    Stop,
}

fn size(batch: &Batch) -> u64 {
    batch
        .records()
        .iter()
        .map(|record| record.value().len() as u64)
        .sum()
}

/// The engine panicked, and refuses everything from now on.
fn engine(_: Status) -> DataError {
    io::Error::other("the engine panicked").into()
}

fn gone() -> DataError {
    io::Error::other("the file is closed").into()
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

fn broken(reason: &str) -> Status {
    Status::new(
        Code::Internal,
        format!(
            "etcdkit: the data file cannot be written any more, so this was not or may not have been stored, and nothing will be until the server is restarted: {reason}"
        ),
    )
}

fn not_defragmented(error: &DataError) -> Status {
    Status::new(
        Code::Internal,
        format!("etcdkit: the data file could not be defragmented: {error}"),
    )
}
