//! etcdctl's transaction language: three sections, each ended by an empty line.
//!
//! ```text
//! mod("key1") > "0"
//!
//! put key1 "overwrote-key1"
//!
//! put key1 "created-key1"
//! put key2 "some extra key"
//!
//! ```
//!
//! This is reading only: nothing here talks to a server, and no input makes it panic. Where etcdctl
//! guesses, this refuses: text after a comparison and quotes without an end are errors here, since
//! etcdctl drops them and runs a transaction that nobody wrote.

mod comparison;
mod request;

#[cfg(test)]
mod tests;

use std::io::BufRead;

pub(crate) use comparison::{Comparison, Operand, Operator};
pub(crate) use request::Request;

use crate::error::{Failure, Result};

/// Reads the comparisons: the first section.
pub(crate) fn read_comparisons(input: &mut dyn BufRead) -> Result<Vec<Comparison>> {
    read_section(input, "comparisons", Comparison::parse)
}

/// Reads a section of requests; `name` is what its errors call it.
pub(crate) fn read_requests(input: &mut dyn BufRead, name: &str) -> Result<Vec<Request>> {
    read_section(input, name, Request::parse)
}

/// Reads lines up to an empty one. A transaction whose input ends earlier is never run: half of it
/// may be missing.
fn read_section<T>(
    input: &mut dyn BufRead,
    name: &str,
    parse: impl Fn(&[u8]) -> Result<T>,
) -> Result<Vec<T>> {
    let mut items = Vec::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        input.read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Err(Failure::invalid_input(format!(
                "unexpected end of input in the {name}: each of the three sections ends with an empty line"
            )));
        }
        match line.trim_ascii() {
            b"" => return Ok(items),
            line => items.push(parse(line)?),
        }
    }
}

/// A line in an error message.
fn shown(line: &[u8]) -> String {
    String::from_utf8_lossy(line).into_owned()
}
