//! The endpoints that a client has now.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use super::{endpoint::Endpoint, health::Health};
use crate::EndpointMode;

/// An endpoint of a client.
#[derive(Debug)]
pub(crate) struct Place {
    /// Tells it from all others that the client ever had: a request for one endpoint must not reach
    /// the one that came in its stead.
    pub(crate) number: usize,
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) health: Arc<Health>,
}

/// All endpoints of a client, for all its pools.
#[derive(Debug)]
pub(crate) struct Roster {
    mode: EndpointMode,
    /// The place that requests stay at in [`EndpointMode::Pinned`].
    pinned: AtomicUsize,
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    places: Vec<Arc<Place>>,
    next: usize,
    /// Counts the changes.
    version: u64,
    /// What the user or DNS named.
    seeds: Vec<Endpoint>,
}

const NONE: usize = usize::MAX;

impl Roster {
    pub(crate) fn new(mode: EndpointMode, endpoints: Vec<Endpoint>) -> Self {
        let this = Self {
            mode,
            pinned: AtomicUsize::new(NONE),
            list: Mutex::default(),
        };
        this.seed(endpoints);
        this
    }

    pub(crate) fn places(&self) -> Vec<Arc<Place>> {
        self.list().places.clone()
    }

    pub(crate) fn version(&self) -> u64 {
        self.list().version
    }

    /// Whether endpoints without a scheme speak TLS, in company of those that there are. If there are
    /// none, what the settings say counts.
    pub(crate) fn speaks_tls(&self, settings: bool) -> bool {
        let list = self.list();
        match list.places.is_empty() {
            true => settings,
            false => list.places.iter().any(|place| place.endpoint.tls),
        }
    }

    /// Sets the endpoints, and what to fall back to.
    pub(crate) fn seed(&self, endpoints: Vec<Endpoint>) {
        let mut list = self.list();
        list.seeds.clone_from(&endpoints);
        list.replace(endpoints);
    }

    /// Sets the endpoints unless they have changed since they had a version; says whether it did.
    pub(crate) fn replace_if(&self, version: u64, endpoints: Vec<Endpoint>) -> bool {
        let mut list = self.list();
        if list.version != version {
            return false;
        }
        list.replace(endpoints);
        true
    }

    /// Adds what to fall back to; says whether anything was missing.
    pub(crate) fn add_seeds(&self) -> bool {
        let mut list = self.list();
        let known: Vec<_> = list
            .places
            .iter()
            .map(|place| Arc::clone(&place.endpoint))
            .collect();
        let is_new = |seed: &&Endpoint| !known.iter().any(|known| **known == **seed);
        let missing: Vec<_> = list.seeds.iter().filter(is_new).cloned().collect();
        if missing.is_empty() {
            return false;
        }
        let known = known.iter().map(|endpoint| Endpoint::clone(endpoint));
        let all = known.chain(missing).collect();
        list.replace(all);
        true
    }

    /// The place to stay at, if requests stay at one.
    pub(crate) fn pinned(&self) -> Option<usize> {
        match self.mode {
            EndpointMode::RoundRobin => None,
            EndpointMode::Pinned => Some(self.pinned.load(Ordering::Relaxed)),
        }
    }

    pub(crate) fn pin(&self, place: usize) {
        self.pinned.store(place, Ordering::Relaxed);
    }

    fn list(&self) -> std::sync::MutexGuard<'_, List> {
        self.list
            .lock()
            .unwrap_or_else(|broken| broken.into_inner())
    }
}

impl List {
    /// Sets the endpoints. One that stays keeps its place, and what is known of its health.
    fn replace(&mut self, endpoints: Vec<Endpoint>) {
        self.version += 1;
        let old = std::mem::take(&mut self.places);
        for endpoint in endpoints {
            let known = old.iter().find(|place| *place.endpoint == endpoint);
            let place = known.map(Arc::clone).unwrap_or_else(|| {
                let number = self.next;
                self.next += 1;
                Arc::new(Place {
                    number,
                    health: Arc::new(Health::of(Arc::clone(&endpoint.text))),
                    endpoint: Arc::new(endpoint),
                })
            });
            self.places.push(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(texts: &[&str]) -> Vec<Endpoint> {
        let parse = |text: &&str| Endpoint::parse(text, false).expect("an endpoint");
        texts.iter().map(parse).collect()
    }

    fn numbers(places: &[Arc<Place>]) -> Vec<usize> {
        places.iter().map(|place| place.number).collect()
    }

    #[test]
    fn what_stays_keeps_its_place_and_health_and_no_place_is_given_twice() {
        let roster = Roster::new(EndpointMode::RoundRobin, endpoints(&["a:1", "b:1"]));
        let first = roster.places();
        assert_eq!(numbers(&first), [0, 1]);
        first[1].health.refused();

        roster.seed(endpoints(&["c:1", "b:1"]));
        let second = roster.places();
        assert_eq!(numbers(&second), [2, 1]);
        assert!(second[1].health.is_suspect());

        roster.seed(endpoints(&["a:1"]));
        assert_eq!(numbers(&roster.places()), [3]);
    }

    #[test]
    fn a_change_that_was_overtaken_is_not_made() {
        let roster = Roster::new(EndpointMode::RoundRobin, endpoints(&["a:1"]));
        let version = roster.version();
        roster.seed(endpoints(&["b:1"]));
        assert!(!roster.replace_if(version, endpoints(&["c:1"])));
        assert_eq!(numbers(&roster.places()), [1]);
        assert!(roster.replace_if(roster.version(), endpoints(&["c:1"])));
        assert_eq!(numbers(&roster.places()), [2]);
    }

    #[test]
    fn seeds_come_back_beside_what_replaced_them() {
        let roster = Roster::new(EndpointMode::RoundRobin, endpoints(&["a:1", "b:1"]));
        assert!(!roster.add_seeds());
        assert!(roster.replace_if(roster.version(), endpoints(&["b:1", "c:1"])));
        assert!(roster.add_seeds());
        let places = roster.places();
        let texts: Vec<_> = places.iter().map(|place| &*place.endpoint.text).collect();
        assert_eq!(texts, ["http://b:1", "http://c:1", "http://a:1"]);
    }
}
