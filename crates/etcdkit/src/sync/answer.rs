//! Reading the answers to transactions.

use crate::{Error, ErrorKind, OpResponse, Outcome, RangeResponse, Result};

/// The answer to an operation that reads.
pub(super) fn range(response: Option<OpResponse>) -> Result<RangeResponse> {
    match response {
        Some(OpResponse::Range(range)) => Ok(range),
        _ => Err(misshapen()),
    }
}

/// The failure of a transaction whose answer does not fit its operations, which may have been done all the
/// same.
pub(super) fn misshapen() -> Error {
    let what = "the answer to a transaction does not fit its operations";
    Error::new(ErrorKind::Protocol, what).with_outcome(Outcome::Unknown)
}
