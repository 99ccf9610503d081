//! Making a failing list of operations short.

use std::time::{Duration, Instant};

use etcdkit_proto::etcdserverpb::{RequestOp, TxnRequest, request_op::Request};

use super::{
    calls::Call,
    case::{Mismatch, Pair, replay},
    operation::Operation,
    server::BoxError,
};

/// How many shorter lists are tried; each needs two fresh servers.
const TRIALS: usize = 250;

/// For how long: a list whose answers do not come takes long to try.
const PATIENCE: Duration = Duration::from_secs(180);

/// Leaves out what can be left out of `operations` while two fresh servers still differ.
pub(super) async fn shrink(
    pair: &Pair,
    mut operations: Vec<Operation>,
    mut mismatch: Mismatch,
) -> Result<Mismatch, BoxError> {
    let began = Instant::now();
    let mut trials = 0;

    let mut chunk = operations.len() / 2;
    while chunk > 0 {
        let mut start = 0;
        while start + chunk <= operations.len() && trials < TRIALS && began.elapsed() < PATIENCE {
            trials += 1;
            let mut shorter = operations.clone();
            shorter.drain(start..start + chunk);
            match replay(pair, &shorter).await? {
                Some(found) => {
                    shorter.truncate(found.length());
                    (operations, mismatch) = (shorter, found);
                }
                None => start += chunk,
            }
        }
        chunk /= 2;
    }

    // Then every transaction loses what it does not need.
    let mut index = 0;
    while index < operations.len() {
        let mut candidates = smaller(&operations[index]);
        while let Some(operation) = candidates.pop()
            && trials < TRIALS
            && began.elapsed() < PATIENCE
        {
            trials += 1;
            let mut list = operations.clone();
            list[index] = operation;
            if let Some(found) = replay(pair, &list).await? {
                list.truncate(found.length());
                (operations, mismatch) = (list, found);
                candidates = operations.get(index).map(smaller).unwrap_or_default();
            }
        }
        index += 1;
    }
    Ok(mismatch)
}

/// The same operation with one part less, in every way there is.
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
