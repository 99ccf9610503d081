//! `role`.

use etcdkit::v2::Permissions;

use super::{
    connect::Session,
    explain,
    failure::{Code, of_cluster, plain},
    input, list, say,
};
use crate::{
    args::v2::{GlobalArgs, PermissionArgs, RoleArgs, RoleCommand, Words},
    error::Result,
};

const NEEDS: &str = "Please provide a role name";

pub(super) async fn run(global: &GlobalArgs, args: &RoleArgs) -> Result {
    match &args.command {
        None => explain(&["role".to_owned()]),
        Some(RoleCommand::Add(words)) => add(global, words).await,
        Some(RoleCommand::Get(words)) => get(global, words).await,
        Some(RoleCommand::List(words)) => list_all(global, words).await,
        Some(RoleCommand::Remove(words)) => remove(global, words).await,
        Some(RoleCommand::Grant(args)) => change(global, args, true).await,
        Some(RoleCommand::Revoke(args)) => change(global, args, false).await,
    }
}

async fn list_all(global: &GlobalArgs, words: &Words) -> Result {
    input::none(words)?;
    let session = Session::open(global).await?;
    let roles = session.client.auth().roles().await;
    session.close().await;
    let roles = roles.map_err(of_cluster)?;
    list(roles.iter().map(|role| role.name.as_str()))
}

async fn add(global: &GlobalArgs, words: &Words) -> Result {
    let [name] = input::words(&words.args, NEEDS)?;
    let session = Session::open(global).await?;
    let role = session.client.auth().role(name);
    // The server's own refusal has other words for each kind of role.
    if role.get().await.is_ok() {
        let text = format!("Role {name} already exists");
        return Err(plain(Code::BadArgs, text));
    }
    let added = role.create(None).await;
    session.close().await;
    added.map_err(of_cluster)?;
    say(&format!("Role {name} created"))
}

async fn get(global: &GlobalArgs, words: &Words) -> Result {
    let [name] = input::words(&words.args, NEEDS)?;
    let session = Session::open(global).await?;
    let role = session.client.auth().role(name).get().await;
    session.close().await;
    let role = role.map_err(of_cluster)?;
    say(&format!("Role: {}\nKV Read:", role.name))?;
    for pattern in &role.permissions.read {
        say(&format!("\t{pattern}"))?;
    }
    say("KV Write:")?;
    for pattern in &role.permissions.write {
        say(&format!("\t{pattern}"))?;
    }
    Ok(())
}

async fn remove(global: &GlobalArgs, words: &Words) -> Result {
    let [name] = input::words(&words.args, NEEDS)?;
    let session = Session::open(global).await?;
    let removed = session.client.auth().role(name).delete().await;
    session.close().await;
    removed.map_err(of_cluster)?;
    say(&format!("Role {name} removed"))
}

async fn change(global: &GlobalArgs, args: &PermissionArgs, grant: bool) -> Result {
    let permissions = permissions(args)?;
    let [name] = input::words(&args.args, NEEDS)?;
    let session = Session::open(global).await?;
    let role = session.client.auth().role(name);
    let changed = match grant {
        true => role.grant(permissions).await,
        false => role.revoke(permissions).await,
    };
    session.close().await;
    changed.map_err(of_cluster)?;
    say(&format!("Role {name} updated"))
}

/// What is granted or revoked, once it is clear.
fn permissions(args: &PermissionArgs) -> Result<Permissions> {
    let path = args.path.as_str();
    if path.is_empty() {
        let text = "No path specified; please use `--path`";
        return Err(plain(Code::BadArgs, text));
    }
    let clean = canonical(path);
    if clean != path {
        let text = format!("Not canonical path; please use `--path={clean}`");
        return Err(plain(Code::BadArgs, text));
    }
    match (args.read, args.write, args.readwrite) {
        (true, false, false) => Ok(Permissions::read(path)),
        (false, true, false) => Ok(Permissions::write(path)),
        (false, false, true) => Ok(Permissions::read_write(path)),
        _ => Err(plain(
            Code::BadArgs,
            "Please specify exactly one of --read, --write or --readwrite",
        )),
    }
}

/// The one way to write a path: from the root, without dots and double slashes. A slash at the end
/// stays, since patterns are compared as texts.
fn canonical(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let clean = format!("/{}", parts.join("/"));
    match path.ends_with('/') && clean != "/" {
        true => clean + "/",
        false => clean,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_way_to_write_a_path() {
        for (path, clean) in [
            ("/a", "/a"),
            ("a", "/a"),
            ("/a/*", "/a/*"),
            ("/a/", "/a/"),
            ("//a//b/./c/../d", "/a/b/d"),
            ("/..", "/"),
            ("/", "/"),
            ("*", "/*"),
        ] {
            assert_eq!(canonical(path), clean, "{path}");
        }
    }
}
