//! Logs: the server's with `serve --log-level`, the client's with `--debug`.

use std::{fs::File, io, path::PathBuf, sync::Arc};

use tracing_subscriber::{filter::LevelFilter, fmt::writer::BoxMakeWriter};

use crate::error::{Exit, Failure, Result};

/// A level by etcd's name for it. Levels above error have no counterpart and log errors.
pub(crate) fn level(name: &str) -> Result<LevelFilter> {
    match name {
        "debug" => Ok(LevelFilter::DEBUG),
        "info" => Ok(LevelFilter::INFO),
        "warn" => Ok(LevelFilter::WARN),
        "error" | "dpanic" | "panic" | "fatal" => Ok(LevelFilter::ERROR),
        _ => Err(Failure::unsupported(format!("unknown log level {name:?}"))
            .hint("choose one of debug, info, warn, error, dpanic, panic, fatal")),
    }
}

/// Where a log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    Stderr,
    Stdout,
    /// Appended to, and made if it is missing.
    File(PathBuf),
}

/// Begins to log. Only the first call has an effect.
pub(crate) fn begin(level: LevelFilter, output: Output) -> Result {
    let writer = match output {
        Output::Stderr => BoxMakeWriter::new(io::stderr),
        Output::Stdout => BoxMakeWriter::new(io::stdout),
        Output::File(path) => {
            let file = File::options().create(true).append(true).open(&path);
            let file = file.map_err(|error| {
                Failure::new(Exit::Io, format!("the log {}: {error}", path.display()))
            })?;
            BoxMakeWriter::new(Arc::new(file))
        }
    };
    // Fails if there is a logger already, which is then the one to use.
    let _ = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(writer)
        .with_ansi(false)
        .try_init();
    Ok(())
}
