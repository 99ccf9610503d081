//! One case: a seed, two fresh servers, a list of steps, whatever a step is.

use std::{collections::BTreeMap, fmt, future::Future};

use super::{
    host::{BoxError, ServerKind},
    shrink,
};

/// The two kinds of server to compare.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The server that is right by definition.
    pub real: ServerKind,
    /// The server that must answer the same.
    pub other: ServerKind,
}

/// What a case that found no difference went through.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How many operations were sent.
    pub operations: usize,
    /// How many answers were compared, those of operations inside transactions and events of watches
    /// included.
    pub answers: usize,
    /// How many of the answers were errors.
    pub errors: usize,
    /// The deliberate differences met, and how often.
    pub differences: BTreeMap<&'static str, usize>,
}

impl Report {
    /// Adds what another case went through.
    pub fn add(&mut self, other: Self) {
        self.operations += other.operations;
        self.answers += other.answers;
        self.errors += other.errors;
        for (name, times) in other.differences {
            *self.differences.entry(name).or_default() += times;
        }
    }
}

/// Two fresh servers that are sent the same steps.
pub(crate) trait Comparison: Sized + Send {
    /// What is sent.
    type Step: Clone + fmt::Debug + Send + Sync;
    /// What comes of it.
    type Answer: fmt::Debug + Send;

    /// Starts both.
    fn start(pair: &Pair) -> impl Future<Output = Result<Self, BoxError>> + Send;

    /// Sends a step to both and compares what comes of it.
    fn compare(
        &mut self,
        step: &Self::Step,
        report: &mut Report,
    ) -> impl Future<Output = Verdict<Self>> + Send;

    /// The same step with one part less, in every way there is.
    fn smaller(step: &Self::Step) -> Vec<Self::Step>;
}

/// What a step shows.
pub(crate) enum Verdict<C: Comparison> {
    /// The same answers, or answers that are meant to differ.
    Alike,
    /// Answers that are meant to differ, after which the servers have different states.
    Parted,
    /// A difference that is not meant to be.
    Different(Box<Mismatch<C>>),
}

/// Two answers that differ, and what was sent, the step that they answer being the last.
pub(crate) struct Mismatch<C: Comparison> {
    /// What was sent, as it was sent.
    pub(crate) sent: Vec<C::Step>,
    /// What the server that is right answers.
    pub(crate) real: C::Answer,
    /// What the other one answers.
    pub(crate) other: C::Answer,
}

/// A difference that is not a deliberate one.
#[derive(Debug)]
pub struct Failure {
    seed: u64,
    real: String,
    other: String,
    found_after: usize,
    sent: Vec<String>,
    real_answer: String,
    other_answer: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} and {} answer differently (seed {}, operation {}; repeat with ETCDKIT_SEED={}).",
            self.real, self.other, self.seed, self.found_after, self.seed
        )?;
        writeln!(f, "The shortest list of operations that shows it:")?;
        for (index, step) in self.sent.iter().enumerate() {
            writeln!(f, "{:3}: {step}", index + 1)?;
        }
        writeln!(f, "To the last one the answers are")?;
        writeln!(f, "  {}: {}", self.real, self.real_answer)?;
        write!(f, "  {}: {}", self.other, self.other_answer)
    }
}

/// Large values would bury the rest of a report.
fn cut(shown: &impl fmt::Debug) -> String {
    const LONGEST: usize = 4_000;
    let text = format!("{shown:?}");
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text,
    }
}

/// Sends the steps that were made from `seed` to two fresh servers, and shortens the list if they
/// differ.
pub(crate) async fn run<C: Comparison>(
    pair: &Pair,
    seed: u64,
    steps: Vec<C::Step>,
) -> Result<Result<Report, Box<Failure>>, BoxError> {
    let mut report = Report::default();
    let Some(mismatch) = replay::<C>(pair, &steps, &mut report).await? else {
        return Ok(Ok(report));
    };
    let found_after = report.operations;
    let mut sent = steps;
    sent.truncate(found_after);
    let mismatch = shrink::shrink::<C>(pair, sent, mismatch).await?;
    Ok(Err(Box::new(Failure {
        seed,
        real: pair.real.to_string(),
        other: pair.other.to_string(),
        found_after,
        sent: mismatch.sent.iter().map(cut).collect(),
        real_answer: cut(&mismatch.real),
        other_answer: cut(&mismatch.other),
    })))
}

/// Sends a list to two fresh servers, up to the first difference.
pub(super) async fn replay<C: Comparison>(
    pair: &Pair,
    steps: &[C::Step],
    report: &mut Report,
) -> Result<Option<Mismatch<C>>, BoxError> {
    let mut servers = C::start(pair).await?;
    for step in steps {
        report.operations += 1;
        match servers.compare(step, report).await {
            Verdict::Alike => {}
            Verdict::Parted => return Ok(None),
            Verdict::Different(mismatch) => return Ok(Some(*mismatch)),
        }
    }
    Ok(None)
}

impl<C: Comparison> Mismatch<C> {
    /// How many steps it took.
    pub(super) fn length(&self) -> usize {
        self.sent.len()
    }
}
