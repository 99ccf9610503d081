//! Going through what happened.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;
use etcdkit::Revision;

use super::{Claim, Queue, Stamp, Violation};
use crate::watch_checker::{Event, History};

impl Queue {
    /// Finds what contradicts the promises of a lock, in a history of all keys of the queue and of all
    /// that was written under it, from before the first to after the last of them.
    pub fn judge(&self, history: &History, claims: &[Claim]) -> Vec<Violation> {
        let mut judgement = Judgement::default();
        for event in history.events() {
            if event.kv.key.starts_with(self.keys.as_bytes()) {
                judgement.queued(self, event);
            } else if event.kv.key.starts_with(self.data.as_bytes()) && !event.is_delete {
                judgement.written(self, event);
            }
        }
        judgement.end(claims)
    }
}

/// The places of a queue, by their tokens.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// The keys of all that ever were.
    keys: HashMap<Revision, Bytes>,
    /// Those that are there, by age.
    there: BTreeMap<Revision, Bytes>,
    /// When others went.
    gone: HashMap<Revision, Revision>,
}

impl Places {
    /// Follows an event; answers the place that is new by it.
    pub(super) fn follow(&mut self, queue: &Queue, event: &Event) -> Option<Revision> {
        if !event.kv.key.starts_with(queue.keys.as_bytes()) {
            return None;
        }
        if event.is_delete {
            let token = event.prev_kv.as_ref().map(|kv| kv.create_revision)?;
            self.there.remove(&token);
            self.gone.insert(token, event.revision());
            return None;
        }
        let token = event.kv.create_revision;
        self.there.insert(token, event.kv.key.clone());
        let is_new = self.keys.insert(token, event.kv.key.clone()).is_none();
        is_new.then_some(token)
    }

    pub(super) fn key(&self, token: Revision) -> Option<&Bytes> {
        self.keys.get(&token)
    }

    /// The older places in the way of one.
    fn behind(&self, queue: &Queue, token: Revision, key: &[u8]) -> Vec<Revision> {
        let older = self.there.range(..token);
        let in_the_way = older.filter(|(_, older)| queue.is_in_the_way(older, key));
        in_the_way.map(|(token, _)| *token).collect()
    }

    /// Those whose turn it is.
    fn holders<'a>(&'a self, queue: &'a Queue) -> impl Iterator<Item = Revision> + 'a {
        let all = self.there.iter();
        let holders =
            all.filter(|(token, key)| self.behind(queue, **token, key).len() < queue.limit());
        holders.map(|(token, _)| *token)
    }
}

#[derive(Debug, Default)]
struct Judgement {
    places: Places,
    /// Every place that ever had its turn.
    held: HashSet<Revision>,
    /// The greatest token of an exclusive write.
    greatest: Revision,
    violations: Vec<Violation>,
}

impl Judgement {
    fn queued(&mut self, queue: &Queue, event: &Event) {
        if let Some(token) = self.places.follow(queue, event)
            && event.kv.lease.is_none()
        {
            let key = event.kv.key.clone();
            self.violations.push(Violation::WithoutLease { key, token });
        }
        self.held.extend(self.places.holders(queue));
    }

    fn written(&mut self, queue: &Queue, event: &Event) {
        let write = event.revision();
        let Some(Stamp { token, .. }) = Stamp::of(&event.kv.value) else {
            let key = event.kv.key.clone();
            self.violations.push(Violation::Unstamped { key, write });
            return;
        };
        let places = &self.places;
        let Some(key) = places.there.get(&token) else {
            self.violations.push(match places.gone.get(&token) {
                Some(&gone) => Violation::PastHolder { token, gone, write },
                None => Violation::Stranger { token, write },
            });
            return;
        };
        let behind = places.behind(queue, token, key);
        if behind.len() >= queue.limit() {
            self.violations.push(Violation::Waiter {
                token,
                behind,
                write,
            });
        }
        if queue.is_exclusive(key) {
            if token < self.greatest {
                self.violations.push(Violation::TokenWentBack {
                    before: self.greatest,
                    token,
                    write,
                });
            }
            self.greatest = self.greatest.max(token);
        }
    }

    fn end(mut self, claims: &[Claim]) -> Vec<Violation> {
        let never = claims
            .iter()
            .filter(|claim| !self.held.contains(&claim.token));
        let never = never.map(|claim| Violation::NeverHeld { token: claim.token });
        self.violations.extend(never);
        let left = self.places.there.into_iter();
        let left = left.map(|(token, key)| Violation::Left { key, token });
        self.violations.extend(left);
        self.violations
    }
}
