//! The requests of the administration: all alike but for their messages.

use std::{fmt, future::IntoFuture, time::Duration};

use bytes::Bytes;
use etcdkit_proto::etcdserverpb as pb;
use http::uri::PathAndQuery;
use prost::Message;

use crate::{
    Call, Client, Header, Result,
    exec::{Decode, Method, Request},
    policy::Class,
    wire::Frame,
};

/// A request of the administration of users and roles, made by [`Auth`](super::Auth) and the handles
/// that it gives. Sent when awaited.
///
/// # Errors
///
/// Once authentication is on, all of these need the role `root`:
/// [`PermissionDenied`](crate::ErrorKind::PermissionDenied) otherwise, and
/// [`UserEmpty`](crate::ErrorKind::UserEmpty) for a client without a user. Requests that change
/// something are sent again on their own only when they certainly had no effect yet.
#[must_use = "the request is sent when awaited"]
pub struct AuthRequest<'a, T> {
    client: &'a Client,
    request: Result<Request>,
    decode: Decode<T>,
}

impl<'a, T> AuthRequest<'a, T> {
    pub(super) fn new(
        client: &'a Client,
        method: &'static Method,
        class: Class,
        message: &impl Message,
        decode: Decode<T>,
    ) -> Self {
        let request = Request {
            method,
            frame: Frame::of(message),
            class,
            timeout: None,
            only: None,
        };
        Self {
            client,
            request: Ok(request),
            decode,
        }
    }

    /// The request, or the error that it fails with before it is sent.
    pub(super) fn checked(mut self, check: Result<()>) -> Self {
        if let (Ok(request), Err(error)) = (&self.request, check) {
            self.request = Err(error.with_operation(request.method.name));
        }
        self
    }

    /// Limits the time for the whole call; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        if let Ok(request) = &mut self.request {
            request.timeout = Some(timeout);
        }
        self
    }
}

impl<T> IntoFuture for AuthRequest<'_, T> {
    type Output = Result<T>;
    type IntoFuture = Call<T>;

    fn into_future(self) -> Call<T> {
        match self.request {
            Ok(request) => Call::new(&self.client.core, request, self.decode),
            Err(error) => Call::failed(error),
        }
    }
}

impl<T> fmt::Debug for AuthRequest<'_, T> {
    /// Names the operation only: others may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operation = self
            .request
            .as_ref()
            .ok()
            .map(|request| request.method.name);
        f.debug_struct("AuthRequest")
            .field("operation", &operation)
            .finish_non_exhaustive()
    }
}

/// The answer to a change of users, roles or authentication.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthResponse {
    /// The answer's header. Such changes do not touch the store's revision.
    pub header: Header,
}

impl AuthResponse {
    /// The messages of these answers differ by name only: each is a header and nothing else.
    pub(super) fn decode(reply: Bytes) -> Result<Self, prost::DecodeError> {
        let header = pb::AuthEnableResponse::decode(reply)?.header.into();
        Ok(Self { header })
    }
}

pub(super) const fn method(name: &'static str, path: &'static str) -> Method {
    Method {
        name,
        path: PathAndQuery::from_static(path),
    }
}
