//! The text form of recorded messages, written by the example `record` and read by the tests.
//!
//! One line a message: `>` (to the server) or `<` (from it), the method, and the bytes in hex, where
//! `(78*1500)` stands for 1500 bytes 0x78. `!` is a refusal: the method, the number of the status and
//! its text. Lines that start with `#` say what caused the lines below them.

use std::fmt::Write as _;

/// Runs shorter than this are written out.
const SHORTEST_RUN: usize = 16;

/// Who sent a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Direction {
    /// The client.
    Request,
    /// The server.
    Response,
}

/// One recorded message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Message {
    /// Who sent it.
    pub(crate) direction: Direction,
    /// Full name of the service, a slash, and the name of the method.
    pub(crate) method: String,
    /// The message itself, without gRPC's frame.
    pub(crate) bytes: Vec<u8>,
}

impl Message {
    /// The line for this message, without a line end.
    pub(crate) fn to_line(&self) -> String {
        let sign = match self.direction {
            Direction::Request => '>',
            Direction::Response => '<',
        };
        format!("{sign} {} {}", self.method, to_hex(&self.bytes))
            .trim_end()
            .to_string()
    }

    /// Reads a line; `None` if it is not one.
    pub(crate) fn from_line(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let direction = match words.next()? {
            ">" => Direction::Request,
            "<" => Direction::Response,
            _ => return None,
        };
        let method = words.next()?.to_string();
        let bytes = from_hex(words.next().unwrap_or(""))?;
        let message = Self {
            direction,
            method,
            bytes,
        };
        words.next().is_none().then_some(message)
    }
}

/// A call that the server refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Refusal {
    /// As in [`Message`].
    pub(crate) method: String,
    /// Number of the gRPC status, never 0.
    pub(crate) code: u32,
    /// The text of the status.
    pub(crate) text: String,
}

impl Refusal {
    /// The line for this refusal, without a line end.
    pub(crate) fn to_line(&self) -> String {
        format!("! {} {} {}", self.method, self.code, self.text)
    }

    /// Reads a line; `None` if it is not one.
    pub(crate) fn from_line(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix("! ")?.splitn(3, ' ');
        Some(Self {
            method: words.next()?.to_string(),
            code: words.next()?.parse().ok()?,
            text: words.next()?.to_string(),
        })
    }
}

fn to_hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for run in bytes.chunk_by(|a, b| a == b) {
        let (byte, length) = (run[0], run.len());
        let _ = if length >= SHORTEST_RUN {
            write!(text, "({byte:02x}*{length})")
        } else {
            (0..length).try_for_each(|_| write!(text, "{byte:02x}"))
        };
    }
    text
}

fn from_hex(mut text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while !text.is_empty() {
        if let Some(run) = text.strip_prefix('(') {
            let (run, rest) = run.split_once(')')?;
            let (byte, length) = run.split_once('*')?;
            let byte = u8::from_str_radix(byte, 16).ok()?;
            bytes.resize(bytes.len() + length.parse::<usize>().ok()?, byte);
            text = rest;
        } else {
            let (byte, rest) = text.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(byte, 16).ok()?);
            text = rest;
        }
    }
    Some(bytes)
}
