//! The end of a client.

use std::{
    future::Future,
    sync::atomic::{AtomicBool, Ordering},
};

use tokio::sync::watch;

/// Whether the client has been closed, for good.
#[derive(Debug)]
pub(crate) struct Closing {
    /// The same as what `told` tells, without a lock, for the path of every call.
    closed: AtomicBool,
    told: watch::Sender<bool>,
}

impl Closing {
    pub(crate) fn new() -> Self {
        Self {
            closed: AtomicBool::new(false),
            told: watch::Sender::new(false),
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.told.send_replace(true);
    }

    /// A future that ends when the client is closed.
    pub(crate) fn closed(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut told = self.told.subscribe();
        async move {
            if told.wait_for(|closed| *closed).await.is_err() {
                // The client is gone without having been closed.
                std::future::pending().await
            }
        }
    }
}
