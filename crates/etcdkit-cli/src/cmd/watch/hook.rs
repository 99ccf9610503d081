//! The program that a watch runs for every event.

use std::{ffi::OsString, process::Stdio};

use etcdkit::{Event, WatchUpdate};
use tokio::process::Command;

use crate::{
    cmd::child::ending,
    error::{Exit, Failure, Result},
    golang::quote,
};

/// Runs the program for the events of an update, one after the other, until one fails.
pub(super) async fn run(command: &[OsString], update: &WatchUpdate) -> Result {
    let Some((program, args)) = command.split_first() else {
        return Ok(());
    };
    for event in update.events() {
        let kind = if event.is_delete() { "DELETE" } else { "PUT" };
        let kv = Event::kv(event);
        let status = Command::new(program)
            .args(args)
            .env("ETCD_WATCH_REVISION", update.header().revision.to_string())
            .env("ETCD_WATCH_EVENT_TYPE", quote(kind.as_bytes()))
            .env("ETCD_WATCH_KEY", quote(&kv.key))
            .env("ETCD_WATCH_VALUE", quote(&kv.value))
            .stdin(Stdio::null())
            .status()
            .await;
        let reason = match status {
            Ok(status) if status.success() => continue,
            Ok(status) => ending(status),
            Err(error) => error.to_string(),
        };
        let words = command.iter().map(|word| quote(word.as_encoded_bytes()));
        let words = words.collect::<Vec<_>>().join(" ");
        return Err(Failure::new(
            Exit::Error,
            format!("command [{words}] error ({reason})"),
        ));
    }
    Ok(())
}
