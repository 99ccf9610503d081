//! `endpoint health`, `endpoint status` and `endpoint hashkv`.
//!
//! Each endpoint is asked on its own, all at the same time, and listed in the order given; etcdctl
//! asks one after the other, so that its time limit applies to each anew.

use std::time::Instant;

use etcdkit::{Alarm, AlarmKind, Client, ErrorKind};
use futures_util::future::join_all;

use super::{help, no_arguments, printer};
use crate::{
    args::{EndpointArgs, EndpointCommand, GlobalArgs, HashKvArgs, Words},
    connect::Session,
    error::{Exit, Failure, Result, story},
    golang::format_duration,
    print::{At, Health, Kind, Reply},
};

pub(crate) async fn run(global: &GlobalArgs, args: &EndpointArgs) -> Result {
    match &args.command {
        None => help::run(&["endpoint".to_owned()]),
        Some(EndpointCommand::Health(words)) => health(global, args.cluster, words).await,
        Some(EndpointCommand::Status(words)) => status(global, args.cluster, words).await,
        Some(EndpointCommand::Hashkv(hash_kv)) => hash(global, args.cluster, hash_kv).await,
    }
}

async fn health(global: &GlobalArgs, cluster: bool, words: &Words) -> Result {
    no_arguments(&words.args, "endpoint health")?;
    let printer = printer(global)?;
    printer.check(Kind::Endpoints)?;
    let check = async |endpoint: String| {
        let session = Session::open_to(global, std::slice::from_ref(&endpoint)).await?;
        let begin = Instant::now();
        // Any linearizable read needs a quorum, whatever the key. To be refused it needs one, too.
        let read = session.client.get("health").await;
        let took = format_duration(begin.elapsed());
        let error = match read {
            Err(error) if error.kind() != ErrorKind::PermissionDenied => Some(story(&error)),
            _ => alarms(&session.client).await,
        };
        session.close().await;
        Ok::<_, Failure>(Health {
            endpoint,
            took,
            error,
        })
    };
    let checks = endpoints(global, cluster).await?.into_iter().map(check);
    let health = join_all(checks)
        .await
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
    printer.print(Reply::Health(&health))?;
    if health.iter().any(|health| health.error.is_some()) {
        return Err(Failure::new(Exit::Error, "unhealthy cluster"));
    }
    Ok(())
}

/// What alarms are raised, if any.
async fn alarms(client: &Client) -> Option<String> {
    match client.maintenance().alarms().await {
        Err(_) => Some("Unable to fetch the alarm list".to_owned()),
        Ok(list) if list.alarms.is_empty() => None,
        Ok(list) => {
            let name = |alarm: &Alarm| match alarm.kind {
                AlarmKind::NoSpace => "NOSPACE ",
                AlarmKind::Corrupt => "CORRUPT ",
                _ => "UNKNOWN ",
            };
            let names: String = list.alarms.iter().map(name).collect();
            Some(format!("Active Alarm(s): {names}"))
        }
    }
}

async fn status(global: &GlobalArgs, cluster: bool, words: &Words) -> Result {
    no_arguments(&words.args, "endpoint status")?;
    let printer = printer(global)?;
    printer.check(Kind::Endpoints)?;
    let ask = async |endpoint: String| {
        let session = Session::open_to(global, std::slice::from_ref(&endpoint)).await?;
        let reply = session
            .client
            .maintenance()
            .status(session.endpoint())
            .await;
        session.close().await;
        Ok((endpoint, reply))
    };
    let answers = join_all(endpoints(global, cluster).await?.into_iter().map(ask)).await;
    let (replies, failure) = sort_out("status", answers)?;
    printer.print(Reply::Status(&replies))?;
    failure.map_or(Ok(()), Err)
}

async fn hash(global: &GlobalArgs, cluster: bool, args: &HashKvArgs) -> Result {
    no_arguments(&args.words.args, "endpoint hashkv")?;
    let printer = printer(global)?;
    printer.check(Kind::Endpoints)?;
    let revision = args.rev.max(0);
    let ask = async |endpoint: String| {
        let session = Session::open_to(global, std::slice::from_ref(&endpoint)).await?;
        let maintenance = session.client.maintenance();
        let reply = maintenance
            .hash_kv(session.endpoint())
            .revision(revision)
            .await;
        session.close().await;
        Ok((endpoint, reply))
    };
    let answers = join_all(endpoints(global, cluster).await?.into_iter().map(ask)).await;
    let (replies, failure) = sort_out("hash", answers)?;
    printer.print(Reply::HashKv(&replies))?;
    failure.map_or(Ok(()), Err)
}

/// Separates the endpoints that answered from those that did not, which are named at once.
fn sort_out<T>(
    what: &str,
    answers: Vec<Result<(String, etcdkit::Result<T>)>>,
) -> Result<(Vec<At<T>>, Option<Failure>)> {
    let mut replies = Vec::new();
    let mut failure = None;
    for answer in answers {
        let (endpoint, reply) = answer?;
        match reply {
            Ok(reply) => replies.push(At { endpoint, reply }),
            Err(error) => {
                let reason = story(&error);
                eprintln!("Failed to get the {what} of endpoint {endpoint} ({reason})");
                failure = Some(Failure::from(error));
            }
        }
    }
    Ok((replies, failure))
}

/// The endpoints to ask: those given or discovered, or those of all members.
pub(super) async fn endpoints(global: &GlobalArgs, cluster: bool) -> Result<Vec<String>> {
    if !cluster && global.discovery().is_none() {
        return Ok(global.endpoints.clone());
    }
    let session = Session::open(global).await?;
    if !cluster {
        let discovered = session
            .client
            .endpoints()
            .map(|endpoint| endpoint.to_string());
        let discovered = discovered.collect();
        session.close().await;
        return Ok(discovered);
    }
    let list = session.client.cluster().members().await;
    session.close().await;
    let list = list.map_err(|error| {
        let text = story(&error);
        Failure::new(
            Exit::Error,
            format!("failed to fetch endpoints from etcd cluster member list: {text}"),
        )
    })?;
    let urls = list
        .members
        .into_iter()
        .flat_map(|member| member.client_urls);
    Ok(urls.collect())
}
