//! `move-leader`.

use std::ffi::OsString;

use etcdkit::{ErrorKind, Outcome};

use super::{member_id, printer, texts};
use crate::{
    args::GlobalArgs,
    connect::Session,
    error::{Exit, Failure, Result},
    print::{Done, Kind, Reply},
};

pub(crate) async fn run(global: &GlobalArgs, words: &[OsString]) -> Result {
    let [id] = texts(words, "move-leader command needs 1 argument")?;
    let target = member_id(id).map_err(Failure::bad_args)?;
    let printer = printer(global)?;
    printer.check(Kind::MessageWithoutFields)?;
    let session = Session::open(global).await?;
    let moved = session.client.maintenance().move_leader(target).await;
    let moved = moved.map_err(|error| {
        // The client's own word, not a member's that led when it was asked and no longer did then.
        let nowhere = error.kind() == ErrorKind::NotLeader
            && error.outcome() == Outcome::NotApplied
            && !error.message().starts_with("etcdserver: ");
        match nowhere {
            true => Failure::from(error).with_exit(Exit::BadArgs),
            false => Failure::from(error),
        }
    })?;
    printer.print(Reply::Done(Done {
        header: &moved.header,
        text: &format!("Leadership transferred from {} to {}", moved.from, moved.to),
    }))?;
    session.close().await;
    Ok(())
}
