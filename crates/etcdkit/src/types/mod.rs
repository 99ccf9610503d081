//! What requests are made of and what answers hold: the crate's own types, without protobuf.

mod blob;
mod compare;
mod header;
mod id;
mod invalid;
mod key_range;
mod key_value;
mod sort;

pub use blob::Blob;
pub use compare::{ByValue, Compare, Comparing};
pub use header::{Header, Revision};
pub use id::{LeaseId, MemberId};
pub(crate) use invalid::Invalid;
pub use key_range::KeyRange;
pub(crate) use key_range::{UNBOUNDED, prefix_end};
pub use key_value::KeyValue;
pub use sort::{SortOrder, SortTarget};
