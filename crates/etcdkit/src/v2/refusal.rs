//! What a status other than success means. Pure.
//!
//! The v2 API has three ways to refuse: errors with a number from `/v2/keys`, messages from everything
//! else of etcd's, and the plain text of Go's HTTP server. From which of the numbers follows that
//! nothing was applied is read from etcd's server code, and from what real servers do: the only number
//! that leaves it open is that of a proposal that was not answered in time.

use etcdkit_proto::v2::{ErrorCode, KeysError, Message};
use http::StatusCode;

use super::{Error, ErrorKind};
use crate::{Outcome, policy::Meaning};

/// How much of a text that is not etcd's is shown.
const TEXT_MOST: usize = 200;

/// The error that an answer is, and what it means for the request.
pub(super) fn read(status: StatusCode, body: &[u8], path: &str) -> (Error, Meaning) {
    let (error, meaning) = match keys_error(body) {
        Some(error) => of_code(status, error),
        None => match serde_json::from_slice(body) {
            Ok(Message { message }) if !message.is_empty() => of_message(status, message),
            _ => of_text(status, &String::from_utf8_lossy(body), path),
        },
    };
    let error = error.with_status(status.as_u16());
    (error.with_outcome(meaning.applied), meaning)
}

fn keys_error(body: &[u8]) -> Option<KeysError> {
    match serde_json::from_slice::<KeysError>(body) {
        Ok(error) => (error.error_code != 0).then_some(error),
        Err(_) => error_in_text(std::str::from_utf8(body).ok()?.trim_end()),
    }
}

/// The modules of etcd 0.x write errors of the store as text: `100: Key not found (/a) [7]`.
fn error_in_text(text: &str) -> Option<KeysError> {
    let (number, rest) = text.split_once(": ")?;
    let (rest, index) = rest.strip_suffix(']')?.rsplit_once(" [")?;
    let (message, cause) = rest.strip_suffix(')')?.split_once(" (")?;
    let error_code = number.parse().ok()?;
    ErrorCode::of_number(error_code)?;
    Some(KeysError {
        error_code,
        message: message.to_owned(),
        cause: cause.to_owned(),
        index: index.parse().ok()?,
    })
}

fn of_code(status: StatusCode, error: KeysError) -> (Error, Meaning) {
    let (kind, meaning) = match error.code() {
        Some(ErrorCode::RaftInternal) if is_directory_bug(&error.cause) => {
            (ErrorKind::RaftInternal, REFUSED)
        }
        // The member may have proposed it, and may do so later. Another one may be better off.
        Some(ErrorCode::RaftInternal) => (ErrorKind::RaftInternal, in_doubt()),
        // etcd 0.x, which looks for the leader before it proposes anything.
        Some(ErrorCode::LeaderElect) => (ErrorKind::LeaderElect, passing()),
        Some(code) => (code.into(), REFUSED),
        None if status.is_server_error() => (ErrorKind::Server, in_doubt()),
        None => (ErrorKind::Refused, REFUSED),
    };
    let KeysError {
        error_code,
        message,
        cause,
        index,
    } = error;
    let error = Error::new(kind, message).with_code(error_code, cause, index);
    (error, meaning)
}

/// etcd 3.5 cannot change a directory's time to live, and hides the store's refusal in an internal
/// error (its issue 13589).
pub(super) fn is_directory_bug(cause: &str) -> bool {
    cause.starts_with("nodePath ")
}

fn of_message(status: StatusCode, message: String) -> (Error, Meaning) {
    let not_begun = [
        // A member without a leader.
        "During election",
        // etcd's proxy, when it knows no member.
        "zero endpoints currently available",
    ];
    match status {
        StatusCode::UNAUTHORIZED => (Error::new(ErrorKind::Unauthorized, message), REFUSED),
        // etcd's proxy, when it only lets reads through.
        StatusCode::NOT_IMPLEMENTED => (Error::new(ErrorKind::Refused, message), REFUSED),
        StatusCode::SERVICE_UNAVAILABLE if not_begun.iter().any(|text| message.contains(text)) => {
            (Error::new(ErrorKind::Server, message), passing())
        }
        _ if status.is_server_error() => (Error::new(ErrorKind::Server, message), in_doubt()),
        // No etcd answers so. Somebody in between does, perhaps to say where the result of what was
        // done can be seen (303).
        _ if status.is_redirection() || status.is_informational() => {
            let meaning = Meaning {
                applied: Outcome::Unknown,
                ..REFUSED
            };
            (Error::new(ErrorKind::Refused, message), meaning)
        }
        _ => (Error::new(ErrorKind::Refused, message), REFUSED),
    }
}

fn of_text(status: StatusCode, text: &str, path: &str) -> (Error, Meaning) {
    let text = text.trim();
    if status == StatusCode::NOT_FOUND && text == "404 page not found" {
        let what = match path.strip_prefix("/v2/keys") {
            Some(_) => "this server does not serve the v2 API".to_owned(),
            None => format!("this server does not serve {path}"),
        };
        return (Error::new(ErrorKind::NotServed, what), REFUSED);
    }
    if status == StatusCode::BAD_REQUEST && text.contains("HTTP request to an HTTPS server") {
        let what = "the server expects TLS; its endpoint begins with https://";
        return (Error::new(ErrorKind::Tls, what), REFUSED);
    }
    let message = match text.is_empty() {
        true => format!("the server answered {status}"),
        false => format!(
            "the server answered {status}: {}",
            text.chars().take(TEXT_MOST).collect::<String>()
        ),
    };
    of_message(status, message)
}

/// Not applied, and it would not be the next time.
pub(super) const REFUSED: Meaning = Meaning {
    applied: Outcome::NotApplied,
    passing: false,
    endpoints_fault: false,
    midway: false,
};

/// Not applied, but it may well be a little later or elsewhere.
fn passing() -> Meaning {
    Meaning {
        passing: true,
        endpoints_fault: true,
        ..REFUSED
    }
}

/// Nobody knows.
fn in_doubt() -> Meaning {
    Meaning {
        applied: Outcome::Unknown,
        ..passing()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(status: u16, body: &str) -> (Error, Meaning) {
        let status = StatusCode::from_u16(status).expect("a status");
        read(status, body.as_bytes(), "/v2/keys/a")
    }

    #[test]
    fn errors_of_the_store_keep_number_cause_and_index() {
        let (error, meaning) = read_text(
            404,
            r#"{"errorCode":100,"message":"Key not found","cause":"/a","index":7}"#,
        );
        assert_eq!(error.kind(), ErrorKind::KeyNotFound);
        assert_eq!(error.error_code(), Some(100));
        assert_eq!((error.cause_text(), error.index()), (Some("/a"), Some(7)));
        assert_eq!(error.status(), Some(404));
        assert_eq!(meaning, REFUSED);
        let (error, _) = read_text(
            400,
            r#"{"errorCode":209,"message":"Invalid field","index":0}"#,
        );
        assert_eq!((error.cause_text(), error.index()), (None, None));
    }

    #[test]
    fn only_what_was_proposed_is_in_doubt() {
        for code in ErrorCode::ALL {
            let body = format!(
                r#"{{"errorCode":{},"message":"{}","cause":"etcdserver: request timed out","index":1}}"#,
                code.number(),
                code.text()
            );
            let (error, meaning) = read_text(code.status(), &body);
            let expected = match code {
                ErrorCode::RaftInternal => Outcome::Unknown,
                _ => Outcome::NotApplied,
            };
            assert_eq!(meaning.applied, expected, "{code:?}");
            assert_eq!(error.outcome(), expected);
            assert_eq!(error.kind(), ErrorKind::from(*code));
        }
        let (error, meaning) = read_text(
            500,
            r#"{"errorCode":300,"message":"Raft Internal Error","cause":"nodePath /1/d : Not a file ()","index":1}"#,
        );
        assert_eq!(meaning, REFUSED);
        assert!(error.hint().expect("a hint").contains("3.5"));
    }

    #[test]
    fn modules_write_errors_as_text() {
        let (error, meaning) = read_text(500, "100: Key not found (/_etcd/mod/lock/a) [7]\n");
        assert_eq!(error.kind(), ErrorKind::KeyNotFound);
        assert_eq!(error.cause_text(), Some("/_etcd/mod/lock/a"));
        assert_eq!((error.index(), meaning), (Some(7), REFUSED));
        for text in ["7: Unheard of () [7]", "100: Key not found", ": () []", "x"] {
            assert!(error_in_text(text).is_none(), "{text}");
        }
    }

    #[test]
    fn servers_without_the_api_are_known() {
        let (error, meaning) = read_text(404, "404 page not found\n");
        assert_eq!(error.kind(), ErrorKind::NotServed);
        assert_eq!(error.message(), "this server does not serve the v2 API");
        assert!(error.hint().expect("a hint").contains("--enable-v2"));
        assert_eq!(meaning, REFUSED);
        let (error, _) = read(
            StatusCode::NOT_FOUND,
            b"404 page not found\n",
            "/mod/v2/lock/a",
        );
        assert!(error.message().contains("/mod/v2/lock/a"));
    }

    #[test]
    fn messages_and_texts_are_judged_by_their_status() {
        let message = r#"{"message":"auth: User u does not exist."}"#;
        let (error, meaning) = read_text(404, message);
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert_eq!(error.message(), "auth: User u does not exist.");
        assert_eq!(meaning, REFUSED);
        let (error, _) = read_text(401, r#"{"message":"Insufficient credentials"}"#);
        assert_eq!(error.kind(), ErrorKind::Unauthorized);
        let gateway = r#"{"message":"httpproxy: unable to get response from 3 endpoint(s)"}"#;
        assert_eq!(read_text(502, gateway).1, in_doubt());
        let proxy = r#"{"message":"httpproxy: zero endpoints currently available"}"#;
        assert_eq!(read_text(503, proxy).1, passing());
        assert_eq!(
            read_text(503, r#"{"message":"During election"}"#).1,
            passing()
        );
        assert_eq!(read_text(503, "<html>").1, in_doubt());
        assert_eq!(read_text(501, "").1, REFUSED);
        let elsewhere = read_text(303, "").1;
        assert_eq!(elsewhere.applied, Outcome::Unknown);
        assert!(!elsewhere.passing);
        assert_eq!(read_text(405, "Method Not Allowed\n").1, REFUSED);
        let tls = "Client sent an HTTP request to an HTTPS server.\n";
        assert_eq!(read_text(400, tls).0.kind(), ErrorKind::Tls);
        assert!(read_text(500, &"x".repeat(5000)).0.message().len() < 300);
    }
}
