//! `downgrade validate`, `downgrade enable` and `downgrade cancel`.

use std::ffi::OsString;

use super::{help, no_arguments, printer, texts};
use crate::{
    args::{DowngradeArgs, DowngradeCommand, GlobalArgs},
    connect::Session,
    error::{Failure, Result},
    print::{Done, Kind, Reply},
};

pub(crate) async fn run(global: &GlobalArgs, args: &DowngradeArgs) -> Result {
    let Some(command) = &args.command else {
        return help::run(&["downgrade".to_owned()]);
    };
    let version = match command {
        DowngradeCommand::Validate(words) | DowngradeCommand::Enable(words) => target(&words.args)?,
        DowngradeCommand::Cancel(words) => {
            no_arguments(&words.args, "downgrade cancel")?;
            ""
        }
    };
    let printer = printer(global)?;
    printer.check(Kind::MessageWithoutFields)?;
    let session = Session::open(global).await?;
    let downgrade = session.client.maintenance().downgrade();
    let (request, text) = match command {
        DowngradeCommand::Validate(_) => {
            (downgrade.validate(version), "Downgrade validate success")
        }
        DowngradeCommand::Enable(_) => (downgrade.enable(version), "Downgrade enable success"),
        DowngradeCommand::Cancel(_) => (downgrade.cancel(), "Downgrade cancel success"),
    };
    let reply = request.await?;
    let header = &reply.header;
    printer.print(Reply::Downgrade(Done { header, text }, &reply.version))?;
    session.close().await;
    Ok(())
}

fn target(words: &[OsString]) -> Result<&str> {
    match words {
        [] => Err(Failure::bad_args("TARGET_VERSION not provided")),
        [_] => match texts(words, "target version not provided")? {
            [""] => Err(Failure::bad_args("target version not provided")),
            [version] => Ok(version),
        },
        _ => Err(Failure::bad_args("too many arguments")),
    }
}
