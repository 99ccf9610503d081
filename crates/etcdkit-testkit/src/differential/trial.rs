//! As many random cases as there is time for.

use std::time::{Duration, Instant};

use super::{BoxError, Failure, Pair, Report};

/// What to run, as the variables of a test say.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    /// The time for it, unless `ETCDKIT_DIFFERENTIAL_SECONDS` says otherwise.
    pub seconds: u64,
    /// As many cases at least: seeds in a row go through the themes.
    pub fewest_cases: usize,
}

impl Trial {
    /// Runs the case of `ETCDKIT_SEED`, or random ones as long as there is time, and prints what they
    /// came to.
    ///
    /// # Panics
    ///
    /// On the first difference, which it shows, and if a server does not start.
    pub async fn run(
        self,
        pair: &Pair,
        case: impl AsyncFn(&Pair, u64) -> Result<Result<Report, Box<Failure>>, BoxError>,
    ) {
        let chosen = variable("ETCDKIT_SEED");
        let seconds = variable("ETCDKIT_DIFFERENTIAL_SECONDS").unwrap_or(self.seconds);
        let budget = Duration::from_secs(seconds);
        let mut total = Report::default();
        let mut cases = 0;
        let mut seed = chosen.unwrap_or_else(|| fastrand::u64(..));
        let start = Instant::now();
        while cases == 0
            || (chosen.is_none() && (cases < self.fewest_cases || start.elapsed() < budget))
        {
            match case(pair, seed).await.expect("running servers") {
                Ok(report) => total.add(report),
                Err(failure) => panic!("{failure}"),
            }
            cases += 1;
            seed = seed.wrapping_add(1);
        }
        println!(
            "{}: {cases} cases, {} steps, {} answers ({} errors); deliberate differences: {:?}",
            pair.real, total.operations, total.answers, total.errors, total.differences
        );
    }
}

fn variable(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name}={value} is not a number")),
    )
}
