//! `lock`.

use std::{ffi::OsString, time::Duration};

use super::{held, printer, signal::Signals};
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
    let lost = async { held::expired(lease.lost().await) };
    let held = async {
        let lock = acquired?;
        if !command.is_empty() {
            let env = [
                ("ETCD_LOCK_KEY", text(&lock.key)),
                ("ETCD_LOCK_REV", lock.header.revision.to_string().into()),
            ];
            return held::run(command, env, lost, &mut signals).await;
        }
        let range = session.client.range(&lock.key[..]).await?;
        if range.kvs.is_empty() {
            return Err(Failure::new(Exit::Error, "lock lost on init"));
        }
        printer.print(Reply::Range(&range))?;
        held::until_told(lost, &mut signals).await
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

/// A key as a variable's value.
#[cfg(unix)]
fn text(key: &[u8]) -> OsString {
    std::os::unix::ffi::OsStringExt::from_vec(key.to_vec())
}

#[cfg(not(unix))]
fn text(key: &[u8]) -> OsString {
    String::from_utf8_lossy(key).into_owned().into()
}
