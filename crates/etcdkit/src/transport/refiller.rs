//! The task that keeps one connection to one endpoint open.

use std::{io, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use super::{
    backoff::Backoff,
    connection::Connection,
    pool::{Limits, Shared, lock},
    roster::Place,
    slot::Slot,
};
use crate::observe;

/// An endpoint that was lost is dialled again after at most 50 ms, and then ever more rarely.
const REDIAL_FIRST: Duration = Duration::from_millis(50);
const REDIAL_MOST: Duration = Duration::from_secs(3);
const STABLE_AFTER: Duration = Duration::from_secs(1);

/// One of the connections that are open.
struct Open(Arc<Shared>);

impl Open {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.open.send_modify(|open| *open += 1);
        Self(Arc::clone(shared))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.send_modify(|open| *open -= 1);
    }
}

/// Keeps one connection to one endpoint open, for as long as the pool has the endpoint.
pub(super) async fn refill(shared: Arc<Shared>, slot: Arc<Slot>) {
    let closed = shared.closing.closed();
    tokio::select! {
        biased;
        () = closed => {}
        () = slot.removed() => {}
        () = keep_open(&shared, &slot) => {}
    }
}

async fn keep_open(shared: &Arc<Shared>, slot: &Arc<Slot>) {
    let Place {
        number,
        endpoint,
        health,
    } = &*slot.place;
    let Limits {
        connect_timeout,
        keep_alive,
        ..
    } = shared.limits;
    let mut backoff = Backoff::new(REDIAL_FIRST, REDIAL_MOST);
    loop {
        let (to, of) = (Arc::clone(endpoint), Arc::clone(health));
        match Connection::open(&shared.dialer, to, *number, of, connect_timeout).await {
            Ok((connection, engine)) => {
                let connected = observe::Connected::to(&endpoint.text);
                *lock(&slot.failure) = None;
                let opened = Instant::now();
                let pulse = Arc::clone(&connection.pulse);
                // On a task of its own, which outlives this one: requests that the server still works
                // on when the connection is retired finish, and it ends with the last of them.
                let open = Open::new(shared);
                let torn_down = slot.torn_down(&shared.closing);
                let mut running = tokio::spawn({
                    let pulse = Arc::clone(&pulse);
                    async move {
                        let error = pulse.run(engine, keep_alive, torn_down).await;
                        drop(open);
                        error
                    }
                });
                let listed = Listed::new(shared, connection);
                let broke = tokio::select! {
                    error = &mut running => Some(error.unwrap_or_else(io::Error::other)),
                    () = pulse.retired.notified() => None,
                };
                connected.lost(broke.as_ref());
                drop(listed);
                // A peer that hangs up on every connection at once is not dialled in a tight loop.
                if opened.elapsed() >= STABLE_AFTER || pulse.has_answered() {
                    backoff.reset();
                }
            }
            Err(error) => {
                observe::cannot_connect(&endpoint.text, &error);
                *lock(&slot.failure) = Some(Arc::new(error));
                shared.changed.send_replace(());
            }
        }
        sleep(backoff.next(fastrand::f64())).await;
    }
}

/// A connection that calls can choose.
struct Listed<'a>(&'a Shared, Arc<Connection>);

impl<'a> Listed<'a> {
    fn new(shared: &'a Shared, connection: Arc<Connection>) -> Self {
        shared.add(&connection);
        Self(shared, connection)
    }
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.0.remove(&self.1);
    }
}
