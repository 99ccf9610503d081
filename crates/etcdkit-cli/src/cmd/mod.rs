//! The commands: one file each.

mod compaction;
mod del;
mod endpoint;
mod get;
mod help;
mod member;
mod put;
mod serve;
mod txn;
mod version;

use std::{ffi::OsString, future::Future};

use tokio::runtime::{Builder, Runtime};
use tracing_subscriber::filter::LevelFilter;

use crate::{
    args::{Cli, Command, GlobalArgs},
    error::{Failure, Result},
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
        log::to_stderr(LevelFilter::DEBUG);
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
        Some(Command::Tour(args)) => block_on(tour::run(&global, &args)),
        Some(Command::Get(args)) => block_on(get::run(&global, &args)),
        Some(Command::Put(args)) => block_on(put::run(&global, &args)),
        Some(Command::Del(args)) => block_on(del::run(&global, &args)),
        Some(Command::Txn(args)) => block_on(txn::run(&global, &args)),
        Some(Command::Compaction(args)) => block_on(compaction::run(&global, &args)),
        Some(Command::Endpoint(args)) => block_on(endpoint::run(&global, &args)),
        Some(Command::Member(args)) => block_on(member::run(&global, &args)),
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
