//! `user`.

use super::{
    connect::Session,
    explain,
    failure::{Code, of_cluster, plain},
    input, list, say,
};
use crate::{
    args::v2::{GlobalArgs, RolesArgs, UserArgs, UserCommand, Words},
    cmd::password,
    error::Result,
};

const NEEDS: &str = "Please provide a username";

pub(super) async fn run(global: &GlobalArgs, args: &UserArgs) -> Result {
    match &args.command {
        None => explain(&["user".to_owned()]),
        Some(UserCommand::Add(words)) => add(global, words).await,
        Some(UserCommand::Get(words)) => get(global, words).await,
        Some(UserCommand::List(words)) => list_all(global, words).await,
        Some(UserCommand::Remove(words)) => remove(global, words).await,
        Some(UserCommand::Grant(args)) => change_roles(global, args, true).await,
        Some(UserCommand::Revoke(args)) => change_roles(global, args, false).await,
        Some(UserCommand::Passwd(words)) => passwd(global, words).await,
    }
}

async fn list_all(global: &GlobalArgs, words: &Words) -> Result {
    input::none(words)?;
    let session = Session::open(global).await?;
    let users = session.client.auth().users().await;
    session.close().await;
    let users = users.map_err(of_cluster)?;
    list(users.iter().map(|user| user.name.as_str()))
}

async fn get(global: &GlobalArgs, words: &Words) -> Result {
    let [name] = input::words(&words.args, NEEDS)?;
    let session = Session::open(global).await?;
    let user = session.client.auth().user(name).get().await;
    session.close().await;
    let user = user.map_err(of_cluster)?;
    // etcdctl leaves room for as many names before them.
    let room = " ".repeat(user.roles.len());
    let roles: Vec<_> = user.roles.iter().map(|role| role.name.as_str()).collect();
    say(&format!(
        "User: {}\nRoles: {room}{}",
        user.name,
        roles.join(" ")
    ))
}

async fn add(global: &GlobalArgs, words: &Words) -> Result {
    let [argument] = input::words(&words.args, NEEDS)?;
    let (name, password) = match argument.split_once(':') {
        Some((name, password)) => (name, password.to_owned()),
        None => (argument, new_password()?),
    };
    let session = Session::open(global).await?;
    let added = session.client.auth().user(name).create(password).await;
    session.close().await;
    added.map_err(of_cluster)?;
    say(&format!("User {name} created"))
}

async fn passwd(global: &GlobalArgs, words: &Words) -> Result {
    let [name] = input::words(&words.args, NEEDS)?;
    let password = new_password()?;
    let session = Session::open(global).await?;
    let user = session.client.auth().user(name);
    let changed = user.change_password(password).await;
    session.close().await;
    changed.map_err(of_cluster)?;
    say("Password updated")
}

fn new_password() -> Result<String> {
    password::ask("New password: ").map_err(|failure| {
        let code = Code::BadArgs.exit();
        failure
            .with_exit(code)
            .hint("give USER:PASSWORD to `user add`")
    })
}

async fn remove(global: &GlobalArgs, words: &Words) -> Result {
    let [name] = input::words(&words.args, NEEDS)?;
    let session = Session::open(global).await?;
    let removed = session.client.auth().user(name).delete().await;
    session.close().await;
    removed.map_err(of_cluster)?;
    say(&format!("User {name} removed"))
}

async fn change_roles(global: &GlobalArgs, args: &RolesArgs, grant: bool) -> Result {
    if args.roles.is_empty() {
        let text = "No roles specified; please use `--roles`";
        return Err(plain(Code::BadArgs, text));
    }
    let [name] = input::words(&args.args, NEEDS)?;
    let session = Session::open(global).await?;
    let user = session.client.auth().user(name);
    let changed = match grant {
        true => user.grant(&args.roles).await,
        false => user.revoke(&args.roles).await,
    };
    session.close().await;
    changed.map_err(of_cluster)?;
    say(&format!("User {name} updated"))
}
