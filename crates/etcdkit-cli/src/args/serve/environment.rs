//! etcd's variables: every flag has one, `ETCD_` and its name in capitals.

use std::{
    env,
    ffi::{OsStr, OsString},
};

use clap::Command;

/// The words that the variables stand for, of flags that do not read theirs themselves. A variable that is empty
/// is one that is not set, as with etcd.
pub(super) fn words(command: &Command) -> Vec<OsString> {
    let names = command.get_arguments().flat_map(|arg| {
        let own = arg.get_long().filter(|_| arg.get_env().is_none());
        let aliases = arg.get_all_aliases().unwrap_or_default();
        own.into_iter().chain(aliases)
    });
    names
        .filter_map(|name| {
            let value = env::var_os(variable(name))?;
            (!value.is_empty()).then(|| word(name, &value))
        })
        .collect()
}

/// A flag with its value in one word.
pub(super) fn word(name: &str, value: impl AsRef<OsStr>) -> OsString {
    let mut word = OsString::from(format!("--{name}="));
    word.push(value);
    word
}

fn variable(name: &str) -> String {
    format!("ETCD_{}", name.replace('-', "_").to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_and_its_variable() {
        assert_eq!(variable("pre-vote"), "ETCD_PRE_VOTE");
        assert_eq!(word("pre-vote", "false"), "--pre-vote=false");
    }
}
