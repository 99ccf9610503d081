//! `snapshot save` and `snapshot status`.

use std::{
    ffi::OsString,
    io::{self, IsTerminal},
    path::Path,
};

use super::{help, printer};
use crate::{
    args::{GlobalArgs, SnapshotArgs, SnapshotCommand},
    connect::Session,
    error::{Exit, Failure, Result},
    golang::format_size,
    print::{Kind, Reply},
};

pub(crate) async fn run(global: &GlobalArgs, args: &SnapshotArgs) -> Result {
    match &args.command {
        None => help::run(&["snapshot".to_owned()]),
        Some(SnapshotCommand::Save(words)) => save(global, &words.args).await,
        Some(SnapshotCommand::Status(words)) => status(global, &words.args),
        Some(SnapshotCommand::Restore(_)) => Err(Failure::unsupported(
            "snapshot restore: use `etcdutl snapshot restore`, which comes with etcd, for a cluster, \
             and `etcdkit serve --restore FILE` for the embedded server",
        )),
    }
}

async fn save(global: &GlobalArgs, words: &[OsString]) -> Result {
    let [path] = words else {
        return Err(Failure::bad_args(
            "snapshot save expects one argument <filename>",
        ));
    };
    // The answer is always a sentence; an unknown format is refused nevertheless.
    let printer = printer(global)?;
    if global.endpoints.len() > 1 {
        let all = global.endpoints.join(" ");
        return Err(Failure::new(
            Exit::Interrupted,
            format!("snapshot must be requested to one selected node, not multiple [{all}]"),
        ));
    }
    let session = Session::open(global).await?;
    let watched = io::stderr().is_terminal();
    let mut save = session
        .client
        .maintenance()
        .snapshot()
        .save(Path::new(path))
        .on_progress(move |progress| {
            if watched {
                let (received, total) = (progress.received, progress.total);
                eprint!("\r{} of {} ", format_size(received), format_size(total));
            }
        });
    if global.command_timeout_given {
        save = save.timeout(global.command_timeout);
    }
    let saved = save.await;
    if watched {
        eprintln!();
    }
    let saved = saved.map_err(|error| Failure::from(error).with_exit(Exit::Interrupted))?;
    printer.line(&format!("Snapshot saved at {}", path.display()))?;
    if let Some(version) = &saved.version {
        printer.line(&format!("Server version {version}"))?;
    }
    session.close().await;
    Ok(())
}

fn status(global: &GlobalArgs, words: &[OsString]) -> Result {
    let [path] = words else {
        return Err(Failure::bad_args(
            "snapshot status requires exactly one argument",
        ));
    };
    let printer = printer(global)?;
    printer.check(Kind::Endpoints)?;
    let status = etcdkit_snapshot::status(path)
        .map_err(|error| Failure::new(Exit::Error, error.to_string()))?;
    printer.print(Reply::Snapshot(&status))
}
