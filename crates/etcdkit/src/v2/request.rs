//! One request of the v2 API, ready to be sent any number of times.

use std::{
    fmt,
    time::{Duration, Instant},
};

use bytes::Bytes;
use etcdkit_proto::json;
use http::{HeaderValue, Method};
use serde::Serialize;

use super::form::Form;
use crate::{RetryPolicy, policy::Class, transport::endpoint::Endpoint};

/// What to ask, and how.
#[derive(Clone)]
pub(crate) struct Request {
    /// The operation's name in errors and traces, such as `set`.
    pub(crate) operation: &'static str,
    pub(crate) method: Method,
    /// The encoded path, as `path::of_key` makes it.
    pub(crate) path: String,
    pub(crate) query: Form,
    pub(crate) body: Body,
    pub(crate) class: Class,
    /// The caller's limit for the whole call; `None` takes the client's.
    pub(crate) timeout: Option<Duration>,
    pub(crate) deadline: Option<Instant>,
    /// The caller's policy for this call; `None` takes the client's.
    pub(crate) retry: Option<RetryPolicy>,
    /// The one endpoint to ask. If it is none of the client's, it is not told who asks.
    pub(crate) only: Option<Endpoint>,
    /// Whether an answer of any status is an answer, not an error.
    pub(crate) any_status: bool,
    /// Whether to give up as soon as all endpoints have failed, instead of trying them again.
    pub(crate) hasty: bool,
}

/// What is sent besides the path and query.
#[derive(Clone, Debug, Default)]
pub(crate) enum Body {
    #[default]
    None,
    Form(Form),
    /// Not shown to anybody: it may hold a password.
    Json(Bytes),
}

impl Request {
    pub(crate) fn new(
        operation: &'static str,
        method: Method,
        path: impl Into<String>,
        class: Class,
    ) -> Self {
        // Without a form the server would ignore what the query does not say, and without its content
        // type the form.
        let body = match method {
            Method::PUT | Method::POST => Body::Form(Form::default()),
            _ => Body::None,
        };
        Self {
            operation,
            method,
            path: path.into(),
            query: Form::default(),
            body,
            class,
            timeout: None,
            deadline: None,
            retry: None,
            only: None,
            any_status: false,
            hasty: false,
        }
    }

    /// A request that reads, repeated on whatever endpoint until its time is up.
    pub(crate) fn get(operation: &'static str, path: impl Into<String>) -> Self {
        Self::new(operation, Method::GET, path, Class::Read)
    }

    /// A request that writes, repeated only if it certainly had no effect.
    pub(crate) fn put(operation: &'static str, path: impl Into<String>) -> Self {
        Self::new(operation, Method::PUT, path, Class::Write)
    }

    /// As [`put`](Self::put).
    pub(crate) fn post(operation: &'static str, path: impl Into<String>) -> Self {
        Self::new(operation, Method::POST, path, Class::Write)
    }

    /// As [`put`](Self::put). Its parameters go into the query: servers ignore a form here.
    pub(crate) fn delete(operation: &'static str, path: impl Into<String>) -> Self {
        Self::new(operation, Method::DELETE, path, Class::Write)
    }

    /// Sets a parameter of the query.
    pub(crate) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.set(name, value);
        self
    }

    /// Sets a parameter where the method has them: in the form of PUT and POST, else in the query.
    pub(crate) fn set(mut self, name: &'static str, value: impl Into<String>) -> Self {
        match &mut self.body {
            Body::Form(form) => form.set(name, value),
            _ => self.query.set(name, value),
        }
        self
    }

    /// Sends JSON instead of a form.
    pub(crate) fn json(mut self, value: &impl Serialize) -> Self {
        let mut text = Vec::new();
        // Our own messages have nothing that JSON could not write.
        if json::to_writer(&mut text, value).is_ok() {
            self.body = Body::Json(text.into());
        }
        self
    }

    pub(super) fn path_and_query(&self) -> String {
        match self.query.is_empty() {
            true => self.path.clone(),
            false => format!("{}?{}", self.path, self.query.encoded()),
        }
    }
}

impl Body {
    pub(super) fn bytes(&self) -> Bytes {
        match self {
            Self::None => Bytes::new(),
            Self::Form(form) => form.encoded().into(),
            Self::Json(text) => text.clone(),
        }
    }

    pub(super) fn content_type(&self) -> Option<HeaderValue> {
        match self {
            Self::None => None,
            Self::Form(_) => Some(HeaderValue::from_static(
                "application/x-www-form-urlencoded",
            )),
            Self::Json(_) => Some(HeaderValue::from_static("application/json")),
        }
    }

    /// What may be shown of it.
    pub(super) fn redacted(&self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Form(form) => (!form.is_empty()).then(|| form.redacted()),
            Self::Json(_) => Some("(JSON)".to_owned()),
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("operation", &self.operation)
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
