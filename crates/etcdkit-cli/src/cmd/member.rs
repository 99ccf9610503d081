//! `member`.

use super::{help, is_serializable, no_arguments, printer};
use crate::{
    args::{GlobalArgs, MemberArgs, MemberCommand, MemberListArgs},
    connect::Session,
    error::Result,
    print::{Kind, Reply},
};

pub(crate) async fn run(global: &GlobalArgs, args: &MemberArgs) -> Result {
    match &args.command {
        None => help::run(&["member".to_owned()]),
        Some(MemberCommand::List(args)) => list(global, args).await,
    }
}

async fn list(global: &GlobalArgs, args: &MemberListArgs) -> Result {
    no_arguments(&args.none.args, "member list")?;
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
