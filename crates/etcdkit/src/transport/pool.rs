//! The connections of one client: one refiller for each keeps it open, calls choose among those that
//! are.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use super::{
    backoff::Backoff,
    connection::{ConnectError, Connection, KeepAlive},
    dial::Dialer,
    endpoint::Endpoint,
    health::Health,
    pick::{Candidate, Tried, pick},
};
use crate::{Error, ErrorKind, observe};

/// An endpoint that was lost is dialled again after at most 50 ms, and then ever more rarely.
const REDIAL_FIRST: Duration = Duration::from_millis(50);
const REDIAL_MOST: Duration = Duration::from_secs(3);
const STABLE_AFTER: Duration = Duration::from_secs(1);

/// How connections are opened and kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) connect_timeout: Duration,
    pub(crate) per_endpoint: usize,
    pub(crate) keep_alive: KeepAlive,
}

/// All connections of one client.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    /// One task for each connection; started when a call finds none, since only then is there surely
    /// a runtime, and again when that runtime is gone.
    refillers: Mutex<Vec<AbortOnDrop>>,
}

struct Shared {
    dialer: Arc<Dialer>,
    limits: Limits,
    slots: Vec<Slot>,
    ready: ArcSwap<Vec<Arc<Connection>>>,
    /// Told whenever a connection opens or fails to open.
    changed: watch::Sender<()>,
    turn: AtomicUsize,
}

/// One endpoint's part of the pool.
struct Slot {
    endpoint: Arc<Endpoint>,
    health: Arc<Health>,
    /// Why the last attempt to connect failed; empty while connected or not yet tried.
    failure: Mutex<Option<Arc<ConnectError>>>,
}

/// A future that ends when a connection may be there.
pub(crate) type Change = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Pool {
    pub(crate) fn new(dialer: Arc<Dialer>, limits: Limits, endpoints: Vec<Endpoint>) -> Self {
        let slots = endpoints.into_iter().map(|endpoint| Slot {
            health: Arc::new(Health::of(Arc::clone(&endpoint.text))),
            endpoint: Arc::new(endpoint),
            failure: Mutex::new(None),
        });
        Self::of(dialer, limits, slots.collect())
    }

    fn of(dialer: Arc<Dialer>, limits: Limits, slots: Vec<Slot>) -> Self {
        let shared = Shared {
            dialer,
            limits,
            slots,
            ready: ArcSwap::default(),
            changed: watch::Sender::new(()),
            turn: AtomicUsize::new(0),
        };
        Self {
            shared: Arc::new(shared),
            refillers: Mutex::default(),
        }
    }

    /// A pool of other connections to the same endpoints, which are found healthy or not together.
    pub(crate) fn sibling(&self) -> Self {
        let slots = self.shared.slots.iter().map(|slot| Slot {
            endpoint: Arc::clone(&slot.endpoint),
            health: Arc::clone(&slot.health),
            failure: Mutex::new(None),
        });
        let limits = Limits {
            per_endpoint: 1,
            ..self.shared.limits
        };
        Self::of(Arc::clone(&self.shared.dialer), limits, slots.collect())
    }

    pub(crate) fn endpoints(&self) -> impl ExactSizeIterator<Item = &Arc<Endpoint>> {
        self.shared.slots.iter().map(|slot| &slot.endpoint)
    }

    /// The best connection of those that are open; `only` names the one endpoint to take.
    pub(crate) fn choose(&self, tried: Tried, only: Option<usize>) -> Option<Arc<Connection>> {
        let ready = self.shared.ready.load();
        if ready.is_empty() {
            self.start();
            return None;
        }
        if let ([connection], None) = (&ready[..], only) {
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
            in_flight: connection.pulse.in_flight(),
        });
        pick(candidates, turn, tried)
            .and_then(|place| ready.get(place))
            .map(Arc::clone)
    }

    /// The best connection, waiting until there is one.
    pub(crate) async fn chosen(&self, tried: Tried, only: Option<usize>) -> Arc<Connection> {
        loop {
            // Subscribed before looking, or an opening in between would be missed.
            let change = self.change();
            match self.choose(tried, only) {
                Some(connection) => return connection,
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

    /// A future that ends with the next change of connections, counted from now.
    pub(crate) fn change(&self) -> Change {
        let mut changes = self.shared.changed.subscribe();
        Box::pin(async move {
            // An error would mean that the pool is gone, and with it whoever waits here.
            let _ = changes.changed().await;
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
                if self
                    .shared
                    .slots
                    .iter()
                    .all(|slot| lock(&slot.failure).is_some())
                {
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

    /// Why there is no connection, endpoint by endpoint.
    pub(crate) fn unreachable(&self, only: Option<usize>) -> Error {
        let mut kind = ErrorKind::Connect;
        let (mut causes, mut source) = (Vec::new(), None);
        for (place, slot) in self.shared.slots.iter().enumerate() {
            if only.is_some_and(|only| only != place) {
                continue;
            }
            causes.push(match &*lock(&slot.failure) {
                Some(error) => {
                    if error.is_tls() {
                        kind = ErrorKind::Tls;
                    }
                    source.get_or_insert_with(|| Arc::clone(error));
                    format!("{}: {error}", slot.endpoint)
                }
                None => format!("{}: no connection yet", slot.endpoint),
            });
        }
        let what = format!("no endpoint can be reached ({})", causes.join("; "));
        let error = Error::new(kind, what);
        match source {
            Some(source) => error.with_source(source),
            None => error,
        }
    }

    fn start(&self) {
        let mut refillers = lock(&self.refillers);
        let per_endpoint = self.shared.limits.per_endpoint;
        for turn in 0..self.shared.slots.len() * per_endpoint {
            let task = || {
                let shared = Arc::clone(&self.shared);
                AbortOnDrop(tokio::spawn(refill(shared, turn / per_endpoint)))
            };
            match refillers.get_mut(turn) {
                None => refillers.push(task()),
                Some(refiller) if refiller.0.is_finished() => *refiller = task(),
                Some(_) => {}
            }
        }
    }
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Shared {
    fn add(&self, connection: &Arc<Connection>) {
        self.ready.rcu(|ready| {
            let mut ready = Vec::clone(ready);
            ready.push(Arc::clone(connection));
            ready.sort_by_key(|connection| connection.place);
            ready
        });
        self.changed.send_replace(());
    }

    fn remove(&self, connection: &Arc<Connection>) {
        self.ready.rcu(|ready| {
            let mut ready = Vec::clone(ready);
            ready.retain(|other| !Arc::ptr_eq(other, connection));
            ready
        });
    }
}

/// Keeps one connection to one endpoint open, for as long as the pool lives.
async fn refill(shared: Arc<Shared>, place: usize) {
    let Some(slot) = shared.slots.get(place) else {
        return;
    };
    let Limits {
        connect_timeout,
        keep_alive,
        ..
    } = shared.limits;
    let mut backoff = Backoff::new(REDIAL_FIRST, REDIAL_MOST);
    loop {
        let (endpoint, health) = (Arc::clone(&slot.endpoint), Arc::clone(&slot.health));
        match Connection::open(&shared.dialer, endpoint, place, health, connect_timeout).await {
            Ok((connection, engine)) => {
                let connected = observe::Connected::to(&slot.endpoint.text);
                *lock(&slot.failure) = None;
                let opened = Instant::now();
                shared.add(&connection);
                let pulse = Arc::clone(&connection.pulse);
                let mut running = Box::pin(Arc::clone(&pulse).run(engine, keep_alive));
                let broke = tokio::select! {
                    error = &mut running => Some(error),
                    () = pulse.retired.notified() => None,
                };
                shared.remove(&connection);
                connected.lost(broke.as_ref());
                if broke.is_none() {
                    // Requests that the server still works on finish on the old connection, which
                    // ends with the last of them.
                    tokio::spawn(running);
                }
                // A peer that hangs up on every connection at once is not dialled in a tight loop.
                if opened.elapsed() >= STABLE_AFTER || pulse.has_answered() {
                    backoff.reset();
                }
            }
            Err(error) => {
                observe::cannot_connect(&slot.endpoint.text, &error);
                *lock(&slot.failure) = Some(Arc::new(error));
                shared.changed.send_replace(());
            }
        }
        sleep(backoff.next(fastrand::f64())).await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|broken| broken.into_inner())
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoints = self
            .endpoints()
            .map(|endpoint| &*endpoint.text)
            .collect::<Vec<_>>();
        f.debug_struct("Pool")
            .field("endpoints", &endpoints)
            .field("ready", &self.shared.ready.load().len())
            .finish_non_exhaustive()
    }
}
