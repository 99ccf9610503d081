//! Keeping a lease alive that exists already.

use std::{future::IntoFuture, sync::Arc, time::Duration};

use super::{Pending, handle::Lease};
use crate::{Client, LeaseId, Result};

/// A lease that is not kept alive yet: made by [`Leases::keep_alive`](crate::Leases::keep_alive),
/// renewed for the first time when awaited.
///
/// # Errors
///
/// As [`KeepAliveOnce`](crate::KeepAliveOnce).
#[derive(Debug)]
#[must_use = "a lease is kept alive when this is awaited"]
pub struct AttachLease<'a> {
    client: &'a Client,
    id: LeaseId,
    timeout: Option<Duration>,
}

impl<'a> AttachLease<'a> {
    pub(super) fn new(client: &'a Client, id: LeaseId) -> Self {
        Self {
            client,
            id,
            timeout: None,
        }
    }

    /// Limits the time for the first renewal; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for AttachLease<'_> {
    type Output = Result<Lease>;
    type IntoFuture = Pending<Lease>;

    fn into_future(self) -> Pending<Lease> {
        let core = Arc::clone(&self.client.core);
        Box::pin(Lease::attach(core, self.id, self.timeout, false))
    }
}
