//! Programs that run while a lock is held.

use std::{ffi::OsString, fmt::Display, future::Future, pin::pin, process::Stdio};

use tokio::process::{Child, Command};

use super::{
    child::{ending, exit_code},
    signal::{Signal, Signals},
};
use crate::error::{Exit, Failure, Result};

/// Runs a program to its end, or until the lock is lost: then it is told to end, since it may not be alone
/// any more.
pub(super) async fn run(
    command: &[OsString],
    env: impl IntoIterator<Item = (&'static str, OsString)>,
    lost: impl Future<Output: Display>,
    signals: &mut Signals,
) -> Result {
    let Some((program, args)) = command.split_first() else {
        return Ok(());
    };
    let mut child = Command::new(program)
        .args(args)
        .envs(env)
        .stdin(Stdio::null())
        .spawn()
        .map_err(|error| {
            let text = format!("{}: {error}", program.display());
            Failure::new(Exit::Error, text)
        })?;
    let mut lost = pin!(lost);
    let mut loss = None;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            // A terminal interrupts the program by itself.
            signal = signals.next() => if signal == Signal::Terminate {
                terminate(&mut child)?;
            },
            lost = &mut lost, if loss.is_none() => {
                eprintln!("The lock is lost: {lost}; ending {}", program.display());
                terminate(&mut child)?;
                loss = Some(expired(&lost));
            }
        }
    };
    match loss {
        Some(expired) => Err(expired),
        None if status.success() => Ok(()),
        None => {
            let exit = Exit::Child(exit_code(status));
            Err(Failure::new(exit, ending(status)))
        }
    }
}

/// Holds a lock until the command is told to end.
pub(super) async fn until_told(
    lost: impl Future<Output: Display>,
    signals: &mut Signals,
) -> Result {
    tokio::select! {
        _ = signals.next() => Ok(()),
        lost = lost => Err(expired(&lost)),
    }
}

/// A lock was lost.
fn expired(why: &impl Display) -> Failure {
    Failure::new(Exit::Error, format!("session expired: {why}"))
}

/// Asks a program to end.
#[cfg(unix)]
fn terminate(child: &mut Child) -> Result {
    use rustix::process::{Pid, Signal, kill_process};
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(id) = id.and_then(Pid::from_raw) {
        // One that has just ended is not there to be told, and need not be.
        let _ = kill_process(id, Signal::TERM);
    }
    Ok(())
}

#[cfg(not(unix))]
fn terminate(child: &mut Child) -> Result {
    Ok(child.start_kill()?)
}
