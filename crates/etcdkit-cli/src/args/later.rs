//! Commands of etcdctl that this version lacks.
//!
//! They are known by name, so that an abbreviation means here what it means to etcdctl (`c` is
//! ambiguous, not `compaction`), and so that calling one says what is the matter.

use clap::{Arg, ArgMatches, Command};

use crate::error::Failure;

/// Each with what to do instead.
const COMMANDS: [(&str, &str); 4] = [
    ("check", ETCDCTL),
    ("completion", ETCDCTL),
    ("make-mirror", ETCDCTL),
    // Of etcdctl 3.4, which reads the files of a stopped member.
    (
        "migrate",
        "`etcdkit v2 migrate --to ENDPOINT` copies the keys of a running server",
    ),
];

const ETCDCTL: &str = "until it is, etcdctl has it";

/// Adds the names, hidden from help and with any arguments.
pub(super) fn add(command: Command) -> Command {
    command.subcommands(COMMANDS.map(|(name, _)| {
        let rest = Arg::new("rest")
            .num_args(0..)
            .trailing_var_arg(true)
            .allow_hyphen_values(true);
        Command::new(name)
            .hide(true)
            .disable_help_flag(true)
            .arg(rest)
    }))
}

/// Why such a command is not run.
pub(super) fn refusal(matches: &ArgMatches) -> Option<Failure> {
    let name = matches.subcommand_name()?;
    let (name, instead) = COMMANDS.iter().find(|(known, _)| *known == name)?;
    let text = format!("the command `{name}` is not in this version of etcdkit");
    Some(Failure::unsupported(text).hint(*instead))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(words: &[&str]) -> Option<String> {
        let words = ["etcdkit"].iter().chain(words);
        let matches = crate::args::command().try_get_matches_from(words).unwrap();
        let mut out = Vec::new();
        refusal(&matches)?.report(&mut out, true, false);
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn who_calls_what_is_missing_is_told_what_there_is() {
        for (name, instead) in COMMANDS {
            let text = told(&[name, "--flag", "of", "etcdctl"]).unwrap();
            assert!(text.contains(name) && text.contains(instead), "{text}");
        }
        assert_eq!(told(&["version"]), None);
    }
}
