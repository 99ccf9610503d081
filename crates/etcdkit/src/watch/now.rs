//! The revision that a watch without a start begins after.
//!
//! A server that is not told where to begin starts at its own newest revision, which on a member that
//! lags is in the past; and the revision it then reports is the one before the start until 3.5.21 and
//! 3.6.1, and a later one since. So the start is always read from the cluster, once for all watches
//! that are opened at about the same time.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use etcdkit_proto::etcdserverpb as pb;
use http::uri::PathAndQuery;
use prost::Message;
use tokio::sync::oneshot;

use crate::{
    Error, ErrorKind, Result, Revision,
    client::Core,
    exec::{Call, Method, Request},
    policy::Class,
    wire::Frame,
};

static READ: Method = Method {
    name: "watch",
    path: PathAndQuery::from_static("/etcdserverpb.KV/Range"),
};

/// Reads the newest revision for many at a time.
#[derive(Debug, Default)]
pub(super) struct Now {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    is_reading: bool,
    /// Those whom the read under way began too early for.
    waiting: Vec<oneshot::Sender<Option<Revision>>>,
}

impl Now {
    /// The newest revision, at or after the time of the call. Needs permission to read `key`.
    pub(super) async fn read(
        &self,
        core: &Arc<Core>,
        key: &Bytes,
        within: Duration,
    ) -> Result<Revision> {
        let shared = {
            let mut state = lock(&self.state);
            let (sender, receiver) = oneshot::channel();
            state.waiting.push(sender);
            if !state.is_reading {
                state.is_reading = true;
                let reader = Reader(Arc::clone(&self.state));
                tokio::spawn(reader.run(Arc::clone(core), key.clone()));
            }
            receiver
        };
        match shared.await {
            Ok(Some(revision)) => Ok(revision),
            // Others may be refused what this one may read, and hear their own errors. In a box, or
            // each of thousands of watches that open would have room for a call of its own.
            Ok(None) | Err(_) => Box::pin(revision(core, key, within)).await,
        }
    }
}

/// Reads until nobody waits.
struct Reader(Arc<Mutex<State>>);

impl Reader {
    async fn run(self, core: Arc<Core>, key: Bytes) {
        loop {
            let waiting = {
                let mut state = lock(&self.0);
                if state.waiting.is_empty() {
                    return;
                }
                std::mem::take(&mut state.waiting)
            };
            let within = core.config.request_timeout;
            let revision = revision(&core, &key, within).await.ok();
            for waiter in waiting {
                let _ = waiter.send(revision);
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = lock(&self.0);
        state.is_reading = false;
        // Whoever came too late, or whose runtime has ended, reads alone.
        state.waiting.clear();
    }
}

/// Reads the store's newest revision with the cluster's agreement.
pub(super) fn revision(
    core: &Arc<Core>,
    key: &Bytes,
    within: Duration,
) -> impl Future<Output = Result<Revision>> + Send + 'static {
    let message = pb::RangeRequest {
        key: key.clone(),
        count_only: true,
        ..Default::default()
    };
    let request = Request {
        method: &READ,
        frame: Frame::of(&message),
        class: Class::Read,
        timeout: Some(within),
        only: None,
    };
    let call = Call::new(core, request, pb::RangeResponse::decode);
    async move {
        let header = call.await?.header.unwrap_or_default();
        match header.revision {
            revision if revision > 0 => Ok(revision),
            other => {
                let what = format!("the server says that its revision is {other}");
                Err(Error::new(ErrorKind::Protocol, what))
            }
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
