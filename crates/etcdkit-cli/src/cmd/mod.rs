//! The commands: one file each.

mod alarm;
mod auth;
mod child;
mod compaction;
mod defrag;
mod del;
mod downgrade;
mod elect;
mod endpoint;
mod get;
mod held;
mod help;
mod lease;
mod lock;
mod member;
mod move_leader;
pub(crate) mod password;
mod put;
mod role;
mod serve;
mod signal;
mod snapshot;
mod txn;
mod user;
pub(crate) mod v2;
mod version;
mod watch;

use std::{ffi::OsString, future::Future};

use etcdkit::MemberId;
use tokio::runtime::{Builder, Runtime};
use tracing_subscriber::filter::LevelFilter;

use crate::{
    args::{Cli, Command, GlobalArgs},
    error::{Failure, Result},
    golang::parse_hex_u64,
    log,
    print::Printer,
    tour,
};

pub(crate) use serve::run as serve;

/// Runs a command to its end.
pub(crate) fn run(cli: Cli) -> Result {
    let Cli { global, command } = cli;
    if global.debug {
        global.print_settings();
        log::begin(LevelFilter::DEBUG, log::Output::Stderr)?;
    }
    match command {
        None => help::run(&[]),
        Some(Command::Help(args)) => help::run(&args.command),
        Some(Command::Options(args)) => {
            no_arguments(&args.args, "options")?;
            help::options()
        }
        Some(Command::Version(args)) => {
            no_arguments(&args.args, "version")?;
            version::run()
        }
        Some(Command::Serve(_)) => Err(Failure::bad_args(
            "serve takes its own flags, after its name; see `etcdkit serve --help`",
        )),
        // Such words never come here.
        Some(Command::V2(_)) => Err(Failure::bad_args(
            "v2 takes its flags and commands after its name",
        )),
        Some(Command::Tour(args)) => block_on(tour::run(&global, &args)),
        Some(Command::Get(args)) => block_on(get::run(&global, &args)),
        Some(Command::Put(args)) => block_on(put::run(&global, &args)),
        Some(Command::Del(args)) => block_on(del::run(&global, &args)),
        Some(Command::Txn(args)) => block_on(txn::run(&global, &args)),
        Some(Command::Compaction(args)) => block_on(compaction::run(&global, &args)),
        Some(Command::Endpoint(args)) => block_on(endpoint::run(&global, &args)),
        Some(Command::Member(args)) => block_on(member::run(&global, &args)),
        Some(Command::Watch(args)) => block_on(watch::run(&global, &args)),
        Some(Command::Auth(args)) => block_on(auth::run(&global, &args)),
        Some(Command::User(args)) => block_on(user::run(&global, &args)),
        Some(Command::Role(args)) => block_on(role::run(&global, &args)),
        Some(Command::Snapshot(args)) => block_on(snapshot::run(&global, &args)),
        Some(Command::Lock(args)) => block_on(lock::run(&global, &args)),
        Some(Command::Elect(args)) => block_on(elect::run(&global, &args)),
        Some(Command::Lease(args)) => block_on(lease::run(&global, &args)),
        Some(Command::Alarm(args)) => block_on(alarm::run(&global, &args)),
        Some(Command::Defrag(args)) => block_on(defrag::run(&global, &args)),
        Some(Command::MoveLeader(args)) => block_on(move_leader::run(&global, &args.args)),
        Some(Command::Downgrade(args)) => block_on(downgrade::run(&global, &args)),
    }
}

/// One thread serves a command: it has one request to wait for.
fn block_on(command: impl Future<Output = Result>) -> Result {
    runtime(&mut Builder::new_current_thread())?.block_on(command)
}

fn runtime(builder: &mut Builder) -> Result<Runtime> {
    Ok(builder.enable_all().build()?)
}

/// The printer that the flags ask for.
fn printer(global: &GlobalArgs) -> Result<Printer> {
    Ok(Printer {
        format: global.format()?,
        hex: global.hex,
        value_only: false,
    })
}

/// Refuses arguments where a command takes none. etcdctl ignores them, and with them what was meant.
fn no_arguments(args: &[OsString], command: &str) -> Result {
    if args.is_empty() {
        return Ok(());
    }
    Err(
        Failure::bad_args(format!("{command} command does not accept arguments"))
            .hint("servers are named by --endpoints"),
    )
}

/// Exactly so many arguments, all of them text; fails with what the command needs.
fn texts<'a, const N: usize>(words: &'a [OsString], needs: &str) -> Result<[&'a str; N]> {
    let words = words.iter().map(|word| {
        word.to_str().ok_or_else(|| {
            Failure::bad_args(format!("the argument {} is not UTF-8", word.display()))
        })
    });
    let words = words.collect::<Result<Vec<_>>>()?;
    words.try_into().map_err(|_| Failure::bad_args(needs))
}

/// A member's id, as etcdctl writes and reads them.
fn member_id(text: &str) -> std::result::Result<MemberId, String> {
    parse_hex_u64(text).map(MemberId)
}

/// Whether a flag asks for linearizable or serializable reads.
fn is_serializable(consistency: &str) -> Result<bool> {
    match consistency {
        "l" => Ok(false),
        "s" => Ok(true),
        other => Err(
            Failure::unsupported(format!("unknown consistency flag {other:?}"))
                .hint("l is linearizable, s is serializable"),
        ),
    }
}
