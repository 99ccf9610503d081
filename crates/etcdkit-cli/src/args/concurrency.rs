//! lock, elect.

use std::ffi::OsString;

use clap::Args;

use crate::golang::parse_i64;

#[derive(Args, Clone, Debug)]
#[command(
    override_usage = "etcdkit lock [OPTIONS] <NAME> [-- COMMAND [ARGUMENTS]...]",
    after_long_help = LOCK_HELP
)]
pub(crate) struct LockArgs {
    /// The name of the lock, and a program to run while it is held
    #[arg(value_names = ["NAME", "COMMAND"])]
    pub(crate) args: Vec<OsString>,

    /// Seconds until the lock is free after this process or its connection is lost
    #[arg(long, default_value = "10", value_parser = parse_i64, value_name = "SECONDS")]
    pub(crate) ttl: i64,
}

const LOCK_HELP: &str = r#"Without a program, the key of the lock is printed once it is held, until the command is interrupted.
With one, it is run with
  ETCD_LOCK_KEY  the key that exists as long as the lock is held
  ETCD_LOCK_REV  the revision at which it was acquired
in its environment, the lock is released when it ends, and its exit code is returned.

Example:
  etcdkit lock deploy -- ./deploy.sh --fast
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
