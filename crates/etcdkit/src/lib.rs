//! etcdkit
mod admin;
mod client;
mod config;
mod error;
mod exec;
mod op;
mod policy;
mod transport;
mod types;
mod wire;

pub use admin::{
    Alarm, AlarmKind, AlarmList, Cluster, Downgrade, GetHashKv, GetStatus, HashKv, ListAlarms,
    ListMembers, Maintenance, Member, MemberList, Status,
};
pub use client::Client;
pub use config::ClientBuilder;
pub use error::{Code, Error, ErrorKind, Outcome, Result};
pub use exec::Call;
pub use op::{
    Compact, CompactResponse, Delete, DeleteResponse, Get, Op, OpResponse, Put, PutResponse, Range,
    RangeResponse, Scan, Txn, TxnResponse,
};
pub use transport::endpoint::IntoEndpoints;
#[cfg(feature = "tls")]
pub use transport::tls::Tls;
pub use types::{
    Blob, ByValue, Compare, Comparing, Header, KeyRange, KeyValue, LeaseId, MemberId, Revision,
    SortOrder, SortTarget,
};
