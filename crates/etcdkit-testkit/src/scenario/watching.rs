//! A watch that is recorded.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use etcdkit::{Client, Header, KeyRange, Revision, Watch, WatchError};
use tokio::task::JoinHandle;

use super::lock;
use crate::watch_checker::{Asked, Delivery, Event, History, Watched};

/// What a watch asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchKind {
    /// Everything from the beginning, with the pairs before.
    FromTheFirst,
    /// Everything from when it is opened.
    FromNow,
    /// Everything from a revision that is yet to come.
    FromTheFuture,
    /// One key.
    OneKey,
    /// Some of the keys, and no deletions.
    Puts,
    /// Only deletions, with the pairs before.
    Deletes,
    /// Everything, asking all the time how far it has come.
    Progress,
}

impl WatchKind {
    /// Each of them.
    pub const ALL: &[Self] = &[
        Self::FromTheFirst,
        Self::FromNow,
        Self::FromTheFuture,
        Self::OneKey,
        Self::Puts,
        Self::Deletes,
        Self::Progress,
    ];

    fn asked(self, prefix: &str, first: Revision) -> Asked {
        let all = Asked::all(KeyRange::prefix(prefix.to_owned()), first);
        match self {
            Self::FromTheFirst => all,
            Self::FromNow | Self::Progress => Asked {
                prev_kv: false,
                ..all
            },
            Self::FromTheFuture => Asked {
                start: first + 200,
                ..all
            },
            Self::OneKey => Asked {
                keys: KeyRange::key(format!("{prefix}a")),
                ..all
            },
            Self::Puts => Asked {
                keys: KeyRange::prefix(format!("{prefix}d/")),
                deletes: false,
                prev_kv: false,
                ..all
            },
            Self::Deletes => Asked { puts: false, ..all },
        }
    }
}

/// A watch whose deliveries are recorded as they come.
#[derive(Debug)]
pub struct Watching {
    kind: WatchKind,
    header: Header,
    record: Arc<Mutex<Record>>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Record {
    watched: Watched,
    reached: Revision,
    /// When events came.
    arrivals: Vec<Instant>,
    end: Option<WatchError>,
}

impl Watching {
    pub(super) async fn open(
        client: &Client,
        kind: WatchKind,
        prefix: &str,
        first: Revision,
    ) -> Self {
        let mut asked = kind.asked(prefix, first);
        let mut open = client
            .watch(asked.keys.clone())
            .timeout(Duration::from_secs(30));
        if kind != WatchKind::FromNow {
            open = open.from_revision(asked.start);
        }
        if asked.prev_kv {
            open = open.prev_kv();
        }
        if !asked.puts {
            open = open.filter_puts();
        }
        if !asked.deletes {
            open = open.filter_deletes();
        }
        let watch = match open.await {
            Ok(watch) => watch,
            Err(error) => panic!("a watch {kind:?} cannot be opened: {error:?}"),
        };
        asked.start = watch.revision() + 1;
        let header = *watch.header();
        let record = Arc::new(Mutex::new(Record {
            reached: asked.start - 1,
            watched: Watched::new(asked),
            arrivals: Vec::new(),
            end: None,
        }));
        let task = tokio::spawn(follow(watch, kind, Arc::clone(&record)));
        Self {
            kind,
            header,
            record,
            task,
        }
    }

    /// The header of the server's confirmation, which tells the member that the watch began on.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// How far it has come.
    pub fn reached(&self) -> Revision {
        lock(&self.record).reached
    }

    /// How many events it has delivered.
    pub(super) fn delivered(&self) -> usize {
        lock(&self.record).watched.events().count()
    }

    /// How it ended, if it has.
    pub fn end(&self) -> Option<WatchError> {
        lock(&self.record).end.clone()
    }

    /// The longest time between two arrivals of events, the later one after this moment.
    pub fn longest_gap(&self, since: Instant) -> Duration {
        super::longest_gap(&lock(&self.record).arrivals, since)
    }

    pub(super) fn watched(&self) -> Watched {
        lock(&self.record).watched.clone()
    }

    /// The revision of the last event that it has to deliver.
    pub(super) fn last_expected(&self, history: &History) -> Revision {
        let record = lock(&self.record);
        let asked = &record.watched.asked;
        let wanted = |event: &&Event| event.revision() >= asked.start && asked.wants(event);
        let last = history.events().filter(wanted).last();
        last.map_or(asked.start - 1, Event::revision)
    }
}

impl fmt::Display for Watching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the watch {:?}, which has reached {}",
            self.kind,
            self.reached()
        )
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(mut watch: Watch, kind: WatchKind, record: Arc<Mutex<Record>>) {
    let mut ask = tokio::time::interval(Duration::from_millis(20));
    loop {
        let update = tokio::select! {
            update = watch.try_next() => update,
            _ = ask.tick(), if kind == WatchKind::Progress => {
                watch.request_progress();
                continue;
            }
        };
        let mut record = lock(&record);
        match update {
            Ok(Some(update)) => {
                if !update.is_progress() {
                    record.arrivals.push(Instant::now());
                }
                record.reached = update.revision();
                record.watched.deliveries.push(Delivery::from(&update));
            }
            Ok(None) => return,
            Err(error) => record.end = Some(error),
        }
    }
}
