//! `lock`.

use etcdkit::v2::{Client, Lock, OpenLock};

use super::{
    connect::Session,
    failure::{Code, bad_args, marked, of_keys},
    say,
};
use crate::{
    args::v2::{GlobalArgs, HoldFlags, LockArgs},
    cmd::{held, signal::Signals},
    error::Result,
};

pub(super) async fn run(global: &GlobalArgs, args: &LockArgs) -> Result {
    let Some(name) = &args.name else {
        return Err(bad_args("lock name required"));
    };
    let hold = hold_flags(args.hold)?;
    // Heard from now on, so that no signal leaves a lock behind.
    let mut signals = Signals::listen()?;
    let session = Session::open(global).await?;
    let open = open(&session.client, name, args, hold);
    if args.holder {
        let holder = open.holder().await.map_err(of_keys)?;
        session.close().await;
        let holder = holder.ok_or_else(|| marked(Code::Server, "nobody holds the lock"))?;
        return say(&format!("{} {}", holder.index, holder.value));
    }
    let done = match (args.renew, args.release) {
        (Some(index), _) => open.renew(index).await.map_err(of_keys),
        (None, Some(index)) => open.release(index).await.map_err(of_keys),
        (None, None) => hold_lock(open, args, &mut signals).await,
    };
    session.close_tidily().await;
    done
}

/// Seconds to hold for, which have to be some.
pub(super) fn hold_flags(flags: HoldFlags) -> Result<i64> {
    match flags.ttl {
        ttl @ 1.. => Ok(ttl),
        _ => Err(bad_args("--ttl must be at least 1 second")),
    }
}

fn open<'a>(client: &'a Client, name: &str, args: &LockArgs, ttl: i64) -> OpenLock<'a> {
    let mut open = client.lock(name).ttl(ttl);
    if let Some(value) = &args.value {
        open = open.value(value);
    }
    if let Some(wait) = args.wait_at_most {
        open = open.wait_at_most(wait);
    }
    match args.hold.via_modules {
        true => open.via_modules(),
        false => open,
    }
}

async fn hold_lock(open: OpenLock<'_>, args: &LockArgs, signals: &mut Signals) -> Result {
    let acquiring = async {
        let lock = match args.attempt {
            true => open.try_lock().await,
            false => open.await.map(Some),
        };
        let lock = lock.map_err(of_keys)?;
        lock.ok_or_else(|| marked(Code::Server, "somebody else holds the lock"))
    };
    let lock: Lock = tokio::select! {
        lock = acquiring => lock?,
        _ = signals.next() => {
            return Err(marked(Code::Server, "interrupted while waiting for the lock"));
        }
    };
    let lost = async { held::expired(lock.lost().await) };
    let held = match args.command.is_empty() {
        true => {
            say(&lock.index().to_string())?;
            held::until_told(lost, signals).await
        }
        false => {
            let env = [("ETCD_LOCK_INDEX", lock.index().to_string().into())];
            held::run(&args.command, env, lost, signals).await
        }
    };
    let released = match lock.is_lost() {
        true => Ok(()),
        false => lock.release().await,
    };
    held?;
    released.map_err(of_keys)
}
