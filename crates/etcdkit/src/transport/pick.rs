//! The choice among connections that are ready: pure, so that every case can be tested.

/// What the choice looks at, of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// The endpoint's place in the client's list.
    pub(crate) endpoint: usize,
    /// Whether the endpoint has lately refused or missed something.
    pub(crate) suspect: bool,
    /// Whether requests shall stay at the endpoint.
    pub(crate) pinned: bool,
    /// Requests that wait for an answer on the connection.
    pub(crate) in_flight: usize,
}

/// Endpoints that a call has tried already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tried(u64);

impl Tried {
    pub(crate) fn insert(&mut self, endpoint: usize) {
        self.0 |= Self::bit(endpoint);
    }

    pub(crate) fn contains(self, endpoint: usize) -> bool {
        self.0 & Self::bit(endpoint) != 0
    }

    // Lists beyond 64 endpoints share bits, which at worst tries them in another order.
    fn bit(endpoint: usize) -> u64 {
        1 << (endpoint % 64)
    }
}

/// The best candidate: not suspect before suspect, untried before tried, the pinned one before others,
/// then the one with the fewest requests in flight; among equals the first from place `start` on,
/// which callers rotate.
pub(crate) fn pick(
    candidates: impl ExactSizeIterator<Item = Candidate>,
    start: usize,
    tried: Tried,
) -> Option<usize> {
    let count = candidates.len();
    candidates
        .enumerate()
        .min_by_key(|(place, candidate)| {
            let turn = (place + count - start % count) % count;
            (
                candidate.suspect,
                tried.contains(candidate.endpoint),
                !candidate.pinned,
                candidate.in_flight,
                turn,
            )
        })
        .map(|(place, _)| place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(endpoint: usize, suspect: bool, in_flight: usize) -> Candidate {
        Candidate {
            endpoint,
            suspect,
            pinned: false,
            in_flight,
        }
    }

    fn choose(candidates: &[Candidate], start: usize, tried: &[usize]) -> Option<usize> {
        let mut set = Tried::default();
        tried.iter().for_each(|endpoint| set.insert(*endpoint));
        pick(candidates.iter().copied(), start, set)
    }

    #[test]
    fn nothing_comes_from_nothing() {
        assert_eq!(choose(&[], 3, &[]), None);
    }

    #[test]
    fn equals_take_turns() {
        let equal = [
            candidate(0, false, 1),
            candidate(1, false, 1),
            candidate(2, false, 1),
        ];
        let picks: Vec<_> = (0..6)
            .map(|start| choose(&equal, start, &[]).unwrap())
            .collect();
        assert_eq!(picks, [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn fewer_in_flight_wins() {
        let busy = [
            candidate(0, false, 9),
            candidate(1, false, 2),
            candidate(2, false, 3),
        ];
        assert_eq!(choose(&busy, 0, &[]), Some(1));
    }

    #[test]
    fn a_suspect_is_the_last_resort() {
        let all = [candidate(0, true, 0), candidate(1, false, 100)];
        assert_eq!(choose(&all, 0, &[]), Some(1));
        assert_eq!(choose(&all, 0, &[1]), Some(1));
        assert_eq!(choose(&all[..1], 0, &[0]), Some(0));
    }

    #[test]
    fn a_retry_goes_elsewhere() {
        let both = [candidate(0, false, 0), candidate(1, false, 5)];
        assert_eq!(choose(&both, 0, &[0]), Some(1));
    }

    #[test]
    fn the_pinned_one_is_kept_until_it_fails() {
        let pinned = |suspect| Candidate {
            pinned: true,
            ..candidate(1, suspect, 9)
        };
        let healthy = [candidate(0, false, 0), pinned(false)];
        assert_eq!(choose(&healthy, 0, &[]), Some(1));
        assert_eq!(choose(&healthy, 0, &[1]), Some(0));
        let ill = [candidate(0, false, 0), pinned(true)];
        assert_eq!(choose(&ill, 1, &[]), Some(0));
    }
}
