//! Telling a program of each HTTP request.

use std::{fmt, sync::Arc, time::Duration};

use super::{Header, request::Request};
use crate::observe;

/// One HTTP request and what came of it, for [`ClientBuilder::on_exchange`](super::ClientBuilder::on_exchange).
///
/// It holds no secrets: neither who asked, nor values of keys, nor what is sent to manage users.
/// Displayed, it is one line such as `PUT http://127.0.0.1:2379/v2/keys/a value=...&ttl=5: 201 in 1.2ms`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Exchange {
    /// The operation that the request was part of, such as `set`.
    pub operation: &'static str,
    /// Such as `PUT`.
    pub method: String,
    /// The whole URL, with `...` for a value to compare with.
    pub url: String,
    /// The form, with `...` for values; `(JSON)` for anything else that is sent.
    pub body: Option<String>,
    /// Which attempt of the operation it was, from 1 on.
    pub attempt: u32,
    /// Whether a server sent the request on to here.
    pub redirected: bool,
    /// The status of the answer; `None` without one.
    pub status: Option<u16>,
    /// Why there is no answer.
    pub error: Option<String>,
    /// What the answer's headers say of the store.
    pub header: Header,
    /// From sending the request to the head of its answer, or until it failed.
    pub elapsed: Duration,
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.url)?;
        if let Some(body) = &self.body {
            write!(f, " {body}")?;
        }
        match (&self.status, &self.error) {
            (Some(status), _) => write!(f, ": {status}")?,
            (None, Some(error)) => write!(f, ": {error}")?,
            (None, None) => write!(f, ": given up")?,
        }
        write!(f, " in {:.1?}", self.elapsed)
    }
}

/// What the program wants to be done with each.
pub(super) type Listener = Arc<dyn Fn(&Exchange) + Send + Sync>;

/// Which request is told of.
pub(super) struct Telling<'a> {
    pub(super) request: &'a Request,
    /// The endpoint and path, whose query may be another than the request's after a redirect.
    pub(super) endpoint: &'a str,
    pub(super) path: &'a str,
    pub(super) attempt: u32,
    pub(super) redirected: bool,
}

impl Telling<'_> {
    pub(super) fn tell(
        &self,
        listener: Option<&Listener>,
        result: Result<(u16, Header), &dyn fmt::Display>,
        elapsed: Duration,
    ) {
        let request = self.request;
        let mut url = format!("{}{}", self.endpoint, self.path);
        if !request.query.is_empty() {
            url.push('?');
            url.push_str(&request.query.redacted());
        }
        let error = result.as_ref().err().map(ToString::to_string);
        let status = result.as_ref().ok().map(|(status, _)| *status);
        let told = match (status, &error) {
            (Some(status), _) => Ok(status),
            (None, error) => Err(error.as_deref().unwrap_or_default()),
        };
        observe::exchange(request.method.as_str(), &url, told, elapsed);
        if let Some(listener) = listener {
            listener(&Exchange {
                operation: request.operation,
                method: request.method.to_string(),
                url,
                body: request.body.redacted(),
                attempt: self.attempt,
                redirected: self.redirected,
                status,
                error,
                header: result.map(|(_, header)| header).unwrap_or_default(),
                elapsed,
            });
        }
    }
}
