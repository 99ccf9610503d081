//! What may be done to connections.

use std::{
    ops::{Index, IndexMut},
    time::Duration,
};

/// One of the two ways through a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// What the client sends.
    ToServer,
    /// What the server sends.
    ToClient,
}

/// How one direction of a connection works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    pub(super) delay: Duration,
    pub(super) jitter: Duration,
    /// In bytes a second.
    pub(super) bandwidth: Option<u64>,
    pub(super) black_hole: bool,
}

impl Conditions {
    /// Everything is passed on at once.
    #[must_use]
    pub fn pass() -> Self {
        Self::default()
    }

    /// Nothing arrives, and nothing is closed: neither data nor the end of a connection, until other
    /// conditions hold. A connection made meanwhile reaches the server only then, since both ways are
    /// needed to make one; that it seems to be accepted is the kernel's doing.
    #[must_use]
    pub fn black_hole() -> Self {
        Self {
            black_hole: true,
            ..Self::default()
        }
    }

    /// Everything arrives later, by between `mean - jitter` and `mean + jitter`, and still in order.
    #[must_use]
    pub fn delay(mut self, mean: Duration, jitter: Duration) -> Self {
        self.delay = mean;
        self.jitter = jitter;
        self
    }

    /// At most so much is passed on in a second, by each connection.
    #[must_use]
    pub fn bandwidth(mut self, bytes_per_second: u64) -> Self {
        self.bandwidth = Some(bytes_per_second.max(1));
        self
    }

    /// How long something that is read now is held back.
    pub(super) fn draw_delay(&self, random: &mut fastrand::Rng) -> Duration {
        if self.jitter.is_zero() {
            return self.delay;
        }
        let share = random.f64();
        (self.delay + self.jitter.mul_f64(2.0 * share)).saturating_sub(self.jitter)
    }
}

/// A value for each direction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BothWays<T> {
    to_server: T,
    to_client: T,
}

impl<T> Index<Direction> for BothWays<T> {
    type Output = T;

    fn index(&self, direction: Direction) -> &T {
        match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        }
    }
}

impl<T> IndexMut<Direction> for BothWays<T> {
    fn index_mut(&mut self, direction: Direction) -> &mut T {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }
}

/// What one connection is told.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LinkState {
    pub(super) paths: BothWays<Path>,
    pub(super) end: Option<End>,
}

impl LinkState {
    pub(super) fn under(conditions: BothWays<Conditions>) -> Self {
        let mut state = Self::default();
        for direction in [Direction::ToServer, Direction::ToClient] {
            state.paths[direction].conditions = conditions[direction];
        }
        state
    }
}

/// One direction of one connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Path {
    pub(super) conditions: Conditions,
    pub(super) frozen: bool,
    pub(super) closed: bool,
}

impl Path {
    /// Whether anything arrives at all.
    pub(super) fn is_open(&self) -> bool {
        !self.frozen && !self.conditions.black_hole
    }
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Close,
    Reset,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_stay_within_the_jitter_and_follow_the_seed() {
        let ms = Duration::from_millis;
        let conditions = Conditions::pass().delay(ms(20), ms(5));
        let draw = |seed| -> Vec<Duration> {
            let mut random = fastrand::Rng::with_seed(seed);
            (0..100)
                .map(|_| conditions.draw_delay(&mut random))
                .collect()
        };
        let delays = draw(7);
        assert!(delays.iter().all(|delay| (ms(15)..=ms(25)).contains(delay)));
        assert!(delays.iter().any(|delay| *delay < ms(18)));
        assert!(delays.iter().any(|delay| *delay > ms(22)));
        assert_eq!(delays, draw(7));
        assert_ne!(delays, draw(8));
        // More jitter than delay: never sooner than at once.
        let wild = Conditions::pass().delay(ms(1), ms(10));
        let mut random = fastrand::Rng::with_seed(7);
        assert!((0..100).all(|_| wild.draw_delay(&mut random) <= ms(11)));
    }
}
