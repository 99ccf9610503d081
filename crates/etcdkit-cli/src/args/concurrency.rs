//! lock, elect.

use std::{ffi::OsString, time::Duration};

use clap::Args;

use crate::golang::{parse_duration, parse_i64};

#[derive(Args, Clone, Debug)]
#[command(
    override_usage = "etcdkit lock [OPTIONS] <NAME> [-- COMMAND [ARGUMENTS]...]",
    after_long_help = LOCK_HELP
)]
pub(crate) struct LockArgs {
    /// The name of the lock, and a program to run while it is held
    #[arg(value_names = ["NAME", "COMMAND"])]
    pub(crate) args: Vec<OsString>,

    /// Seconds until the lock is free after this process or its connection is lost; 60 if not above 0
    #[arg(long, default_value = "10", value_parser = parse_i64, value_name = "SECONDS")]
    pub(crate) ttl: i64,

    /// What others see of the holder
    #[arg(long, value_name = "VALUE")]
    pub(crate) value: Option<OsString>,

    /// Give up after this time
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) wait_at_most: Option<Duration>,

    /// Give up at once if the lock is held
    #[arg(long = "try", conflicts_with = "wait_at_most")]
    pub(crate) attempt: bool,

    /// The exit code after giving up, to be told from the program's
    #[arg(long, value_name = "CODE", default_value = "1")]
    pub(crate) conflict_exit_code: u8,

    /// Do not lock; print the key and value of who holds the lock
    #[arg(long, conflicts_with_all = ["wait_at_most", "attempt"])]
    pub(crate) holder: bool,

    /// Say on standard error who holds the lock while waiting, as is done on terminals
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

const LOCK_HELP: &str = r#"Without a program, the key of the lock is printed once it is held, until the command is interrupted.
With one, it is run with
  ETCD_LOCK_KEY       the key that exists as long as the lock is held
  ETCD_LOCK_REV       the revision at which it was acquired
  ETCDKIT_LOCK_TOKEN  the revision at which the key was made, which grows from holder to holder
in its environment, the lock is released when it ends, and its exit code is returned. If the
lock is lost before, the program is told to end by SIGTERM, and made to 3 seconds later.

A transaction with the condition create("$ETCD_LOCK_KEY") = "$ETCDKIT_LOCK_TOKEN" does nothing
after the lock was lost, however late it comes.

Examples:
  etcdkit lock deploy -- ./deploy.sh --fast
  etcdkit lock backup --try --conflict-exit-code 75 -- ./backup.sh
  etcdkit lock deploy --holder
"#;

#[derive(Args, Clone, Debug)]
#[command(override_usage = "etcdkit elect [OPTIONS] <NAME> [PROPOSAL]")]
pub(crate) struct ElectArgs {
    /// The name of the election, and the value to lead with
    #[arg(value_names = ["NAME", "PROPOSAL"])]
    pub(crate) args: Vec<OsString>,

    /// Print who leads, now and whenever that changes
    #[arg(short, long)]
    pub(crate) listen: bool,
}
