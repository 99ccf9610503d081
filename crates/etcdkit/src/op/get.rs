//! Get: read one key.

use std::{future::IntoFuture, time::Duration};

use bytes::Bytes;
use http::uri::PathAndQuery;
use prost::Message;

use super::range::RangeMessage;
use crate::{Blob, Call, Client, KeyRange, KeyValue, Revision, exec::Method};

static METHOD: Method = Method {
    name: "get",
    path: PathAndQuery::from_static("/etcdserverpb.KV/Range"),
};

impl Client {
    /// Reads one key: `None` if it does not exist.
    ///
    /// Awaiting the result sends the request; see [`Get`] for its options and errors. To learn the
    /// store's revision as well, read the key with [`range`](Self::range).
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// client.put("greeting", "hello").await?;
    ///
    /// let kv = client.get("greeting").await?.expect("it was just written");
    /// assert_eq!(kv.value_str()?, "hello");
    /// assert_eq!(client.get("no such key").await?, None);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn get<'a>(&'a self, key: impl Into<Blob<'a>>) -> Get<'a> {
        Get {
            client: self,
            message: RangeMessage::for_client(self, KeyRange::key(key)),
            timeout: None,
        }
    }
}

/// A read of one key that has not been sent yet: made by [`Client::get`], sent when awaited.
///
/// # Errors
///
/// Before sending: [`EmptyKey`](crate::ErrorKind::EmptyKey), and
/// [`InvalidRequest`](crate::ErrorKind::InvalidRequest) for a negative revision. From the server,
/// among others: [`Compacted`](crate::ErrorKind::Compacted) and
/// [`FutureRevision`](crate::ErrorKind::FutureRevision) with a [revision](Self::revision).
///
/// Reads are sent again, to another endpoint if there is one, until they succeed or time is up.
#[derive(Debug)]
#[must_use = "a get is sent when awaited"]
pub struct Get<'a> {
    client: &'a Client,
    message: RangeMessage<'a>,
    timeout: Option<Duration>,
}

impl Get<'_> {
    /// Reads the key as it was at a revision; 0 (the default) is the newest.
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

    /// Leaves the value out.
    pub fn keys_only(mut self) -> Self {
        self.message.keys_only = true;
        self
    }

    /// Limits the time for the whole call; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for Get<'_> {
    type Output = crate::Result<Option<KeyValue>>;
    type IntoFuture = Call<Option<KeyValue>>;

    fn into_future(self) -> Call<Option<KeyValue>> {
        self.message
            .call(self.client, &METHOD, self.timeout, decode)
    }
}

/// A `RangeResponse` of which only the pairs are of interest, of which there is one at most: the
/// generated message would allocate room for several.
#[derive(Clone, PartialEq, prost::Message)]
struct Reply {
    #[prost(message, optional, tag = "2")]
    kv: Option<etcdkit_proto::mvccpb::KeyValue>,
}

fn decode(reply: Bytes) -> Result<Option<KeyValue>, prost::DecodeError> {
    Ok(Reply::decode(reply)?.kv.map(KeyValue::from))
}
