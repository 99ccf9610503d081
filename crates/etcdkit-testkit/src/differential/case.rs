//! One case: a seed, two fresh servers, a list of operations.

use std::{collections::BTreeMap, fmt};

use super::{
    differences,
    generate::Generator,
    operation::Operation,
    outcome::Outcome,
    position::Position,
    server::{BoxError, Server, ServerKind},
    shrink,
};
use crate::etcd::Version;

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

/// A difference that is not a deliberate one.
#[derive(Debug)]
pub struct Failure {
    seed: u64,
    real: String,
    other: String,
    found_after: usize,
    mismatch: Mismatch,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} and {} answer differently (seed {}, operation {}; repeat with ETCDKIT_SEED={}).",
            self.real, self.other, self.seed, self.found_after, self.seed
        )?;
        writeln!(f, "The shortest list of operations that shows it:")?;
        for (index, operation) in self.mismatch.sent.iter().enumerate() {
            writeln!(f, "{:3}: {}", index + 1, cut(&format!("{operation:?}")))?;
        }
        writeln!(f, "To the last one the answers are")?;
        writeln!(
            f,
            "  {}: {}",
            self.real,
            cut(&format!("{:?}", self.mismatch.real))
        )?;
        write!(
            f,
            "  {}: {}",
            self.other,
            cut(&format!("{:?}", self.mismatch.other))
        )
    }
}

/// Large values would bury the rest of a report.
fn cut(text: &str) -> String {
    const LONGEST: usize = 4_000;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}

/// Two answers that differ, and what was sent, the operation that they answer being the last.
#[derive(Clone, Debug)]
pub(super) struct Mismatch {
    sent: Vec<Operation>,
    real: Outcome,
    other: Outcome,
}

/// Runs `operations` random operations made from `seed` on two fresh servers.
///
/// # Errors
///
/// A [`Failure`] (boxed) with the shortest list of operations found that shows the difference; other
/// errors when a server does not start.
pub async fn run_case(
    pair: &Pair,
    seed: u64,
    operations: usize,
) -> Result<Result<Report, Box<Failure>>, BoxError> {
    let mut servers = Servers::start(pair).await?;
    let mut generator = Generator::new(seed, pair.real.version());
    let mut sent = Vec::new();
    let mut report = Report::default();

    let mut verdict = Verdict::Alike;
    while matches!(verdict, Verdict::Alike) && sent.len() < operations {
        let operation = generator.next();
        verdict = servers.compare(&operation, &mut report).await;
        sent.push(operation);
    }
    let mut last_operations = generator.last_operations().into_iter();
    while matches!(verdict, Verdict::Alike)
        && let Some(operation) = last_operations.next()
    {
        verdict = servers.compare(&operation, &mut report).await;
        sent.push(operation);
    }
    report.operations = sent.len();
    drop(servers);

    let Verdict::Different(mismatch) = verdict else {
        return Ok(Ok(report));
    };
    let found_after = sent.len();
    let mismatch = shrink::shrink(pair, sent, *mismatch).await?;
    Ok(Err(Box::new(Failure {
        seed,
        real: pair.real.to_string(),
        other: pair.other.to_string(),
        found_after,
        mismatch,
    })))
}

/// Sends a fixed list to two fresh servers, up to the first difference.
pub(super) async fn replay(
    pair: &Pair,
    operations: &[Operation],
) -> Result<Option<Mismatch>, BoxError> {
    let mut servers = Servers::start(pair).await?;
    for operation in operations {
        match servers.compare(operation, &mut Report::default()).await {
            Verdict::Alike => {}
            Verdict::Parted => return Ok(None),
            Verdict::Different(mismatch) => return Ok(Some(*mismatch)),
        }
    }
    Ok(None)
}

impl Mismatch {
    /// How many operations it took.
    pub(super) fn length(&self) -> usize {
        self.sent.len()
    }
}

/// Two servers with the same history.
struct Servers {
    version: Version,
    real: Server,
    other: Server,
    position: Position,
    sent: Vec<Operation>,
}

impl Servers {
    async fn start(pair: &Pair) -> Result<Self, BoxError> {
        let real = Server::start(&pair.real, None).await?;
        let other = Server::start(&pair.other, Some(real.identity())).await?;
        Ok(Self {
            version: pair.real.version(),
            position: Position::start(real.identity().member.clone()),
            real,
            other,
            sent: Vec::new(),
        })
    }

    /// Sends an operation to both and compares what comes of it.
    async fn compare(&mut self, operation: &Operation, report: &mut Report) -> Verdict {
        let operation = self.position.resolve(operation);
        let (real, other) = tokio::join!(self.real.apply(&operation), self.other.apply(&operation));
        self.position.observe(&operation, &real);
        self.sent.push(operation.clone());
        report.answers += real.count();
        report.errors += usize::from(real.answer().is_none());
        let late = matches!(real, Outcome::Late(_));
        if real == other && !late {
            return Verdict::Alike;
        }
        match differences::explain(self.version, &operation, &real, &other) {
            Some(difference) => {
                *report.differences.entry(difference.name).or_default() += 1;
                match differences::have_parted(&operation, &real, &other) {
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
}

/// What an operation shows.
enum Verdict {
    /// The same answers, or answers that are meant to differ.
    Alike,
    /// Answers that are meant to differ, after which the servers have different states.
    Parted,
    /// A difference that is not meant to be.
    Different(Box<Mismatch>),
}
