//! `put key "value" --prev-kv`: a request inside a transaction.

use clap::{Command, FromArgMatches, Subcommand};

use super::shown;
use crate::{
    args::{DelArgs, GetArgs, PutArgs, like_etcdctl},
    error::{Failure, Result},
    words::arguments,
};

/// A request with the arguments and flags of the command of the same name.
#[derive(Debug, Subcommand)]
pub(crate) enum Request {
    Get(GetArgs),
    Put(PutArgs),
    Del(DelArgs),
}

impl Request {
    /// Reads a request. Abbreviations work as they do for commands.
    pub(crate) fn parse(line: &[u8]) -> Result<Self> {
        let invalid = |why: &str| {
            Failure::invalid_input(format!("invalid txn request: {} ({why})", shown(line)))
        };
        let words = arguments(line).map_err(&invalid)?;
        if words.len() < 2 {
            return Err(invalid(
                "the requests are get, put and del, each with a key",
            ));
        }
        let grammar = Command::new("txn")
            .no_binary_name(true)
            .infer_subcommands(true)
            .args_override_self(true)
            .disable_help_subcommand(true)
            .disable_help_flag(true);
        let grammar = like_etcdctl(Self::augment_subcommands(grammar))
            .mut_subcommands(|command| command.disable_help_flag(true));
        grammar
            .try_get_matches_from(words)
            .and_then(|matches| Self::from_arg_matches(&matches))
            .map_err(|error| {
                let text = error.render().to_string();
                let first = text.lines().next().unwrap_or_default();
                invalid(first.strip_prefix("error: ").unwrap_or(first))
            })
    }
}
