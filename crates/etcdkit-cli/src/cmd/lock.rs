//! `lock`.

use std::{
    convert::Infallible,
    ffi::{OsStr, OsString},
    future,
    io::{self, IsTerminal},
    time::Duration,
};

use etcdkit::{
    Client, ErrorKind,
    sync::{self, HoldLost, HoldLostReason, Holder, LockGuard},
};
use tokio::time::sleep;

use super::{held, printer, signal::Signals};
use crate::{
    args::{GlobalArgs, LockArgs},
    connect::Session,
    error::{Exit, Failure, Result},
    print::{Kind, Printer, Reply},
};

/// How long a wait lasts before it is worth a word.
const SOON: Duration = Duration::from_millis(500);

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
    let client = &session.client;
    let done = match args.holder {
        true => print_holder(client, &printer, name).await,
        false => lock(client, &printer, name, command, args, &mut signals).await,
    };
    session.close().await;
    done
}

/// Locks, holds, and releases.
async fn lock(
    client: &Client,
    printer: &Printer,
    name: &OsStr,
    command: &[OsString],
    args: &LockArgs,
    signals: &mut Signals,
) -> Result {
    let interrupted = || Failure::new(Exit::Error, "interrupted while waiting for the lock");
    let session = tokio::select! {
        session = open(client, args.ttl) => session?,
        _ = signals.next() => return Err(interrupted()),
    };
    let acquired = tokio::select! {
        acquired = acquire(&session, name, args) => acquired,
        _ = signals.next() => Err(interrupted()),
    };
    let held = async {
        let guard = acquired?;
        hold(client, printer, &guard, command, signals).await
    };
    let held = held.await;
    if session.is_lost() {
        return held;
    }
    // With the session go the lock, and a place in the queue for it.
    let released = tokio::select! {
        closed = session.close() => closed.map_err(Failure::from),
        _ = signals.next() => {
            let seconds = session.ttl().as_secs();
            let text = format!("interrupted while releasing the lock, which is free in {seconds} s at the latest");
            Err(Failure::new(Exit::Error, text))
        }
    };
    held.and(released)
}

/// Opens the session that a lock ends with; as in etcdctl for its default time where none is asked for.
async fn open(client: &Client, ttl: i64) -> Result<sync::Session> {
    let open = client.session();
    let open = match u64::try_from(ttl) {
        Ok(seconds @ 1..) => open.ttl(Duration::from_secs(seconds)),
        _ => open,
    };
    Ok(open.await?)
}

/// Gets the lock, or gives up as the flags say.
async fn acquire(session: &sync::Session, name: &OsStr, args: &LockArgs) -> Result<LockGuard> {
    let mut lock = session.lock(name.as_encoded_bytes());
    if let Some(value) = &args.value {
        lock = lock.value(value.as_encoded_bytes());
    }
    let conflict = Exit::Child(args.conflict_exit_code);
    if args.attempt {
        let Some(guard) = lock.try_lock().await? else {
            let text = match holder(session, name).await {
                Some(holder) => format!("somebody else holds the lock: {holder}"),
                None => "somebody else held the lock".to_owned(),
            };
            return Err(Failure::new(conflict, text));
        };
        return Ok(guard);
    }
    if let Some(wait) = args.wait_at_most {
        lock = lock.wait_at_most(wait);
    }
    let is_told = args.verbose || io::stderr().is_terminal();
    let acquired = tokio::select! {
        acquired = lock => acquired,
        never = tell_holder(session, name), if is_told => match never {},
    };
    acquired.map_err(|error| {
        let gave_up = args.wait_at_most.is_some() && error.kind() == ErrorKind::Timeout;
        let failure = Failure::from(error);
        match gave_up {
            true => failure.with_exit(conflict),
            false => failure,
        }
    })
}

/// Says whom a wait is for, once it takes a while.
async fn tell_holder(session: &sync::Session, name: &OsStr) -> Infallible {
    sleep(SOON).await;
    if let Some(holder) = holder(session, name).await {
        eprintln!("Waiting for {}, which is held by {holder}", name.display());
    }
    future::pending().await
}

/// Who holds a lock, in words; nothing if nobody does, or it is not to be found out.
async fn holder(session: &sync::Session, name: &OsStr) -> Option<String> {
    let lock = session.lock(name.as_encoded_bytes());
    let Holder { key, value, .. } = lock.holder().await.ok().flatten()?;
    let key = key.escape_ascii();
    Some(match value.is_empty() {
        true => key.to_string(),
        false => format!("{key} ({})", value.escape_ascii()),
    })
}

/// Prints who holds a lock.
async fn print_holder(client: &Client, printer: &Printer, name: &OsStr) -> Result {
    let nobody = || Failure::new(Exit::Error, "nobody holds the lock");
    let holder = client.lock(name.as_encoded_bytes()).holder().await?;
    let range = client.range(&holder.ok_or_else(nobody)?.key).await?;
    if range.kvs.is_empty() {
        return Err(nobody());
    }
    printer.print(Reply::Range(&range))
}

/// Holds a lock for as long as a program runs, or until told to end.
async fn hold(
    client: &Client,
    printer: &Printer,
    guard: &LockGuard,
    command: &[OsString],
    signals: &mut Signals,
) -> Result {
    let lost = async { loss(&guard.lost().await) };
    let range = client.range(guard.key()).await?;
    if range.kvs.is_empty() {
        return Err(Failure::new(Exit::Error, "lock lost on init"));
    }
    if command.is_empty() {
        printer.print(Reply::Range(&range))?;
        return held::until_told(lost, signals).await;
    }
    let env = [
        ("ETCD_LOCK_KEY", text(guard.key())),
        // The server's revision when the lock was held, which after a wait is not the key's.
        ("ETCD_LOCK_REV", range.header.revision.to_string().into()),
        (
            "ETCDKIT_LOCK_TOKEN",
            guard.fencing_token().to_string().into(),
        ),
    ];
    held::run(command, env, lost, signals).await
}

/// Why the lock is no longer held.
fn loss(lost: &HoldLost) -> Failure {
    match lost.reason() {
        HoldLostReason::Session(lost) => held::expired(lost),
        _ => Failure::new(Exit::Error, format!("the lock is lost: {lost}")),
    }
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
