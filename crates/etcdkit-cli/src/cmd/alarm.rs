//! `alarm list` and `alarm disarm`.

use super::{help, printer};
use crate::{
    args::{AlarmArgs, AlarmCommand, GlobalArgs},
    connect::Session,
    error::{Failure, Result},
    print::{Kind, Reply},
};

pub(crate) async fn run(global: &GlobalArgs, args: &AlarmArgs) -> Result {
    let (name, words, disarm) = match &args.command {
        None => return help::run(&["alarm".to_owned()]),
        Some(AlarmCommand::List(words)) => ("list", words, false),
        Some(AlarmCommand::Disarm(words)) => ("disarm", words, true),
    };
    if !words.args.is_empty() {
        let text = format!("alarm {name} command accepts no arguments");
        return Err(Failure::bad_args(text));
    }
    let printer = printer(global)?;
    printer.check(Kind::Message)?;
    let session = Session::open(global).await?;
    let maintenance = session.client.maintenance();
    let list = match disarm {
        true => maintenance.disarm_all().await?,
        false => maintenance.alarms().await?,
    };
    printer.print(Reply::Alarms(&list))?;
    session.close().await;
    Ok(())
}
