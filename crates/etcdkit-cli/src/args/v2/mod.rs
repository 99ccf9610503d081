//! The v2 commands: types only. They are a command line of their own, since flags of the same name and
//! letter mean other things in v3.

mod auth;
mod global;
mod keys;
mod members;
mod migrate;
mod recipes;
mod watch;

use std::ffi::OsString;

use clap::{Args, CommandFactory, Parser, Subcommand};

use super::{GlobalArgs as V3GlobalArgs, like_etcdctl};

pub(crate) use auth::{
    AuthArgs, AuthCommand, PermissionArgs, RoleArgs, RoleCommand, RolesArgs, UserArgs, UserCommand,
};
pub(crate) use global::{Format, GlobalArgs, TlsFiles};
pub(crate) use keys::{
    CadArgs, CasArgs, Condition, DirectoryArgs, GetArgs, InOrderArgs, Key, KeyAndValue, LsArgs,
    MkArgs, RmArgs, SetArgs, TtlFlag, UpdateArgs,
};
pub(crate) use members::{HealthArgs, MemberArgs, MemberCommand, Stats, StatsArgs, VersionArgs};
pub(crate) use migrate::MigrateArgs;
pub(crate) use recipes::{
    CampaignArgs, CandidateArgs, ElectionArgs, HoldFlags, LeaderArgs, LeaderCommand, LockArgs,
    ResignArgs,
};
pub(crate) use watch::{ExecWatchArgs, Range, WatchArgs};

/// etcd's v2 API: the key space of directories that etcd 0.2 to 3.5 serve over HTTP.
#[derive(Debug, Parser)]
#[command(
    name = "etcdkit v2",
    bin_name = "etcdkit v2",
    version,
    args_override_self = true,
    disable_help_subcommand = true,
    after_help = "The commands are those of etcdctl under ETCDCTL_API=2. With that variable set, `v2` may be left out:
every word is then read as a v2 command, but for `serve` and `tour`."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Prints the value of a key
    Get(GetArgs),
    /// Lists what is in a directory
    Ls(LsArgs),
    /// Sets the value of a key, whether it exists or not
    Set(SetArgs),
    /// Makes a key, which must not exist
    Mk(MkArgs),
    /// Makes a directory, which must not exist
    #[command(override_usage = "etcdkit v2 mkdir [OPTIONS] <KEY>")]
    Mkdir(DirectoryArgs),
    /// Removes a key or a directory
    Rm(RmArgs),
    /// Removes a key or an empty directory
    #[command(override_usage = "etcdkit v2 rmdir [OPTIONS] <KEY>")]
    Rmdir(Key),
    /// Makes a directory, or one of a key
    #[command(override_usage = "etcdkit v2 setdir [OPTIONS] <KEY>")]
    Setdir(DirectoryArgs),
    /// Sets the value of a key, which must exist
    Update(UpdateArgs),
    /// Changes how long a directory lasts
    #[command(override_usage = "etcdkit v2 updatedir [OPTIONS] <KEY>")]
    Updatedir(DirectoryArgs),
    /// Sets the value of a key, if it is what the flags say
    Cas(CasArgs),
    /// Removes a key, if it is what the flags say
    Cad(CadArgs),
    /// Makes a key with the next number in a directory, and prints which
    InOrder(InOrderArgs),
    /// Waits for a change of a key, or prints all of them
    Watch(WatchArgs),
    /// Runs a program for every change of a key
    ExecWatch(ExecWatchArgs),
    /// Acquires a lock by name, and holds it while a program runs
    Lock(LockArgs),
    /// Leads an election, or observes who does
    Leader(LeaderArgs),
    /// Prints what a member counts
    Stats(StatsArgs),
    /// Membership related commands
    #[command(visible_alias = "members")]
    Member(MemberArgs),
    /// Prints the URLs on which the members listen to clients
    Machines(Words),
    /// User related commands
    User(UserArgs),
    /// Role related commands
    Role(RoleArgs),
    /// Enables and disables authentication
    Auth(AuthArgs),
    /// Checks the health of all members
    #[command(visible_alias = "health")]
    ClusterHealth(HealthArgs),
    /// Copies keys into v3, and keeps the copy in step
    Migrate(MigrateArgs),
    /// Prints the version of etcdkit and of the etcd API it speaks
    Version(VersionArgs),
    /// Help about any command
    #[command(alias = "h")]
    Help(HelpArgs),
}

/// Any arguments, which the command counts itself.
#[derive(Args, Clone, Debug)]
pub(crate) struct Words {
    #[arg(hide = true)]
    pub(crate) args: Vec<String>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct HelpArgs {
    /// The command to explain
    pub(crate) command: Vec<String>,
}

/// The v2 command line, as clap reads it.
pub(crate) fn command() -> clap::Command {
    like_etcdctl(Cli::command())
}

/// The words of a v2 command line, if it is one, with the program's name: what stands behind `v2`, and
/// any flags before it. With `always` the word `v2` may be left out.
pub(crate) fn words(words: &[OsString], always: bool) -> Option<Vec<OsString>> {
    let (_, rest) = words.split_first()?;
    let at = command_at(rest);
    let named = at.and_then(|at| rest.get(at)?.to_str());
    let marker = match named {
        Some("v2") => at,
        // They talk to no server over v3, so that the variable does not mean them.
        Some("serve" | "tour") => return None,
        _ if always => None,
        _ => return None,
    };
    let rest = rest.iter().enumerate();
    let rest = rest.filter(|(index, _)| Some(*index) != marker);
    let rest = rest.map(|(_, word)| word.clone());
    Some(std::iter::once("etcdkit v2".into()).chain(rest).collect())
}

/// Where the name of the command stands: the first word that is neither a flag nor a flag's value.
fn command_at(words: &[OsString]) -> Option<usize> {
    let flags = [
        like_etcdctl(GlobalArgs::augment_args(clap::Command::new("v2"))),
        like_etcdctl(V3GlobalArgs::augment_args(clap::Command::new("v3"))),
    ];
    let takes_next = |word: &str| {
        let mut args = flags.iter().flat_map(clap::Command::get_arguments);
        args.any(|arg| {
            is_named(arg, word) && arg.get_action().takes_values() && !arg.is_require_equals_set()
        })
    };
    let mut index = 0;
    while let Some(word) = words.get(index) {
        let word = word.to_string_lossy();
        if !word.starts_with('-') {
            return Some(index);
        }
        index += if takes_next(&word) { 2 } else { 1 };
    }
    None
}

/// Whether a word is nothing but the name of a flag.
fn is_named(arg: &clap::Arg, word: &str) -> bool {
    let long = word.strip_prefix("--");
    let longs = arg.get_long_and_visible_aliases().into_iter().flatten();
    let hidden = arg.get_all_aliases().into_iter().flatten();
    if let Some(name) = long {
        return longs.chain(hidden).any(|known| known == name);
    }
    let mut letters = word.chars().skip(1);
    let (Some(letter), None) = (letters.next(), letters.next()) else {
        return false;
    };
    let shorts = arg.get_short_and_visible_aliases().into_iter().flatten();
    let hidden = arg.get_all_short_aliases().into_iter().flatten();
    shorts.chain(hidden).any(|known| known == letter)
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;

    fn read(line: &str, always: bool) -> Option<String> {
        let line = line.split_whitespace().map(OsString::from);
        let line: Vec<_> = std::iter::once("etcdkit".into()).chain(line).collect();
        let words = words(&line, always)?;
        let words = words.iter().skip(1).map(|word| word.to_string_lossy());
        Some(words.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn the_grammar_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn v2_begins_a_command_line_of_its_own() {
        for (line, rest) in [
            ("v2 get a", Some("get a")),
            ("--endpoints v2 v2 get a", Some("--endpoints v2 get a")),
            (
                "--endpoints=x -o json v2 get v2",
                Some("--endpoints=x -o json get v2"),
            ),
            ("--debug v2 --no-sync ls", Some("--debug --no-sync ls")),
            ("-C x v2 ls", Some("-C x ls")),
            ("--cacert f v2 ls", Some("--cacert f ls")),
            ("--keepalive-time 1s v2 ls", Some("--keepalive-time 1s ls")),
            ("v2", Some("")),
            ("get v2", None),
            ("--endpoints v2", None),
            ("", None),
        ] {
            assert_eq!(read(line, false).as_deref(), rest, "{line}");
        }
    }

    #[test]
    fn the_variable_makes_every_command_one_of_v2() {
        for (line, rest) in [
            ("get v2", Some("get v2")),
            ("v2 get a", Some("get a")),
            ("--endpoints x", Some("--endpoints x")),
            ("", Some("")),
            ("serve", None),
            ("--endpoints embedded: tour", None),
        ] {
            assert_eq!(read(line, true).as_deref(), rest, "{line}");
        }
    }

    #[test]
    fn flags_stand_where_etcdctl_has_them_and_elsewhere() {
        let parsed = |line: &str| {
            let words = line.split_whitespace();
            let matches = command().try_get_matches_from(std::iter::once("v2").chain(words));
            Cli::from_arg_matches(&matches.unwrap()).unwrap()
        };
        let Some(Command::Set(set)) = parsed("-o json set a -1 --ttl 5").command else {
            panic!()
        };
        assert_eq!(set.words.key.as_deref(), Some("a"));
        assert_eq!(set.words.value.as_deref(), Some("-1"));
        assert_eq!(set.ttl.ttl, 5);
        let Some(Command::Set(set)) = parsed("set -- -a --ttl").command else {
            panic!()
        };
        assert_eq!(set.words.key.as_deref(), Some("-a"));
        assert_eq!(set.words.value.as_deref(), Some("--ttl"));
        for line in [
            "exec-watch a -r -- sh -c x --forever",
            "exec-watch -r a sh -c x --forever",
        ] {
            let Some(Command::ExecWatch(watch)) = parsed(line).command else {
                panic!()
            };
            assert_eq!(watch.key.as_deref(), Some("a"));
            assert!(watch.range.recursive);
            assert_eq!(watch.command, ["sh", "-c", "x", "--forever"]);
        }
        let cli = parsed("ls -rp --total-timeout 3s -o extended");
        assert_eq!(cli.global.total_timeout.as_secs(), 3);
        assert_eq!(cli.global.format().unwrap(), Format::Extended);
    }
}
