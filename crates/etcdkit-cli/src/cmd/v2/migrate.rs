//! `migrate`: takes a v2 key space into v3.

use std::io::{self, IsTerminal, Write};

use etcdkit::{
    Client, ClientBuilder,
    v2::{
        Migration,
        migrate::{MigrationError, Report},
    },
};
use etcdkit_server::Server;
use serde::Serialize;

use super::{
    connect::Session,
    failure::{Code, of_keys, plain},
};
use crate::{
    args::v2::{Format, GlobalArgs, MigrateArgs},
    cmd::signal::Signals,
    connect::{close, embedded, start},
    error::{Failure, Result},
    golang::to_json,
};

pub(super) async fn run(global: &GlobalArgs, args: &MigrateArgs) -> Result {
    let format = global.format()?;
    let source = Session::open(global).await?;
    let target = Target::open(args).await?;
    let migration = migration(args, &source, &target);
    let watched = io::stderr().is_terminal();
    let running = match watched {
        true => migration.clone().on_progress(|progress| {
            let (pass, done, total) = (progress.pass, progress.done, progress.total);
            let written = progress.written;
            eprint!("\rpass {pass}: {done} of {total} keys, {written} written ");
        }),
        false => migration.clone(),
    };
    let report = match args.follow {
        true => {
            let mut signals = Signals::listen()?;
            let interrupted = async move {
                signals.next().await;
            };
            running.follow(interrupted).await
        }
        false => running.await,
    };
    if watched {
        eprintln!();
    }
    let report = report.map_err(explain)?;
    let complete = report.verified && report.conflicts.is_empty();
    if args.forget && complete {
        migration.forget().await?;
    }
    source.close().await;
    target.close().await;
    print(format, &report, args.dry_run)?;
    match complete || args.dry_run {
        true => Ok(()),
        false => Err(incomplete(&report)),
    }
}

fn incomplete(report: &Report) -> Failure {
    match report.verified {
        true => {
            let what = match report.conflicts.len() {
                1 => "1 key was not copied".to_owned(),
                more => format!("{more} keys were not copied"),
            };
            plain(Code::Server, what).hint("--overwrite writes over what others have in v3")
        }
        false => plain(
            Code::Server,
            "the copy is behind: v2 had changed each time that it was compared",
        )
        .hint("run the command again, or with --follow until all writers have stopped"),
    }
}

/// Where the copy goes, and the server if that runs inside this process.
#[derive(Debug)]
struct Target {
    client: Client,
    server: Option<Server>,
}

impl Target {
    async fn open(args: &MigrateArgs) -> Result<Self> {
        let to = args.to();
        if let Some(place) = embedded(&[to.to_owned()])? {
            let server = start(place, false).await?;
            let client = Client::builder().connector(server.connector());
            return Ok(Self {
                client: client.connect().await.map_err(of_v3)?,
                server: Some(server),
            });
        }
        let builder = match to.contains("://") {
            true => ClientBuilder::from_url(to)?,
            false => Client::builder().endpoints(to),
        };
        Ok(Self {
            client: builder.connect().await.map_err(of_v3)?,
            server: None,
        })
    }

    async fn close(self) {
        let Self { client, server } = self;
        drop(client);
        close(server).await;
    }
}

fn migration(args: &MigrateArgs, source: &Session, target: &Target) -> Migration {
    let mut migration = Migration::new(&source.client, &target.client).from(&args.from);
    if let Some(prefix) = &args.prefix {
        migration = migration.to_prefix(prefix);
    }
    for (from, to) in &args.map {
        migration = migration.map_prefix(from, to);
    }
    for key in &args.include {
        migration = migration.include(key);
    }
    if args.keep_directories {
        migration = migration.keep_directories();
    }
    if args.overwrite {
        migration = migration.overwrite();
    }
    if args.dry_run {
        migration = migration.dry_run();
    }
    if let Some(notes) = &args.notes {
        migration = migration.state_prefix(notes);
    }
    migration
}

fn explain(error: MigrationError) -> Failure {
    match error {
        MigrationError::Read(error) => of_keys(error),
        MigrationError::Write(error) => of_v3(error),
        other => plain(Code::BadArgs, other.to_string()).caused_by(other),
    }
}

/// Of two clusters it must be told which one says so.
fn of_v3(error: etcdkit::Error) -> Failure {
    Failure::from(error).preceded_by("copying into v3:")
}

/// A report as JSON.
#[derive(Serialize)]
struct Shown<'a> {
    keys: usize,
    directories: usize,
    created: usize,
    updated: usize,
    removed: usize,
    unchanged: usize,
    equal: usize,
    leases: usize,
    passes: u32,
    index: u64,
    verified: bool,
    conflicts: Vec<ShownConflict<'a>>,
}

#[derive(Serialize)]
struct ShownConflict<'a> {
    source: &'a str,
    target: &'a str,
    reason: String,
}

impl<'a> Shown<'a> {
    fn of(report: &'a Report) -> Self {
        let conflicts = report.conflicts.iter().map(|conflict| ShownConflict {
            source: &conflict.source,
            target: &conflict.target,
            reason: conflict.reason.to_string(),
        });
        Self {
            keys: report.keys,
            directories: report.directories,
            created: report.created,
            updated: report.updated,
            removed: report.removed,
            unchanged: report.unchanged,
            equal: report.equal,
            leases: report.leases,
            passes: report.passes,
            index: report.index,
            verified: report.verified,
            conflicts: conflicts.collect(),
        }
    }
}

fn print(format: Format, report: &Report, dry_run: bool) -> Result {
    let mut out = io::stdout().lock();
    if format == Format::Json {
        to_json(&mut out, &Shown::of(report))?;
        return Ok(out.flush()?);
    }
    let would = if dry_run { "to be " } else { "" };
    writeln!(out, "keys: {}", report.keys)?;
    writeln!(out, "directories: {}", report.directories)?;
    writeln!(out, "{would}created: {}", report.created)?;
    writeln!(out, "{would}updated: {}", report.updated)?;
    writeln!(out, "{would}removed: {}", report.removed)?;
    writeln!(out, "unchanged: {}", report.unchanged)?;
    writeln!(out, "equal already: {}", report.equal)?;
    writeln!(out, "leases {would}granted: {}", report.leases)?;
    for conflict in &report.conflicts {
        let (source, target, reason) = (&conflict.source, &conflict.target, &conflict.reason);
        writeln!(out, "not copied: {source} to {target}: {reason}")?;
    }
    if !dry_run && report.verified {
        writeln!(out, "verified at index {}", report.index)?;
    }
    Ok(out.flush()?)
}
