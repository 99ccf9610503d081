//! `member` and `machines`.

use std::io::{self, Write};

use etcdkit::{MemberId, v2::Member};

use super::{
    connect::Session,
    explain,
    failure::{Code, of_cluster, plain},
    input, say,
};
use crate::{
    args::v2::{GlobalArgs, MemberArgs, MemberCommand, Words},
    cmd::member_id,
    error::Result,
    golang::quote,
};

pub(super) async fn run(global: &GlobalArgs, args: &MemberArgs) -> Result {
    match &args.command {
        None => explain(&["member".to_owned()]),
        Some(MemberCommand::List(words)) => list(global, words).await,
        Some(MemberCommand::Add(words)) => add(global, words).await,
        Some(MemberCommand::Remove(words)) => remove(global, words).await,
        Some(MemberCommand::Update(words)) => update(global, words).await,
    }
}

async fn list(global: &GlobalArgs, words: &Words) -> Result {
    input::none(words)?;
    let session = Session::open(global).await?;
    let members = session.client.members();
    // Beside each other, so that both have the time of the command.
    let (list, leader) = tokio::join!(members.list(), members.leader());
    session.close().await;
    let list = list.map_err(of_cluster)?;
    let leader = leader.map_err(|error| of_cluster(error).preceded_by("Failed to get leader: "))?;
    let mut out = io::stdout().lock();
    for member in &list {
        let Member {
            id,
            name,
            peer_urls,
            client_urls,
            ..
        } = member;
        let peer_urls = peer_urls.join(",");
        match name.is_empty() {
            true => writeln!(out, "{id}[unstarted]: peerURLs={peer_urls}")?,
            false => writeln!(
                out,
                "{id}: name={name} peerURLs={peer_urls} clientURLs={} isLeader={}",
                client_urls.join(","),
                *id == leader.id
            )?,
        }
    }
    Ok(out.flush()?)
}

async fn add(global: &GlobalArgs, words: &Words) -> Result {
    let [name, url] = input::words(&words.args, "Provide a name and a single member peerURL")?;
    let session = Session::open(global).await?;
    let members = session.client.members();
    let added = members.add([url]).await.map_err(of_cluster)?;
    // Printed before anything else can fail: the member is there now.
    say(&format!(
        "Added member named {name} with ID {} to cluster",
        added.id
    ))?;
    let list = members.list().await.map_err(of_cluster)?;
    session.close().await;
    let peers = list.iter().flat_map(|member| {
        let name = match member.id == added.id {
            true => name,
            false => &member.name,
        };
        member
            .peer_urls
            .iter()
            .map(move |url| format!("{name}={url}"))
    });
    let peers = peers.collect::<Vec<_>>().join(",");
    say(&format!("\nETCD_NAME={}", quote(name.as_bytes())))?;
    say(&format!("ETCD_INITIAL_CLUSTER={}", quote(peers.as_bytes())))?;
    say("ETCD_INITIAL_CLUSTER_STATE=\"existing\"")
}

async fn remove(global: &GlobalArgs, words: &Words) -> Result {
    let [wanted] = input::words(&words.args, "Provide a single member ID")?;
    let session = Session::open(global).await?;
    let members = session.client.members();
    let list = members.list().await.map_err(|error| {
        of_cluster(error).preceded_by("Error while verifying ID against known members:")
    })?;
    let id = find(&list, wanted)?;
    members.remove(id).await.map_err(|error| {
        let what = format!("Received an error trying to remove member {id}:");
        of_cluster(error).preceded_by(&what)
    })?;
    session.close().await;
    say(&format!("Removed member {id} from cluster"))
}

/// The id of a member, which is not asked for by its name since several may have the same.
fn find(list: &[Member], wanted: &str) -> Result<MemberId> {
    let mut ids = list.iter().map(|member| member.id);
    if let Some(id) = ids.find(|id| id.to_string() == wanted) {
        return Ok(id);
    }
    for member in list.iter().filter(|member| member.name == wanted) {
        let Member { name, id, .. } = member;
        eprintln!(
            "Found a member named {name}; if this is correct, please use its ID, eg:\n\
             \tetcdkit v2 member remove {id}"
        );
    }
    let text = format!("Couldn't find a member in the cluster with an ID of {wanted}.");
    Err(plain(Code::BadArgs, text))
}

async fn update(global: &GlobalArgs, words: &Words) -> Result {
    let [wanted, urls] = input::words(
        &words.args,
        "Provide an ID and a list of comma separated peerURL (0xabcd http://example.com,http://example1.com)",
    )?;
    let id =
        member_id(wanted).map_err(|_| plain(Code::BadArgs, format!("No such member: {wanted}")))?;
    let session = Session::open(global).await?;
    let updated = session.client.members().update(id, urls.split(',')).await;
    session.close().await;
    updated.map_err(of_cluster)?;
    say(&format!("Updated member with ID {wanted} in cluster"))
}

/// Prints where the members listen to clients, one URL a line.
pub(super) async fn machines(global: &GlobalArgs, words: &Words) -> Result {
    input::none(words)?;
    let session = Session::open(global).await?;
    let machines = session.client.machines().await;
    session.close().await;
    let machines = machines.map_err(of_cluster)?;
    super::list(machines.iter().map(String::as_str))
}
