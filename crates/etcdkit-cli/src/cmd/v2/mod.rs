//! The commands of etcd's v2 API: as etcdctl has them under `ETCDCTL_API=2`, and some more.

mod auth;
mod connect;
mod debug;
mod failure;
mod health;
mod input;
mod keys;
mod leader;
mod lock;
mod member;
mod migrate;
mod print;
mod role;
mod stats;
mod user;
mod version;
mod watch;

use std::io::{self, Write};

use super::{block_on, help};
use crate::{
    args::v2::{Cli, Command},
    error::Result,
};

pub(crate) use failure::{Code, plain};
use keys::Make;

/// Runs a command to its end.
pub(crate) fn run(cli: Cli) -> Result {
    let Cli { global, command } = cli;
    let Some(command) = command else {
        return explain(&[]);
    };
    block_on(async {
        match command {
            Command::Get(args) => keys::get(&global, &args).await,
            Command::Ls(args) => keys::ls(&global, &args).await,
            Command::Set(args) => keys::set(&global, &args).await,
            Command::Mk(args) => keys::mk(&global, &args).await,
            Command::Mkdir(args) => keys::directory(&global, &args, Make::New).await,
            Command::Rm(args) => keys::rm(&global, &args).await,
            Command::Rmdir(args) => keys::rmdir(&global, &args).await,
            Command::Setdir(args) => keys::directory(&global, &args, Make::Any).await,
            Command::Update(args) => keys::update(&global, &args).await,
            Command::Updatedir(args) => keys::directory(&global, &args, Make::Existing).await,
            Command::Cas(args) => keys::cas(&global, &args).await,
            Command::Cad(args) => keys::cad(&global, &args).await,
            Command::InOrder(args) => keys::in_order(&global, &args).await,
            Command::Watch(args) => watch::watch(&global, &args).await,
            Command::ExecWatch(args) => watch::exec_watch(&global, &args).await,
            Command::Lock(args) => lock::run(&global, &args).await,
            Command::Leader(args) => leader::run(&global, &args).await,
            Command::Stats(args) => stats::run(&global, &args).await,
            Command::Member(args) => member::run(&global, &args).await,
            Command::Machines(words) => member::machines(&global, &words).await,
            Command::User(args) => user::run(&global, &args).await,
            Command::Role(args) => role::run(&global, &args).await,
            Command::Auth(args) => auth::run(&global, &args).await,
            Command::ClusterHealth(args) => health::run(&global, &args).await,
            Command::Migrate(args) => migrate::run(&global, &args).await,
            Command::Version(args) => version::run(&global, &args).await,
            Command::Help(args) => explain(&args.command),
        }
    })
}

/// Explains a v2 command, or all of them.
fn explain(path: &[String]) -> Result {
    let v2 = std::iter::once("v2".to_owned());
    let path: Vec<_> = v2.chain(path.iter().cloned()).collect();
    help::run(&path).map_err(|failure| failure.with_exit(Code::NoCommand.exit()))
}

fn say(text: &str) -> Result {
    Ok(writeln!(io::stdout(), "{text}")?)
}

/// Prints one name a line.
fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> Result {
    let mut out = io::stdout().lock();
    for name in names {
        writeln!(out, "{name}")?;
    }
    Ok(out.flush()?)
}
