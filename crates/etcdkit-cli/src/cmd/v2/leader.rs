//! `leader`.

use etcdkit::v2::{Leader, LeaderOf};

use super::{
    connect::Session,
    explain,
    failure::{Code, marked, of_keys},
    lock::hold_flags,
    say,
};
use crate::{
    args::v2::{
        CampaignArgs, CandidateArgs, ElectionArgs, GlobalArgs, LeaderArgs, LeaderCommand,
        ResignArgs,
    },
    cmd::{held, signal::Signals},
    error::Result,
};

pub(super) async fn run(global: &GlobalArgs, args: &LeaderArgs) -> Result {
    match &args.command {
        None => explain(&["leader".to_owned()]),
        Some(LeaderCommand::Get(args)) => get(global, args).await,
        Some(LeaderCommand::Set(args)) => set(global, args).await,
        Some(LeaderCommand::Delete(args)) => delete(global, args).await,
        Some(LeaderCommand::Campaign(args)) => campaign(global, args).await,
        Some(LeaderCommand::Observe(args)) => observe(global, args).await,
    }
}

fn election<'a>(session: &'a Session, name: &str, via_modules: bool) -> LeaderOf<'a> {
    let election = session.client.leader(name);
    match via_modules {
        true => election.via_modules(),
        false => election,
    }
}

/// Prints who leads, or an empty line if nobody does: `leader observe` needs one for each change.
fn show(leader: Option<&Leader>) -> Result {
    say(leader
        .map(|leader| leader.value.as_str())
        .unwrap_or_default())
}

async fn get(global: &GlobalArgs, args: &ElectionArgs) -> Result {
    let session = Session::open(global).await?;
    let leader = election(&session, &args.name, args.via_modules).get().await;
    session.close().await;
    match leader.map_err(of_keys)? {
        Some(leader) => show(Some(&leader)),
        None => Err(marked(Code::Server, "nobody leads")),
    }
}

async fn set(global: &GlobalArgs, args: &CandidateArgs) -> Result {
    let ttl = hold_flags(args.hold)?;
    let session = Session::open(global).await?;
    let election = election(&session, &args.name, args.hold.via_modules);
    let index = election.set(&args.value).ttl(ttl).await;
    session.close().await;
    say(&index.map_err(of_keys)?.to_string())
}

async fn delete(global: &GlobalArgs, args: &ResignArgs) -> Result {
    let session = Session::open(global).await?;
    let election = election(&session, &args.name, args.via_modules);
    let deleted = election.delete(&args.value).await;
    session.close().await;
    deleted.map_err(of_keys)
}

async fn campaign(global: &GlobalArgs, args: &CampaignArgs) -> Result {
    let candidate = &args.candidate;
    let ttl = hold_flags(candidate.hold)?;
    // Heard from now on, so that no signal leaves a leader behind.
    let mut signals = Signals::listen()?;
    let session = Session::open(global).await?;
    let election = election(&session, &candidate.name, candidate.hold.via_modules);
    let elected = tokio::select! {
        elected = election.campaign(&candidate.value).ttl(ttl) => elected.map_err(of_keys),
        _ = signals.next() => Err(marked(Code::Server, "interrupted while waiting to lead")),
    };
    let leadership = match elected {
        Ok(leadership) => leadership,
        Err(failure) => {
            session.close_tidily().await;
            return Err(failure);
        }
    };
    let index = leadership.index().to_string();
    let lost = async { held::expired(leadership.lost().await) };
    let held = match args.command.is_empty() {
        true => {
            say(&index)?;
            held::until_told(lost, &mut signals).await
        }
        false => {
            let env = [("ETCD_LEADER_INDEX", index.into())];
            held::run(&args.command, env, lost, &mut signals).await
        }
    };
    let resigned = match leadership.is_lost() {
        true => Ok(()),
        false => leadership.resign().await,
    };
    session.close().await;
    held?;
    resigned.map_err(of_keys)
}

async fn observe(global: &GlobalArgs, args: &ElectionArgs) -> Result {
    let mut signals = Signals::listen()?;
    let session = Session::open(global).await?;
    let election = election(&session, &args.name, args.via_modules);
    let mut observer = election.observe().await.map_err(of_keys)?;
    loop {
        tokio::select! {
            leader = observer.try_next() => match leader.map_err(of_keys)? {
                Some(leader) => show(leader.as_ref())?,
                None => break,
            },
            _ = signals.next() => break,
        }
    }
    drop(observer);
    session.close().await;
    Ok(())
}
