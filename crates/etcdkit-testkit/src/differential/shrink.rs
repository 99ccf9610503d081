//! Making a failing list of steps short.

use std::time::{Duration, Instant};

use super::{
    case::{Comparison, Mismatch, Pair, Report, replay},
    host::BoxError,
};

/// How many shorter lists are tried; each needs two fresh servers.
const TRIALS: usize = 250;

/// For how long: a list whose answers do not come takes long to try.
const PATIENCE: Duration = Duration::from_secs(180);

/// Leaves out what can be left out of `steps` while two fresh servers still differ.
pub(super) async fn shrink<C: Comparison>(
    pair: &Pair,
    mut steps: Vec<C::Step>,
    mut mismatch: Mismatch<C>,
) -> Result<Mismatch<C>, BoxError> {
    let began = Instant::now();
    let mut trials = 0;

    let mut chunk = steps.len() / 2;
    while chunk > 0 {
        let mut start = 0;
        while start + chunk <= steps.len() && trials < TRIALS && began.elapsed() < PATIENCE {
            trials += 1;
            let mut shorter = steps.clone();
            shorter.drain(start..start + chunk);
            match replay(pair, &shorter, &mut Report::default()).await? {
                Some(found) => {
                    shorter.truncate(found.length());
                    (steps, mismatch) = (shorter, found);
                }
                None => start += chunk,
            }
        }
        chunk /= 2;
    }

    // Then every step loses what it does not need.
    let mut index = 0;
    while index < steps.len() {
        let mut candidates = C::smaller(&steps[index]);
        while let Some(step) = candidates.pop()
            && trials < TRIALS
            && began.elapsed() < PATIENCE
        {
            trials += 1;
            let mut list = steps.clone();
            list[index] = step;
            if let Some(found) = replay(pair, &list, &mut Report::default()).await? {
                list.truncate(found.length());
                (steps, mismatch) = (list, found);
                candidates = steps.get(index).map(C::smaller).unwrap_or_default();
            }
        }
        index += 1;
    }
    Ok(mismatch)
}
