//! `watch` and `exec-watch`.

use std::{
    ffi::OsString,
    io::{self, Write},
    process::Stdio,
};

use etcdkit::v2::Event;
use tokio::process::Command;

use super::{
    connect::Session,
    failure::{Code, bad_args, of_keys, plain},
    input,
    print::{Shown, print},
};
use crate::{
    args::v2::{ExecWatchArgs, GlobalArgs, Range, WatchArgs},
    cmd::signal::Signals,
    error::Result,
};

pub(super) async fn watch(global: &GlobalArgs, args: &WatchArgs) -> Result {
    let format = global.format()?;
    let key = input::key(&args.key)?;
    let mut changes = Changes::open(global, key, args.range).await?;
    while let Some(event) = changes.next().await? {
        // Directories have no values to print, so etcdctl waits for a key.
        if event.node.is_dir {
            continue;
        }
        if args.range.recursive {
            writeln!(io::stdout(), "[{}] {}", event.action, event.node.key)?;
        }
        print(format, Shown::event(&event))?;
        if !args.forever {
            break;
        }
    }
    changes.session.close().await;
    Ok(())
}

pub(super) async fn exec_watch(global: &GlobalArgs, args: &ExecWatchArgs) -> Result {
    let (Some(key), Some((program, words))) = (&args.key, args.command.split_first()) else {
        return Err(bad_args("key and command to exec required"));
    };
    let mut changes = Changes::open(global, key, args.range).await?;
    while let Some(event) = changes.next().await? {
        match event.node.is_dir {
            true => eprintln!("Ignored dir {} change", event.node.key),
            false => start(program, words, &event)?,
        }
    }
    changes.session.close().await;
    Ok(())
}

/// Starts the program. It is on its own from then on, as with etcdctl: a slow one holds up no other.
fn start(program: &OsString, words: &[OsString], event: &Event) -> Result {
    let child = Command::new(program)
        .args(words)
        .env("ETCD_WATCH_ACTION", event.action.as_str())
        .env("ETCD_WATCH_MODIFIED_INDEX", event.index().to_string())
        .env("ETCD_WATCH_KEY", event.key())
        .env("ETCD_WATCH_VALUE", event.value().unwrap_or_default())
        .stdin(Stdio::null())
        .spawn();
    match child {
        // The runtime waits for it.
        Ok(_) => Ok(()),
        Err(error) => Err(plain(
            Code::BadArgs,
            format!("{}: {error}", program.display()),
        )),
    }
}

/// The changes of a key until the command is told to end.
struct Changes<'a> {
    session: Session,
    signals: Signals,
    key: &'a str,
    recursive: bool,
    /// The index of the last change, or the one behind which to begin; 0 for now.
    after: u64,
}

impl<'a> Changes<'a> {
    async fn open(global: &GlobalArgs, key: &'a str, range: Range) -> Result<Self> {
        let after = u64::try_from(range.after_index)
            .map_err(|_| bad_args(format!("no change has the index {}", range.after_index)))?;
        Ok(Self {
            signals: Signals::listen()?,
            session: Session::open(global).await?,
            key,
            recursive: range.recursive,
            after,
        })
    }

    /// The next change; none once the user has seen enough. Each is asked for on its own, as etcdctl does:
    /// what the server has forgotten is then an error, since it cannot be printed as changes.
    async fn next(&mut self) -> Result<Option<Event>> {
        let mut watch = self.session.client.watch(self.key);
        if self.recursive {
            watch = watch.recursive();
        }
        if self.after > 0 {
            watch = watch.from_index(self.after.saturating_add(1));
        }
        let event = tokio::select! {
            event = watch.next() => event.map_err(of_keys)?,
            _ = self.signals.next() => return Ok(None),
        };
        self.after = event.index();
        Ok(Some(event))
    }
}
