//! `elect`.

use std::{ffi::OsStr, time::Duration};

use etcdkit::RangeResponse;

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

/// Prints the leader, and every other one that follows, until interrupted.
async fn observe(session: &Session, printer: &Printer, name: &OsStr) -> Result {
    let mut signals = Signals::listen()?;
    let service = session.client.election_service();
    let mut leaders = service.observe(name.as_encoded_bytes()).await?;
    loop {
        tokio::select! {
            leader = leaders.try_next() => match leader? {
                Some(leader) => {
                    let mut reply = RangeResponse::default();
                    reply.header = leader.header;
                    reply.kvs = vec![leader.kv];
                    printer.print(Reply::Range(&reply))?;
                }
                None => return Err(Failure::new(Exit::Error, "elect: observer lost")),
            },
            _ = signals.next() => return Ok(()),
        }
    }
}

/// Waits to be elected, and leads until interrupted.
async fn campaign(session: &Session, printer: &Printer, name: &OsStr, proposal: &OsStr) -> Result {
    // Heard from now on, so that no signal leaves a leader behind.
    let mut signals = Signals::listen()?;
    let lease = session.client.lease(TTL).await?;
    let service = session.client.election_service();
    let (name, proposal) = (name.as_encoded_bytes(), proposal.as_encoded_bytes());
    let elected = tokio::select! {
        elected = service.campaign(name, &lease, proposal) => elected.map_err(Failure::from),
        _ = signals.next() => Err(Failure::new(
            Exit::Error,
            "interrupted before being elected",
        )),
    };
    let led = async {
        let leader = elected?.leader;
        let range = session.client.range(&leader.key[..]).await?;
        printer.print(Reply::Range(&range))?;
        tokio::select! {
            _ = signals.next() => Ok(()),
            lost = lease.lost() => {
                let text = format!("elect: session expired: {lost}");
                Err(Failure::new(Exit::Error, text))
            }
        }
    };
    let led = led.await;
    // With the lease go the leadership, and a place in the queue for it.
    let resigned = match lease.is_lost() {
        true => Ok(()),
        false => lease.revoke().await.map(drop),
    };
    led?;
    Ok(resigned?)
}
