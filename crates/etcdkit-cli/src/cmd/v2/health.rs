//! `cluster-health`.

use std::{
    io::{self, Write},
    time::Duration,
};

use etcdkit::v2::Member;

use super::{
    connect::Session,
    failure::{Code, of_keys, silent},
};
use crate::{
    args::v2::{GlobalArgs, HealthArgs},
    cmd::signal::Signals,
    error::Result,
};

/// The time between checks.
const PAUSE: Duration = Duration::from_secs(10);

pub(super) async fn run(global: &GlobalArgs, args: &HealthArgs) -> Result {
    let session = Session::open_as_named(global).await?;
    let members = match session.client.members().list().await {
        Ok(members) => members,
        Err(error) => {
            writeln!(
                io::stdout(),
                "cluster may be unhealthy: failed to list members"
            )?;
            return Err(of_keys(error));
        }
    };
    let healthy = match args.forever {
        false => check(global, &session, &members).await?,
        true => {
            let mut signals = Signals::listen()?;
            loop {
                check(global, &session, &members).await?;
                writeln!(io::stdout(), "\nnext check after 10 second...\n")?;
                tokio::select! {
                    _ = signals.next() => break true,
                    () = tokio::time::sleep(PAUSE) => {}
                }
            }
        }
    };
    session.close().await;
    match healthy {
        true => Ok(()),
        false => Err(silent(Code::Unhealthy)),
    }
}

/// Asks all members, and prints what they say; whether all are healthy.
async fn check(global: &GlobalArgs, session: &Session, members: &[Member]) -> Result<bool> {
    let mut healthy = 0;
    for member in members {
        if is_healthy(global, session, member).await? {
            healthy += 1;
        }
    }
    let verdict = match healthy {
        count if count == members.len() => "cluster is healthy",
        0 => "cluster is unavailable",
        _ => "cluster is degraded",
    };
    writeln!(io::stdout(), "{verdict}")?;
    Ok(healthy == members.len())
}

/// Asks a member on one of its URLs after the other until it answers.
async fn is_healthy(global: &GlobalArgs, session: &Session, member: &Member) -> Result<bool> {
    let Member {
        id, client_urls, ..
    } = member;
    let mut out = io::stdout();
    if client_urls.is_empty() {
        writeln!(
            out,
            "member {id} is unreachable: no available published client urls"
        )?;
        return Ok(false);
    }
    for url in client_urls {
        match session.at(global, url)?.health().await {
            Ok(health) => {
                let (state, result) = match health.healthy {
                    true => ("healthy", "healthy"),
                    false => ("unhealthy", "unhealthy"),
                };
                writeln!(
                    out,
                    "member {id} is {state}: got {result} result from {url}"
                )?;
                return Ok(health.healthy);
            }
            Err(error) => writeln!(
                out,
                "failed to check the health of member {id} on {url}: {error}"
            )?,
        }
    }
    let urls = client_urls.join(" ");
    writeln!(
        out,
        "member {id} is unreachable: [{urls}] are all unreachable"
    )?;
    Ok(false)
}
