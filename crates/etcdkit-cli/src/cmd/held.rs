//! Programs that run while a lock is held.

use std::{
    ffi::OsString,
    fmt::Display,
    future::Future,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    process::{Child, Command},
    time::timeout,
};

use super::{
    child::{ending, exit_code},
    signal::{Signal, Signals},
};
use crate::error::{Exit, Failure, Result};

/// How long a program has that is told to end because the lock is lost: others may hold it by now.
const GRACE: Duration = Duration::from_secs(3);

/// Runs a program to its end, or until the lock is lost: then it is told to end, and made to if it does not,
/// since it may not be alone any more.
pub(super) async fn run(
    command: &[OsString],
    env: impl IntoIterator<Item = (&'static str, OsString)>,
    lost: impl Future<Output = Failure>,
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
    let status = tokio::select! {
        status = to_its_end(&mut child, signals) => status?,
        lost = lost => {
            eprintln!("{lost}; ending {}", program.display());
            end(&mut child).await?;
            return Err(lost);
        }
    };
    if status.success() {
        return Ok(());
    }
    let exit = Exit::Child(exit_code(status));
    Err(Failure::new(exit, ending(status)))
}

/// Waits for a program, and hands on what it would not feel otherwise.
async fn to_its_end(child: &mut Child, signals: &mut Signals) -> Result<ExitStatus> {
    loop {
        tokio::select! {
            status = child.wait() => return Ok(status?),
            // A terminal interrupts the program by itself.
            signal = signals.next() => if signal == Signal::Terminate {
                terminate(child)?;
            },
        }
    }
}

/// Ends a program.
async fn end(child: &mut Child) -> Result {
    terminate(child)?;
    if timeout(GRACE, child.wait()).await.is_err() {
        child.kill().await?;
    }
    Ok(())
}

/// Holds a lock until the command is told to end.
pub(super) async fn until_told(
    lost: impl Future<Output = Failure>,
    signals: &mut Signals,
) -> Result {
    tokio::select! {
        _ = signals.next() => Ok(()),
        lost = lost => Err(lost),
    }
}

/// A lock was lost with its lease or its index, in etcdctl's words.
pub(super) fn expired(why: impl Display) -> Failure {
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
