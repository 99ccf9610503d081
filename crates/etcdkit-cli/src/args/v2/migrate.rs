//! migrate.

use clap::Args;

use crate::args::global::Secret;

#[derive(Args, Clone, Debug)]
#[command(
    after_help = "What is copied is noted in v3 beside the copies, so that a migration that was interrupted goes on when it is
run again, takes up what changed in v2 meanwhile, and leaves alone what others wrote in v3."
)]
pub(crate) struct MigrateArgs {
    /// The v3 servers to copy to, or embedded:DIR, or a URL with settings: etcd://USER:PASSWORD@HOST:2379?cacert=FILE
    #[arg(long, value_name = "ENDPOINTS")]
    to: Secret,

    /// Copy only this directory, or this key
    #[arg(long, value_name = "KEY", default_value = "/")]
    pub(crate) from: String,

    /// Let keys begin with this instead of --from; otherwise they keep their names
    #[arg(long, value_name = "PREFIX")]
    pub(crate) prefix: Option<String>,

    /// Let keys begin with PREFIX instead of KEY; of several that fit, the longest counts
    #[arg(long, value_name = "KEY=PREFIX", value_parser = mapping)]
    pub(crate) map: Vec<(String, String)>,

    /// Copy a hidden key or directory, too: no listing shows it, so it must be named
    #[arg(long, value_name = "KEY")]
    pub(crate) include: Vec<String>,

    /// Copy directories, too, as keys with a slash at their end
    #[arg(long)]
    pub(crate) keep_directories: bool,

    /// Write over what others have written in v3
    #[arg(long)]
    pub(crate) overwrite: bool,

    /// Only tell what would be done
    #[arg(long, conflicts_with_all = ["follow", "forget"])]
    pub(crate) dry_run: bool,

    /// Go on taking up changes until interrupted, then verify once more
    #[arg(long)]
    pub(crate) follow: bool,

    /// Remove the notes when all is copied and verified: later runs would take the copies for somebody else's
    #[arg(long)]
    pub(crate) forget: bool,

    /// Where to note in v3 what has been copied: the beginning of the notes' keys
    #[arg(long, value_name = "PREFIX")]
    pub(crate) notes: Option<String>,
}

impl MigrateArgs {
    /// Where to copy to. It may have a password in it.
    pub(crate) fn to(&self) -> &str {
        self.to.reveal()
    }
}

fn mapping(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, prefix)) => Ok((key.to_owned(), prefix.to_owned())),
        None => Err("it has no = between the key and what takes its place".to_owned()),
    }
}
