//! What to watch: arguments, or the variables that stand in for them.

use std::{env, ffi::OsString};

use etcdkit::{Client, KeyRange, OpenWatch};

use crate::{
    args::WatchArgs,
    cmd::get::keys,
    error::{Failure, Result},
    golang::quote,
};

const TOO_FEW_OR_MANY: &str = "bad number of arguments";

/// Keys that the environment names.
#[derive(Clone, Debug, Default)]
pub(super) struct Variables {
    keys: Vec<OsString>,
}

impl Variables {
    pub(super) fn read() -> Result<Self> {
        Self::new(
            env::var_os("ETCDCTL_WATCH_KEY").unwrap_or_default(),
            env::var_os("ETCDCTL_WATCH_RANGE_END").unwrap_or_default(),
        )
    }

    fn new(key: OsString, end: OsString) -> Result<Self> {
        let mut keys = Vec::new();
        if key.is_empty() && !end.is_empty() {
            let end = quote(end.as_encoded_bytes());
            return Err(Failure::bad_args(format!(
                "ETCDCTL_WATCH_KEY is empty but got ETCDCTL_WATCH_RANGE_END={end}"
            )));
        }
        keys.extend([key, end].into_iter().filter(|key| !key.is_empty()));
        Ok(Self { keys })
    }
}

/// A watch as it was asked for.
#[derive(Clone, Debug)]
pub(super) struct Request {
    keys: KeyRange<'static>,
    revision: i64,
    prev_kv: bool,
    progress_notify: bool,
    /// The program to run for every event; empty for none.
    pub(super) command: Vec<OsString>,
}

impl Request {
    /// Reads a request. A separator `--` must have a program after it.
    pub(super) fn read(
        args: &WatchArgs,
        ends_in_separator: bool,
        given: &Variables,
    ) -> Result<Self> {
        if ends_in_separator && args.command.is_empty() {
            return Err(Failure::bad_args(format!(
                "{TOO_FEW_OR_MANY} (found separator --, but no commands)"
            )));
        }
        if !args.args.is_empty() && !given.keys.is_empty() {
            return Err(Failure::bad_args(format!(
                "{TOO_FEW_OR_MANY} (found conflicting environment key)"
            ))
            .hint("unset ETCDCTL_WATCH_KEY, or leave the key out"));
        }
        let words = match given.keys.is_empty() {
            true => &args.args,
            false => &given.keys,
        };
        if !matches!(words.len(), 1 | 2) {
            return Err(Failure::bad_args(TOO_FEW_OR_MANY)
                .hint("give a key, and at most where a range from it ends"));
        }
        if words.len() == 2 && args.prefix {
            return Err(Failure::bad_args(
                "`range_end` and `--prefix` are mutually exclusive",
            ));
        }
        if args.rev < 0 {
            return Err(Failure::bad_args(format!(
                "there is no revision {}; the first is 1",
                args.rev
            )));
        }
        Ok(Self {
            keys: keys(words, args.prefix, false)?.into_owned(),
            revision: args.rev,
            prev_kv: args.prev_kv,
            progress_notify: args.progress_notify,
            command: args.command.clone(),
        })
    }

    pub(super) fn open<'a>(&'a self, client: &'a Client) -> OpenWatch<'a> {
        let mut watch = client.watch(&self.keys);
        if self.revision > 0 {
            watch = watch.from_revision(self.revision);
        }
        if self.prev_kv {
            watch = watch.prev_kv();
        }
        if self.progress_notify {
            watch = watch.progress_notify();
        }
        watch
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;
    use crate::args::like_etcdctl;

    fn read(words: &[&str], key: &str, end: &str) -> Result<Request> {
        let grammar = like_etcdctl(WatchArgs::augment_args(Command::new("watch")));
        let matches = grammar.try_get_matches_from(["watch"].iter().chain(words));
        let args = WatchArgs::from_arg_matches(&matches.unwrap()).unwrap();
        let separator = words.last() == Some(&"--");
        Request::read(&args, separator, &Variables::new(key.into(), end.into())?)
    }

    #[test]
    fn keys_come_from_arguments_or_variables() {
        let start = |request: Result<Request>| request.unwrap().keys.start().to_vec();
        assert_eq!(start(read(&["a"], "", "")), b"a");
        assert_eq!(start(read(&[], "a", "")), b"a");
        let ranged = read(&["--rev", "5"], "a", "c").unwrap();
        assert!(ranged.keys.contains(b"b") && !ranged.keys.contains(b"c"));
        assert_eq!(ranged.revision, 5);
        let prefixed = read(&["--prefix", "a"], "", "").unwrap();
        assert!(prefixed.keys.contains(b"ab"));
    }

    #[test]
    fn programs_follow_the_separator() {
        let request = read(&["a", "--", "echo", "--rev", "x"], "", "").unwrap();
        assert_eq!(request.command, ["echo", "--rev", "x"]);
        let request = read(&["--", "echo"], "a", "").unwrap();
        assert_eq!(request.command, ["echo"]);
    }

    #[test]
    fn what_is_unclear_is_refused() {
        for (words, key, end) in [
            (&[][..], "", ""),
            (&["a", "b", "c"], "", ""),
            (&["a"], "b", ""),
            (&["a"], "", "c"),
            (&["a", "b", "--prefix"], "", ""),
            (&["a", "--"], "", ""),
            (&["--", "echo"], "", ""),
            (&["a", "--rev=-1"], "", ""),
            (&["--prefix"], "a", "b"),
        ] {
            let failure = read(words, key, end).unwrap_err();
            assert_eq!(failure.exit().code(), 128, "{words:?}");
        }
    }
}
