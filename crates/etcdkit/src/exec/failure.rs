//! From what happened on the wire to an error and what follows from it.

use std::sync::Arc;

use crate::{
    Error, ErrorKind,
    policy::{self, Class, Ending, Meaning, Verdict},
    transport::{Failure, connection::Connection},
};

/// Explains an attempt's failure and marks the endpoint where it is at fault.
pub(super) fn explain(
    failure: Failure,
    class: Class,
    connection: &Connection,
) -> (Ending, Verdict, Error) {
    let (ending, error) = match failure {
        Failure::NotSent(cause) => {
            let what = format!("the connection was closing: {cause}");
            (
                Ending::NotSent,
                Error::new(ErrorKind::Connect, what).with_source(cause),
            )
        }
        Failure::Refused(cause) => {
            let what = format!("the server takes no further request on the connection: {cause}");
            (
                Ending::Refused,
                Error::new(ErrorKind::Server, what).with_source(cause),
            )
        }
        Failure::Lost(cause) => {
            let what = match connection.pulse.broke() {
                Some(why) => format!("the connection was lost: {why}"),
                None => format!("the connection was lost: {cause}"),
            };
            (
                Ending::Lost,
                Error::new(ErrorKind::Disconnected, what).with_source(cause),
            )
        }
        Failure::Status { code, message } => {
            let error = Error::status(code, message);
            (Ending::Answered(Meaning::of(error.kind(), code)), error)
        }
        Failure::Protocol(what) => (
            Ending::Unusable,
            Error::new(ErrorKind::Protocol, format!("the server sent {what}")),
        ),
        Failure::Undecodable(error) => {
            let what = format!("the server sent something else than etcd's answer: {error}");
            (
                Ending::Unusable,
                Error::new(ErrorKind::Protocol, what).with_source(error),
            )
        }
        Failure::TooLarge { length, limit } => {
            let what = format!("the answer has {length} bytes, the client takes {limit}");
            (
                Ending::Unusable,
                Error::new(ErrorKind::ResponseTooLarge, what),
            )
        }
    };
    let verdict = policy::judge(ending, class);
    if verdict.avoid {
        connection.pulse.health.refused();
    }
    let endpoint = Arc::clone(&connection.endpoint.text);
    (
        ending,
        verdict,
        error.with_outcome(verdict.outcome).with_endpoint(endpoint),
    )
}

/// A future was polled after it had given its result, which is a bug of whoever polls.
pub(super) fn finished() -> Error {
    Error::invalid_request("the call has already given its result")
}
