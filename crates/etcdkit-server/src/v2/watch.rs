//! Requests that wait for what happens to keys.

use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use etcdkit_proto::v2::{Event, KeysError};
use etcdkit_store::v2::{Next, Path, WatchId, WatchOptions};
use futures_util::stream;
use http::{Response, Version};

use super::Call;
use super::answer::{self, Indexes};
use super::keys::failed;
use super::parameters::Parameters;
use crate::body::Body;
use crate::connection::Line;
use crate::node::Node;

/// Begins a watch. The headers go at once, and the body is one event, or every one with `stream`.
pub(super) fn open(
    call: &Call<'_>,
    path: &Path,
    parameters: &Parameters,
) -> Result<Response<Body>, KeysError> {
    let options = WatchOptions {
        recursive: parameters.recursive,
        stream: parameters.stream,
        since: parameters.wait_index,
    };
    let node = call.node();
    let (watch, index) = node
        .applier
        .watching(|store, hub| {
            let tree = store.v2();
            let watch = tree.watch(&mut hub.v2, path, options);
            (watch, tree.published_index())
        })
        .map_err(failed)?;
    let watching = Watching {
        line: Arc::clone(call.line),
        watch: Watch::new(&call.line.node, watch?),
        can_be_cut: call.parts.version <= Version::HTTP_11,
    };
    let events = stream::unfold(watching, async |watching| {
        let event = watching.next().await?;
        Some((Bytes::from(answer::encode_line(&event)), watching))
    });
    let response = answer::streamed(Body::pieces(events));
    Ok(answer::with_indexes(response, Indexes::of(node, index)))
}

/// A watch that a client is told of, which ends with its connection.
struct Watching {
    line: Arc<Line>,
    watch: Watch,
    can_be_cut: bool,
}

impl Watching {
    /// The next event; `None` when there will be none.
    async fn next(&self) -> Option<Event> {
        let mut stopping = self.line.node.stopping.clone();
        tokio::select! {
            next = self.watch.next() => return next,
            // An error means that the server is gone.
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
        self.stopped().await
    }

    /// Lets the client know that nothing has happened: the body of a member that stops does not come to its end.
    async fn stopped(&self) -> Option<Event> {
        if self.can_be_cut {
            self.line.cut();
            return pending().await;
        }
        None
    }
}

/// An open watch of a key or directory.
pub(super) struct Watch {
    node: Arc<Node>,
    id: WatchId,
}

impl Watch {
    /// One that the node's hub has just opened.
    pub(super) fn new(node: &Arc<Node>, id: WatchId) -> Self {
        Self {
            node: Arc::clone(node),
            id,
        }
    }

    /// The next event; `None` when there will be none.
    pub(super) async fn next(&self) -> Option<Event> {
        poll_fn(|cx| {
            let applier = &self.node.applier;
            match applier.watching(|_, hub| hub.next_v2(self.id, cx.waker())) {
                Ok(Next::Event(event)) => Poll::Ready(Some(*event)),
                Ok(Next::Idle) => Poll::Pending,
                Ok(Next::End) | Err(_) => Poll::Ready(None),
            }
        })
        .await
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Fails only for an engine that nobody can use any more.
        let _ = self.node.applier.watching(|_, hub| hub.close_v2(self.id));
    }
}
