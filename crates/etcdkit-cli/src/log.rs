//! Logs on standard error: the server's with `serve --log-level`, the client's with `--debug`.

use tracing_subscriber::filter::LevelFilter;

use crate::error::{Failure, Result};

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

/// Begins to log. Only the first call has an effect.
pub(crate) fn to_stderr(level: LevelFilter) {
    // Fails if there is a logger already, which is then the one to use.
    let _ = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .try_init();
}
