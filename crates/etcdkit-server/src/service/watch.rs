//! `etcdserverpb.Watch`.
//!
//! Nothing is pushed: a stream is polled when the peer has room for more, and only then the next
//! response is made. What a peer does not take stays in the engine's log.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use etcdkit_proto::EtcdError;
use etcdkit_proto::etcdserverpb::watch_request::RequestUnion;
use etcdkit_proto::etcdserverpb::{WatchCreateRequest, WatchRequest, WatchResponse};
use etcdkit_store::{Next, Store, StreamId};
use futures_core::Stream;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::gate::Credentials;
use crate::grpc::{Requests, Status, UntilStopped};
use crate::node::Node;

/// How many answers may wait for a peer before its requests are no longer read.
const WAITING_ANSWERS: usize = 1_024;

/// How many steps without a response are made before other tasks get their turn.
const STEPS: usize = 16;

/// Serves the watches of one stream. It lives on when the peer ends its side, as in etcd: watches
/// are ended by cancelling them, or the call.
pub(crate) fn watch(
    node: Arc<Node>,
    credentials: Credentials,
    requests: Requests<WatchRequest>,
) -> impl Stream<Item = Result<WatchResponse, Status>> + Send + 'static {
    WatchStream {
        progress: progress_interval(node.limits.watch_progress_notify_interval),
        node,
        credentials,
        first: None,
        requests: Some(requests),
        stream: None,
    }
}

/// The responses of a single watch that the server itself makes, until the server stops.
pub(super) fn events(
    node: &Arc<Node>,
    credentials: Credentials,
    request: WatchCreateRequest,
) -> impl Stream<Item = Result<WatchResponse, Status>> + Send + use<> {
    let responses = WatchStream {
        progress: progress_interval(node.limits.watch_progress_notify_interval),
        node: Arc::clone(node),
        credentials,
        first: Some(request),
        requests: None,
        stream: None,
    };
    UntilStopped::new(responses, node.stopping.clone())
}

/// Ticks at the interval and up to a tenth more, so that streams opened together do not all send
/// at once.
fn progress_interval(interval: Duration) -> Interval {
    let interval = interval.mul_f64(1.0 + fastrand::f64() / 10.0);
    let mut ticks = interval_at(Instant::now() + interval, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

struct WatchStream {
    node: Arc<Node>,
    credentials: Credentials,
    /// A watch to start with.
    first: Option<WatchCreateRequest>,
    /// `None` when the peer has ended its side.
    requests: Option<Requests<WatchRequest>>,
    /// Opened with the first request.
    stream: Option<StreamId>,
    progress: Interval,
}

impl Stream for WatchStream {
    type Item = Result<WatchResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        Poll::Ready(match ready!(this.poll_response(cx)) {
            Ok(mut response) => {
                this.node.metrics.events.add(response.events.len());
                this.node.sign(&mut response.header);
                Some(Ok(response))
            }
            Err(status) => Some(Err(status)),
        })
    }
}

impl WatchStream {
    fn poll_response(&mut self, cx: &mut Context<'_>) -> Poll<Result<WatchResponse, Status>> {
        self.take_requests(cx)?;
        let Some(stream) = self.stream else {
            return Poll::Pending;
        };
        let applier = &self.node.applier;
        while self.progress.poll_tick(cx).is_ready() {
            applier.watching(|store, hub| hub.watchers.notify_progress(store, stream))?;
        }
        let max_bytes = self.node.limits.max_message_bytes();
        for _ in 0..STEPS {
            let next = applier.watching(|store, hub| {
                let next = hub.watchers.next(store, stream, max_bytes);
                if next == Next::Idle {
                    hub.wait(stream, cx.waker());
                }
                next
            })?;
            match next {
                Next::Response(response) => return Poll::Ready(Ok(response)),
                Next::Idle => return Poll::Pending,
                Next::Working => {}
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Handles the requests that have arrived, as long as the peer takes the answers.
    fn take_requests(&mut self, cx: &mut Context<'_>) -> Result<(), Status> {
        if let Some(first) = self.first.take() {
            self.handle(WatchRequest {
                request_union: Some(RequestUnion::CreateRequest(first)),
            })?;
        }
        while let Some(requests) = &mut self.requests {
            if let Some(stream) = self.stream {
                let waiting = self
                    .node
                    .applier
                    .watching(|_, hub| hub.watchers.ready(stream))?;
                if waiting >= WAITING_ANSWERS {
                    return Ok(());
                }
            }
            match requests.poll_next(cx)? {
                Poll::Ready(Some(request)) => self.handle(request)?,
                Poll::Ready(None) => self.requests = None,
                Poll::Pending => return Ok(()),
            }
        }
        Ok(())
    }

    fn handle(&mut self, request: WatchRequest) -> Result<(), Status> {
        let stream = match self.stream {
            Some(stream) => stream,
            None => {
                let opened = self.node.applier.watching(|_, hub| hub.watchers.open())?;
                *self.stream.insert(opened)
            }
        };
        match request.request_union {
            Some(RequestUnion::CreateRequest(request)) => self.create(stream, request),
            Some(RequestUnion::CancelRequest(request)) => self
                .node
                .applier
                .watching(|store, hub| hub.watchers.cancel(store, stream, request.watch_id)),
            Some(RequestUnion::ProgressRequest(_)) => self
                .node
                .applier
                .watching(|_, hub| hub.watchers.ask_progress(stream)),
            // etcd ignores what it does not know.
            None => Ok(()),
        }
    }

    fn create(&self, stream: StreamId, request: WatchCreateRequest) -> Result<(), Status> {
        self.node.applier.watching(|store, hub| {
            // The engine refuses a negative start, before anybody asks who wants it.
            let permitted = if request.start_revision < 0 {
                Ok(())
            } else {
                self.check_read(store, &request)
            };
            match permitted {
                Ok(()) => hub.watchers.create(store, stream, request),
                Err(error) => hub.watchers.refuse(store, stream, reason(error)),
            }
        })
    }

    /// A watch needs read permission on its keys when it is created, and is not asked again.
    fn check_read(&self, store: &Store, request: &WatchCreateRequest) -> Result<(), EtcdError> {
        let key: &[u8] = match request.key.as_ref() {
            [] => &[0],
            key => key,
        };
        let caller = self.node.caller(store, &self.credentials)?;
        store.auth().check_read(&caller, key, &request.range_end)
    }
}

/// etcd passes refusals on in the words of Go's gRPC.
fn reason(error: EtcdError) -> String {
    format!(
        "rpc error: code = {:?} desc = {}",
        error.code(),
        error.text()
    )
}

impl Drop for WatchStream {
    fn drop(&mut self) {
        if let Some(stream) = self.stream
            && let Err(status) = self.node.applier.watching(|_, hub| hub.close(stream))
        {
            tracing::debug!(?status, "a watch stream could not be closed");
        }
    }
}
