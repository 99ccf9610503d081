//! Delete: remove the keys of a range.

use std::{future::IntoFuture, time::Duration};

use bytes::Bytes;
use etcdkit_proto::etcdserverpb as pb;
use http::uri::PathAndQuery;
use prost::Message;

use crate::{
    Call, Client, Error, Header, KeyRange, KeyValue,
    exec::{Method, Request},
    policy::Class,
    types::Invalid,
    wire::{Encode, Frame, Sink},
    wrap::namespace::{Foreign, Leave, Namespace},
};

static METHOD: Method = Method {
    name: "delete",
    path: PathAndQuery::from_static("/etcdserverpb.KV/DeleteRange"),
};

impl Client {
    /// Deletes the keys of a range, all in one revision.
    ///
    /// Awaiting the result sends the request; see [`Delete`] for its options and errors. Deleting
    /// what does not exist is no error.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// use etcdkit::KeyRange;
    ///
    /// client.put("jobs/1", "new").await?;
    /// client.put("jobs/2", "done").await?;
    /// let done = client.delete("jobs/2").prev_kv().await?;
    /// assert_eq!(done.prev_kvs[0].value, "done");
    /// assert_eq!(client.delete(KeyRange::prefix("jobs/")).await?.deleted, 1);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn delete<'a>(&'a self, keys: impl Into<KeyRange<'a>>) -> Delete<'a> {
        Delete {
            client: self,
            message: DeleteMessage {
                keys: keys.into(),
                prev_kv: false,
            },
            timeout: None,
        }
    }
}

/// A delete that has not been sent yet: made by [`Client::delete`], sent when awaited.
///
/// # Errors
///
/// Before sending: [`EmptyKey`](crate::ErrorKind::EmptyKey), and
/// [`InvalidRequest`](crate::ErrorKind::InvalidRequest) for a reversed range.
///
/// A delete is sent again on its own only when the first attempt certainly had no effect.
#[derive(Debug)]
#[must_use = "a delete is sent when awaited"]
pub struct Delete<'a> {
    client: &'a Client,
    message: DeleteMessage<'a>,
    timeout: Option<Duration>,
}

impl Delete<'_> {
    /// Asks for the pairs that are deleted.
    pub fn prev_kv(mut self) -> Self {
        self.message.prev_kv = true;
        self
    }

    /// Limits the time for the whole call; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for Delete<'_> {
    type Output = crate::Result<DeleteResponse>;
    type IntoFuture = Call<DeleteResponse>;

    fn into_future(self) -> Call<DeleteResponse> {
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
        Call::new(&self.client.core, request, DeleteResponse::decode).within(&self.client.namespace)
    }
}

/// The answer to a [delete](Client::delete).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeleteResponse {
    /// The answer's header; its revision is that of the delete, or the store's if nothing was
    /// deleted.
    pub header: Header,
    /// How many keys were deleted.
    pub deleted: i64,
    /// The pairs that were deleted, if [asked for](Delete::prev_kv).
    pub prev_kvs: Vec<KeyValue>,
}

impl DeleteResponse {
    fn decode(reply: Bytes) -> Result<Self, prost::DecodeError> {
        Ok(pb::DeleteRangeResponse::decode(reply)?.into())
    }
}

impl From<pb::DeleteRangeResponse> for DeleteResponse {
    fn from(response: pb::DeleteRangeResponse) -> Self {
        Self {
            header: response.header.into(),
            deleted: response.deleted,
            prev_kvs: response.prev_kvs.into_iter().map(KeyValue::from).collect(),
        }
    }
}

impl Leave for DeleteResponse {
    fn leave(&mut self, namespace: &Namespace) -> Result<(), Foreign> {
        self.prev_kvs.leave(namespace)
    }
}

/// The wire's `DeleteRangeRequest`, on borrowed bytes.
#[derive(Clone, Debug)]
pub(super) struct DeleteMessage<'a> {
    pub(super) keys: KeyRange<'a>,
    pub(super) prev_kv: bool,
}

impl DeleteMessage<'_> {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        self.keys.check()
    }
}

impl Encode for DeleteMessage<'_> {
    fn encode(&self, namespace: &Namespace, sink: &mut impl Sink) {
        sink.bytes_field(1, namespace.key(self.keys.start()));
        sink.bytes_field(2, namespace.range_end(&self.keys));
        sink.bool_field(3, self.prev_kv);
    }
}

impl From<DeleteMessage<'_>> for pb::DeleteRangeRequest {
    fn from(message: DeleteMessage<'_>) -> Self {
        let (key, range_end) = message.keys.into_wire();
        Self {
            key,
            range_end,
            prev_kv: message.prev_kv,
        }
    }
}
