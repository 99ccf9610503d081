//! Asking for passwords.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::{
    args::AskArgs,
    error::{Failure, Result},
};

/// Asks for the password of an existing user.
pub(crate) fn existing() -> Result<String> {
    ask("Password: ").map_err(|failure| {
        failure.hint("give --user NAME:PASSWORD, or --password, or its variable")
    })
}

/// Asks twice for a new password, or takes the first word of standard input.
pub(super) fn new(user: &str, how: AskArgs) -> Result<String> {
    if !how.interactive {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line)?;
        let word = line.split_whitespace().next().unwrap_or_default();
        if word.is_empty() {
            return Err(Failure::bad_args("empty password")
                .hint("standard input holds none; --no-password makes a user without one"));
        }
        return Ok(word.to_owned());
    }
    let first = ask(&format!("Password of {user}: "))?;
    if first.is_empty() {
        return Err(Failure::bad_args("empty password"));
    }
    let second = ask(&format!("Type password of {user} again for confirmation: "))?;
    if first != second {
        return Err(Failure::bad_args("given passwords are different"));
    }
    Ok(first)
}

/// Asks on the terminal, without showing the answer.
pub(super) fn ask(prompt: &str) -> Result<String> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Err(Failure::bad_args(
            "failed to ask password: standard input is no terminal",
        ));
    }
    let mut out = io::stdout();
    write!(out, "{prompt}")?;
    out.flush()?;
    let mut line = String::new();
    let read = {
        let _quiet = Quiet::begin()?;
        stdin.lock().read_line(&mut line)
    };
    // The line end was not shown either.
    writeln!(out)?;
    read?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// While it lives, the terminal does not show what is typed.
#[cfg(unix)]
struct Quiet {
    before: rustix::termios::Termios,
}

#[cfg(unix)]
impl Quiet {
    fn begin() -> Result<Self> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let before = tcgetattr(io::stdin()).map_err(io::Error::from)?;
        let mut quiet = before.clone();
        quiet.local_modes -= LocalModes::ECHO;
        // What was typed ahead was not meant for this question.
        tcsetattr(io::stdin(), OptionalActions::Flush, &quiet).map_err(io::Error::from)?;
        Ok(Self { before })
    }
}

#[cfg(unix)]
impl Drop for Quiet {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        // Nothing can be done about a terminal that went away.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// Elsewhere nothing can hide the answer, so that there is no question.
#[cfg(not(unix))]
struct Quiet;

#[cfg(not(unix))]
impl Quiet {
    fn begin() -> Result<Self> {
        Err(Failure::unsupported(
            "failed to ask password: not possible on this system",
        ))
    }
}
