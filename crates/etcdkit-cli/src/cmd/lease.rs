//! `lease grant`, `lease revoke`, `lease timetolive`, `lease list` and `lease keep-alive`.

use std::{ffi::OsString, time::Duration};

use etcdkit::{Client, ErrorKind, Header, LeaseId};
use tokio::time::{Instant, sleep};

use super::{help, no_arguments, printer, texts};
use crate::{
    args::{GlobalArgs, KeepAliveArgs, LeaseArgs, LeaseCommand, TimeToLiveArgs},
    connect::Session,
    error::{Exit, Failure, Result},
    golang::{parse_hex_i64, parse_i64_decimal},
    print::{Done, Kind, LeaseTtl, Reply, TimeToLive},
};

/// Between two attempts while a member cannot be reached.
const PAUSE: Duration = Duration::from_millis(500);

pub(crate) async fn run(global: &GlobalArgs, args: &LeaseArgs) -> Result {
    match &args.command {
        None => help::run(&["lease".to_owned()]),
        Some(LeaseCommand::Grant(words)) => grant(global, &words.args).await,
        Some(LeaseCommand::Revoke(words)) => revoke(global, &words.args).await,
        Some(LeaseCommand::Timetolive(args)) => time_to_live(global, args).await,
        Some(LeaseCommand::List(words)) => list(global, &words.args).await,
        Some(LeaseCommand::KeepAlive(args)) => keep_alive(global, args).await,
    }
}

async fn grant(global: &GlobalArgs, words: &[OsString]) -> Result {
    let [ttl] = texts(words, "lease grant command needs TTL argument")?;
    let ttl = parse_i64_decimal(ttl)
        .map_err(|error| Failure::bad_args(format!("bad TTL ({error})")).hint("give seconds"))?;
    let printer = printer(global)?;
    printer.check(Kind::Message)?;
    let session = Session::open(global).await?;
    // Servers raise what is too short, which everything below zero is, to the least they grant.
    let ttl = Duration::from_secs(ttl.try_into().unwrap_or(0));
    let granted = session.client.leases().grant(ttl).await;
    let granted = granted.map_err(|error| Failure::from(error).inside("failed to grant lease"))?;
    printer.print(Reply::LeaseGrant(LeaseTtl {
        header: &granted.header,
        id: granted.id,
        ttl: seconds(granted.ttl),
    }))?;
    session.close().await;
    Ok(())
}

async fn revoke(global: &GlobalArgs, words: &[OsString]) -> Result {
    let [id] = texts(words, "lease revoke command needs 1 argument")?;
    let id = lease_id(id)?;
    let printer = printer(global)?;
    printer.check(Kind::Message)?;
    let session = Session::open(global).await?;
    let revoked = session.client.leases().revoke(id).await;
    let revoked = revoked.map_err(|error| Failure::from(error).inside("failed to revoke lease"))?;
    printer.print(Reply::Done(Done {
        header: &revoked.header,
        text: &format!("lease {:016x} revoked", id.0),
    }))?;
    session.close().await;
    Ok(())
}

async fn time_to_live(global: &GlobalArgs, args: &TimeToLiveArgs) -> Result {
    let needs = "lease timetolive command needs lease ID as argument";
    let [id] = texts(&args.words.args, needs)?;
    let id = lease_id(id)?;
    let printer = printer(global)?;
    printer.check(Kind::Message)?;
    let session = Session::open(global).await?;
    let leases = session.client.leases();
    let mut asked = leases.time_to_live(id);
    if args.keys {
        asked = asked.keys();
    }
    let lease = asked.await.map_err(unreachable)?;
    let keys: Vec<&[u8]> = lease.keys.iter().map(|key| &key[..]).collect();
    printer.print(Reply::TimeToLive(TimeToLive {
        header: &lease.header,
        id: lease.id,
        ttl: lease.ttl.map_or(-1, seconds),
        granted_ttl: seconds(lease.granted_ttl),
        keys: args.keys.then_some(&keys[..]),
    }))?;
    session.close().await;
    Ok(())
}

async fn list(global: &GlobalArgs, words: &[OsString]) -> Result {
    no_arguments(words, "lease list")?;
    let printer = printer(global)?;
    printer.check(Kind::Message)?;
    let session = Session::open(global).await?;
    let list = session.client.leases().list().await.map_err(unreachable)?;
    printer.print(Reply::Leases(&list.header, &list.leases))?;
    session.close().await;
    Ok(())
}

async fn keep_alive(global: &GlobalArgs, args: &KeepAliveArgs) -> Result {
    let needs = "lease keep-alive command needs lease ID as argument";
    let [id] = texts(&args.words.args, needs)?;
    let id = lease_id(id)?;
    let printer = printer(global)?;
    printer.check(Kind::Message)?;
    let session = Session::open(global).await?;
    let renewed =
        |header: &Header, ttl| printer.print(Reply::LeaseKeepAlive(LeaseTtl { header, id, ttl }));
    if args.once {
        let kept = session.client.leases().keep_alive_once(id).await;
        let kept = kept.map_err(unreachable)?;
        renewed(&kept.header, seconds(kept.ttl))?;
    } else {
        let mut ends = None;
        while let Some((header, ttl)) = renew(&session.client, id, ends).await? {
            // The lease counts from when the server had the request, and that was later.
            ends = Some(Instant::now() + ttl);
            renewed(&header, seconds(ttl))?;
            sleep(ttl / 3).await;
        }
        if printer.is_simple() {
            printer.line(&format!("lease {:016x} expired or revoked.", id.0))?;
        }
    }
    session.close().await;
    Ok(())
}

/// Renews a lease, as often as it takes until it ends. Nothing if it is gone.
async fn renew(
    client: &Client,
    id: LeaseId,
    ends: Option<Instant>,
) -> Result<Option<(Header, Duration)>> {
    loop {
        match client.leases().keep_alive_once(id).await {
            Ok(kept) => return Ok(Some((kept.header, kept.ttl))),
            Err(error) if error.kind() == ErrorKind::LeaseNotFound => return Ok(None),
            Err(error) => match ends {
                Some(ends) if Instant::now() + PAUSE < ends => sleep(PAUSE).await,
                Some(_) => return Ok(None),
                None => return Err(unreachable(error)),
            },
        }
    }
}

/// etcdctl's exit code of these commands for any error.
fn unreachable(error: etcdkit::Error) -> Failure {
    Failure::from(error).with_exit(Exit::BadConnection)
}

fn lease_id(text: &str) -> Result<LeaseId> {
    let id = parse_hex_i64(text).map_err(|error| {
        Failure::bad_args(format!("bad lease ID arg ({error}), expecting ID in Hex"))
    })?;
    Ok(LeaseId(id))
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
