//! `watch -i`: any number of watches, asked for line by line on standard input.

use std::io;

use clap::{Args, Command, FromArgMatches};
use tokio::{
    io::{AsyncBufReadExt, BufReader, stdin},
    sync::watch,
    task::JoinSet,
};

use super::{
    follow, report,
    request::{Request, Variables},
};
use crate::{
    args::{GlobalArgs, WatchArgs, like_etcdctl},
    connect::Session,
    error::{Failure, Result, story},
    print::Printer,
    words::arguments,
};

pub(super) async fn run(global: &GlobalArgs, printer: Printer, variables: &Variables) -> Result {
    let session = Session::open(global).await?;
    let (ask, asked) = watch::channel(0);
    let mut watches = JoinSet::new();
    let mut lines = BufReader::new(stdin()).split(b'\n');
    loop {
        let line = tokio::select! {
            line = lines.next_segment() => match line? {
                Some(line) => line,
                None => return Err(Failure::invalid_input("error reading watch request line: EOF")),
            },
            Some(ended) = watches.join_next() => {
                // A watch that ended has said so, and the others go on; a program that failed ends all.
                ended.map_err(io::Error::other)??;
                continue;
            }
        };
        let shown = String::from_utf8_lossy(&line);
        match Line::parse(&line, variables)? {
            Line::Watch(request) => match request.open(&session.client).await {
                Ok(mut opened) => {
                    let asked = asked.clone();
                    watches.spawn(async move {
                        let ended = follow(&mut opened, &request, &printer, Some(asked)).await?;
                        report(&printer, &opened, &ended)
                    });
                }
                Err(error) => eprintln!("Invalid command {shown} ({})", story(&error)),
            },
            Line::Progress => ask.send_modify(|count| *count += 1),
            Line::Wrong(why) => eprintln!("Invalid command: {shown} ({why})"),
        }
    }
}

/// What a line asks for.
enum Line {
    Watch(Request),
    Progress,
    /// Nothing that is known, and why.
    Wrong(&'static str),
}

impl Line {
    /// Reads a line. What is no command is passed over; a watch that makes no sense ends the program,
    /// as in etcdctl, since what follows may rely on it.
    fn parse(line: &[u8], variables: &Variables) -> Result<Self> {
        let words = arguments(line).map_err(|why| {
            let line = String::from_utf8_lossy(line);
            Failure::invalid_input(format!("invalid watch request: {line} ({why})"))
        })?;
        match words.first() {
            Some(first) if first == "watch" => {}
            Some(first) if first == "progress" => return Ok(Self::Progress),
            _ => return Ok(Self::Wrong("watch and progress supported")),
        }
        let ends_in_separator = words.last().is_some_and(|word| word == "--");
        let grammar = Command::new("watch")
            .disable_help_flag(true)
            .args_override_self(true);
        let args = like_etcdctl(WatchArgs::augment_args(grammar))
            .try_get_matches_from(words)
            .and_then(|matches| WatchArgs::from_arg_matches(&matches))
            .map_err(|error| {
                let text = error.render().to_string();
                let first = text.lines().next().unwrap_or_default();
                Failure::bad_args(first.strip_prefix("error: ").unwrap_or(first))
            })?;
        Request::read(&args, ends_in_separator, variables).map(Self::Watch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Line> {
        Line::parse(line.as_bytes(), &Variables::default())
    }

    #[test]
    fn lines_are_watches_progress_or_nothing() {
        assert!(matches!(parse("watch a"), Ok(Line::Watch(_))));
        assert!(matches!(parse("progress"), Ok(Line::Progress)));
        for line in ["", "  ", "wat a", "get a", "help"] {
            assert!(matches!(parse(line), Ok(Line::Wrong(_))), "{line}");
        }
    }

    #[test]
    fn watches_take_their_flags_and_programs() {
        let Ok(Line::Watch(request)) =
            parse(r#"watch --prefix "a b" --rev=3 -- sh -c 'echo "$ETCD_WATCH_KEY"'"#)
        else {
            panic!()
        };
        assert_eq!(request.command, ["sh", "-c", r#"echo "$ETCD_WATCH_KEY""#]);
    }

    #[test]
    fn watches_that_make_no_sense_end_the_program() {
        for line in ["watch", "watch a --", "watch a --bogus", "watch a --rev x"] {
            assert_eq!(
                parse(line).err().map(|f| f.exit().code()),
                Some(128),
                "{line}"
            );
        }
    }
}
