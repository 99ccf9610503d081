//! What is logged, and where.

use clap::Args;

use crate::{
    error::{Failure, Result},
    log::{self, Output},
};

#[derive(Args, Clone, Debug)]
pub(crate) struct LogArgs {
    /// What to log: debug, info, warn, error, dpanic, panic, or fatal
    #[arg(
        long,
        env = "ETCD_LOG_LEVEL",
        default_value = "info",
        value_name = "LEVEL"
    )]
    log_level: String,

    /// Where to log to: default and stderr are standard error, anything else but stdout a file to append to
    #[arg(
        long,
        alias = "log-output",
        env = "ETCD_LOG_OUTPUTS",
        default_value = "default",
        value_name = "OUTPUT"
    )]
    log_outputs: String,

    /// etcd's older name for --log-level=debug
    #[arg(long, hide = true)]
    debug: bool,
}

impl LogArgs {
    /// Begins to log.
    pub(crate) fn begin(&self) -> Result {
        let level = if self.debug { "debug" } else { &self.log_level };
        let output = match self.log_outputs.as_str() {
            "default" | "stderr" | "systemd/journal" => Output::Stderr,
            "stdout" => Output::Stdout,
            several if several.contains(',') => {
                return Err(Failure::unsupported(format!(
                    "--log-outputs {several}: logging to several places is not in this version of etcdkit"
                )));
            }
            path => Output::File(path.into()),
        };
        log::begin(log::level(level)?, output)
    }
}
