//! `user add`, `user delete`, `user get`, `user list`, `user passwd`, `user grant-role` and
//! `user revoke-role`.

use std::ffi::OsString;

use etcdkit::Header;

use super::{help, password, printer, role, texts};
use crate::{
    args::{GlobalArgs, PasswdArgs, UserAddArgs, UserArgs, UserCommand, UserGetArgs},
    connect::Session,
    error::{Failure, Result},
    print::{Done, Kind, Names, Printer, Reply},
};

pub(crate) async fn run(global: &GlobalArgs, args: &UserArgs) -> Result {
    match &args.command {
        None => help::run(&["user".to_owned()]),
        Some(UserCommand::Add(args)) => add(global, args).await,
        Some(UserCommand::Delete(words)) => delete(global, &words.args).await,
        Some(UserCommand::Get(args)) => get(global, args).await,
        Some(UserCommand::List(words)) => list(global, &words.args).await,
        Some(UserCommand::Passwd(args)) => passwd(global, args).await,
        Some(UserCommand::GrantRole(words)) => grant_role(global, &words.args).await,
        Some(UserCommand::RevokeRole(words)) => revoke_role(global, &words.args).await,
    }
}

async fn add(global: &GlobalArgs, args: &UserAddArgs) -> Result {
    let [word] = texts(
        &args.words.args,
        "user add command requires user name as its argument",
    )?;
    let printer = acts(global)?;
    let (name, password) = if args.no_password {
        (word, None)
    } else if !args.new_user_password.is_empty() {
        (word, Some(args.new_user_password.clone()))
    } else {
        match word.split_once(':') {
            Some(("", _)) => return Err(Failure::bad_args("empty user name is not allowed")),
            Some((name, password)) => (name, Some(password.to_owned())),
            None => (word, Some(password::new(word, args.ask)?)),
        }
    };
    let session = Session::open(global).await?;
    let user = session.client.auth().user(name);
    let added = match password {
        Some(password) => user.add(password).await?,
        None => user.add_without_password().await?,
    };
    done(&printer, &added.header, &format!("User {name} created"))?;
    session.close().await;
    Ok(())
}

async fn delete(global: &GlobalArgs, words: &[OsString]) -> Result {
    let [name] = texts(
        words,
        "user delete command requires user name as its argument",
    )?;
    let printer = acts(global)?;
    let session = Session::open(global).await?;
    let deleted = session.client.auth().user(name).delete().await?;
    done(&printer, &deleted.header, &format!("User {name} deleted"))?;
    session.close().await;
    Ok(())
}

async fn get(global: &GlobalArgs, args: &UserGetArgs) -> Result {
    let needs = "user get command requires user name as its argument";
    let [name] = texts(&args.words.args, needs)?;
    let printer = printer(global)?;
    printer.check(match args.detail {
        true => Kind::Message,
        false => Kind::MessageWithoutFields,
    })?;
    let session = Session::open(global).await?;
    let user = session.client.auth().user(name).get().await?;
    if args.detail {
        printer.line(&format!("User: {name}"))?;
        for name in &user.roles {
            printer.line("")?;
            role::show(&session.client, &printer, name).await?;
        }
    } else {
        let (header, names) = (&user.header, &user.roles[..]);
        printer.print(Reply::User(name, Names { header, names }))?;
    }
    session.close().await;
    Ok(())
}

async fn list(global: &GlobalArgs, words: &[OsString]) -> Result {
    let [] = texts(words, "user list command requires no arguments")?;
    let printer = printer(global)?;
    printer.check(Kind::MessageWithoutFields)?;
    let session = Session::open(global).await?;
    let list = session.client.auth().users().await?;
    let (header, names) = (&list.header, &list.users[..]);
    printer.print(Reply::UserList(Names { header, names }))?;
    session.close().await;
    Ok(())
}

async fn passwd(global: &GlobalArgs, args: &PasswdArgs) -> Result {
    let needs = "user passwd command requires user name as its argument";
    let [name] = texts(&args.words.args, needs)?;
    let printer = acts(global)?;
    let password = password::new(name, args.ask)?;
    let session = Session::open(global).await?;
    let user = session.client.auth().user(name);
    let changed = user.change_password(password).await?;
    done(&printer, &changed.header, "Password updated")?;
    session.close().await;
    Ok(())
}

async fn grant_role(global: &GlobalArgs, words: &[OsString]) -> Result {
    let needs = "user grant command requires user name and role name as its argument";
    let [name, role] = texts(words, needs)?;
    let printer = acts(global)?;
    let session = Session::open(global).await?;
    let granted = session.client.auth().user(name).grant_role(role).await?;
    let text = format!("Role {role} is granted to user {name}");
    done(&printer, &granted.header, &text)?;
    session.close().await;
    Ok(())
}

async fn revoke_role(global: &GlobalArgs, words: &[OsString]) -> Result {
    let needs = "user revoke-role requires user name and role name as its argument";
    let [name, role] = texts(words, needs)?;
    let printer = acts(global)?;
    let session = Session::open(global).await?;
    let revoked = session.client.auth().user(name).revoke_role(role).await?;
    let text = format!("Role {role} is revoked from user {name}");
    done(&printer, &revoked.header, &text)?;
    session.close().await;
    Ok(())
}

/// The printer of commands that change something.
pub(super) fn acts(global: &GlobalArgs) -> Result<Printer> {
    let printer = printer(global)?;
    printer.check(Kind::Message)?;
    Ok(printer)
}

pub(super) fn done(printer: &Printer, header: &Header, text: &str) -> Result {
    printer.print(Reply::Done(Done { header, text }))
}
