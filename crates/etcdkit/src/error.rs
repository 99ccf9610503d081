//! What can go wrong, and what is known about it afterwards.

mod kind;
mod story;

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use etcdkit_proto::{Code as WireCode, EtcdError};

pub use self::kind::ErrorKind;
pub(crate) use self::story::Story;
use crate::policy::is_passing;

/// What every fallible call of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed, with everything that is known about the failure.
///
/// An error tells what failed ([`kind`](Self::kind)), whether the request may have taken effect
/// ([`outcome`](Self::outcome)), on which endpoint ([`endpoint`](Self::endpoint)), after how many
/// attempts ([`attempts`](Self::attempts)) and, where there is something to do about it, what
/// ([`hint`](Self::hint)). [`source`](StdError::source) leads down the chain of causes. An error
/// never contains keys' values, passwords or tokens.
///
/// # Examples
///
/// ```
/// # tokio_test_block_on(async {
/// use etcdkit::{Client, ErrorKind, Outcome};
///
/// let client = Client::builder().endpoint("http://127.0.0.1:1").connect_lazy()?;
/// let error = client
///     .put("key", "value")
///     .timeout(std::time::Duration::from_millis(200))
///     .await
///     .unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Connect);
/// assert_eq!(error.outcome(), Outcome::NotApplied);
/// # Ok::<(), etcdkit::Error>(())
/// # });
/// # fn tokio_test_block_on(f: impl Future<Output = etcdkit::Result<()>>) {
/// #     tokio::runtime::Runtime::new().unwrap().block_on(f).unwrap()
/// # }
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    story: Story,
    code: Option<WireCode>,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// Whether a failed request may have taken effect on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The request certainly had no effect: it was never sent, or the server refused it.
    NotApplied,
    /// The request may or may not have had its effect, now or within the next seconds. Read before
    /// writing again, or make the write conditional (a transaction that compares revisions).
    Unknown,
}

/// A gRPC status code, as the server sent it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code(WireCode);

impl Code {
    /// The number on the wire, 0 to 16.
    pub fn number(self) -> u8 {
        self.0 as u8
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error {
    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the request may have taken effect.
    pub fn outcome(&self) -> Outcome {
        self.0.story.outcome
    }

    /// Whether the same request may well succeed a little later: the failure is one of connections, of
    /// time or of the cluster's state rather than of the request. For a write look at
    /// [`outcome`](Self::outcome), too.
    pub fn is_temporary(&self) -> bool {
        match self.kind() {
            ErrorKind::Connect | ErrorKind::Timeout | ErrorKind::Disconnected => true,
            kind => self.0.code.is_some_and(|code| is_passing(kind, code)),
        }
    }

    /// The status code, when the server answered.
    pub fn code(&self) -> Option<Code> {
        self.0.code.map(Code)
    }

    /// The server's text, or the client's own words where no server answered.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The operation that failed, such as `put`.
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
        self.kind().hint()
    }

    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            story: Story::default(),
            code: None,
            message: message.into(),
            source: None,
        }))
    }

    pub(crate) fn wire_code(&self) -> Option<WireCode> {
        self.0.code
    }

    /// A request that is refused before it is sent.
    pub(crate) fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidRequest, message)
    }

    /// A configuration that cannot work.
    pub(crate) fn invalid_config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidConfig, message)
    }

    /// The same error of a configuration, found in the named place.
    pub(crate) fn in_config(mut self, place: &str) -> Self {
        self.0.message = format!("{place}: {}", self.0.message);
        self
    }

    /// A request of a client that was closed.
    pub(crate) fn closed() -> Self {
        Self::new(ErrorKind::Closed, "the client was closed")
    }

    /// An etcd error found by the client itself, before sending.
    pub(crate) fn etcd(error: EtcdError) -> Self {
        let mut this = Self::new(error.into(), error.text());
        this.0.code = Some(error.code());
        this
    }

    /// The server's status.
    pub(crate) fn status(code: WireCode, message: String) -> Self {
        let kind = match EtcdError::from_text(&message) {
            Some(error) => error.into(),
            None if code == WireCode::Unimplemented => ErrorKind::Unimplemented,
            None => ErrorKind::Server,
        };
        let mut this = Self::new(kind, message);
        this.0.code = Some(code);
        this
    }

    /// The same failure for one of those that it concerns.
    pub(crate) fn caused_by(shared: &Arc<Self>) -> Self {
        let mut this = Self::new(shared.kind(), shared.message());
        this.0.code = shared.0.code;
        this.0.story.endpoint.clone_from(&shared.0.story.endpoint);
        this.with_source(Shared(Arc::clone(shared)))
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

    /// Adds to the message how far the operation had come.
    pub(crate) fn with_progress(mut self, progress: impl fmt::Display) -> Self {
        self.0.message = format!("{}; {progress}", self.0.message);
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

    pub(crate) fn with_story(mut self, attempts: u32, elapsed: Duration) -> Self {
        self.0.story.attempts = attempts;
        self.0.story.elapsed = Some(elapsed);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.story.tell(f, &self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            kind,
            story,
            code,
            message,
            source,
        } = &*self.0;
        f.debug_struct("Error")
            .field("kind", kind)
            .field("outcome", &story.outcome)
            .field("code", code)
            .field("operation", &story.operation)
            .field("message", message)
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

/// A failure that concerns many.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Shared(Arc<Error>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_pointer() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn every_text_of_the_server_has_its_kind() {
        for error in EtcdError::ALL {
            let status = Error::status(error.wire_code(), error.text().to_owned());
            assert_eq!(status.kind(), ErrorKind::from(*error));
            assert_ne!(status.kind(), ErrorKind::Server, "{error}");
        }
    }

    #[test]
    fn unknown_texts_are_known_by_their_code_only() {
        let error = Error::status(WireCode::Unavailable, "etcdserver: something new".into());
        assert_eq!(error.kind(), ErrorKind::Server);
        assert_eq!(error.code().map(Code::number), Some(14));
        let error = Error::status(WireCode::Unimplemented, "unknown method X".into());
        assert_eq!(error.kind(), ErrorKind::Unimplemented);
    }

    #[test]
    fn an_error_tells_its_story() {
        let error = Error::status(WireCode::Unavailable, "etcdserver: no leader".into())
            .with_operation("put")
            .with_endpoint("http://127.0.0.1:2379".into())
            .with_story(2, Duration::from_millis(1500));
        assert_eq!(
            error.to_string(),
            "put on http://127.0.0.1:2379: etcdserver: no leader (2 attempts in 1.5s, not applied)"
        );
        let error = Error::new(ErrorKind::Connect, "no endpoint")
            .with_operation("get")
            .with_story(0, Duration::from_millis(300));
        assert_eq!(
            error.to_string(),
            "get: no endpoint (not sent within 300.0ms, not applied)"
        );
    }
}
