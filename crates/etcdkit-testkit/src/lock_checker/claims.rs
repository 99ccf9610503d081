//! What guards say of themselves, by the clock.

use std::time::Instant;

use etcdkit::Revision;

use super::{Queue, Violation, judge::Places};
use crate::watch_checker::History;

/// That a guard said of itself that it held the lock.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// Its fencing token.
    pub token: Revision,
    /// A moment after it was given.
    pub since: Instant,
    /// A moment before it last said that it was not lost; not after `since` if it never did.
    pub until: Instant,
}

impl Queue {
    /// Finds guards that held the lock beside more others than it admits, all by their own account.
    ///
    /// The clock must be the same for all claims. Guards of one place are one.
    pub fn together(&self, history: &History, claims: &[Claim]) -> Vec<Violation> {
        let mut places = Places::default();
        for event in history.events() {
            places.follow(self, event);
        }
        let mut violations = Vec::new();
        for claim in claims {
            let Some(key) = places.key(claim.token) else {
                violations.push(Violation::NeverHeld { token: claim.token });
                continue;
            };
            if claim.until <= claim.since {
                continue;
            }
            let others = claims.iter().filter(|other| {
                let then = other.since <= claim.since && claim.since < other.until;
                let in_the_way = places
                    .key(other.token)
                    .is_some_and(|other| self.is_in_the_way(other, key));
                other.token != claim.token && then && in_the_way
            });
            let mut beside: Vec<Revision> = others.map(|other| other.token).collect();
            beside.sort_unstable();
            beside.dedup();
            if beside.len() >= self.limit() {
                let token = claim.token;
                violations.push(Violation::Together { token, beside });
            }
        }
        violations
    }
}
