//! A transaction in memory from its first attempt to its last.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep};

use super::{
    Committed, Stm,
    attempts::Attempts,
    memory::{Memory, Plan, Start, TooLarge},
    store::{Answer, Store},
    transaction::{Transaction, Trouble},
};
use crate::{Error, ErrorKind, Result, Revision, sync::Held};

/// What goes on between calls of the closure.
#[derive(Debug)]
pub(super) struct Run<'a> {
    settings: Settings,
    held: Option<&'a Held>,
    store: Store,
    attempts: Attempts,
    started: Instant,
    attempt_started: Instant,
    next: Next,
}

#[derive(Debug)]
struct Settings {
    isolation: super::Isolation,
    prefetch: Vec<Bytes>,
    room: usize,
}

/// What the next attempt begins with.
#[derive(Default)]
struct Next {
    start: Start,
    /// Keys that are worth fetching.
    fetch: Vec<Bytes>,
}

/// Why an attempt came to nothing.
enum Lost {
    Changed(Option<Bytes>),
    Compacted,
}

impl<'a> Run<'a> {
    pub(super) fn new(stm: Stm<'a>) -> Self {
        let now = Instant::now();
        // Around a fenced transaction is another, of one condition and one operation, and servers
        // count the ops of both.
        let fenced = usize::from(stm.held.is_some());
        Self {
            store: Store {
                client: stm.client.clone(),
                deadline: stm.timeout.and_then(|timeout| now.checked_add(timeout)),
                fence: stm.held.map(Held::fence),
            },
            held: stm.held,
            attempts: Attempts::new(stm.attempts),
            started: now,
            attempt_started: now,
            next: Next::default(),
            settings: Settings {
                isolation: stm.isolation,
                prefetch: stm.prefetch,
                room: stm.max_ops.saturating_sub(fenced),
            },
        }
    }

    /// Begins an attempt.
    pub(super) async fn begin(&mut self) -> Result<Transaction> {
        if let Some(held) = self.held {
            self.check(held)?;
        }
        loop {
            let Next { start, fetch } = std::mem::take(&mut self.next);
            self.attempt_started = Instant::now();
            let attempt = self.attempts.begin();
            let Settings {
                isolation,
                prefetch,
                room,
            } = &self.settings;
            let memory = Memory::new(*isolation, attempt > 1, start);
            let mut transaction = Transaction::new(self.store.clone(), memory, attempt, *room);
            let Err(error) = transaction.prefetch(prefetch.iter().chain(&fetch)).await else {
                return Ok(transaction);
            };
            match transaction.into_parts() {
                (_, Some(Trouble::Compacted)) => {
                    self.lose(Lost::Compacted, Next::default()).await?
                }
                _ => return Err(error),
            }
        }
    }

    /// Fails if the fence is known not to hold, or is not one for this client.
    fn check(&self, held: &Held) -> Result<()> {
        // The same name would be another key there, and never be held.
        if held.session().client().namespace() != self.store.client.namespace() {
            let message = "what guards the transaction is held in another namespace";
            return Err(Error::new(ErrorKind::InvalidRequest, message).with_operation("stm"));
        }
        held.check().map_err(|error| error.with_operation("stm"))
    }

    /// Ends an attempt whose closure has ended like this: the transaction's end, or `None` for another
    /// attempt.
    pub(super) async fn end<T, E: From<Error>>(
        &mut self,
        transaction: Transaction,
        result: Result<T, E>,
    ) -> Result<Option<Committed<T>>, E> {
        let (memory, trouble) = transaction.into_parts();
        if let Some(Trouble::Compacted) = trouble {
            let fetch = memory.known_keys().cloned().collect();
            let start = Start::default();
            self.lose(Lost::Compacted, Next { start, fetch }).await?;
            return Ok(None);
        }
        let value = result?;
        match trouble {
            Some(Trouble::Unwritable(error)) => return Err(error.into()),
            Some(Trouble::Unread(kind, message)) => {
                let message = format!("a read had failed, so nothing was written: {message}");
                return Err(Error::new(kind, message).with_operation("stm").into());
            }
            Some(Trouble::Compacted) | None => {}
        }
        Ok(self.commit(memory).await?.map(|revision| Committed {
            value,
            revision,
            attempts: self.attempts.made(),
        }))
    }

    /// The revision of the transaction, or `None` for another attempt.
    async fn commit(&mut self, memory: Memory) -> Result<Option<Option<Revision>>> {
        let has_fence = self.store.fence.is_some();
        let plan = match memory.commit(self.settings.room).map_err(too_large)? {
            Some(plan) => plan,
            None if has_fence => Plan::default(),
            None => return Ok(Some(memory.snapshot())),
        };
        let has_writes = !plan.writes.is_empty();
        match self.store.commit(&plan).await? {
            Answer::Done(revision) if has_writes => Ok(Some(Some(revision))),
            Answer::Done(revision) => Ok(Some(memory.snapshot().or(Some(revision)))),
            Answer::NotHeld => Err(match self.held {
                Some(held) => held.refused().await.with_operation("stm"),
                None => Error::new(ErrorKind::NotHeld, "the transaction's fence does not hold"),
            }),
            Answer::Lost(revision, found) => {
                let culprit = plan.culprit(&found).cloned();
                let start = plan.start(revision, found);
                let fetch = Vec::new();
                self.lose(Lost::Changed(culprit), Next { start, fetch })
                    .await?;
                Ok(None)
            }
        }
    }

    /// Waits for the next attempt, or gives up.
    async fn lose(&mut self, lost: Lost, next: Next) -> Result<()> {
        let took = self.attempt_started.elapsed();
        let pause = self.attempts.pause(took, fastrand::f64());
        let pause = pause.filter(|pause| match self.store.deadline {
            Some(deadline) => Instant::now() + *pause < deadline,
            None => true,
        });
        let Some(pause) = pause else {
            return Err(self.conflict(&lost));
        };
        self.next = next;
        if pause > Duration::ZERO {
            sleep(pause).await;
            // What was found is old by now.
            let found = std::mem::take(&mut self.next.start).found;
            self.next
                .fetch
                .extend(found.into_iter().map(|(key, _)| key));
        }
        Ok(())
    }

    fn conflict(&self, lost: &Lost) -> Error {
        let message = match lost {
            Lost::Changed(Some(key)) => format!("others have changed {key:?} each time"),
            Lost::Changed(None) => "others have changed what it read or wrote each time".to_owned(),
            Lost::Compacted => "what it was reading was compacted each time".to_owned(),
        };
        Error::new(ErrorKind::Conflict, message)
            .with_operation("stm")
            .with_story(self.attempts.made(), self.started.elapsed())
    }
}

fn too_large(too_large: TooLarge) -> Error {
    let TooLarge {
        conditions,
        writes,
        room,
    } = too_large;
    let message = format!(
        "the transaction depends on {conditions} keys and writes {writes}, and the server takes {room} of each"
    );
    Error::new(ErrorKind::TooManyOps, message).with_operation("stm")
}

impl std::fmt::Debug for Next {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Next")
            .field("revision", &self.start.revision)
            .field("found", &self.start.found.len())
            .field("fetch", &self.fetch)
            .finish()
    }
}
