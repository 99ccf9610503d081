//! A range read as one stream of chunks, which servers offer since etcd 3.7.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use etcdkit_proto::etcdserverpb as pb;
use http::uri::PathAndQuery;
use prost::Message;
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};
use tracing::Instrument;

use crate::{
    Client, Error, ErrorKind, KeyValue,
    exec::{Broken, Method, Replies, Request},
    op::range::RangeMessage,
    policy::Class,
    wire::Frame,
    wrap::namespace::{Leave, Namespace},
};

static METHOD: Method = Method {
    name: "scan",
    path: PathAndQuery::from_static("/etcdserverpb.KV/RangeStream"),
};

/// How long a chunk may wait for the consumer before the stream is given up. Unread chunks take
/// from the window that all calls on the connection share, and a revision that is pinned can be
/// taken up again at any key.
const PATIENCE: Duration = Duration::from_secs(1);

/// What becomes of a stream.
pub(super) enum Chunk {
    Pairs(Vec<KeyValue>),
    /// It was not to be had, or broke: the range has to be continued in another way.
    Broken(Broken),
    End,
}

/// A stream under way, cancelled when dropped.
#[derive(Debug)]
pub(super) struct Chunks {
    chunks: mpsc::Receiver<Chunk>,
    task: JoinHandle<()>,
}

impl Chunks {
    pub(super) fn open(
        client: &Client,
        query: &RangeMessage<'_>,
        within: Option<Duration>,
    ) -> Self {
        let request = Request {
            method: &METHOD,
            frame: Frame::build(query, &client.namespace),
            class: match query.serializable {
                true => Class::Local,
                false => Class::Read,
            },
            timeout: within,
            only: None,
        };
        let (sender, chunks) = mpsc::channel(1);
        let task = tokio::spawn(forward(client.clone(), request, sender).in_current_span());
        Self { chunks, task }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Chunk> {
        self.chunks.poll_recv(cx).map(|chunk| {
            // The task ends by sending an end, unless it lost patience.
            chunk.unwrap_or_else(|| {
                Chunk::Broken(Broken {
                    error: Error::new(ErrorKind::Disconnected, "the stream was given up"),
                    passing: true,
                })
            })
        })
    }
}

impl Drop for Chunks {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward(client: Client, request: Request, sender: mpsc::Sender<Chunk>) {
    let mut replies = match Replies::open(&client.core, request).await {
        Ok(replies) => replies,
        Err(error) => {
            let broken = Broken {
                error,
                passing: true,
            };
            let _ = sender.send(Chunk::Broken(broken)).await;
            return;
        }
    };
    loop {
        let chunk = match replies.next().await {
            Ok(Some(reply)) => decode(reply, &client.namespace),
            Ok(None) => Chunk::End,
            Err(broken) => Chunk::Broken(broken),
        };
        match (timeout(PATIENCE, sender.reserve()).await, chunk) {
            (Ok(Ok(place)), Chunk::Pairs(pairs)) => place.send(Chunk::Pairs(pairs)),
            (Ok(Ok(place)), last) => return place.send(last),
            // Dropped, or too slow.
            _ => return,
        }
    }
}

fn decode(reply: bytes::Bytes, namespace: &Namespace) -> Chunk {
    let message = match pb::RangeStreamResponse::decode(reply) {
        Ok(message) => message,
        Err(error) => {
            let what = format!("not etcd's answer: {error}");
            return unusable(Error::new(ErrorKind::Protocol, what).with_source(error));
        }
    };
    let pairs = message.range_response.unwrap_or_default().kvs;
    let mut pairs: Vec<_> = pairs.into_iter().map(KeyValue::from).collect();
    match pairs.leave(namespace) {
        Ok(()) => Chunk::Pairs(pairs),
        Err(foreign) => {
            let what = format!("the server sent {foreign}");
            unusable(Error::new(ErrorKind::Protocol, what))
        }
    }
}

fn unusable(error: Error) -> Chunk {
    Chunk::Broken(Broken {
        error: error.with_operation(METHOD.name),
        passing: false,
    })
}
