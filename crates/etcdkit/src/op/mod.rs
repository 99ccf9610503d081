//! The operations on keys: one builder each, awaited to be sent.

mod compact;
mod delete;
mod get;
mod put;
mod range;
mod scan;
mod txn;
mod txn_op;

pub use compact::{Compact, CompactResponse};
pub use delete::{Delete, DeleteResponse};
pub use get::Get;
pub use put::{Put, PutResponse};
pub use range::{Range, RangeResponse};
pub use scan::Scan;
pub use txn::{OpResponse, Txn, TxnResponse};
pub use txn_op::Op;

#[cfg(test)]
mod tests;
