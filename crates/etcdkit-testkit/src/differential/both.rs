//! Two servers with the same history, and one gRPC call after the other to both.

use etcdkit_proto::etcdserverpb::{RequestOp, TxnRequest, request_op::Request};

use super::{
    calls::Call,
    case::{self, Comparison, Failure, Mismatch, Pair, Report, Verdict},
    difference::explain,
    differences::{self, DIFFERENCES},
    generate::Generator,
    host::BoxError,
    operation::Operation,
    outcome::Outcome,
    position::Position,
    server::Server,
};
use crate::etcd::Version;

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
    let mut generator = Generator::new(seed, pair.real.version());
    let mut list: Vec<Operation> = (0..operations).map(|_| generator.next()).collect();
    list.extend(generator.last_operations());
    case::run::<Both>(pair, seed, list).await
}

struct Both {
    version: Version,
    real: Server,
    other: Server,
    position: Position,
    sent: Vec<Operation>,
}

impl Comparison for Both {
    type Step = Operation;
    type Answer = Outcome;

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

    async fn compare(&mut self, operation: &Operation, report: &mut Report) -> Verdict<Self> {
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
        match explain(DIFFERENCES, self.version, &operation, &real, &other) {
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

    /// Only transactions have parts.
    fn smaller(operation: &Operation) -> Vec<Operation> {
        let Call::Txn(txn) = &operation.call else {
            return Vec::new();
        };
        let smaller = smaller_txns(txn).into_iter().map(|txn| Operation {
            caller: operation.caller,
            call: Call::Txn(txn),
        });
        smaller.collect()
    }
}

fn smaller_txns(txn: &TxnRequest) -> Vec<TxnRequest> {
    let mut smaller = Vec::new();
    for index in 0..txn.compare.len() {
        let mut less = txn.clone();
        less.compare.remove(index);
        smaller.push(less);
    }
    let branches: [fn(&mut TxnRequest) -> &mut Vec<RequestOp>; 2] =
        [|txn| &mut txn.success, |txn| &mut txn.failure];
    for branch in branches {
        for (index, op) in branch(&mut txn.clone()).iter().enumerate() {
            let mut less = txn.clone();
            branch(&mut less).remove(index);
            smaller.push(less);
            if let Some(Request::RequestTxn(nested)) = &op.request {
                for nested in smaller_txns(nested) {
                    let mut less = txn.clone();
                    branch(&mut less)[index].request = Some(Request::RequestTxn(nested));
                    smaller.push(less);
                }
            }
        }
    }
    smaller
}
