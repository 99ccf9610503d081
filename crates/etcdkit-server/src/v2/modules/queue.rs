//! The queue of a lock: in-order keys in a directory, of which the first holds the lock.

use std::sync::Arc;
use std::time::Duration;

use etcdkit_proto::v2::{ErrorCode, KeysError, Node as Shown};
use etcdkit_store::v2::{Content, Deadline, Path, Tree, WatchOptions};
use tokio::time::{Instant, sleep_until};

use super::Modules;
use crate::grpc::Status;
use crate::node::Node;
use crate::v2::keys::failed;
use crate::v2::watch::Watch;

/// Where 0.x has them.
const DIRECTORY: &[u8] = b"/_etcd/mod/lock/";

/// The value of a place whose request gave none.
const NO_VALUE: &str = "-";

/// How often a place is kept alive in the time it lives.
const RENEWALS: u32 = 3;

/// The queue of one lock.
pub(super) struct Queue<'a> {
    node: &'a Arc<Node>,
    modules: &'a Modules,
    /// The key of the directory.
    key: Vec<u8>,
}

/// A place in a queue.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The name of its key, as a number: it grows with every place.
    pub(super) index: u64,
    pub(super) value: String,
}

/// Which place a request means.
pub(super) enum Which {
    Index(String),
    Value(String),
}

/// What a request for the lock asks for.
pub(super) struct Wish {
    pub(super) value: Option<String>,
    /// How long a place lives without being renewed, in seconds; 0 for ever.
    pub(super) ttl: u64,
    /// How long to wait; `None` for ever.
    pub(super) patience: Option<Duration>,
}

/// Why a request was not granted the lock.
pub(super) enum Denied {
    /// By the keys.
    Keys(KeysError),
    /// Others are first for longer than the request would wait.
    TooLate,
}

impl From<KeysError> for Denied {
    fn from(error: KeysError) -> Self {
        Self::Keys(error)
    }
}

/// Where a place is in its queue.
enum Standing {
    First,
    Behind(Neighbours),
}

/// What a place in the middle depends on, to be watched: the place before, and itself, which somebody may
/// take away.
struct Neighbours {
    before: Watch,
    own: Watch,
}

impl<'a> Queue<'a> {
    /// That of a lock.
    pub(super) fn of(node: &'a Arc<Node>, modules: &'a Modules, name: &[u8]) -> Self {
        let key = [DIRECTORY, name].concat();
        Self { node, modules, key }
    }

    /// The key of its directory.
    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    /// Who holds the lock.
    ///
    /// # Errors
    ///
    /// `KeyNotFound` if nobody ever has.
    pub(super) async fn first(&self) -> Result<Option<Place>, KeysError> {
        let applier = &self.node.applier;
        let places = applier.ask(|store| Ok(self.places(store.v2())));
        Ok(places.await.map_err(failed)??.into_iter().next())
    }

    /// Waits until the lock is granted, and returns the index of the place that holds it. If there is a place with
    /// the wished value, that is the request's, and is renewed.
    ///
    /// The place leaves the queue if this is dropped before.
    pub(super) async fn acquire(&self, wish: &Wish) -> Result<u64, Denied> {
        let began = Instant::now();
        let until = wish.patience.map(|patience| began + patience);
        let place = self.join(wish).await?;
        loop {
            let Standing::Behind(neighbours) = self.standing(place.index)? else {
                break;
            };
            if wish.patience == Some(Duration::ZERO) {
                return Err(Denied::TooLate);
            }
            self.wait(&neighbours, place.index, wish.ttl, until).await?;
        }
        // From now on it is the caller's to renew. This also waits until what came before is durable.
        self.renew_index(place.index, wish.ttl).await?;
        self.modules.waiting.grant(place.index);
        Ok(place.index)
    }

    /// Gives a place another time to live, and a value if one is given beside the index.
    ///
    /// # Errors
    ///
    /// `KeyNotFound` if there is no such place.
    pub(super) async fn renew(
        &self,
        which: &Which,
        value: Option<&str>,
        ttl: u64,
    ) -> Result<(), KeysError> {
        self.change(|tree, now| {
            let path = self.find(tree, which, "Renew")?;
            let content = self.content(value.unwrap_or_default(), ttl, now);
            let content = Content {
                refresh: value.is_none(),
                ..content
            };
            tree.update(&path, content, now).map(drop)
        })
        .await
    }

    /// Takes a place out of the queue.
    ///
    /// # Errors
    ///
    /// `KeyNotFound` if there is no such place.
    pub(super) async fn release(&self, which: &Which) -> Result<(), KeysError> {
        self.change(|tree, now| {
            let path = self.find(tree, which, "Release")?;
            tree.delete(&path, false, false, now).map(drop)
        })
        .await
    }

    /// Takes a place at the end, or the one that has the value already.
    async fn join(&self, wish: &Wish) -> Result<Joined<'_>, KeysError> {
        let index = self
            .change(|tree, now| {
                let found = wish.value.as_ref().and_then(|value| {
                    let places = self.places(tree).unwrap_or_default();
                    places.into_iter().find(|place| place.value == *value)
                });
                if let Some(Place { index, .. }) = found {
                    let content = self.refreshed(wish.ttl, now);
                    tree.update(&self.path(index), content, now)?;
                    self.modules.waiting.join_found(index);
                    return Ok(index);
                }
                let value = wish.value.as_deref().unwrap_or(NO_VALUE);
                let content = self.content(value, wish.ttl, now);
                let made = tree.create_in_order(&Path::of_key(&self.key), content, now)?;
                // A place has the name of the index that it was made at.
                self.modules.waiting.join_own(made.etcd_index);
                Ok(made.etcd_index)
            })
            .await?;
        Ok(Joined { queue: self, index })
    }

    fn standing(&self, index: u64) -> Result<Standing, KeysError> {
        let applier = &self.node.applier;
        let standing = applier.watching(|store, hub| {
            let tree = store.v2();
            let places = self.places(tree)?;
            let at = places.iter().position(|place| place.index == index);
            let Some(at) = at else {
                // Released by somebody else, or expired while the member could not renew it.
                return Err(self.gone(tree, index));
            };
            let before = at.checked_sub(1).and_then(|before| places.get(before));
            let Some(before) = before else {
                return Ok(None);
            };
            let options = WatchOptions::default();
            let before = tree.watch(&mut hub.v2, &self.path(before.index), options)?;
            match tree.watch(&mut hub.v2, &self.path(index), options) {
                Ok(own) => Ok(Some([before, own])),
                Err(error) => {
                    hub.close_v2(before);
                    Err(error)
                }
            }
        });
        let watches = standing.map_err(failed)??;
        Ok(watches.map_or(Standing::First, |watches| {
            let [before, own] = watches.map(|id| Watch::new(self.node, id));
            Standing::Behind(Neighbours { before, own })
        }))
    }

    /// Waits until something happens, and keeps the own place alive.
    async fn wait(
        &self,
        neighbours: &Neighbours,
        index: u64,
        ttl: u64,
        until: Option<Instant>,
    ) -> Result<(), Denied> {
        let mut stopping = self.node.stopping.clone();
        loop {
            let renewal = Instant::now() + Duration::from_secs(ttl.max(1)) / RENEWALS;
            let end = until.unwrap_or(renewal);
            tokio::select! {
                _ = neighbours.before.next() => return Ok(()),
                _ = neighbours.own.next() => return Ok(()),
                () = sleep_until(renewal.min(end)) => {}
                // An error means that the server is gone.
                _ = stopping.wait_for(|stopping| *stopping) => return Err(stopped().into()),
            }
            if until.is_some_and(|until| until <= Instant::now()) {
                return Err(Denied::TooLate);
            }
            self.renew_index(index, ttl).await?;
        }
    }

    async fn renew_index(&self, index: u64, ttl: u64) -> Result<(), KeysError> {
        self.change(|tree, now| {
            let content = self.refreshed(ttl, now);
            tree.update(&self.path(index), content, now).map(drop)
        })
        .await
    }

    async fn change<T>(
        &self,
        change: impl FnOnce(&mut Tree, Duration) -> Result<T, KeysError>,
    ) -> Result<T, KeysError> {
        let changed = self.node.applier.apply(|store| {
            let now = self.node.clock.unix_time();
            Ok(change(store.v2_mut(), now))
        });
        let changed = changed.await.map_err(failed)?;
        self.node.expiry_changed.notify_one();
        changed
    }

    /// Everybody in the queue, in order.
    fn places(&self, tree: &Tree) -> Result<Vec<Place>, KeysError> {
        let now = self.node.clock.unix_time();
        let listed = tree.get(&Path::of_key(&self.key), false, now)?.event.node;
        let nodes = listed.map(|directory| directory.nodes).unwrap_or_default();
        let mut places: Vec<Place> = nodes.into_iter().filter_map(place).collect();
        places.sort_unstable_by_key(|place| place.index);
        Ok(places)
    }

    fn find(&self, tree: &Tree, which: &Which, verb: &str) -> Result<Path, KeysError> {
        let index = match which {
            Which::Index(text) => text.parse().ok(),
            Which::Value(value) => {
                let places = self.places(tree)?.into_iter();
                let mut same = places.filter(|place| place.value == *value);
                same.next().map(|place| place.index)
            }
        };
        let path = index.map(|index| self.path(index));
        path.ok_or_else(|| KeysError::new(ErrorCode::KeyNotFound, verb, 0))
    }

    fn path(&self, index: u64) -> Path {
        let name = format!("/{index:020}");
        Path::of_key([&self.key, name.as_bytes()].concat())
    }

    fn content<'b>(&self, value: &'b str, ttl: u64, now: Duration) -> Content<'b> {
        let deadline = (ttl > 0).then(|| Deadline::after(ttl, now)).flatten();
        Content::value(value).until(deadline)
    }

    fn refreshed(&self, ttl: u64, now: Duration) -> Content<'static> {
        Content {
            refresh: true,
            ..self.content("", ttl, now)
        }
    }

    fn gone(&self, tree: &Tree, index: u64) -> KeysError {
        let path = self.path(index).to_string();
        KeysError::new(ErrorCode::KeyNotFound, path, tree.index())
    }
}

/// A request's place in the queue, which leaves it with the last request that waits for it.
struct Joined<'a> {
    queue: &'a Queue<'a>,
    index: u64,
}

impl Drop for Joined<'_> {
    fn drop(&mut self) {
        let Queue { node, modules, .. } = self.queue;
        if !modules.waiting.leave(self.index) {
            return;
        }
        let path = self.queue.path(self.index);
        let removed = node.applier.apply_detached(|store| {
            let now = node.clock.unix_time();
            Ok(store.v2_mut().delete(&path, false, false, now))
        });
        // It may have expired, or have been released. Otherwise it expires.
        if let Err(status) = removed {
            tracing::debug!(?status, "a place in a queue could not be given up");
        }
    }
}

fn place(node: Shown) -> Option<Place> {
    let (_, name) = node.key.rsplit_once('/')?;
    Some(Place {
        index: name.parse().ok()?,
        value: node.value?,
    })
}

fn stopped() -> KeysError {
    let status = Status::from(etcdkit_proto::EtcdError::Stopped);
    failed(status)
}
