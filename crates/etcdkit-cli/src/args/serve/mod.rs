//! serve: etcd's own flags, one file per theme.

mod auth;
mod config_file;
mod environment;
mod limits;
mod logging;
mod network;
mod other;
mod storage;
mod tls;
mod v2;

use std::{ffi::OsString, path::PathBuf};

use clap::{CommandFactory, Parser};

use super::like_etcdctl;
use auth::AuthArgs;
use limits::LimitArgs;
use logging::LogArgs;
use network::NetworkArgs;
use other::OtherFlags;
use storage::StorageArgs;
use tls::TlsArgs;
use v2::V2Args;

pub(crate) use config_file::ConfigFile;

/// Runs the embedded server: one etcd node, in memory or in one file
///
/// Flags and variables are named as etcd's, and so are the keys of --config-file. Those that make no
/// sense for one node are accepted, so that a command line of etcd works, and listed at the start.
// Read apart from the other commands: what clients and servers call --max-request-bytes differs.
#[derive(Clone, Debug, Parser)]
#[command(name = "etcdkit serve", version, args_override_self = true)]
pub(crate) struct ServeArgs {
    #[arg(hide = true)]
    pub(crate) args: Vec<OsString>,

    #[command(flatten)]
    pub(crate) network: NetworkArgs,

    #[command(flatten)]
    pub(crate) tls: TlsArgs,

    #[command(flatten)]
    pub(crate) auth: AuthArgs,

    #[command(flatten)]
    pub(crate) limits: LimitArgs,

    #[command(flatten)]
    pub(crate) storage: StorageArgs,

    #[command(flatten)]
    pub(crate) v2: V2Args,

    #[command(flatten)]
    pub(crate) log: LogArgs,

    /// etcd's file of settings, which stands in for all other flags and variables
    #[arg(long, env = "ETCD_CONFIG_FILE", value_name = "FILE")]
    pub(crate) config_file: Option<PathBuf>,

    /// Keys of the file that no etcd knows.
    #[arg(skip)]
    pub(crate) unknown_keys: Vec<String>,

    #[command(flatten)]
    pub(crate) other: OtherFlags,
}

/// `etcdkit serve`, as clap reads it.
pub(crate) fn command() -> clap::Command {
    like_etcdctl(ServeArgs::command())
}

/// The same, with no word from a variable.
pub(crate) fn command_without_variables() -> clap::Command {
    command().mut_args(|arg| arg.env(None::<&str>))
}

/// The words of a `serve` command line, if it is one, with the program's name.
pub(crate) fn words(words: &[OsString]) -> Option<Vec<OsString>> {
    let (_, rest) = words.split_first()?;
    let (name, rest) = rest.split_first()?;
    // Unique abbreviations only, as for all commands.
    if !["se", "ser", "serv", "serve"]
        .iter()
        .any(|known| name == known)
    {
        return None;
    }
    // Go programs take long flags after one dash, too, and etcd's are often written so.
    let lengthen = |word: &OsString| match word.to_str() {
        Some(text) if text.len() > 2 && text.starts_with('-') && !text.starts_with("--") => {
            format!("-{text}").into()
        }
        _ => word.clone(),
    };
    let rest = rest.iter().map(lengthen);
    Some(
        std::iter::once(OsString::from("etcdkit serve"))
            .chain(rest)
            .collect(),
    )
}

/// Adds what variables say, which the command line overrules.
pub(crate) fn add_variables(mut words: Vec<OsString>, command: &clap::Command) -> Vec<OsString> {
    let behind_name = words.len().min(1);
    words.splice(behind_name..behind_name, environment::words(command));
    words
}
