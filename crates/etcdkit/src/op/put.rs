//! Put: write one key.

use std::{future::IntoFuture, time::Duration};

use bytes::Bytes;
use etcdkit_proto::{EtcdError, etcdserverpb as pb};
use http::uri::PathAndQuery;
use prost::Message;

use crate::{
    Blob, Call, Client, Error, Header, KeyValue, LeaseId,
    exec::{Method, Request},
    policy::Class,
    types::Invalid,
    wire::{Encode, Frame, Sink},
    wrap::namespace::{Foreign, Leave, Namespace},
};

static METHOD: Method = Method {
    name: "put",
    path: PathAndQuery::from_static("/etcdserverpb.KV/Put"),
};

impl Client {
    /// Writes a value under a key, and creates the key if it does not exist.
    ///
    /// Awaiting the result sends the request; see [`Put`] for its options and errors.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// client.put("greeting", "hello").await?;
    ///
    /// let replaced = client.put("greeting", "good day").prev_kv().await?.prev_kv;
    /// assert_eq!(replaced.map(|kv| kv.value), Some("hello".into()));
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn put<'a>(&'a self, key: impl Into<Blob<'a>>, value: impl Into<Blob<'a>>) -> Put<'a> {
        Put {
            client: self,
            message: PutMessage {
                key: key.into(),
                value: value.into(),
                lease: LeaseId(0),
                prev_kv: false,
                ignore_value: false,
                ignore_lease: false,
            },
            timeout: None,
        }
    }
}

/// A put that has not been sent yet: made by [`Client::put`], sent when awaited.
///
/// # Errors
///
/// Before sending: [`EmptyKey`](crate::ErrorKind::EmptyKey),
/// [`ValueProvided`](crate::ErrorKind::ValueProvided) and
/// [`LeaseProvided`](crate::ErrorKind::LeaseProvided). From the server, among others:
/// [`LeaseNotFound`](crate::ErrorKind::LeaseNotFound),
/// [`KeyNotFound`](crate::ErrorKind::KeyNotFound) (only with `ignore_value` or `ignore_lease`),
/// [`RequestTooLarge`](crate::ErrorKind::RequestTooLarge), [`NoSpace`](crate::ErrorKind::NoSpace).
///
/// A put is sent again on its own only when the first attempt certainly had no effect.
#[derive(Debug)]
#[must_use = "a put is sent when awaited"]
pub struct Put<'a> {
    client: &'a Client,
    message: PutMessage<'a>,
    timeout: Option<Duration>,
}

impl Put<'_> {
    /// Attaches the key to a lease: it is deleted when the lease expires or is revoked. Without
    /// this, the put detaches the key from the lease it had.
    pub fn lease(mut self, lease: impl Into<LeaseId>) -> Self {
        self.message.lease = lease.into();
        self
    }

    /// Asks for the pair that is replaced.
    pub fn prev_kv(mut self) -> Self {
        self.message.prev_kv = true;
        self
    }

    /// Keeps the value the key has, to change only its lease. The key must exist and the value
    /// given must be empty.
    pub fn ignore_value(mut self) -> Self {
        self.message.ignore_value = true;
        self
    }

    /// Keeps the lease the key has, to change only its value. The key must exist and no lease may
    /// be given.
    pub fn ignore_lease(mut self) -> Self {
        self.message.ignore_lease = true;
        self
    }

    /// Limits the time for the whole call; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for Put<'_> {
    type Output = crate::Result<PutResponse>;
    type IntoFuture = Call<PutResponse>;

    fn into_future(self) -> Call<PutResponse> {
        if let Err(invalid) = self.message.check() {
            return Call::failed(Error::from(invalid).with_operation(METHOD.name));
        }
        let request = Request {
            method: &METHOD,
            frame: Frame::build(&self.message, &self.client.namespace),
            class: Class::Write,
            timeout: self.timeout,
            only: None,
        };
        Call::new(&self.client.core, request, PutResponse::decode).within(&self.client.namespace)
    }
}

/// The answer to a [put](Client::put).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PutResponse {
    /// The answer's header; its revision is that of the put.
    pub header: Header,
    /// The pair that was replaced, if [asked for](Put::prev_kv) and if there was one.
    pub prev_kv: Option<KeyValue>,
}

impl PutResponse {
    fn decode(reply: Bytes) -> Result<Self, prost::DecodeError> {
        Ok(pb::PutResponse::decode(reply)?.into())
    }
}

impl From<pb::PutResponse> for PutResponse {
    fn from(response: pb::PutResponse) -> Self {
        Self {
            header: response.header.into(),
            prev_kv: response.prev_kv.map(KeyValue::from),
        }
    }
}

impl Leave for PutResponse {
    fn leave(&mut self, namespace: &Namespace) -> Result<(), Foreign> {
        self.prev_kv.leave(namespace)
    }
}

/// The wire's `PutRequest`, on borrowed bytes.
#[derive(Clone, Debug)]
pub(super) struct PutMessage<'a> {
    pub(super) key: Blob<'a>,
    pub(super) value: Blob<'a>,
    pub(super) lease: LeaseId,
    pub(super) prev_kv: bool,
    pub(super) ignore_value: bool,
    pub(super) ignore_lease: bool,
}

impl PutMessage<'_> {
    /// What the server would refuse, in its words.
    pub(super) fn check(&self) -> Result<(), Invalid> {
        if self.key.as_slice().is_empty() {
            return Err(EtcdError::EmptyKey.into());
        }
        if self.ignore_value && !self.value.as_slice().is_empty() {
            return Err(EtcdError::ValueProvided.into());
        }
        if self.ignore_lease && self.lease != LeaseId(0) {
            return Err(EtcdError::LeaseProvided.into());
        }
        Ok(())
    }
}

impl Encode for PutMessage<'_> {
    fn encode(&self, namespace: &Namespace, sink: &mut impl Sink) {
        sink.bytes_field(1, namespace.key(self.key.as_slice()));
        sink.bytes_field(2, self.value.as_slice());
        sink.int_field(3, self.lease.0);
        sink.bool_field(4, self.prev_kv);
        sink.bool_field(5, self.ignore_value);
        sink.bool_field(6, self.ignore_lease);
    }
}

impl From<PutMessage<'_>> for pb::PutRequest {
    fn from(message: PutMessage<'_>) -> Self {
        Self {
            key: message.key.into_bytes(),
            value: message.value.into_bytes(),
            lease: message.lease.0,
            prev_kv: message.prev_kv,
            ignore_value: message.ignore_value,
            ignore_lease: message.ignore_lease,
        }
    }
}
