//! The task that carries out what the keeper decides, on one stream for all leases of a client.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use http::uri::PathAndQuery;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{hub::Hub, keeper::Act, revoke::revoke};
use crate::{
    Error, ErrorKind, LeaseId,
    client::Core,
    exec::{Broken, Duplex, Method},
    policy::Class,
    transport::{connection::Connection, pick::Tried},
    wire::{PREFIX, Sink},
};

pub(super) static METHOD: Method = Method {
    name: "lease keepalive",
    path: PathAndQuery::from_static("/etcdserverpb.Lease/LeaseKeepAlive"),
};

/// Where there is nothing to wait for, the task looks again after this time all the same.
const ROUND: Duration = Duration::from_secs(3600);

/// How many dropped leases are revoked at a time.
const REVOKED_AT_ONCE: usize = 16;

/// The task of a client that has leases. It ends some time after the last of them is gone.
pub(super) struct KeepAlive {
    core: Arc<Core>,
    stream: Stream,
    /// Endpoints whose streams have failed since a renewal was last answered.
    tried: Tried,
    /// The connection whose stream was given up last, if nothing was answered since.
    silent: Option<Arc<Connection>>,
    ended: bool,
}

enum Stream {
    Closed,
    Opening(Pin<Box<dyn Future<Output = Opened> + Send>>),
    Open(Box<Duplex>),
}

type Opened = Result<Box<Duplex>, Broken>;

enum Event {
    Opened(Opened),
    Message(Result<Bytes, Broken>),
}

impl Stream {
    /// What happens next on the stream; never ready while it is closed. Nothing is lost when this is
    /// dropped unfinished.
    async fn event(&mut self) -> Event {
        match self {
            Self::Closed => std::future::pending().await,
            Self::Opening(opening) => Event::Opened(opening.await),
            Self::Open(stream) => Event::Message(stream.next().await),
        }
    }
}

impl KeepAlive {
    pub(super) fn new(core: &Arc<Core>) -> Self {
        Self {
            core: Arc::clone(core),
            stream: Stream::Closed,
            tried: Tried::default(),
            silent: None,
            ended: false,
        }
    }

    pub(super) async fn run(mut self) {
        let core = Arc::clone(&self.core);
        let (timer, closed) = (sleep_until(Instant::now()), core.closed());
        tokio::pin!(timer, closed);
        loop {
            let todo = core.leases.turn();
            match todo.act {
                Some(Act::Open) => self.open(),
                Some(Act::Abandon) => self.abandon(),
                Some(Act::End) => {
                    self.ended = true;
                    return;
                }
                None => {}
            }
            if let (Stream::Open(stream), false) = (&mut self.stream, todo.renew.is_empty()) {
                stream.send(encode(&todo.renew));
            }
            let wake = todo.wake.unwrap_or_else(|| Instant::now() + ROUND);
            if timer.deadline() != wake {
                timer.as_mut().reset(wake);
            }
            tokio::select! {
                // Answers count before the clock does.
                biased;
                event = self.stream.event() => self.happened(event),
                () = &mut closed => return,
                () = core.leases.news.notified() => {}
                () = &mut timer => {}
            }
        }
    }

    fn open(&mut self) {
        let (core, tried) = (Arc::clone(&self.core), self.tried);
        self.stream = Stream::Opening(Box::pin(async move {
            let stream = Duplex::open(&core, &METHOD, Class::Read, tried).await?;
            Ok(Box::new(stream))
        }));
    }

    fn abandon(&mut self) {
        let Stream::Open(stream) = std::mem::replace(&mut self.stream, Stream::Closed) else {
            return;
        };
        let connection = Arc::clone(stream.connection());
        drop(stream);
        connection.pulse.missed();
        let last = self.silent.replace(Arc::clone(&connection));
        if last.is_some_and(|last| Arc::ptr_eq(&last, &connection)) {
            // A lease may not live long enough for pings to find out that the connection is dead.
            self.core.streams.retire(&connection);
        }
        let error = Error::new(ErrorKind::Timeout, "renewals were not answered")
            .with_endpoint(Arc::clone(&connection.endpoint.text))
            .with_operation(METHOD.name);
        self.core.leases.abandoned(error);
        self.avoid(&connection);
    }

    fn happened(&mut self, event: Event) {
        let broken = match event {
            Event::Opened(Ok(stream)) => {
                self.stream = Stream::Open(stream);
                return self.core.leases.opened();
            }
            Event::Message(Ok(message)) => match self.answered(message) {
                Ok(()) => return,
                Err(error) => Broken {
                    error: Error::new(ErrorKind::Protocol, "an answer that is no renewal")
                        .with_source(error)
                        .with_operation(METHOD.name),
                    passing: false,
                },
            },
            Event::Opened(Err(broken)) | Event::Message(Err(broken)) => broken,
        };
        if let Stream::Open(stream) = std::mem::replace(&mut self.stream, Stream::Closed) {
            self.avoid(&Arc::clone(stream.connection()));
        }
        self.core.leases.broke(broken);
    }

    /// Takes an answer, and the others that are there already.
    fn answered(&mut self, message: Bytes) -> Result<(), prost::DecodeError> {
        self.tried = Tried::default();
        self.silent = None;
        let mut message = Some(message);
        while let Some(answer) = message {
            self.core.leases.answered(answer)?;
            message = match &mut self.stream {
                Stream::Open(stream) => stream.ready(),
                Stream::Closed | Stream::Opening(_) => None,
            };
        }
        Ok(())
    }

    /// Takes other endpoints next, as long as there are some.
    fn avoid(&mut self, connection: &Connection) {
        self.tried.insert(connection.place);
        if !self.core.streams.has_other(self.tried) {
            self.tried = Tried::default();
            self.tried.insert(connection.place);
        }
    }
}

impl Drop for KeepAlive {
    fn drop(&mut self) {
        if !self.ended {
            self.core.leases.stopped();
        }
    }
}

/// One request after the other, each with its frame.
fn encode(leases: &[LeaseId]) -> Bytes {
    /// Prefix, field and the longest number.
    const MOST: usize = PREFIX + 11;
    let mut bytes = BytesMut::with_capacity(leases.len() * MOST);
    for lease in leases {
        let start = bytes.len();
        bytes.put_bytes(0, PREFIX);
        bytes.int_field(1, lease.0);
        let length = (bytes.len() - start - PREFIX) as u8;
        if let Some(last) = bytes.get_mut(start + PREFIX - 1) {
            *last = length;
        }
    }
    bytes.freeze()
}

/// The task that revokes the leases of dropped handles.
pub(super) struct Revoker(pub(super) Arc<Core>);

impl Revoker {
    pub(super) async fn run(self) {
        let hub: &Hub = &self.0.leases;
        let mut under_way = JoinSet::new();
        loop {
            while under_way.len() < REVOKED_AT_ONCE
                && let Some(id) = hub.next_to_revoke()
            {
                let revoking = revoke(&self.0, id, None);
                under_way.spawn(async move {
                    if let Err(error) = revoking.await {
                        tracing::debug!(lease = %id, %error, "a dropped lease is left to run out");
                    }
                });
            }
            if under_way.join_next().await.is_none() && hub.end_revoking() {
                return;
            }
        }
    }
}

impl Drop for Revoker {
    fn drop(&mut self) {
        self.0.leases.abandon_revoking();
    }
}

#[cfg(test)]
mod tests {
    use etcdkit_proto::etcdserverpb::LeaseKeepAliveRequest;
    use prost::Message;

    use super::*;

    #[test]
    fn requests_are_framed_one_after_the_other() {
        let ids = [1, 300, i64::MAX, -1];
        let bytes = encode(&ids.map(LeaseId));
        let mut expected = Vec::new();
        for id in ids {
            let message = LeaseKeepAliveRequest { id }.encode_to_vec();
            expected.extend_from_slice(&[0, 0, 0, 0, message.len() as u8]);
            expected.extend_from_slice(&message);
        }
        assert_eq!(bytes, expected);
    }
}
