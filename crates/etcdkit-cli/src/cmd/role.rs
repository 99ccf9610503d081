//! `role add`, `role delete`, `role get`, `role list`, `role grant-permission` and
//! `role revoke-permission`.

use std::ffi::OsString;

use etcdkit::{Client, KeyRange, PermissionKind};

use super::{
    help, printer, texts,
    user::{acts, done},
};
use crate::{
    args::{GlobalArgs, PermissionArgs, RoleArgs, RoleCommand},
    connect::Session,
    error::{Failure, Result},
    print::{Access, Kind, Names, Permission, Printer, Reply, Role},
};

pub(crate) async fn run(global: &GlobalArgs, args: &RoleArgs) -> Result {
    match &args.command {
        None => help::run(&["role".to_owned()]),
        Some(RoleCommand::Add(words)) => add(global, &words.args).await,
        Some(RoleCommand::Delete(words)) => delete(global, &words.args).await,
        Some(RoleCommand::Get(words)) => get(global, &words.args).await,
        Some(RoleCommand::List(words)) => list(global, &words.args).await,
        Some(RoleCommand::GrantPermission(args)) => grant(global, args).await,
        Some(RoleCommand::RevokePermission(args)) => revoke(global, args).await,
    }
}

async fn add(global: &GlobalArgs, words: &[OsString]) -> Result {
    let [name] = texts(words, "role add command requires role name as its argument")?;
    let printer = acts(global)?;
    let session = Session::open(global).await?;
    let added = session.client.auth().role(name).add().await?;
    done(&printer, &added.header, &format!("Role {name} created"))?;
    session.close().await;
    Ok(())
}

async fn delete(global: &GlobalArgs, words: &[OsString]) -> Result {
    let [name] = texts(
        words,
        "role delete command requires role name as its argument",
    )?;
    let printer = acts(global)?;
    let session = Session::open(global).await?;
    let deleted = session.client.auth().role(name).delete().await?;
    done(&printer, &deleted.header, &format!("Role {name} deleted"))?;
    session.close().await;
    Ok(())
}

async fn get(global: &GlobalArgs, words: &[OsString]) -> Result {
    let [name] = texts(words, "role get command requires role name as its argument")?;
    let printer = printer(global)?;
    printer.check(Kind::Message)?;
    let session = Session::open(global).await?;
    show(&session.client, &printer, name).await?;
    session.close().await;
    Ok(())
}

/// Prints a role with its permissions.
pub(super) async fn show(client: &Client, printer: &Printer, name: &str) -> Result {
    let role = client.auth().role(name).get().await?;
    let permissions: Vec<_> = role.permissions.iter().map(|p| seen(name, p)).collect();
    printer.print(Reply::Role(Role {
        header: &role.header,
        name,
        permissions: &permissions,
    }))
}

fn seen(role: &str, permission: &etcdkit::Permission) -> Permission {
    let keys = permission.keys();
    let mut key = keys.start().to_vec();
    // Its permission for all keys begins at the empty one, which no other role's does.
    if role == "root" && key == b"\0" {
        key.clear();
    }
    Permission {
        access: match permission.kind() {
            PermissionKind::Read => Access::Read,
            PermissionKind::Write => Access::Write,
            _ => Access::ReadWrite,
        },
        key,
        range_end: keys.range_end().to_vec(),
    }
}

async fn list(global: &GlobalArgs, words: &[OsString]) -> Result {
    let [] = texts(words, "role list command requires no arguments")?;
    let printer = printer(global)?;
    printer.check(Kind::Message)?;
    let session = Session::open(global).await?;
    let list = session.client.auth().roles().await?;
    let (header, names) = (&list.header, &list.roles[..]);
    printer.print(Reply::RoleList(Names { header, names }))?;
    session.close().await;
    Ok(())
}

async fn grant(global: &GlobalArgs, args: &PermissionArgs) -> Result {
    let needs =
        "role grant command requires role name, permission type, and key [endkey] as its argument";
    let (Some([name, access]), Some(words)) = (args.args.get(..2), args.args.get(2..)) else {
        return Err(Failure::bad_args(needs));
    };
    if words.is_empty() {
        return Err(Failure::bad_args(needs));
    }
    let [name] = texts(std::slice::from_ref(name), needs)?;
    let access = access.to_string_lossy();
    let permit = match access.to_ascii_lowercase().as_str() {
        "read" => etcdkit::Permission::read::<'_>,
        "write" => etcdkit::Permission::write::<'_>,
        "readwrite" => etcdkit::Permission::read_write::<'_>,
        _ => {
            let text = format!("invalid permission type: {access}");
            return Err(Failure::bad_args(text).hint("read, write or readwrite"));
        }
    };
    let keys = permitted(words, args)?;
    let printer = acts(global)?;
    let session = Session::open(global).await?;
    let role = session.client.auth().role(name);
    let granted = role.grant(permit(keys)).await?;
    done(&printer, &granted.header, &format!("Role {name} updated"))?;
    session.close().await;
    Ok(())
}

async fn revoke(global: &GlobalArgs, args: &PermissionArgs) -> Result {
    let needs =
        "role revoke-permission command requires role name and key [endkey] as its argument";
    let Some((name, words)) = args.args.split_first().filter(|(_, rest)| !rest.is_empty()) else {
        return Err(Failure::bad_args(needs));
    };
    let [name] = texts(std::slice::from_ref(name), needs)?;
    let keys = permitted(words, args)?;
    let printer = acts(global)?;
    let session = Session::open(global).await?;
    let role = session.client.auth().role(name);
    let revoked = role.revoke(&keys).await?;
    let key = words.first().map(|key| key.to_string_lossy());
    let text = revocation(&key.unwrap_or_default(), &keys, name);
    done(&printer, &revoked.header, &text)?;
    session.close().await;
    Ok(())
}

fn revocation(key: &str, keys: &KeyRange<'_>, role: &str) -> String {
    let end = keys.range_end();
    match &end[..] {
        b"" => format!("Permission of key {key} is revoked from role {role}"),
        b"\0" => {
            format!("Permission of range [{key}, <open ended> is revoked from role {role}")
        }
        end => {
            let end = String::from_utf8_lossy(end);
            format!("Permission of range [{key}, {end}) is revoked from role {role}")
        }
    }
}

/// The keys of a permission. The empty key, which is in no store, stands for the smallest one.
fn permitted<'a>(words: &'a [OsString], args: &PermissionArgs) -> Result<KeyRange<'a>> {
    if args.prefix && args.from_key {
        return Err(Failure::bad_args(
            "--from-key and --prefix flags are mutually exclusive",
        ));
    }
    let words: Vec<&[u8]> = words.iter().map(|word| word.as_encoded_bytes()).collect();
    match words[..] {
        [b""] if args.prefix || args.from_key => Ok(KeyRange::all()),
        [b""] => Ok(KeyRange::key(&b"\0"[..])),
        [key] if args.prefix => Ok(KeyRange::prefix(key)),
        [key] if args.from_key => Ok(KeyRange::from_key(key)),
        [key] | [key, b""] => Ok(KeyRange::key(key)),
        [_, _] if args.prefix || args.from_key => {
            let flag = if args.prefix { "prefix" } else { "from-key" };
            let text = format!("unexpected endkey argument with --{flag} flag");
            Err(Failure::bad_args(text))
        }
        [key, b"\0"] => Ok(KeyRange::from_key(key)),
        [key, end] => Ok(KeyRange::range(key, end)),
        _ => Err(Failure::bad_args("a key is needed, and at most an endkey")),
    }
}
