//! `lock`.

use std::{ffi::OsString, process::Stdio, time::Duration};

use etcdkit::{Lease, service::Locked};
use tokio::process::{Child, Command};

use super::{
    child::{ending, exit_code},
    printer,
    signal::{Signal, Signals},
};
use crate::{
    args::{GlobalArgs, LockArgs},
    connect::Session,
    error::{Exit, Failure, Result},
    print::{Kind, Reply},
};

pub(crate) async fn run(global: &GlobalArgs, args: &LockArgs) -> Result {
    let Some((name, command)) = args.args.split_first() else {
        return Err(Failure::bad_args(
            "lock takes a lock name argument and an optional command to execute",
        ));
    };
    let printer = printer(global)?;
    printer.check(Kind::Message)?;
    // Heard from now on, so that no signal leaves a lock behind.
    let mut signals = Signals::listen()?;
    let session = Session::open(global).await?;
    let ttl = Duration::from_secs(args.ttl.try_into().unwrap_or(0));
    let lease = session.client.lease(ttl).await?;
    let service = session.client.lock_service();
    let acquired = tokio::select! {
        acquired = service.lock(name.as_encoded_bytes(), &lease) => acquired.map_err(Failure::from),
        _ = signals.next() => Err(Failure::new(
            Exit::Error,
            "interrupted while waiting for the lock",
        )),
    };
    let held = async {
        let lock = acquired?;
        if !command.is_empty() {
            return run_while_held(command, &lock, &lease, &mut signals).await;
        }
        let range = session.client.range(&lock.key[..]).await?;
        if range.kvs.is_empty() {
            return Err(Failure::new(Exit::Error, "lock lost on init"));
        }
        printer.print(Reply::Range(&range))?;
        tokio::select! {
            _ = signals.next() => Ok(()),
            lost = lease.lost() => Err(expired(&lost.to_string())),
        }
    };
    let held = held.await;
    // With the lease go the lock, and a place in the queue for it.
    let released = match lease.is_lost() {
        true => Ok(()),
        false => lease.revoke().await.map(drop),
    };
    session.close().await;
    held?;
    Ok(released?)
}

/// Runs a program. One that outlives the lock is told to end, since it may not be alone any more.
async fn run_while_held(
    command: &[OsString],
    lock: &Locked,
    lease: &Lease,
    signals: &mut Signals,
) -> Result {
    let Some((program, args)) = command.split_first() else {
        return Ok(());
    };
    let mut child = Command::new(program)
        .args(args)
        .env("ETCD_LOCK_KEY", text(&lock.key))
        .env("ETCD_LOCK_REV", lock.header.revision.to_string())
        .stdin(Stdio::null())
        .spawn()
        .map_err(|error| {
            let text = format!("{}: {error}", program.display());
            Failure::new(Exit::Error, text)
        })?;
    let mut loss = None;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            // A terminal interrupts the program by itself.
            signal = signals.next() => if signal == Signal::Terminate {
                terminate(&mut child)?;
            },
            lost = lease.lost(), if loss.is_none() => {
                eprintln!("The lock is lost: {lost}; ending {}", program.display());
                terminate(&mut child)?;
                loss = Some(lost);
            }
        }
    };
    match loss {
        Some(lost) => Err(expired(&lost.to_string())),
        None if status.success() => Ok(()),
        None => {
            let exit = Exit::Child(exit_code(status));
            Err(Failure::new(exit, ending(status)))
        }
    }
}

fn expired(why: &str) -> Failure {
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

/// A key as a variable's value.
#[cfg(unix)]
fn text(key: &[u8]) -> OsString {
    std::os::unix::ffi::OsStringExt::from_vec(key.to_vec())
}

#[cfg(not(unix))]
fn text(key: &[u8]) -> OsString {
    String::from_utf8_lossy(key).into_owned().into()
}
