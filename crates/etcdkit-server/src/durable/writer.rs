//! The thread that commits.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use etcdkit_proto::etcdserverpb::AlarmType;
use etcdkit_proto::{Code, EtcdError};
use etcdkit_store::{Batch, Change, Store};

use super::commits::{Commits, Next};
use super::file::{DataError, DataFile};
use crate::grpc::Status;
use crate::node::Node;

/// How much is written before the file system is asked again how large the file is, and how much room
/// there is; about as much as the file grows by.
const CHECKED_BYTES: u64 = 256 * 1024;

/// How often it is tried whether a full disk has room again.
const RETRY_FULL: Duration = Duration::from_millis(200);

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
                Writer {
                    node: &node,
                    commits,
                    file: Some(file),
                    unchecked_bytes: 0,
                    has_committed: true,
                }
                .run()
            });
            if panic::catch_unwind(run).is_err() {
                break_down(&node, commits, "the storage engine panicked");
            }
        })
}

struct Writer<'a> {
    node: &'a Node,
    commits: &'a Commits,
    /// `None` only while it is opened anew.
    file: Option<DataFile>,
    /// How much was written since the file system was last asked about the file.
    unchecked_bytes: u64,
    /// Whether anything was since there was no room.
    has_committed: bool,
}

impl Writer<'_> {
    fn run(mut self) {
        let ended = loop {
            match self.commits.next(self.node.applier.has_garbage()) {
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

    /// Makes everything durable that is staged now.
    fn commit(&mut self) -> Result<(), DataError> {
        let applier = &self.node.applier;
        let Some(file) = &self.file else {
            return Err(gone());
        };
        let (number, batch) = applier.take_batch(self.commits).map_err(engine)?;
        self.unchecked_bytes += size(&batch);
        let checks = self.unchecked_bytes >= CHECKED_BYTES;
        let is_nearly_full = checks && file.is_nearly_full(self.unchecked_bytes);
        let began = Instant::now();
        match file.commit(&batch) {
            Ok(()) => {
                self.has_committed = true;
                self.node.metrics.commits.observe(began.elapsed());
                if checks {
                    self.note_size();
                    self.unchecked_bytes = 0;
                }
                applier.publish(batch.position()).map_err(engine)?;
                self.commits.finish(number);
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
            self.commits.run_full();
        };
        applier.interrupt(refuse).map_err(engine)?;
        // Reading the file anew may find room where a commit finds none.
        let mut goes_on = self.has_committed || self.commits.wait_for_room(RETRY_FULL);
        self.has_committed = false;
        let (file, found) = loop {
            if !goes_on {
                return Ok(());
            }
            match DataFile::open(location.clone(), self.node.clock.now()) {
                Ok(Some(opened)) => break opened,
                Ok(None) => return Err(gone()),
                // To open it means to write to it.
                Err(DataError::Io(error)) if is_full(&error) => {}
                Err(error) => return Err(error),
            }
            goes_on = self.commits.wait_for_room(RETRY_FULL);
        };
        self.file = Some(file);
        let mut store = found.store;
        // What it has noted is what an interrupted compaction left to do, and is still to be done.
        let member = self.node.identity.member_id;
        store
            .alarms_mut()
            .activate_in_memory(member, AlarmType::Nospace);
        applier.replace(store).map_err(engine)?;
        self.commits.has_room();
        Ok(())
    }

    fn activate_alarm(&self, store: &mut Store) {
        let member = self.node.identity.member_id;
        store
            .alarms_mut()
            .activate(member, AlarmType::Nospace.into());
    }

    fn defragment(&mut self) {
        let waiting = self.commits.take_defragmenting();
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
        commits.break_down(reason);
    });
    if interrupted.is_err() {
        commits.break_down(reason);
    }
}

fn size(batch: &Batch) -> u64 {
    let records = batch.records().iter();
    let records = records.map(|record| record.value().len() as u64);
    let changes = batch.changes().iter();
    let changes = changes.map(|change| match change {
        Change::Put(entry) => entry.value.len() as u64,
        Change::Delete(..) => 0,
    });
    records.chain(changes).sum()
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

fn not_defragmented(error: &DataError) -> Status {
    Status::new(
        Code::Internal,
        format!("etcdkit: the data file could not be defragmented: {error}"),
    )
}
