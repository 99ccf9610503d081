//! `auth enable`, `auth disable` and `auth status`.

use etcdkit::{Client, ErrorKind};

use super::{help, printer};
use crate::{
    args::{AuthArgs, AuthCommand, GlobalArgs},
    connect::Session,
    error::{Failure, Result},
    print::{AuthStatus, Kind, Reply},
};

/// The user, and the role, that may do everything.
const ROOT: &str = "root";

pub(crate) async fn run(global: &GlobalArgs, args: &AuthArgs) -> Result {
    let Some(command) = &args.command else {
        return help::run(&["auth".to_owned()]);
    };
    let (name, words) = match command {
        AuthCommand::Enable(words) => ("enable", words),
        AuthCommand::Disable(words) => ("disable", words),
        AuthCommand::Status(words) => ("status", words),
    };
    if !words.args.is_empty() {
        let text = format!("auth {name} command does not accept any arguments");
        return Err(Failure::bad_args(text));
    }
    let printer = printer(global)?;
    if matches!(command, AuthCommand::Status(_)) {
        printer.check(Kind::MessageWithoutFields)?;
    }
    let session = Session::open(global).await?;
    match command {
        // These two always answer with a sentence.
        AuthCommand::Enable(_) => {
            enable(&session.client).await?;
            printer.line("Authentication Enabled")?;
        }
        AuthCommand::Disable(_) => {
            session.client.auth().disable().await?;
            printer.line("Authentication Disabled")?;
        }
        AuthCommand::Status(_) => {
            let status = session.client.auth().status().await?;
            printer.print(Reply::AuthStatus(AuthStatus {
                header: &status.header,
                enabled: status.enabled,
                revision: status.auth_revision,
            }))?;
        }
    }
    session.close().await;
    Ok(())
}

/// Turns authentication on, after giving the user root the role root if it lacks it.
async fn enable(client: &Client) -> Result {
    let auth = client.auth();
    match auth.enable().await {
        Err(error) if error.kind() == ErrorKind::RootRoleNotExist => {}
        result => return result.map(drop).map_err(Failure::from),
    }
    match auth.role(ROOT).add().await {
        // The role may be there, and only the user lack it.
        Err(error) if error.kind() != ErrorKind::RoleExists => return Err(error.into()),
        _ => {}
    }
    auth.user(ROOT).grant_role(ROOT).await?;
    auth.enable().await?;
    Ok(())
}
