//! Which stream a watch runs on.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::{
    feed::Feed,
    lane::Lane,
    now::Now,
    seat::{Load, Seat},
    session::Key,
    watcher::Spec,
};
use crate::{Error, Result, Revision, client::Core};

/// How many watches share a stream. A server sends the responses of one stream one after the other
/// and holds at most 128 of them, so that thousands of busy watches are better spread.
const LANE_HOLDS: usize = 2000;

/// All watches of one client.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    lanes: Mutex<Vec<Slot>>,
    pub(super) now: Now,
    ids: Arc<Mutex<Ids>>,
    /// Why streams do not stay open at present, for watches that are opened in vain.
    trouble: Mutex<Option<Arc<Error>>>,
}

/// A stream and the way to its task.
#[derive(Debug)]
struct Slot {
    commands: UnboundedSender<Command>,
    load: Load,
    last_key: Key,
    needs_leader: bool,
}

/// What a stream is told.
#[derive(Debug)]
pub(super) enum Command {
    Open {
        key: Key,
        spec: Spec,
        start: Revision,
        feed: Arc<Feed>,
        seat: Seat,
    },
    Cancel(Key),
    /// The program has taken enough of what was queued.
    Resume(Key),
    Progress(Key),
}

/// A watch's way to its stream. Dropping it ends the watch.
#[derive(Debug)]
pub(super) struct Ticket {
    commands: UnboundedSender<Command>,
    key: Key,
}

impl Ticket {
    pub(super) fn cancel(&self) {
        self.tell(Command::Cancel(self.key));
    }

    pub(super) fn resume(&self) {
        self.tell(Command::Resume(self.key));
    }

    pub(super) fn want_progress(&self) {
        self.tell(Command::Progress(self.key));
    }

    fn tell(&self, command: Command) {
        // A stream whose task is gone has ended its watches, which the feed tells.
        let _ = self.commands.send(command);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl Hub {
    /// Puts a watch on a stream; starts one if need be.
    pub(super) fn attach(
        &self,
        core: &Arc<Core>,
        needs_leader: bool,
        spec: Spec,
        start: Revision,
        feed: Arc<Feed>,
    ) -> Ticket {
        let mut lanes = self.lanes();
        lanes.retain(|lane| !lane.commands.is_closed());
        let has_room =
            |lane: &Slot| lane.needs_leader == needs_leader && lane.load.taken() < LANE_HOLDS;
        let place = match lanes.iter().position(has_room) {
            Some(place) => place,
            None => {
                lanes.push(start_lane(core, needs_leader));
                lanes.len() - 1
            }
        };
        let lane = &mut lanes[place];
        lane.last_key += 1;
        let key = lane.last_key;
        let seat = lane.load.take();
        let ticket = Ticket {
            commands: lane.commands.clone(),
            key,
        };
        ticket.tell(Command::Open {
            key,
            spec,
            start,
            feed,
            seat,
        });
        ticket
    }

    pub(super) fn note_trouble(&self, error: Option<Error>) {
        *lock(&self.trouble) = error.map(Arc::new);
    }

    /// Why a watch that is opened finds no stream that works.
    pub(super) fn trouble(&self) -> Option<Arc<Error>> {
        lock(&self.trouble).clone()
    }

    /// Whether a stream without watches may end. From then on it gets none.
    pub(super) fn leave(&self, commands: &UnboundedSender<Command>) -> bool {
        let mut lanes = self.lanes();
        let is_it = |lane: &Slot| lane.commands.same_channel(commands);
        let is_used = |lane: &Slot| is_it(lane) && lane.load.taken() > 0;
        if lanes.iter().any(is_used) {
            return false;
        }
        lanes.retain(|lane| !is_it(lane));
        true
    }

    /// An id for people: theirs if it is free, or the next one that is.
    pub(super) fn take_id(&self, wanted: Option<i64>) -> Result<WatchId> {
        let mut ids = lock(&self.ids);
        let id = match wanted {
            Some(id) if ids.taken.contains(&id) => {
                let what = format!("the client has a watch with the id {id} already");
                return Err(Error::invalid_request(what));
            }
            Some(id) => id,
            None => loop {
                ids.last = ids.last.wrapping_add(1);
                if !ids.taken.contains(&ids.last) {
                    break ids.last;
                }
            },
        };
        ids.taken.insert(id);
        drop(ids);
        Ok(WatchId {
            id,
            ids: Arc::clone(&self.ids),
        })
    }

    fn lanes(&self) -> MutexGuard<'_, Vec<Slot>> {
        lock(&self.lanes)
    }
}

fn start_lane(core: &Arc<Core>, needs_leader: bool) -> Slot {
    let (commands, receiver) = unbounded_channel();
    let lane = Lane::new(core, commands.clone(), receiver, needs_leader);
    tokio::spawn(lane.run());
    Slot {
        commands,
        load: Load::default(),
        last_key: 0,
        needs_leader,
    }
}

/// Ids of watches, as programs see them.
#[derive(Debug, Default)]
struct Ids {
    taken: HashSet<i64>,
    last: i64,
}

/// An id that no other watch of the client has while this lives.
#[derive(Debug)]
pub(super) struct WatchId {
    pub(super) id: i64,
    ids: Arc<Mutex<Ids>>,
}

impl Drop for WatchId {
    fn drop(&mut self) {
        lock(&self.ids).taken.remove(&self.id);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
