//! What can go wrong with the v2 API, and what is known about it afterwards.

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use etcdkit_proto::{for_each_v2_error, v2::ErrorCode};

use crate::{Outcome, error::Story, observe};

/// What every fallible call of this module returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed, with everything that is known about the failure.
///
/// As the [error](crate::Error) of the v3 client, with what etcd's v2 API tells besides: its
/// [number](Self::error_code), [cause](Self::cause_text) and [index](Self::index). It never contains
/// passwords; etcd's cause of a failed comparison shows the values that were compared.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    story: Story,
    status: Option<u16>,
    code: Option<u32>,
    message: String,
    cause: String,
    index: Option<u64>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

macro_rules! define_kinds {
    ($($name:ident $number:literal $status:literal $text:literal $doc:literal;)*) => {
        /// What kind of failure an [`Error`] is.
        ///
        /// The first kinds are found by the client; the others are etcd's own, one for each
        /// `errorCode`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorKind {
            /// The request is wrong and was not sent.
            InvalidRequest,
            /// The client's configuration is wrong: an endpoint, a certificate, a timeout.
            InvalidConfig,
            /// No endpoint could be reached; the causes are in the message and the source.
            Connect,
            /// No endpoint could be reached because TLS failed: wrong certificate, name or scheme.
            Tls,
            /// The deadline passed before an answer came.
            Timeout,
            /// The connection broke after the request had been sent.
            Disconnected,
            /// The peer's answer is not what an etcd server sends.
            Protocol,
            /// The answer is larger than the client's `max_receive_bytes`.
            ResponseTooLarge,
            /// The server does not serve the v2 API, or not this part of it.
            NotServed,
            /// The server sent the request on, and so did those that it was sent to, ten times.
            TooManyRedirects,
            /// The server sent the request on to where it cannot go: no URL, or from TLS to none.
            BadRedirect,
            /// The server refuses the request, in words of its own; see [`Error::message`] and
            /// [`Error::status`].
            Refused,
            /// Another failure of the server; see [`Error::message`] and [`Error::status`].
            Server,
            $(#[doc = $doc] #[doc = ""] #[doc = concat!("`errorCode` ", $number, ", `", $text, "`.")] $name,)*
        }

        impl From<ErrorCode> for ErrorKind {
            fn from(code: ErrorCode) -> Self {
                match code {
                    $(ErrorCode::$name => Self::$name,)*
                    _ => Self::Server,
                }
            }
        }
    };
}

for_each_v2_error!(define_kinds);

impl Error {
    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the request may have taken effect. After [`Outcome::Unknown`] it may do so later, too:
    /// a leader that was cut off proposes what it was asked for when it comes back.
    pub fn outcome(&self) -> Outcome {
        self.0.story.outcome
    }

    /// Whether the same request may well succeed a little later: the failure is one of connections, of
    /// time or of the cluster's state rather than of the request. For a write look at
    /// [`outcome`](Self::outcome), too.
    pub fn is_temporary(&self) -> bool {
        match self.kind() {
            ErrorKind::Connect
            | ErrorKind::Timeout
            | ErrorKind::Disconnected
            | ErrorKind::Server
            | ErrorKind::LeaderElect => true,
            ErrorKind::RaftInternal => !super::refusal::is_directory_bug(&self.0.cause),
            _ => false,
        }
    }

    /// etcd's number of the error, such as 100, where the server named one.
    pub fn error_code(&self) -> Option<u32> {
        self.0.code
    }

    /// The status of the HTTP answer, where there was one.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The server's text, or the client's own words where no server answered.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What the error is about, as etcd says it: for [`KeyNotFound`](ErrorKind::KeyNotFound) the first
    /// component that is missing, for [`CompareFailed`](ErrorKind::CompareFailed) what was compared.
    pub fn cause_text(&self) -> Option<&str> {
        (!self.0.cause.is_empty()).then_some(self.0.cause.as_str())
    }

    /// The index of the store when it refused; `None` if it was not asked.
    pub fn index(&self) -> Option<u64> {
        self.0.index
    }

    /// The operation that failed, such as `set`.
    pub fn operation(&self) -> Option<&str> {
        self.0.story.operation
    }

    /// The endpoint of the last attempt.
    pub fn endpoint(&self) -> Option<&str> {
        self.0.story.endpoint.as_deref()
    }

    /// How many times the request was handed to a connection; 0 if never.
    pub fn attempts(&self) -> u32 {
        self.0.story.attempts
    }

    /// The time from the call to its failure; `None` where no call was under way.
    pub fn elapsed(&self) -> Option<Duration> {
        self.0.story.elapsed
    }

    /// What to do about the failure, where there is a general answer.
    pub fn hint(&self) -> Option<&'static str> {
        hint(self)
    }

    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            story: Story::default(),
            status: None,
            code: None,
            message: message.into(),
            cause: String::new(),
            index: None,
            source: None,
        }))
    }

    /// A request that is refused before it is sent.
    pub(crate) fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidRequest, message)
    }

    /// A configuration that cannot work.
    pub(crate) fn invalid_config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidConfig, message)
    }

    /// The same about settings that both clients have.
    pub(super) fn of_config(error: crate::Error) -> Self {
        Self::new(ErrorKind::InvalidConfig, error.message()).with_source(error)
    }

    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    pub(crate) fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.0.story.outcome = outcome;
        self
    }

    pub(crate) fn with_endpoint(mut self, endpoint: Arc<str>) -> Self {
        self.0.story.endpoint = Some(endpoint);
        self
    }

    pub(crate) fn with_operation(mut self, operation: &'static str) -> Self {
        self.0.story.operation = Some(operation);
        self
    }

    pub(super) fn with_story(mut self, attempts: u32, elapsed: Duration) -> Self {
        self.0.story.attempts = attempts;
        self.0.story.elapsed = Some(elapsed);
        self
    }

    pub(super) fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
    }

    /// What `/v2/keys` says besides.
    pub(super) fn with_code(mut self, code: u32, cause: String, index: u64) -> Self {
        self.0.code = Some(code);
        self.0.cause = cause;
        // What is refused before the store is asked has index 0, which no store ever has.
        self.0.index = (index != 0).then_some(index);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            story,
            message,
            cause,
            ..
        } = &*self.0;
        match cause.is_empty() {
            true => story.tell(f, message),
            false => story.tell(f, &format_args!("{message} ({cause})")),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            kind,
            story,
            status,
            code,
            message,
            cause,
            index,
            source,
        } = &*self.0;
        f.debug_struct("Error")
            .field("kind", kind)
            .field("outcome", &story.outcome)
            .field("status", status)
            .field("error_code", code)
            .field("operation", &story.operation)
            .field("message", message)
            .field("cause", cause)
            .field("index", index)
            .field("endpoint", &story.endpoint)
            .field("attempts", &story.attempts)
            .field("elapsed", &story.elapsed)
            .field("source", source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

impl observe::Told for Error {
    fn kind(&self) -> impl fmt::Debug {
        Self::kind(self)
    }

    fn endpoint(&self) -> Option<&str> {
        Self::endpoint(self)
    }
}

/// Advice that holds for every failure of a kind.
fn hint(error: &Error) -> Option<&'static str> {
    Some(match error.kind() {
        ErrorKind::Connect => "check that an etcd server listens on the endpoints",
        ErrorKind::Tls => {
            "check the endpoint's scheme, the CA file and that the certificate names the host"
        }
        ErrorKind::Timeout => "check the server's load and health, or raise the request timeout",
        ErrorKind::Protocol => "check that the endpoint is etcd's client URL",
        ErrorKind::NotServed => {
            "start the server with --enable-v2 (etcd 3.4 and 3.5; later ones have no v2 API), or use \
             the v3 client"
        }
        ErrorKind::TooManyRedirects | ErrorKind::BadRedirect => {
            "check the client URLs that the members advertise, and proxies in front of them"
        }
        ErrorKind::Unauthorized => {
            "give the client a user, and the user a role that allows this; whoever names none has the \
             role guest"
        }
        ErrorKind::RootIsReadOnly => "name a key below the root",
        ErrorKind::DirectoryNotEmpty => "delete the directory recursively, with all that is in it",
        ErrorKind::EventIndexCleared => {
            "the history holds a thousand events: read what there is now, and watch from the index after \
             that of the answer"
        }
        ErrorKind::RaftInternal if super::refusal::is_directory_bug(&error.0.cause) => {
            "etcd 3.5 cannot change a directory's time to live (3.4 can); create the directory anew"
        }
        ErrorKind::RaftInternal => {
            "restore the cluster's quorum; read before writing again, since the write may land later"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_kind() {
        for code in ErrorCode::ALL {
            assert_ne!(ErrorKind::from(*code), ErrorKind::Server, "{code:?}");
        }
    }

    #[test]
    fn an_error_tells_its_story() {
        let error = Error::new(ErrorKind::KeyNotFound, "Key not found")
            .with_code(100, "/a".to_owned(), 7)
            .with_operation("get")
            .with_endpoint("http://a:2379".into())
            .with_story(1, Duration::from_millis(3));
        assert_eq!(
            error.to_string(),
            "get on http://a:2379: Key not found (/a) (1 attempt in 3.0ms, not applied)"
        );
        assert_eq!((error.cause_text(), error.index()), (Some("/a"), Some(7)));
    }
}
