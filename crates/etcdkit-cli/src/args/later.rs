//! Commands of etcdctl that this version lacks.
//!
//! They are known by name, so that an abbreviation means here what it means to etcdctl (`d` is
//! ambiguous, not `del`), and so that calling one says what is the matter.

use clap::{Arg, ArgMatches, Command};

use crate::error::Failure;

/// Top level.
const COMMANDS: [&str; 15] = [
    "alarm",
    "auth",
    "check",
    "completion",
    "defrag",
    "downgrade",
    "elect",
    "lease",
    "lock",
    "make-mirror",
    "move-leader",
    "role",
    "snapshot",
    "user",
    "watch",
];

/// Below `member`.
const MEMBER_COMMANDS: [&str; 4] = ["add", "promote", "remove", "update"];

/// Adds the names, hidden from help and with any arguments.
pub(super) fn add(command: Command) -> Command {
    let placeholder = |name: &'static str| {
        let rest = Arg::new("rest")
            .num_args(0..)
            .trailing_var_arg(true)
            .allow_hyphen_values(true);
        Command::new(name)
            .hide(true)
            .disable_help_flag(true)
            .arg(rest)
    };
    command
        .subcommands(COMMANDS.map(placeholder))
        .mut_subcommand("member", |member| {
            member.subcommands(MEMBER_COMMANDS.map(placeholder))
        })
}

/// Why such a command is not run.
pub(super) fn refusal(matches: &ArgMatches) -> Option<Failure> {
    let (name, matches) = matches.subcommand()?;
    let name = match matches.subcommand_name() {
        Some(sub) if name == "member" && MEMBER_COMMANDS.contains(&sub) => format!("member {sub}"),
        _ if COMMANDS.contains(&name) => name.to_owned(),
        _ => return None,
    };
    let text = format!("the command `{name}` is not in this version of etcdkit");
    Some(Failure::unsupported(text).hint("until it is, etcdctl has it"))
}
