//! Compact: forget old revisions.

use std::{future::IntoFuture, time::Duration};

use bytes::Bytes;
use etcdkit_proto::etcdserverpb as pb;
use http::uri::PathAndQuery;
use prost::Message;

use crate::{
    Call, Client, Header, Revision,
    exec::{Method, Request},
    policy::Class,
    wire::Frame,
};

static METHOD: Method = Method {
    name: "compact",
    path: PathAndQuery::from_static("/etcdserverpb.KV/Compact"),
};

impl Client {
    /// Forgets all revisions below the given one, except each key's newest. Reads and watches from
    /// below then fail with [`Compacted`](crate::ErrorKind::Compacted).
    ///
    /// Awaiting the result sends the request; see [`Compact`] for its options and errors.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// use etcdkit::ErrorKind;
    ///
    /// let old = client.put("key", "1").await?.header.revision;
    /// let new = client.put("key", "2").await?.header.revision;
    /// client.compact(new).physical().await?;
    ///
    /// let error = client.get("key").revision(old).await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Compacted);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn compact(&self, revision: Revision) -> Compact<'_> {
        Compact {
            client: self,
            message: pb::CompactionRequest {
                revision,
                physical: false,
            },
            timeout: None,
        }
    }
}

/// A compaction that has not been sent yet: made by [`Client::compact`], sent when awaited.
///
/// # Errors
///
/// From the server: [`Compacted`](crate::ErrorKind::Compacted) if the store has been compacted at
/// this revision or above it, or if it is 0 or less, and
/// [`FutureRevision`](crate::ErrorKind::FutureRevision) if the store has not reached it.
///
/// A compaction is sent again on its own only when the first attempt certainly had no effect.
#[derive(Debug)]
#[must_use = "a compaction is sent when awaited"]
pub struct Compact<'a> {
    client: &'a Client,
    message: pb::CompactionRequest,
    timeout: Option<Duration>,
}

impl Compact<'_> {
    /// Waits until the old revisions are removed from the backend of the member that answers, not
    /// only out of reach. This can take long on large stores; see [`timeout`](Self::timeout).
    pub fn physical(mut self) -> Self {
        self.message.physical = true;
        self
    }

    /// Limits the time for the whole call; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for Compact<'_> {
    type Output = crate::Result<CompactResponse>;
    type IntoFuture = Call<CompactResponse>;

    fn into_future(self) -> Call<CompactResponse> {
        let request = Request {
            method: &METHOD,
            frame: Frame::of(&self.message),
            class: Class::Write,
            timeout: self.timeout,
            only: None,
        };
        Call::new(&self.client.core, request, CompactResponse::decode)
    }
}

/// The answer to a [compaction](Client::compact).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompactResponse {
    /// The answer's header.
    pub header: Header,
}

impl CompactResponse {
    fn decode(reply: Bytes) -> Result<Self, prost::DecodeError> {
        Ok(Self {
            header: pb::CompactionResponse::decode(reply)?.header.into(),
        })
    }
}
