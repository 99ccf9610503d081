//! Failures: what is printed, and the exit code that scripts see.

use std::{error::Error as StdError, fmt, io, path::Path};

use etcdkit::{ErrorKind, Outcome};

/// etcdctl's exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The request failed, or a flag could not be read.
    Error,
    /// The endpoints cannot be used at all, or do not let the user in. A server that does not answer
    /// is [`Exit::Error`], but for some commands about leases.
    BadConnection,
    /// The transaction or the watches read from standard input are wrong.
    InvalidInput,
    /// The flag is known, its value is not supported.
    BadFeature,
    /// The server ended a watch, or a snapshot was not saved.
    Interrupted,
    /// Reading or writing failed.
    Io,
    /// The arguments do not fit the command or each other.
    BadArgs,
    /// That of the program that was run.
    Child(u8),
    /// One of the v2 commands, which number their failures otherwise.
    V2(u8),
}

impl Exit {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Error => 1,
            Self::BadConnection => 2,
            Self::InvalidInput => 3,
            Self::BadFeature => 4,
            Self::Interrupted => 5,
            Self::Io => 6,
            Self::BadArgs => 128,
            Self::Child(code) | Self::V2(code) => code,
        }
    }
}

/// What stands before a message unless a command has something of its own.
const MARK: &str = "Error: ";

/// Why a command ends without success.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    /// What stands before the message.
    mark: &'static str,
    message: String,
    hint: Option<String>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

/// What every command returns.
pub(crate) type Result<T = ()> = std::result::Result<T, Failure>;

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            mark: MARK,
            message: message.into(),
            hint: None,
            cause: None,
        }
    }

    pub(crate) fn bad_args(message: impl Into<String>) -> Self {
        Self::new(Exit::BadArgs, message)
    }

    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(Exit::BadFeature, message)
    }

    pub(crate) fn invalid_input(message: impl Into<String>) -> Self {
        Self::new(Exit::InvalidInput, message)
    }

    /// Adds what the user can do about it. Shown on terminals only.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says that the value which was refused is a variable's, not a flag's.
    pub(crate) fn because_of_variable(mut self, variable: &str) -> Self {
        self.message = format!("in the environment variable {variable}: {}", self.message);
        self
    }

    /// Says that what was refused stands in a file.
    pub(crate) fn because_of_file(mut self, path: &Path) -> Self {
        self.message = format!("in {}: {}", path.display(), self.message);
        self
    }

    /// Adds what the failure means for the user, after its own text.
    pub(crate) fn with_context(mut self, context: &str) -> Self {
        self.message = format!("{}; {context}", self.message);
        self
    }

    /// Says what failed, before the text.
    pub(crate) fn preceded_by(mut self, what: &str) -> Self {
        self.message = format!("{what} {}", self.message);
        self
    }

    /// Puts the text into a sentence that says what failed, as some of etcdctl's commands do.
    pub(crate) fn inside(mut self, what: &str) -> Self {
        self.message = format!("{what} ({})", self.message);
        self
    }

    pub(crate) fn with_exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// Puts something else before the message than `Error: `.
    pub(crate) fn marked(mut self, mark: &'static str) -> Self {
        self.mark = mark;
        self
    }

    /// Keeps what the failure comes from, for `--debug`.
    pub(crate) fn caused_by(mut self, cause: impl StdError + Send + Sync + 'static) -> Self {
        self.cause = Some(Box::new(cause));
        self
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// Whether the reader of our output went away, which is no failure: `etcdkit get … | head`.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        let mut cause = self
            .cause
            .as_deref()
            .map(|cause| cause as &(dyn StdError + 'static));
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<io::Error>() {
                return self.exit == Exit::Io && error.kind() == io::ErrorKind::BrokenPipe;
            }
            cause = error.source();
        }
        false
    }

    /// Writes the failure in etcdctl's form, with advice where a person reads it.
    pub(crate) fn report(&self, out: &mut dyn io::Write, terminal: bool, debug: bool) {
        // Nothing is left to tell the user if standard error itself is gone.
        if !self.message.is_empty() {
            let _ = writeln!(out, "{}{}", self.mark, self.message);
        }
        if debug {
            let mut cause = self.cause.as_deref().map(|cause| cause as &dyn StdError);
            while let Some(error) = cause {
                let _ = writeln!(out, "  caused by: {error}");
                cause = error.source();
            }
        }
        if let Some(hint) = self.hint.as_ref().filter(|_| terminal) {
            let _ = writeln!(out, "Hint: {hint}");
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self {
            exit: Exit::Io,
            mark: MARK,
            message: error.to_string(),
            hint: None,
            cause: Some(Box::new(error)),
        }
    }
}

impl From<etcdkit::Error> for Failure {
    fn from(error: etcdkit::Error) -> Self {
        Self {
            exit: match error.kind() {
                // etcdctl logs in while it makes its client.
                ErrorKind::InvalidConfig | ErrorKind::AuthFailed => Exit::BadConnection,
                _ => Exit::Error,
            },
            mark: MARK,
            message: story(&error),
            hint: hint(&error),
            cause: Some(Box::new(error)),
        }
    }
}

/// The server's own text exactly as etcdctl prints it, since scripts look for it; otherwise the
/// whole story: where, how often, how long, and whether it may have been applied.
pub(crate) fn story(error: &etcdkit::Error) -> String {
    if error.message().starts_with("etcdserver: ") {
        error.message().to_owned()
    } else {
        error.to_string()
    }
}

fn hint(error: &etcdkit::Error) -> Option<String> {
    let unsure = (error.outcome() == Outcome::Unknown)
        .then_some("the request may have been applied: read before writing again");
    let start = (error.kind() == ErrorKind::Connect)
        .then_some("`etcdkit serve` runs one on 127.0.0.1:2379");
    let hints: Vec<_> = [error.hint(), start, unsure]
        .into_iter()
        .flatten()
        .collect();
    (!hints.is_empty()).then(|| hints.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(failure: &Failure, terminal: bool) -> String {
        let mut out = Vec::new();
        failure.report(&mut out, terminal, false);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn hints_are_for_people() {
        let failure = Failure::bad_args("no key").hint("give one");
        assert_eq!(reported(&failure, false), "Error: no key\n");
        assert_eq!(reported(&failure, true), "Error: no key\nHint: give one\n");
    }

    #[test]
    fn a_reader_that_leaves_is_no_failure() {
        let pipe = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(pipe.is_closed_pipe());
        let disk = Failure::from(io::Error::from(io::ErrorKind::StorageFull));
        assert!(!disk.is_closed_pipe());
        assert_eq!(disk.exit(), Exit::Io);
    }
}
