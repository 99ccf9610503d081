//! `member add`, `member remove`, `member update`, `member list` and `member promote`.

use std::ffi::OsString;

use etcdkit::MemberId;

use super::{help, is_serializable, member_id, no_arguments, printer, texts};
use crate::{
    args::{
        GlobalArgs, MemberAddArgs, MemberArgs, MemberCommand, MemberListArgs, MemberUpdateArgs,
    },
    connect::Session,
    error::{Failure, Result},
    print::{Done, Kind, MemberAdd, Printer, Reply},
};

const NO_ID: &str = "member ID is not provided";

pub(crate) async fn run(global: &GlobalArgs, args: &MemberArgs) -> Result {
    match &args.command {
        None => help::run(&["member".to_owned()]),
        Some(MemberCommand::Add(args)) => add(global, args).await,
        Some(MemberCommand::Remove(words)) => remove(global, &words.args).await,
        Some(MemberCommand::Update(args)) => update(global, args).await,
        Some(MemberCommand::List(args)) => list(global, args).await,
        Some(MemberCommand::Promote(words)) => promote(global, &words.args).await,
    }
}

async fn add(global: &GlobalArgs, args: &MemberAddArgs) -> Result {
    let words = &args.words.args;
    let name = match &words[..] {
        [_] => {
            let [name] = texts(words, "member name not provided")?;
            name
        }
        [] => return Err(Failure::bad_args("member name not provided")),
        _ => {
            let words = words.iter().map(|word| word.to_string_lossy());
            let urls = words.filter(|word| word.to_ascii_lowercase().starts_with("http"));
            let guesses = urls.map(|url| format!(", did you mean --peer-urls={url}"));
            let guesses: String = guesses.collect();
            return Err(Failure::bad_args(format!("too many arguments{guesses}")));
        }
    };
    let urls = peer_urls(&args.peer_urls)?;
    let printer = changes(global)?;
    let session = Session::open(global).await?;
    let cluster = session.client.cluster();
    let mut request = cluster.add(urls);
    if args.learner {
        request = request.learner();
    }
    let added = request.await?;
    printer.print(Reply::MemberAdd(MemberAdd {
        header: &added.header,
        member: &added.member,
        members: &added.members,
        name,
        peer_urls: &args.peer_urls,
    }))?;
    session.close().await;
    Ok(())
}

async fn remove(global: &GlobalArgs, words: &[OsString]) -> Result {
    let [id] = texts(words, NO_ID)?;
    let id = parse(id)?;
    let printer = changes(global)?;
    let session = Session::open(global).await?;
    let list = session.client.cluster().remove(id).await?;
    print(&printer, &list, id, "removed from")?;
    session.close().await;
    Ok(())
}

async fn update(global: &GlobalArgs, args: &MemberUpdateArgs) -> Result {
    let [id] = texts(&args.words.args, NO_ID)?;
    let id = parse(id)?;
    let urls = peer_urls(&args.peer_urls)?;
    let printer = changes(global)?;
    let session = Session::open(global).await?;
    let list = session.client.cluster().update(id, urls).await?;
    print(&printer, &list, id, "updated in")?;
    session.close().await;
    Ok(())
}

async fn promote(global: &GlobalArgs, words: &[OsString]) -> Result {
    let [id] = texts(words, NO_ID)?;
    let id = parse(id)?;
    let printer = changes(global)?;
    let session = Session::open(global).await?;
    let list = session.client.cluster().promote(id).await?;
    print(&printer, &list, id, "promoted in")?;
    session.close().await;
    Ok(())
}

async fn list(global: &GlobalArgs, args: &MemberListArgs) -> Result {
    no_arguments(&args.words.args, "member list")?;
    let serializable = is_serializable(&args.consistency)?;
    let printer = printer(global)?;
    printer.check(Kind::Members)?;
    let session = Session::open(global).await?;
    let cluster = session.client.cluster();
    let mut members = cluster.members();
    if serializable {
        members = members.serializable();
    }
    let reply = members.await?;
    printer.print(Reply::Members(&reply))?;
    session.close().await;
    Ok(())
}

/// The printer for replies to changes, which etcdctl has no fields for.
fn changes(global: &GlobalArgs) -> Result<Printer> {
    let printer = printer(global)?;
    printer.check(Kind::MessageWithoutFields)?;
    Ok(printer)
}

fn print(printer: &Printer, list: &etcdkit::MemberList, id: MemberId, what: &str) -> Result {
    let cluster = list.header.cluster_id;
    let done = Done {
        header: &list.header,
        text: &format!("Member {:16x} {what} cluster {cluster:16x}", id.0),
    };
    printer.print(Reply::MemberChange(done, &list.members))
}

fn parse(id: &str) -> Result<MemberId> {
    member_id(id).map_err(|error| {
        Failure::bad_args(format!("bad member ID arg ({error}), expecting ID in Hex"))
    })
}

fn peer_urls(list: &str) -> Result<Vec<String>> {
    if list.is_empty() {
        return Err(Failure::bad_args("member peer urls not provided"));
    }
    Ok(list.split(',').map(str::to_owned).collect())
}
