//! Range: read the keys of a range.

use std::{future::IntoFuture, time::Duration};

use bytes::Bytes;
use etcdkit_proto::etcdserverpb as pb;
use http::uri::PathAndQuery;
use prost::Message;

use crate::{
    Call, Client, Error, Header, KeyRange, KeyValue, Revision, SortOrder, SortTarget,
    exec::{Method, Request},
    policy::Class,
    types::Invalid,
    wire::{Encode, Frame, Sink},
    wrap::namespace::{Foreign, Leave, Namespace},
};

static METHOD: Method = Method {
    name: "range",
    path: PathAndQuery::from_static("/etcdserverpb.KV/Range"),
};

impl Client {
    /// Reads the keys of a range, in one answer.
    ///
    /// Awaiting the result sends the request; see [`Range`] for its options and errors. The server
    /// sets no limit on the size of an answer: read large or unknown amounts with
    /// [`scan`](Self::scan), or with a [`limit`](Range::limit).
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// use etcdkit::{KeyRange, SortOrder, SortTarget};
    ///
    /// for key in ["jobs/1", "jobs/2", "jobs/3", "users/1"] {
    ///     client.put(key, "new").await?;
    /// }
    /// let page = client.range(KeyRange::prefix("jobs/")).limit(2).await?;
    /// assert_eq!((page.kvs.len(), page.more, page.count), (2, true, 3));
    ///
    /// let newest = client
    ///     .range(..)
    ///     .sort_by(SortTarget::CreateRevision, SortOrder::Descending)
    ///     .limit(1)
    ///     .await?;
    /// assert_eq!(newest.kvs[0].key, "users/1");
    ///
    /// assert_eq!(client.range("jobs/2"..).count_only().await?.count, 3);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn range<'a>(&'a self, keys: impl Into<KeyRange<'a>>) -> Range<'a> {
        Range {
            client: self,
            message: RangeMessage::for_client(self, keys.into()),
            timeout: None,
        }
    }
}

/// A range read that has not been sent yet: made by [`Client::range`], sent when awaited.
///
/// # Errors
///
/// Before sending: [`EmptyKey`](crate::ErrorKind::EmptyKey), and
/// [`InvalidRequest`](crate::ErrorKind::InvalidRequest) for a reversed range or a negative option.
/// From the server, among others: [`Compacted`](crate::ErrorKind::Compacted) and
/// [`FutureRevision`](crate::ErrorKind::FutureRevision) with a [revision](Self::revision).
///
/// Reads are sent again, to another endpoint if there is one, until they succeed or time is up.
#[derive(Debug)]
#[must_use = "a range is sent when awaited"]
pub struct Range<'a> {
    client: &'a Client,
    message: RangeMessage<'a>,
    timeout: Option<Duration>,
}

impl Range<'_> {
    /// Asks for at most this many pairs; 0 (the default) for all. The answer's
    /// [`more`](RangeResponse::more) says whether some were left out.
    pub fn limit(mut self, limit: i64) -> Self {
        self.message.limit = limit;
        self
    }

    /// Reads the store as it was at a revision; 0 (the default) is the newest.
    pub fn revision(mut self, revision: Revision) -> Self {
        self.message.revision = revision;
        self
    }

    /// Reads what the member that answers has, without asking the others whether it is the newest:
    /// faster, possible without a leader and on learners, but maybe stale. Reads are linearizable
    /// otherwise.
    pub fn serializable(mut self) -> Self {
        self.message.serializable = true;
        self
    }

    /// Reads what the cluster agrees on. The default, unless the client reads
    /// [serializably by default](crate::ClientBuilder::serializable_by_default).
    pub fn linearizable(mut self) -> Self {
        self.message.serializable = false;
        self
    }

    /// Leaves the values out.
    pub fn keys_only(mut self) -> Self {
        self.message.keys_only = true;
        self
    }

    /// Asks only for the number of keys, which comes as [`count`](RangeResponse::count).
    pub fn count_only(mut self) -> Self {
        self.message.count_only = true;
        self
    }

    /// Sorts the whole range before [`limit`](Self::limit) cuts it; by key and ascending otherwise.
    pub fn sort_by(mut self, target: SortTarget, order: SortOrder) -> Self {
        self.message.sort = Some((target, order));
        self
    }

    /// Leaves out keys last changed before this revision; 0 (the default) keeps all.
    ///
    /// Filters of revisions do not change the answer's [`count`](RangeResponse::count).
    pub fn min_mod_revision(mut self, revision: Revision) -> Self {
        self.message.min_mod_revision = revision;
        self
    }

    /// Leaves out keys last changed after this revision; 0 (the default) keeps all.
    pub fn max_mod_revision(mut self, revision: Revision) -> Self {
        self.message.max_mod_revision = revision;
        self
    }

    /// Leaves out keys created before this revision; 0 (the default) keeps all.
    pub fn min_create_revision(mut self, revision: Revision) -> Self {
        self.message.min_create_revision = revision;
        self
    }

    /// Leaves out keys created after this revision; 0 (the default) keeps all.
    pub fn max_create_revision(mut self, revision: Revision) -> Self {
        self.message.max_create_revision = revision;
        self
    }

    /// Limits the time for the whole call; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for Range<'_> {
    type Output = crate::Result<RangeResponse>;
    type IntoFuture = Call<RangeResponse>;

    fn into_future(self) -> Call<RangeResponse> {
        self.message
            .call(self.client, &METHOD, self.timeout, RangeResponse::decode)
    }
}

/// The answer to a [range read](Client::range).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RangeResponse {
    /// The answer's header; its revision is the newest of the store, whatever revision was read.
    pub header: Header,
    /// The pairs found.
    pub kvs: Vec<KeyValue>,
    /// Whether the [limit](Range::limit) left pairs out.
    pub more: bool,
    /// How many keys the range holds, whatever limit and filters left out.
    pub count: i64,
}

impl RangeResponse {
    pub(super) fn decode(reply: Bytes) -> Result<Self, prost::DecodeError> {
        Ok(pb::RangeResponse::decode(reply)?.into())
    }
}

impl From<pb::RangeResponse> for RangeResponse {
    fn from(response: pb::RangeResponse) -> Self {
        Self {
            header: response.header.into(),
            kvs: response.kvs.into_iter().map(KeyValue::from).collect(),
            more: response.more,
            count: response.count,
        }
    }
}

impl Leave for RangeResponse {
    fn leave(&mut self, namespace: &Namespace) -> Result<(), Foreign> {
        self.kvs.leave(namespace)
    }
}

/// The wire's `RangeRequest`, on borrowed bytes.
#[derive(Clone, Debug)]
pub(super) struct RangeMessage<'a> {
    pub(super) keys: KeyRange<'a>,
    pub(super) limit: i64,
    pub(super) revision: Revision,
    pub(super) sort: Option<(SortTarget, SortOrder)>,
    pub(super) serializable: bool,
    pub(super) keys_only: bool,
    pub(super) count_only: bool,
    pub(super) min_mod_revision: Revision,
    pub(super) max_mod_revision: Revision,
    pub(super) min_create_revision: Revision,
    pub(super) max_create_revision: Revision,
}

impl<'a> RangeMessage<'a> {
    pub(super) const fn new(keys: KeyRange<'a>) -> Self {
        Self {
            keys,
            limit: 0,
            revision: 0,
            sort: None,
            serializable: false,
            keys_only: false,
            count_only: false,
            min_mod_revision: 0,
            max_mod_revision: 0,
            min_create_revision: 0,
            max_create_revision: 0,
        }
    }

    /// With what the client's reads have by default.
    pub(super) fn for_client(client: &Client, keys: KeyRange<'a>) -> Self {
        Self {
            serializable: client.core.config.serializable,
            ..Self::new(keys)
        }
    }

    pub(super) fn check(&self) -> Result<(), Invalid> {
        self.keys.check()?;
        let numbers = [
            ("limit", self.limit),
            ("revision", self.revision),
            ("min_mod_revision", self.min_mod_revision),
            ("max_mod_revision", self.max_mod_revision),
            ("min_create_revision", self.min_create_revision),
            ("max_create_revision", self.max_create_revision),
        ];
        // etcd reads a negative limit or revision as none, and a negative filter as one that
        // nothing passes.
        match numbers.into_iter().find(|(_, number)| *number < 0) {
            None => Ok(()),
            Some((option, number)) => Err(Invalid::Misuse(format!(
                "{option} is {number}; give a number above 0, or 0 for none"
            ))),
        }
    }

    /// Sends the message, or fails if it is wrong.
    pub(super) fn call<T: Leave>(
        &self,
        client: &Client,
        method: &'static Method,
        timeout: Option<Duration>,
        decode: crate::exec::Decode<T>,
    ) -> Call<T> {
        if let Err(invalid) = self.check() {
            return Call::failed(Error::from(invalid).with_operation(method.name));
        }
        let request = Request {
            method,
            frame: Frame::build(self, &client.namespace),
            class: if self.serializable {
                Class::Local
            } else {
                Class::Read
            },
            timeout,
            only: None,
        };
        Call::new(&client.core, request, decode).within(&client.namespace)
    }

    /// The numbers of order and target on the wire. Keys come in ascending order anyway, so that
    /// order is left out, as etcd's own client does: servers take the slow path for any other.
    fn wire_sort(&self) -> (i64, i64) {
        match self.sort {
            None | Some((SortTarget::Key, SortOrder::Ascending)) => (0, 0),
            Some((target, order)) => (
                match order {
                    SortOrder::Ascending => 1,
                    SortOrder::Descending => 2,
                },
                match target {
                    SortTarget::Key => 0,
                    SortTarget::Version => 1,
                    SortTarget::CreateRevision => 2,
                    SortTarget::ModRevision => 3,
                    SortTarget::Value => 4,
                },
            ),
        }
    }
}

impl Encode for RangeMessage<'_> {
    fn encode(&self, namespace: &Namespace, sink: &mut impl Sink) {
        let (order, target) = self.wire_sort();
        sink.bytes_field(1, namespace.key(self.keys.start()));
        sink.bytes_field(2, namespace.range_end(&self.keys));
        sink.int_field(3, self.limit);
        sink.int_field(4, self.revision);
        sink.int_field(5, order);
        sink.int_field(6, target);
        sink.bool_field(7, self.serializable);
        sink.bool_field(8, self.keys_only);
        sink.bool_field(9, self.count_only);
        sink.int_field(10, self.min_mod_revision);
        sink.int_field(11, self.max_mod_revision);
        sink.int_field(12, self.min_create_revision);
        sink.int_field(13, self.max_create_revision);
    }
}

impl From<RangeMessage<'_>> for pb::RangeRequest {
    fn from(message: RangeMessage<'_>) -> Self {
        let (order, target) = message.wire_sort();
        let (key, range_end) = message.keys.into_wire();
        Self {
            key,
            range_end,
            limit: message.limit,
            revision: message.revision,
            sort_order: order as i32,
            sort_target: target as i32,
            serializable: message.serializable,
            keys_only: message.keys_only,
            count_only: message.count_only,
            min_mod_revision: message.min_mod_revision,
            max_mod_revision: message.max_mod_revision,
            min_create_revision: message.min_create_revision,
            max_create_revision: message.max_create_revision,
        }
    }
}
