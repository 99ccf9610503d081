//! How v2 commands fail: with the exit codes and in the form of etcdctl under `ETCDCTL_API=2`.

use etcdkit::{Outcome, v2::Error};

use crate::error::{Exit, Failure};

/// etcdctl's exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// The arguments do not fit the command, or anything about members, users and roles failed.
    BadArgs,
    /// No endpoint could be asked for the members of the cluster.
    BadConnection,
    /// There is no such command.
    NoCommand,
    /// The server refused the request, or did not answer it.
    Server,
    /// Not all members are healthy.
    Unhealthy,
}

impl Code {
    pub(crate) fn exit(self) -> Exit {
        Exit::V2(match self {
            Self::BadArgs => 1,
            Self::BadConnection => 2,
            Self::NoCommand => 3,
            Self::Server => 4,
            Self::Unhealthy => 5,
        })
    }
}

/// A failure in the form of the commands about keys.
pub(crate) fn marked(code: Code, message: impl Into<String>) -> Failure {
    // Two spaces, as etcdctl has them here and not in v3.
    Failure::new(code.exit(), message).marked("Error:  ")
}

/// A failure in the form of all other commands.
pub(crate) fn plain(code: Code, message: impl Into<String>) -> Failure {
    Failure::new(code.exit(), message).marked("")
}

/// A failure of which the output has told.
pub(super) fn silent(code: Code) -> Failure {
    Failure::new(code.exit(), "").marked("")
}

/// A key, or another argument, that is missing or of no use.
pub(super) fn bad_args(message: impl Into<String>) -> Failure {
    marked(Code::BadArgs, message)
}

/// Why a request about keys failed.
pub(super) fn of_keys(error: Error) -> Failure {
    explained(marked(Code::Server, text(&error)), error)
}

/// Why a request about members, users or roles failed.
pub(super) fn of_cluster(error: Error) -> Failure {
    explained(plain(Code::BadArgs, text(&error)), error)
}

/// What etcdctl prints of an error: the server's own words, since scripts look for them; otherwise the
/// whole story.
fn text(error: &Error) -> String {
    match (error.error_code(), error.status()) {
        (Some(code), _) => format!(
            "{code}: {} ({}) [{}]",
            error.message(),
            error.cause_text().unwrap_or_default(),
            error.index().unwrap_or_default()
        ),
        (None, Some(status)) if status < 500 => error.message().to_owned(),
        (None, _) => error.to_string(),
    }
}

fn explained(failure: Failure, error: Error) -> Failure {
    let unsure = (error.outcome() == Outcome::Unknown)
        .then_some("the request may have been applied: read before writing again");
    let hints: Vec<_> = error.hint().into_iter().chain(unsure).collect();
    let failure = match hints.is_empty() {
        true => failure,
        false => failure.hint(hints.join("; ")),
    };
    failure.caused_by(error)
}
