//! Where the data is, and how much of it.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, ValueEnum, builder::OsStringValueParser};
use etcdkit_server::AutoCompaction;

use crate::{
    error::{Exit, Failure, Result},
    golang::{parse_bool, parse_duration, parse_i64, parse_i64_decimal},
};

#[derive(Args, Clone, Debug)]
pub(crate) struct StorageArgs {
    /// Directory to keep the data in, in one file; in memory unless given
    #[arg(
        long,
        env = "ETCD_DATA_DIR",
        value_parser = OsStringValueParser::new(),
        value_name = "DIR"
    )]
    data_dir: Option<OsString>,

    /// Begin with what a snapshot of a cluster holds, or the member/snap/db of a stopped member
    #[arg(long, value_name = "FILE")]
    pub(crate) restore: Option<PathBuf>,

    /// How large the data may grow, in bytes; 0 for etcd's 2 GiB, negative for no limit
    #[arg(
        long,
        env = "ETCD_QUOTA_BACKEND_BYTES",
        default_value = "0",
        value_parser = parse_i64,
        value_name = "BYTES"
    )]
    pub(crate) quota_backend_bytes: i64,

    /// How --auto-compaction-retention is meant: periodic, as a time, or revision, as so many revisions
    #[arg(
        long,
        env = "ETCD_AUTO_COMPACTION_MODE",
        default_value = "periodic",
        value_name = "MODE"
    )]
    auto_compaction_mode: CompactionMode,

    /// What history to keep, in hours or as 5m, or in revisions; 0 for all of it
    #[arg(
        long,
        env = "ETCD_AUTO_COMPACTION_RETENTION",
        default_value = "0",
        value_name = "RETENTION"
    )]
    auto_compaction_retention: String,

    /// Store every five minutes what leases have left, so that they go on from there after a restart
    #[arg(long)]
    experimental_enable_lease_checkpoint: bool,

    /// What is stored lasts in any case.
    #[arg(long, hide = true)]
    experimental_enable_lease_checkpoint_persist: bool,

    /// Features of etcd 3.6 to turn on or off, of which LeaseCheckpoint=true means the same
    #[arg(long, value_delimiter = ',', value_name = "FEATURES")]
    feature_gates: Vec<String>,
}

/// etcd's ways of compacting now and then.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum CompactionMode {
    Periodic,
    Revision,
}

impl StorageArgs {
    /// Where to keep the data, if anywhere. An empty text counts as none, as with etcd.
    pub(crate) fn data_dir(&self) -> Option<&Path> {
        let directory = self.data_dir.as_deref().map(Path::new)?;
        (!directory.as_os_str().is_empty()).then_some(directory)
    }

    /// Whether leases go on after a restart from where they were.
    pub(crate) fn lease_checkpoints(&self) -> Result<bool> {
        let mut on = self.experimental_enable_lease_checkpoint;
        for feature in self
            .feature_gates
            .iter()
            .filter(|feature| !feature.is_empty())
        {
            let switched = feature.split_once('=').map(|(name, value)| {
                let value = parse_bool(value.trim()).ok();
                (name.trim(), value)
            });
            match switched {
                Some(("LeaseCheckpoint", Some(value))) => on = value,
                Some((_, Some(_))) => {}
                _ => {
                    return Err(Failure::new(
                        Exit::Error,
                        format!("--feature-gates: {feature:?} is not like LeaseCheckpoint=true"),
                    ));
                }
            }
        }
        Ok(on)
    }

    /// What to compact without being asked.
    pub(crate) fn auto_compaction(&self) -> Result<AutoCompaction> {
        let text = &self.auto_compaction_retention;
        // A number without a unit means hours. Unlike etcd, which takes 5m for very many revisions,
        // a time is no number of them.
        let number = parse_i64_decimal(text).ok().filter(|number| *number >= 0);
        let mode = match (self.auto_compaction_mode, number) {
            (CompactionMode::Revision, Some(revisions)) => Ok(AutoCompaction::Revision(revisions)),
            (CompactionMode::Revision, None) => {
                Err(format!("{text:?} is not a number of revisions"))
            }
            (CompactionMode::Periodic, Some(hours)) => {
                let seconds = hours.unsigned_abs().saturating_mul(60 * 60);
                Ok(AutoCompaction::Periodic(Duration::from_secs(seconds)))
            }
            (CompactionMode::Periodic, None) => parse_duration(text).map(AutoCompaction::Periodic),
        };
        mode.map_err(|reason| {
            Failure::new(
                Exit::Error,
                format!("--auto-compaction-retention: {reason}"),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Only {
        #[command(flatten)]
        storage: StorageArgs,
    }

    fn auto_compaction(words: &[&str]) -> Result<AutoCompaction> {
        let words = std::iter::once("x").chain(words.iter().copied());
        Only::try_parse_from(words)
            .unwrap()
            .storage
            .auto_compaction()
    }

    #[test]
    fn history_is_kept_as_etcd_keeps_it() {
        let hours = |hours: u64| AutoCompaction::Periodic(Duration::from_secs(hours * 3600));
        let revision = "--auto-compaction-mode=revision";
        for (words, expected) in [
            (&[][..], hours(0)),
            (&["--auto-compaction-retention=0"], hours(0)),
            (&["--auto-compaction-retention=8"], hours(8)),
            (&["--auto-compaction-retention=24h"], hours(24)),
            (
                &["--auto-compaction-retention=5m"],
                AutoCompaction::Periodic(Duration::from_secs(300)),
            ),
            (
                &[revision, "--auto-compaction-retention=1000"],
                AutoCompaction::Revision(1000),
            ),
            (&[revision], AutoCompaction::Revision(0)),
        ] {
            assert_eq!(auto_compaction(words).unwrap(), expected, "{words:?}");
        }
        for words in [
            &["--auto-compaction-retention=-1"][..],
            &["--auto-compaction-retention=5x"],
            &["--auto-compaction-retention="],
            &["--auto-compaction-retention=-5m"],
            &[revision, "--auto-compaction-retention=5m"],
            &[revision, "--auto-compaction-retention=-5"],
        ] {
            assert!(auto_compaction(words).is_err(), "{words:?}");
        }
    }
}
