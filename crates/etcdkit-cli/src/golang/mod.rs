//! Values as Go programs read and write them.
//!
//! etcdctl is a Go program: its flags accept what Go's `strconv` and `time` accept, and its output
//! is formatted by `fmt` and `encoding/json`. Scripts depend on both, so both are followed here.

mod duration;
mod number;
mod quote;
mod size;

pub(crate) use duration::parse_duration;
pub(crate) use etcdkit_proto::duration::format as format_duration;
pub(crate) use number::{
    parse_bool, parse_hex_i64, parse_hex_u64, parse_i64, parse_i64_decimal, parse_usize,
};
pub(crate) use quote::{quote, unquote};
pub(crate) use size::format_size;

use std::io;

use serde::Serialize;

/// Writes a value as JSON on one line.
pub(crate) fn to_json(out: &mut dyn io::Write, value: &impl Serialize) -> io::Result<()> {
    etcdkit_proto::json::to_writer(out, value)?;
    out.write_all(b"\n")
}
