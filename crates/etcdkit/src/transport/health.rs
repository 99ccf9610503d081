//! What is known of an endpoint beyond its connections, and when it should be avoided.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::observe;

/// How long an endpoint is avoided after its first refusal; doubled with each further one.
const AVOID_FIRST: Duration = Duration::from_secs(1);
const AVOID_MOST: Duration = Duration::from_secs(16);

/// Stands for "until there is a sign of life".
const UNTIL_ALIVE: u64 = u64::MAX;

/// The health of one endpoint.
///
/// An avoided endpoint is still used when there is no other. Only a success that needed the cluster,
/// or a new connection, clears its record: a member that refuses or hangs may well answer pings and
/// local reads.
#[derive(Debug)]
pub(crate) struct Health {
    endpoint: Arc<str>,
    epoch: Instant,
    /// Milliseconds since `epoch` until which the endpoint is avoided; 0 is healthy.
    avoid_until: AtomicU64,
    strikes: AtomicU32,
    /// How many have asked for the endpoint to be avoided as long as they are at it.
    busy: AtomicU32,
}

/// Has an endpoint avoided until dropped.
#[derive(Debug)]
pub(crate) struct Avoided(Arc<Health>);

impl Drop for Avoided {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Health {
    /// The health of an endpoint, as traces call it, of which nothing bad is known.
    pub(crate) fn of(endpoint: Arc<str>) -> Self {
        let (avoid_until, strikes) = (AtomicU64::new(0), AtomicU32::new(0));
        Self {
            endpoint,
            epoch: Instant::now(),
            avoid_until,
            strikes,
            busy: AtomicU32::new(0),
        }
    }

    /// Has the endpoint avoided for as long as the guard lives, because it is known to be busy.
    pub(crate) fn avoid(self: &Arc<Self>) -> Avoided {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Avoided(Arc::clone(self))
    }

    pub(crate) fn is_suspect(&self) -> bool {
        if self.busy.load(Ordering::Relaxed) > 0 {
            return true;
        }
        match self.avoid_until.load(Ordering::Relaxed) {
            0 => false,
            until => until > self.epoch.elapsed().as_millis() as u64,
        }
    }

    /// Avoids the endpoint for a while: it answered that it cannot serve.
    pub(crate) fn refused(&self) {
        let strikes = self.strikes.fetch_add(1, Ordering::Relaxed).min(8);
        let pause = AVOID_FIRST.saturating_mul(1 << strikes).min(AVOID_MOST);
        let until = (self.epoch.elapsed() + pause).as_millis() as u64;
        self.suspect(until);
    }

    /// Avoids the endpoint until it shows a sign of life: it did not answer at all.
    pub(crate) fn silent(&self) {
        self.suspect(UNTIL_ALIVE);
    }

    fn suspect(&self, until: u64) {
        if self.avoid_until.swap(until, Ordering::Relaxed) == 0 {
            observe::suspected(&self.endpoint);
        }
    }

    /// The endpoint answered a ping. It is there, but why it was silent is not known.
    pub(crate) fn alive(&self) {
        if self.avoid_until.load(Ordering::Relaxed) == UNTIL_ALIVE {
            self.refused();
        }
    }

    pub(crate) fn well(&self) {
        // Nearly every call ends here, and mostly there is nothing to write.
        if self.avoid_until.load(Ordering::Relaxed) != 0 {
            self.avoid_until.store(0, Ordering::Relaxed);
            self.strikes.store(0, Ordering::Relaxed);
            observe::recovered(&self.endpoint);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether something has the endpoint avoided for so long, however long it takes itself.
    fn avoids_for(health: &Health, time: Duration, act: impl FnOnce(&Health)) -> bool {
        let before = health.epoch.elapsed();
        act(health);
        let after = health.epoch.elapsed();
        let until = u128::from(health.avoid_until.load(Ordering::Relaxed));
        let [earliest, latest] = [before, after].map(|now| (now + time).as_millis());
        (earliest..=latest).contains(&until)
    }

    #[test]
    fn refusals_add_up_until_there_is_a_success() {
        let health = Health::of("a".into());
        assert!(!health.is_suspect());
        assert!(avoids_for(&health, AVOID_FIRST, Health::refused));
        assert!(avoids_for(&health, 2 * AVOID_FIRST, Health::refused));
        health.well();
        assert!(!health.is_suspect());
        assert!(avoids_for(&health, AVOID_FIRST, Health::refused));
    }

    #[test]
    fn silence_lasts_until_a_sign_of_life_and_then_counts_as_a_refusal() {
        let health = Health::of("a".into());
        health.alive();
        assert!(!health.is_suspect());
        health.silent();
        assert!(health.is_suspect());
        assert!(avoids_for(&health, AVOID_FIRST, Health::alive));
        health.well();
        assert!(!health.is_suspect());
    }

    #[test]
    fn a_busy_endpoint_is_avoided_whatever_it_answers() {
        let health = Arc::new(Health::of("a".into()));
        let first = health.avoid();
        let second = health.avoid();
        health.well();
        drop(first);
        assert!(health.is_suspect());
        drop(second);
        assert!(!health.is_suspect());
    }

    #[test]
    fn many_refusals_do_not_overflow() {
        let health = Health::of("a".into());
        (0..100).for_each(|_| health.refused());
        assert!(health.is_suspect());
        assert!(avoids_for(&health, AVOID_MOST, Health::refused));
    }
}
