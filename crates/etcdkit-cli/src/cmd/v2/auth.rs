//! `auth`.

use super::{connect::Session, explain, failure::of_cluster, input, say};
use crate::{
    args::v2::{AuthArgs, AuthCommand, GlobalArgs},
    error::Result,
};

pub(super) async fn run(global: &GlobalArgs, args: &AuthArgs) -> Result {
    let Some(command) = &args.command else {
        return explain(&["auth".to_owned()]);
    };
    let (AuthCommand::Enable(words) | AuthCommand::Disable(words) | AuthCommand::Status(words)) =
        command;
    input::none(words)?;
    let session = Session::open(global).await?;
    let auth = session.client.auth();
    let said = match command {
        AuthCommand::Enable(_) => auth.enable().await.map(|_| "Authentication Enabled"),
        AuthCommand::Disable(_) => auth.disable().await.map(|_| "Authentication Disabled"),
        AuthCommand::Status(_) => auth.is_enabled().await.map(|enabled| match enabled {
            true => "Authentication is enabled",
            false => "Authentication is disabled",
        }),
    };
    session.close().await;
    say(said.map_err(of_cluster)?)
}
