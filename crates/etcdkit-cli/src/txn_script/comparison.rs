//! `mod("key") > "0"`: a comparison.

use super::shown;
use crate::{
    error::{Failure, Result},
    golang::{parse_hex_i64, parse_i64_decimal, unquote},
};

/// A condition on one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Comparison {
    pub(crate) key: Vec<u8>,
    pub(crate) operand: Operand,
    pub(crate) operator: Operator,
}

/// What is compared, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operand {
    Version(i64),
    CreateRevision(i64),
    ModRevision(i64),
    Value(Vec<u8>),
    Lease(i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
}

impl Comparison {
    /// Reads `TARGET("KEY") OPERATOR "OPERAND"`. Strings are Go's; numbers are quoted too.
    pub(crate) fn parse(line: &[u8]) -> Result<Self> {
        let malformed = |why: &str| {
            Failure::invalid_input(format!("malformed comparison: {} ({why})", shown(line)))
                .hint(r#"write it like mod("key") > "0""#)
        };
        let paren = line
            .iter()
            .position(|byte| *byte == b'(')
            .ok_or_else(|| malformed("no parenthesis after the target"))?;
        let (target, rest) = line.split_at(paren);
        let rest = rest.get(1..).unwrap_or_default().trim_ascii_start();
        let (key, rest) = unquote(rest).map_err(&malformed)?;
        let rest = rest
            .strip_prefix(b")")
            .ok_or_else(|| malformed("no parenthesis after the key"))?;
        if !rest.starts_with(b" ") && !rest.starts_with(b"\t") {
            return Err(malformed("no space after the parenthesis"));
        }
        let rest = rest.trim_ascii_start();
        let end = rest
            .iter()
            .position(u8::is_ascii_whitespace)
            .ok_or_else(|| malformed("no operator and operand, with spaces around the operator"))?;
        let (operator, rest) = rest.split_at(end);
        let operator = match operator {
            b"=" => Operator::Equal,
            b"!=" => Operator::NotEqual,
            b">" => Operator::Greater,
            b"<" => Operator::Less,
            _ => return Err(malformed("the operators are =, !=, > and <")),
        };
        let (operand, rest) = unquote(rest.trim_ascii_start()).map_err(&malformed)?;
        if !rest.trim_ascii().is_empty() {
            return Err(malformed("one comparison a line, and nothing after it"));
        }
        let number = |parse: fn(&str) -> std::result::Result<i64, String>| {
            str::from_utf8(&operand)
                .map_err(|_| "the operand is not a number".to_owned())
                .and_then(parse)
                .map_err(|why| malformed(&why))
        };
        let operand = match target {
            b"ver" | b"version" => Operand::Version(number(parse_i64_decimal)?),
            b"c" | b"create" => Operand::CreateRevision(number(parse_i64_decimal)?),
            b"m" | b"mod" => Operand::ModRevision(number(parse_i64_decimal)?),
            b"lease" => Operand::Lease(number(parse_hex_i64)?),
            b"val" | b"value" => Operand::Value(operand),
            _ => return Err(malformed("the targets are val, ver, c, m and lease")),
        };
        Ok(Self {
            key,
            operand,
            operator,
        })
    }
}
