//! One stream of watches.

use std::time::Duration;

use etcdkit_proto::etcdserverpb::{
    WatchCancelRequest, WatchCreateRequest, WatchProgressRequest, WatchRequest, WatchResponse,
    watch_client::WatchClient, watch_request::RequestUnion,
};
use futures_util::stream;
use tokio::{sync::mpsc, task::JoinSet, time::timeout};
use tonic::{Status, metadata::AsciiMetadataValue, transport::Channel};

use super::calls::with_token;

/// How long a server may take for what it has to do. Generous: it only bounds how long a wrong one
/// holds up a test.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// What arrives: messages, and at last how the stream ended.
pub(super) type Received = Result<WatchResponse, Status>;

/// A stream that is read as fast as the server sends. Dropping it cancels the call.
#[derive(Debug)]
pub(super) struct Pipe {
    requests: mpsc::UnboundedSender<WatchRequest>,
    received: mpsc::UnboundedReceiver<Received>,
    _reader: JoinSet<()>,
}

impl Pipe {
    pub(super) fn open(channel: &Channel, token: Option<AsciiMetadataValue>) -> Self {
        let (requests, to_send) = mpsc::unbounded_channel();
        let (sender, received) = mpsc::unbounded_channel();
        let mut reader = JoinSet::new();
        reader.spawn(read(channel.clone(), token, to_send, sender));
        Self {
            requests,
            received,
            _reader: reader,
        }
    }

    pub(super) fn create(&self, request: WatchCreateRequest) {
        self.send(RequestUnion::CreateRequest(request));
    }

    pub(super) fn cancel(&self, watch_id: i64) {
        self.send(RequestUnion::CancelRequest(WatchCancelRequest { watch_id }));
    }

    pub(super) fn ask_progress(&self) {
        self.send(RequestUnion::ProgressRequest(WatchProgressRequest {}));
    }

    fn send(&self, request: RequestUnion) {
        // If the stream has ended, what comes next says so.
        let _ = self.requests.send(WatchRequest {
            request_union: Some(request),
        });
    }

    /// The next message, or how the stream ended, which is said again and again.
    pub(super) async fn next(&mut self) -> Result<Received, String> {
        match self.next_within(PATIENCE).await {
            Some(received) => Ok(received),
            None => Err(format!("nothing arrived for {} s", PATIENCE.as_secs())),
        }
    }

    /// The same, unless it takes too long.
    pub(super) async fn next_within(&mut self, time: Duration) -> Option<Received> {
        match timeout(time, self.received.recv()).await {
            Ok(Some(received)) => Some(received),
            Ok(None) => Some(Err(Status::unknown("the stream has ended"))),
            Err(_) => None,
        }
    }
}

async fn read(
    channel: Channel,
    token: Option<AsciiMetadataValue>,
    to_send: mpsc::UnboundedReceiver<WatchRequest>,
    received: mpsc::UnboundedSender<Received>,
) {
    let requests = stream::unfold(to_send, async |mut to_send| {
        Some((to_send.recv().await?, to_send))
    });
    let mut client = WatchClient::new(channel).max_decoding_message_size(usize::MAX);
    // A stream without a first message has no answer yet, not even a header.
    let ended = match client.watch(with_token(requests, token)).await {
        Ok(response) => {
            let mut responses = response.into_inner();
            loop {
                match responses.message().await {
                    Ok(Some(response)) => {
                        if received.send(Ok(response)).is_err() {
                            return;
                        }
                    }
                    Ok(None) => break Status::ok("the stream has ended"),
                    Err(status) => break status,
                }
            }
        }
        Err(status) => status,
    };
    // Nobody who listens any more is no error.
    let _ = received.send(Err(ended));
}
