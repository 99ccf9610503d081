//! The command line: types only, one file per group of commands.

mod auth;
mod concurrency;
mod global;
mod kv;
mod later;
mod lease;
mod maintenance;
mod member;
mod serve;
mod tour;
pub(crate) mod v2;
mod watch;

use std::ffi::OsString;

use clap::{
    ArgAction, ArgMatches, Args as _, CommandFactory, FromArgMatches, Parser, Subcommand,
    parser::ValueSource,
};

use crate::{error::Failure, golang::parse_bool};

pub(crate) use auth::{
    AskArgs, AuthArgs, AuthCommand, PasswdArgs, PermissionArgs, RoleArgs, RoleCommand, UserAddArgs,
    UserArgs, UserCommand, UserGetArgs,
};
pub(crate) use concurrency::{ElectArgs, LockArgs};
pub(crate) use global::{Credentials, Format, GlobalArgs};
pub(crate) use kv::{CompactionArgs, DelArgs, GetArgs, PutArgs, TxnArgs};
pub(crate) use lease::{KeepAliveArgs, LeaseArgs, LeaseCommand, TimeToLiveArgs};
pub(crate) use maintenance::{
    AlarmArgs, AlarmCommand, DefragArgs, DowngradeArgs, DowngradeCommand, EndpointArgs,
    EndpointCommand, HashKvArgs, SnapshotArgs, SnapshotCommand, Words,
};
pub(crate) use member::{
    MemberAddArgs, MemberArgs, MemberCommand, MemberListArgs, MemberUpdateArgs,
};
pub(crate) use serve::{
    ConfigFile, ServeArgs, add_variables, command as serve_command, command_without_variables,
    words as serve_words,
};
pub(crate) use tour::TourArgs;
pub(crate) use watch::WatchArgs;

/// Everything etcd from a terminal: etcdctl's commands, an embedded server, and a tour.
#[derive(Debug, Parser)]
#[command(
    name = "etcdkit",
    version,
    infer_subcommands = true,
    args_override_self = true,
    disable_help_subcommand = true,
    after_help = "Run `etcdkit tour` first: it needs nothing installed. `etcdkit options` lists the options of every command."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows what etcd can do, step by step, on an embedded server
    Tour(TourArgs),
    /// Runs the embedded server: one etcd node, in memory or in one file
    Serve(MisplacedServe),
    /// Gets the key or a range of keys
    Get(GetArgs),
    /// Puts the given key into the store
    Put(PutArgs),
    /// Removes the specified key or range of keys [key, range_end)
    Del(DelArgs),
    /// Processes all the requests in one transaction, read from standard input
    // etcdctl knows no other command that begins with t; here `tour` does.
    #[command(aliases = ["t"])]
    Txn(TxnArgs),
    /// Compacts the event history in etcd
    Compaction(CompactionArgs),
    /// Watches keys for events
    Watch(WatchArgs),
    /// Lease related commands
    Lease(LeaseArgs),
    /// Acquires a lock by name, and holds it while a program runs
    Lock(LockArgs),
    /// Leads an election, or observes who does
    Elect(ElectArgs),
    /// Endpoint related commands
    Endpoint(EndpointArgs),
    /// Membership related commands
    Member(MemberArgs),
    /// Alarm related commands
    Alarm(AlarmArgs),
    /// Defragments the storage of the members at the given endpoints
    Defrag(DefragArgs),
    /// Makes another member the leader; the current one must be among the endpoints
    #[command(override_usage = "etcdkit move-leader [OPTIONS] <MEMBER_ID>")]
    MoveLeader(Words),
    /// Downgrade related commands
    Downgrade(DowngradeArgs),
    /// Saves and checks snapshots
    Snapshot(SnapshotArgs),
    /// Enables and disables authentication
    Auth(AuthArgs),
    /// User related commands
    User(UserArgs),
    /// Role related commands
    Role(RoleArgs),
    /// The commands of etcd's v2 API, named and working as etcdctl's under ETCDCTL_API=2
    V2(MisplacedServe),
    /// Prints the version of etcdkit and of the etcd API it speaks
    Version(Words),
    /// Lists the options that every command takes
    Options(Words),
    /// Help about any command
    Help(HelpArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct HelpArgs {
    /// The command to explain
    pub(crate) command: Vec<String>,
}

/// `serve` with a client's flags in front of it, which it does not take.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct MisplacedServe {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<OsString>,
}

/// The whole command line, as clap reads it.
pub(crate) fn command() -> clap::Command {
    later::add(like_etcdctl(Cli::command()))
}

/// Gives flags etcdctl's grammar, which derives cannot say once for all.
pub(crate) fn like_etcdctl(command: clap::Command) -> clap::Command {
    command
        .mut_args(|arg| {
            // An empty variable is one that is not set.
            let unset = arg.get_env().and_then(std::env::var_os);
            let arg = match unset {
                Some(value) if value.is_empty() => arg.env(None::<&str>),
                _ => arg,
            };
            // A switch may be given a value, but only after an equals sign: `--prefix=false`.
            match arg.get_action() {
                ArgAction::SetTrue => arg
                    .action(ArgAction::Set)
                    .value_parser(parse_bool)
                    .num_args(0..=1)
                    .require_equals(true)
                    .default_value("false")
                    .default_missing_value("true")
                    .hide_default_value(true)
                    .value_name("BOOL"),
                // A flag that needs a value takes the next word, whatever it begins with.
                ArgAction::Set | ArgAction::Append if !arg.is_positional() => {
                    arg.allow_hyphen_values(true)
                }
                _ => arg,
            }
            .hide_env_values(true)
        })
        .mut_subcommands(like_etcdctl)
}

/// Reads what clap matched.
pub(crate) fn read(matches: &ArgMatches) -> Result<Cli, clap::Error> {
    let mut cli = Cli::from_arg_matches(matches)?;
    let mut level = Some(matches);
    while let Some(matches) = level {
        let source = matches.value_source("endpoints");
        cli.global.endpoints_given |= source == Some(ValueSource::CommandLine);
        let source = matches.value_source("command_timeout");
        cli.global.command_timeout_given |=
            source.is_some_and(|source| source != ValueSource::DefaultValue);
        level = matches.subcommand().map(|(_, matches)| matches);
    }
    Ok(cli)
}

/// Why a command that etcdctl has, and this version lacks, is not run.
pub(crate) fn refusal_of_missing(matches: &ArgMatches) -> Option<Failure> {
    later::refusal(matches)
}

/// The options of every command, as `etcdkit options` prints them.
pub(crate) fn options() -> clap::Command {
    like_etcdctl(GlobalArgs::augment_args(clap::Command::new("etcdkit")))
        .disable_help_flag(true)
        .help_template("The following options can be passed to any command:\n\n{options}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Cli, clap::Error> {
        let words = std::iter::once("etcdkit").chain(words.iter().copied());
        command()
            .try_get_matches_from(words)
            .and_then(|matches| read(&matches))
    }

    #[test]
    fn the_grammar_is_consistent() {
        command().debug_assert();
        serve_command().debug_assert();
        options().debug_assert();
    }

    #[test]
    fn flags_stand_anywhere_and_the_last_one_counts() {
        let cli = parsed(&[
            "--command-timeout=1s",
            "get",
            "-w",
            "json",
            "k",
            "--limit",
            "1",
            "--endpoints",
            "a,b",
            "--limit=2",
            "--endpoints",
            "c",
            "--command-timeout",
            "2s",
        ])
        .unwrap();
        assert_eq!(cli.global.endpoints, ["a", "b", "c"]);
        assert!(cli.global.endpoints_given);
        assert_eq!(cli.global.command_timeout.as_secs(), 2);
        let Some(Command::Get(get)) = cli.command else {
            panic!()
        };
        assert_eq!(get.limit, 2);
    }

    #[test]
    fn abbreviations_mean_what_they_mean_to_etcdctl() {
        for (word, name) in [
            ("g", "get"),
            ("p", "put"),
            ("t", "txn"),
            ("com", ""),
            ("comp", ""),
            ("compac", "compaction"),
            ("end", "endpoint"),
            ("me", "member"),
            ("d", ""),
            ("e", ""),
            ("s", ""),
            ("l", ""),
            ("le", "lease"),
            ("w", "watch"),
            ("al", "alarm"),
            ("sn", "snapshot"),
            ("c", ""),
            ("tou", "tour"),
        ] {
            let matches = command().try_get_matches_from(["etcdkit", word]);
            let found = matches.as_ref().ok().and_then(ArgMatches::subcommand_name);
            assert_eq!(found.unwrap_or_default(), name, "{word}");
        }
    }

    /// Any words are either understood or refused.
    #[test]
    fn no_words_panic() {
        const WORDS: [&str; 30] = [
            "get",
            "put",
            "txn",
            "endpoint",
            "member",
            "list",
            "health",
            "watch",
            "help",
            "tour",
            "serve",
            "--",
            "-",
            "--prefix",
            "--prefix=",
            "--limit",
            "-5",
            "--limit=9999999999999999999",
            "-w",
            "-wjson",
            "--hex=x",
            "--endpoints",
            "--endpoints=,",
            "--rev",
            "0x",
            "\u{0}",
            "é",
            "--é",
            "-é",
            "",
        ];
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..300 {
            let words: Vec<&str> = (0..random.usize(..6))
                .filter_map(|_| random.choice(WORDS))
                .collect();
            let _ = parsed(&words);
            let words: Vec<OsString> = ["etcdkit", "serve"]
                .iter()
                .chain(&words)
                .map(OsString::from)
                .collect();
            let words = serve_words(&words).unwrap();
            let _ = serve_command().try_get_matches_from(words);
        }
    }
}
