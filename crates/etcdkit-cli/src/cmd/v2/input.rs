//! Arguments that etcdctl counts itself.

use std::io::{self, Read};

use super::failure::{Code, bad_args, plain};
use crate::{
    args::v2::{Condition, Key, KeyAndValue, TtlFlag, Words},
    error::{Failure, Result},
};

/// The one key that a command takes.
pub(super) fn key(args: &Key) -> Result<&str> {
    nothing_else(&args.rest)?;
    args.key.as_deref().ok_or_else(|| bad_args("key required"))
}

/// A key and a value, which standard input may hold.
pub(super) fn key_and_value(args: &KeyAndValue) -> Result<(&str, String)> {
    nothing_else(&args.rest)?;
    let key = args.key.as_deref();
    let key = key.ok_or_else(|| bad_args("key required"))?;
    let value = match &args.value {
        Some(value) => value.clone(),
        None => from_stdin()?,
    };
    Ok((key, value))
}

/// The key of a command that takes no value this time.
pub(super) fn only_key(args: &KeyAndValue) -> Result<&str> {
    let rest = args.value.iter().chain(&args.rest);
    match (&args.key, rest.into_iter().next()) {
        (_, Some(word)) => Err(too_much(word)),
        (None, None) => Err(bad_args("key required")),
        (Some(key), None) => Ok(key),
    }
}

/// All of standard input. Nothing at all is no value, so that a command that was broken off writes none.
fn from_stdin() -> Result<String> {
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes)?;
    if bytes.is_empty() {
        return Err(bad_args("value required"));
    }
    String::from_utf8(bytes).map_err(|_| {
        bad_args(
            "the value on standard input is not UTF-8, which etcd's v2 API would not give back",
        )
        .hint("encode it, for example by base64")
    })
}

/// A time to live, if there is one.
pub(super) fn ttl(flag: TtlFlag) -> Result<Option<i64>> {
    match flag.ttl {
        0 => Ok(None),
        ttl @ 1.. => Ok(Some(ttl)),
        negative => Err(bad_args(format!("a --ttl of {negative} seconds is over"))
            .hint("leave it out for a key that lasts")),
    }
}

/// The value and the index that a key must have, as far as flags name them.
pub(super) struct Expected<'a> {
    pub(super) value: Option<&'a str>,
    pub(super) index: Option<u64>,
}

impl<'a> Expected<'a> {
    pub(super) fn new(value: &'a str, index: i64) -> Result<Option<Self>> {
        let expected = Self {
            value: (!value.is_empty()).then_some(value),
            index: match index {
                0 => None,
                index => Some(
                    u64::try_from(index)
                        .map_err(|_| bad_args(format!("no key has the index {index}")))?,
                ),
            },
        };
        Ok((expected.value.is_some() || expected.index.is_some()).then_some(expected))
    }

    /// What a command needs that does nothing without.
    pub(super) fn required(condition: &'a Condition) -> Result<Self> {
        Self::new(&condition.with_value, condition.with_index)?
            .ok_or_else(|| bad_args("--with-value or --with-index required"))
    }
}

/// Exactly so many arguments; fails with what the command needs.
pub(super) fn words<'a, const N: usize>(words: &'a [String], needs: &str) -> Result<[&'a str; N]> {
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    words.try_into().map_err(|_| plain(Code::BadArgs, needs))
}

/// No arguments.
pub(super) fn none(args: &Words) -> Result {
    words::<0>(&args.args, "No arguments accepted").map(drop)
}

/// etcdctl ignores what is too much, and with it the rest of a value without quotes.
fn nothing_else(rest: &[String]) -> Result {
    match rest.first() {
        None => Ok(()),
        Some(word) => Err(too_much(word)),
    }
}

fn too_much(word: &str) -> Failure {
    bad_args(format!("unexpected argument {word:?}")).hint("put values with spaces into quotes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_no_condition() {
        assert!(Expected::new("", 0).unwrap().is_none());
        let expected = Expected::new("a", 7).unwrap().unwrap();
        assert_eq!((expected.value, expected.index), (Some("a"), Some(7)));
        assert!(Expected::new("", -1).is_err());
    }

    #[test]
    fn times_that_are_over_are_mistakes() {
        assert_eq!(ttl(TtlFlag { ttl: 0 }).unwrap(), None);
        assert_eq!(ttl(TtlFlag { ttl: 5 }).unwrap(), Some(5));
        assert!(ttl(TtlFlag { ttl: -5 }).is_err());
    }
}
