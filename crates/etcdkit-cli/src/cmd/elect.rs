//! `elect`.

use std::{ffi::OsStr, time::Duration};

use etcdkit::{Error, RangeResponse, sync::HoldLostReason};

use super::{printer, signal::Signals};
use crate::{
    args::{ElectArgs, GlobalArgs},
    connect::Session,
    error::{Exit, Failure, Result},
    print::{Kind, Printer, Reply},
};

/// How long a leader is one after its process or its connection is lost, as in etcdctl.
const TTL: Duration = Duration::from_secs(60);

pub(crate) async fn run(global: &GlobalArgs, args: &ElectArgs) -> Result {
    let (name, proposal) = match (&args.args[..], args.listen) {
        ([name], true) => (name, None),
        ([name, proposal], false) => (name, Some(proposal)),
        ([_], false) => {
            return Err(Failure::bad_args("no proposal argument but -l not set"));
        }
        ([_, _], true) => return Err(Failure::bad_args("proposal given but -l is set")),
        _ => {
            return Err(Failure::bad_args(
                "elect takes one election name argument and an optional proposal argument",
            ));
        }
    };
    let printer = printer(global)?;
    printer.check(Kind::Message)?;
    let session = Session::open(global).await?;
    match proposal {
        None => observe(&session, &printer, name).await?,
        Some(proposal) => campaign(&session, &printer, name, proposal).await?,
    }
    session.close().await;
    Ok(())
}

/// Prints the leader, what it proclaims, and every other one that follows, until interrupted. That nobody
/// leads, which etcdctl keeps to itself, goes where no script reads leaders from.
async fn observe(session: &Session, printer: &Printer, name: &OsStr) -> Result {
    let mut signals = Signals::listen()?;
    let election = session.client.election(name.as_encoded_bytes());
    let mut leaders = tokio::select! {
        leaders = election.observe() => leaders?,
        _ = signals.next() => return Ok(()),
    };
    loop {
        let observed = tokio::select! {
            observed = leaders.try_next() => observed.map_err(observer_lost)?,
            _ = signals.next() => return Ok(()),
        };
        let Some(observed) = observed else {
            return Err(Failure::new(Exit::Error, "elect: observer lost"));
        };
        let Some(leader) = observed.leader else {
            let (name, revision) = (name.display(), observed.revision);
            eprintln!("Nobody leads {name} at revision {revision}");
            continue;
        };
        let mut reply = RangeResponse::default();
        reply.header = observed.header;
        reply.header.revision = observed.revision;
        reply.kvs = vec![leader.into_kv()];
        printer.print(Reply::Range(&reply))?;
    }
}

fn observer_lost(error: Error) -> Failure {
    Failure::from(error).preceded_by("elect: observer lost:")
}

/// Waits to be elected, and leads until interrupted.
async fn campaign(session: &Session, printer: &Printer, name: &OsStr, proposal: &OsStr) -> Result {
    // Heard from now on, so that no signal leaves a leader behind.
    let mut signals = Signals::listen()?;
    let candidate = session.client.session().ttl(TTL).await?;
    let election = candidate.election(name.as_encoded_bytes());
    let led = async {
        let leadership = tokio::select! {
            elected = election.campaign(proposal.as_encoded_bytes()) => elected?,
            _ = signals.next() => {
                let text = "interrupted before being elected";
                return Err(Failure::new(Exit::Error, text));
            }
        };
        let range = session.client.range(leadership.key()).await?;
        printer.print(Reply::Range(&range))?;
        tokio::select! {
            _ = signals.next() => Ok(()),
            lost = leadership.lost() => {
                let what = match lost.reason() {
                    HoldLostReason::Session(_) => "session expired",
                    _ => "no longer the leader",
                };
                Err(Failure::new(Exit::Error, format!("elect: {what}: {lost}")))
            }
        }
    };
    let led = led.await;
    // With the lease go the leadership, and a place in the queue for it.
    let resigned = match candidate.is_lost() {
        true => Ok(()),
        false => candidate.close().await,
    };
    led?;
    Ok(resigned?)
}
