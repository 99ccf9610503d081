//! Two servers with the same history, and one HTTP request after the other to both.

use std::time::{Duration, Instant};

use super::{
    answer::Answer,
    differences::{self, DIFFERENCES},
    generate::Generator,
    position::Position,
    server::{Done, Server},
    step::Step,
};
use crate::{
    differential::{
        BoxError, Comparison, Failure, Mismatch, Pair, Report, ServerKind, Verdict, explain, run,
    },
    etcd::Version,
};

/// Runs `steps` random steps made from `seed` on two fresh servers.
///
/// # Errors
///
/// A [`Failure`] (boxed) with the shortest list of requests found that shows the difference; other
/// errors when a server does not start.
pub async fn run_case(
    pair: &Pair,
    seed: u64,
    steps: usize,
) -> Result<Result<Report, Box<Failure>>, BoxError> {
    let list = Generator::case(seed, steps);
    run::<Both>(pair, seed, list).await
}

/// How long a closed connection may count as a watcher.
const FAREWELL: Duration = Duration::from_secs(30);

struct Both {
    /// The version of the real one, if one is real.
    version: Option<Version>,
    real: Server,
    other: Server,
    position: Position,
    sent: Vec<Step>,
}

impl Comparison for Both {
    type Step = Step;
    type Answer = Answer;

    async fn start(pair: &Pair) -> Result<Self, BoxError> {
        let real = Server::start(&pair.real, None).await?;
        let other = Server::start(&pair.other, Some(real.identity())).await?;
        let version = match &pair.real {
            ServerKind::Etcd(binary) => Some(binary.version()),
            ServerKind::Embedded | ServerKind::Durable => None,
        };
        Ok(Self {
            version,
            real,
            other,
            position: Position::default(),
            sent: Vec::new(),
        })
    }

    async fn compare(&mut self, step: &Step, report: &mut Report) -> Verdict<Self> {
        let step = self.position.resolve(step);
        self.sent.push(step.clone());
        let (real, other) = match self.ask(&step).await {
            Some(answers) => answers,
            None => return Verdict::Parted,
        };
        report.answers += real.shown().len();
        let errors = real.shown().iter().filter(|shown| shown.code() >= 400);
        report.errors += errors.count();
        match self.judge(&step, real, other, report) {
            Verdict::Alike => self.settle(&step, report).await,
            verdict => verdict,
        }
    }

    fn smaller(step: &Step) -> Vec<Step> {
        step.smaller()
    }
}

impl Both {
    /// What both answer; `None` if the machine was too slow to tell.
    async fn ask(&mut self, step: &Step) -> Option<(Answer, Answer)> {
        let start = Instant::now();
        loop {
            let (real, other) = tokio::join!(self.real.apply(step), self.other.apply(step));
            let (Done::Answer(real), Done::Answer(other)) = (real, other) else {
                return None;
            };
            // Servers learn in their own time that a watcher has hung up.
            if !matches!(step, Step::Count) || real == other || start.elapsed() > FAREWELL {
                return Some((real, other));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn judge(
        &mut self,
        step: &Step,
        mut real: Answer,
        other: Answer,
        report: &mut Report,
    ) -> Verdict<Self> {
        self.position.observe(&real);
        real.allow_for_time(&other);
        if real == other && !matches!(real, Answer::Broken(_)) {
            return Verdict::Alike;
        }
        let excused = self
            .version
            .and_then(|version| explain(DIFFERENCES, version, step, &real, &other));
        match excused {
            Some(difference) => {
                *report.differences.entry(difference.name).or_default() += 1;
                match differences::have_parted(&real, &other) {
                    true => Verdict::Parted,
                    false => Verdict::Alike,
                }
            }
            None => Verdict::Different(Box::new(Mismatch {
                sent: self.sent.clone(),
                real,
                other,
            })),
        }
    }

    /// Compares what has come of open requests. What one server has sent the other must send, too.
    async fn settle(&mut self, step: &Step, report: &mut Report) -> Verdict<Self> {
        for slot in self.real.slots() {
            let (real, other) = (self.real.extent(slot), self.other.extent(slot));
            if real != other {
                let most = real.max(other);
                tokio::join!(self.real.reach(slot, most), self.other.reach(slot, most));
            }
            let (real, other) = (self.real.received(slot), self.other.received(slot));
            report.answers += usize::from(self.real.extent(slot) != Default::default());
            let opened = self.opened(slot).unwrap_or(step).clone();
            let verdict = self.judge(&opened, real, other, report);
            if !matches!(verdict, Verdict::Alike) {
                return verdict;
            }
            // One still waits where the other, deliberately, does not.
            if self.real.extent(slot) != self.other.extent(slot) {
                return Verdict::Parted;
            }
        }
        Verdict::Alike
    }

    /// The step that opened a request.
    fn opened(&self, wanted: usize) -> Option<&Step> {
        let mut sent = self.sent.iter().rev();
        sent.find(|step| matches!(step, Step::Open { slot, .. } if *slot == wanted))
    }
}
