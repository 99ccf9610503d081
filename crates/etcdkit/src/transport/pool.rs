//! The connections of one client: one refiller for each keeps it open, calls choose among those that
//! are.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{runtime::Handle, sync::watch, task::JoinHandle, time::timeout};

use super::{
    closing::Closing,
    connection::{Connection, KeepAlive},
    dial::Dialer,
    pick::{Candidate, Tried, pick},
    refiller::refill,
    roster::Roster,
    slot::{Leave, Slot},
};
use crate::{Error, ErrorKind};

/// How connections are opened and kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) connect_timeout: Duration,
    pub(crate) per_endpoint: usize,
    pub(crate) keep_alive: KeepAlive,
}

/// All connections of one client that serve the same purpose.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    /// Started when a call finds no connection, since only then is there surely a runtime, and again
    /// when that runtime is gone.
    refillers: Mutex<Refillers>,
    on_start: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

pub(super) struct Shared {
    pub(super) dialer: Arc<Dialer>,
    pub(super) limits: Limits,
    roster: Arc<Roster>,
    pub(super) closing: Arc<Closing>,
    /// What becomes of requests under way at an endpoint that is removed.
    parting: Leave,
    slots: ArcSwap<Vec<Arc<Slot>>>,
    ready: ArcSwap<Vec<Arc<Connection>>>,
    /// Told whenever a connection opens or fails to open.
    pub(super) changed: watch::Sender<()>,
    /// How many connections there are, with those that only finish what is under way.
    pub(super) open: watch::Sender<usize>,
    turn: AtomicUsize,
    /// Why no endpoint is known.
    unknown: Mutex<Option<Arc<Error>>>,
}

/// The tasks that keep connections open, by place and turn.
#[derive(Default)]
struct Refillers {
    runtime: Option<Handle>,
    tasks: BTreeMap<(usize, usize), AbortOnDrop>,
}

/// A future that ends when a connection may be there.
pub(crate) type Change = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Pool {
    pub(crate) fn new(
        dialer: Arc<Dialer>,
        limits: Limits,
        roster: Arc<Roster>,
        closing: Arc<Closing>,
    ) -> Self {
        Self::of(dialer, limits, roster, closing, Leave::Finished)
    }

    fn of(
        dialer: Arc<Dialer>,
        limits: Limits,
        roster: Arc<Roster>,
        closing: Arc<Closing>,
        parting: Leave,
    ) -> Self {
        let shared = Shared {
            dialer,
            limits,
            roster,
            closing,
            parting,
            slots: ArcSwap::default(),
            ready: ArcSwap::default(),
            changed: watch::Sender::new(()),
            open: watch::Sender::new(0),
            turn: AtomicUsize::new(0),
            unknown: Mutex::default(),
        };
        let this = Self {
            shared: Arc::new(shared),
            refillers: Mutex::default(),
            on_start: OnceLock::new(),
        };
        this.follow();
        this
    }

    /// A pool of other connections to the same endpoints, for streams that live long and are taken up
    /// elsewhere when they break. Endpoints are found healthy or not together.
    pub(crate) fn sibling(&self) -> Self {
        let shared = &self.shared;
        let limits = Limits {
            per_endpoint: 1,
            ..shared.limits
        };
        let (dialer, roster) = (Arc::clone(&shared.dialer), Arc::clone(&shared.roster));
        let closing = Arc::clone(&shared.closing);
        Self::of(dialer, limits, roster, closing, Leave::AtOnce)
    }

    /// Takes up the roster's endpoints as they are now.
    ///
    /// Those that are gone get no further requests; what is under way there is finished, or, for
    /// streams that are better taken up elsewhere, ended.
    pub(crate) fn follow(&self) {
        let mut refillers = lock(&self.refillers);
        let places = self.shared.roster.places();
        let old = self.shared.slots.load_full();
        let slots = places.into_iter().map(|place| {
            let known = old.iter().find(|slot| slot.place.number == place.number);
            known
                .map(Arc::clone)
                .unwrap_or_else(|| Arc::new(Slot::new(place)))
        });
        let slots: Vec<_> = slots.collect();
        let stays = |number| slots.iter().any(|slot| slot.place.number == number);
        self.shared.retain(|connection| stays(connection.place));
        for gone in old.iter().filter(|slot| !stays(slot.place.number)) {
            gone.leave.send_replace(Some(self.shared.parting));
        }
        self.shared.slots.store(Arc::new(slots));
        if let Some(runtime) = refillers.runtime.clone() {
            self.refill(&mut refillers, &runtime);
        }
        self.shared.changed.send_replace(());
    }

    /// The best connection of those that are open; `only` names the one endpoint to take.
    pub(crate) fn choose(&self, tried: Tried, only: Option<usize>) -> Option<Arc<Connection>> {
        let ready = self.shared.ready.load();
        if ready.is_empty() {
            self.start();
            return None;
        }
        let pinned = self.shared.roster.pinned();
        if let ([connection], None, None) = (&ready[..], only, pinned) {
            return Some(Arc::clone(connection));
        }
        if let Some(place) = only {
            let mut of_it = ready.iter().filter(|connection| connection.place == place);
            return of_it.next().map(Arc::clone);
        }
        let turn = self.shared.turn.fetch_add(1, Ordering::Relaxed);
        let candidates = ready.iter().map(|connection| Candidate {
            endpoint: connection.place,
            suspect: connection.pulse.health.is_suspect(),
            pinned: pinned == Some(connection.place),
            in_flight: connection.pulse.in_flight(),
        });
        let chosen = pick(candidates, turn, tried).and_then(|place| ready.get(place))?;
        if pinned.is_some_and(|pinned| pinned != chosen.place) {
            self.pin(&ready, pinned, chosen);
        }
        Some(Arc::clone(chosen))
    }

    /// Requests stay at another endpoint from now on, unless they only left theirs for once.
    fn pin(&self, ready: &[Arc<Connection>], pinned: Option<usize>, chosen: &Connection) {
        let still_good = ready.iter().any(|connection| {
            Some(connection.place) == pinned && !connection.pulse.health.is_suspect()
        });
        if !still_good {
            self.shared.roster.pin(chosen.place);
        }
    }

    /// The best connection, waiting until there is one.
    ///
    /// # Errors
    ///
    /// Only when the client is closed.
    pub(crate) async fn chosen(
        &self,
        tried: Tried,
        only: Option<usize>,
    ) -> Result<Arc<Connection>, Error> {
        loop {
            // Subscribed before looking, or an opening in between would be missed.
            let change = self.change();
            if self.shared.closing.is_closed() {
                return Err(Error::closed());
            }
            match self.choose(tried, only) {
                Some(connection) => return Ok(connection),
                None => change.await,
            }
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        !self.shared.ready.load().is_empty()
    }

    /// Whether a call that has tried some endpoints could still go to another healthy one.
    pub(crate) fn has_other(&self, tried: Tried) -> bool {
        let ready = self.shared.ready.load();
        ready
            .iter()
            .any(|other| !tried.contains(other.place) && !other.pulse.health.is_suspect())
    }

    /// A future that ends with the next change of connections, counted from now, and when the client
    /// is closed.
    pub(crate) fn change(&self) -> Change {
        let mut changes = self.shared.changed.subscribe();
        let closed = self.shared.closing.closed();
        Box::pin(async move {
            tokio::select! {
                // An error would mean that the pool is gone, and with it whoever waits here.
                _ = changes.changed() => {}
                () = closed => {}
            }
        })
    }

    /// Whether a connection is open.
    pub(crate) fn is_reachable(&self) -> bool {
        !self.shared.ready.load().is_empty()
    }

    /// Waits for a first connection, or until every endpoint has been tried in vain.
    pub(crate) async fn first(&self, within: Duration) -> Result<(), Error> {
        let found = async {
            loop {
                let change = self.change();
                if self.choose(Tried::default(), None).is_some() {
                    return true;
                }
                let slots = self.shared.slots.load_full();
                if slots.iter().all(|slot| lock(&slot.failure).is_some()) {
                    return false;
                }
                change.await;
            }
        };
        match timeout(within, found).await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(self.unreachable(None)),
        }
    }

    /// Takes a connection out of use that turned out to be closing.
    pub(crate) fn retire(&self, connection: &Arc<Connection>) {
        self.shared.remove(connection);
        connection.pulse.retired.notify_one();
    }

    /// Notes why no endpoint is known.
    pub(crate) fn no_endpoint_because(&self, error: Error) {
        *lock(&self.shared.unknown) = Some(Arc::new(error));
    }

    /// Why there is no connection, endpoint by endpoint.
    pub(crate) fn unreachable(&self, only: Option<usize>) -> Error {
        let slots = self.shared.slots.load_full();
        let concerned = |slot: &&Arc<Slot>| only.is_none_or(|only| only == slot.place.number);
        if !slots.iter().any(|slot| concerned(&slot)) {
            return self.without_endpoint(only);
        }
        let mut kind = ErrorKind::Connect;
        let (mut causes, mut source) = (Vec::new(), None);
        for slot in slots.iter().filter(concerned) {
            let endpoint = &slot.place.endpoint;
            causes.push(match &*lock(&slot.failure) {
                Some(error) => {
                    if error.is_tls() {
                        kind = ErrorKind::Tls;
                    }
                    source.get_or_insert_with(|| Arc::clone(error));
                    format!("{endpoint}: {error}")
                }
                None => format!("{endpoint}: no connection yet"),
            });
        }
        let what = format!("no endpoint can be reached ({})", causes.join("; "));
        let error = Error::new(kind, what);
        match source {
            Some(source) => error.with_source(source),
            None => error,
        }
    }

    fn without_endpoint(&self, only: Option<usize>) -> Error {
        if only.is_some() {
            let what = "the endpoint is no longer one of the client's";
            return Error::new(ErrorKind::Connect, what);
        }
        match &*lock(&self.shared.unknown) {
            Some(error) => Error::caused_by(error),
            None => Error::new(ErrorKind::Connect, "no endpoint is known yet"),
        }
    }

    /// Has something done, too, whenever the pool starts.
    pub(crate) fn on_start(&self, act: impl Fn() + Send + Sync + 'static) {
        // There is one owner, which does this once.
        let _ = self.on_start.set(Box::new(act));
    }

    fn start(&self) {
        let runtime = Handle::current();
        {
            let mut refillers = lock(&self.refillers);
            refillers.runtime = Some(runtime.clone());
            self.refill(&mut refillers, &runtime);
        }
        if let Some(act) = self.on_start.get() {
            act();
        }
    }

    /// Sees to it that each connection has its task.
    fn refill(&self, refillers: &mut Refillers, runtime: &Handle) {
        refillers.tasks.retain(|_, task| !task.0.is_finished());
        if self.shared.closing.is_closed() {
            return;
        }
        for slot in self.shared.slots.load().iter() {
            for turn in 0..self.shared.limits.per_endpoint {
                let key = (slot.place.number, turn);
                refillers.tasks.entry(key).or_insert_with(|| {
                    let (shared, slot) = (Arc::clone(&self.shared), Arc::clone(slot));
                    AbortOnDrop(runtime.spawn(refill(shared, slot)))
                });
            }
        }
    }

    /// Waits until all connections have ended, which closing makes them do.
    pub(crate) async fn ended(&self) {
        let mut open = self.shared.open.subscribe();
        // An error is impossible: the pool has the sender.
        let _ = open.wait_for(|open| *open == 0).await;
    }
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Shared {
    pub(super) fn add(&self, connection: &Arc<Connection>) {
        self.ready.rcu(|ready| {
            let mut ready = Vec::clone(ready);
            ready.push(Arc::clone(connection));
            ready.sort_by_key(|connection| connection.place);
            ready
        });
        self.changed.send_replace(());
    }

    pub(super) fn remove(&self, connection: &Arc<Connection>) {
        self.retain(|other| !Arc::ptr_eq(other, connection));
    }

    fn retain(&self, stays: impl Fn(&Arc<Connection>) -> bool) {
        self.ready.rcu(|ready| {
            let mut ready = Vec::clone(ready);
            ready.retain(&stays);
            ready
        });
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|broken| broken.into_inner())
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slots = self.shared.slots.load();
        let endpoints = slots.iter().map(|slot| &*slot.place.endpoint.text);
        f.debug_struct("Pool")
            .field("endpoints", &endpoints.collect::<Vec<_>>())
            .field("ready", &self.shared.ready.load().len())
            .finish_non_exhaustive()
    }
}
