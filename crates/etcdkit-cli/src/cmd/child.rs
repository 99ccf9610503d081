//! Programs that commands run.

use std::process::ExitStatus;

/// How a program ended, in etcdctl's words.
pub(super) fn ending(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("exit status {code}"),
        None => status.to_string(),
    }
}

/// The exit code to return for a program: its own, and 255 if a signal ended it, as in etcdctl.
pub(super) fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.unwrap_or(u8::MAX)
}
