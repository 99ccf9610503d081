//! The parts of one long read.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use etcdkit_proto::etcdserverpb::{RangeRequest, RangeResponse, RangeStreamResponse};
use prost::Message;

use crate::grpc::Status;
use crate::node::Node;

/// How many keys etcd 3.7 puts into the first part.
const FIRST_PART_KEYS: i64 = 10;

/// Reads the keys of a request part by part, all at one revision.
///
/// A part is read when the peer has room for it, so that neither a slow peer nor a long range keeps
/// others waiting. A compaction in between that overtakes the revision ends the stream with its error, as in etcd.
pub(crate) struct RangeStream {
    node: Arc<Node>,
    /// The rest of the request; `None` once the last part was made.
    rest: Option<RangeRequest>,
    /// How many keys may still be sent; the caller's limit.
    left: i64,
    part_keys: i64,
    first: Option<First>,
}

/// What the first part decided for the whole stream.
#[derive(Clone, Copy)]
struct First {
    revision: i64,
    count: i64,
}

impl RangeStream {
    /// The request has been checked, and neither sorts nor filters.
    pub(crate) fn new(node: Arc<Node>, request: RangeRequest) -> Self {
        let left = if request.limit > 0 {
            request.limit
        } else {
            i64::MAX
        };
        Self {
            node,
            rest: Some(request),
            left,
            part_keys: FIRST_PART_KEYS,
            first: None,
        }
    }

    fn part(&mut self, mut request: RangeRequest) -> Result<RangeResponse, Status> {
        request.limit = self.part_keys.min(self.left);
        let mut response = self.node.applier.read(|store| match self.first {
            None => store.range(&request),
            Some(_) => store.range_uncounted(&request),
        })?;
        self.left -= response.kvs.len() as i64;

        let revision = response.header.as_ref().map_or(0, |header| header.revision);
        let first = *self.first.get_or_insert(First {
            revision,
            count: response.count,
        });
        match response.kvs.last() {
            Some(last) if response.more && self.left > 0 => {
                self.part_keys = next_part_keys(
                    self.part_keys,
                    response.encoded_len(),
                    self.node.limits.max_request_bytes,
                );
                request.key = just_after(&last.key);
                if request.revision <= 0 {
                    request.revision = first.revision;
                }
                self.rest = Some(request);
                response = RangeResponse {
                    kvs: response.kvs,
                    ..Default::default()
                };
            }
            _ => {
                response.count = first.count;
                response.header = Some(self.node.header(first.revision));
            }
        }
        Ok(response)
    }
}

impl Iterator for RangeStream {
    type Item = Result<RangeStreamResponse, Status>;

    fn next(&mut self) -> Option<Self::Item> {
        let request = self.rest.take()?;
        Some(self.part(request).map(|response| RangeStreamResponse {
            range_response: Some(response),
        }))
    }
}

/// Aims at parts of about `target` bytes, and leaves sizes within a factor of two alone.
fn next_part_keys(keys: i64, bytes: usize, target: usize) -> i64 {
    if bytes < target / 2 {
        keys.saturating_mul(2)
    } else if bytes / 2 > target {
        (keys / 2).max(1)
    } else {
        keys
    }
}

/// The smallest key above `key`.
fn just_after(key: &[u8]) -> Bytes {
    let mut next = BytesMut::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.put_u8(0);
    next.freeze()
}
