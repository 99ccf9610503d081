//! The task that looks after a client's endpoints.

use std::{
    fmt,
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use tokio::{task::JoinHandle, time::sleep};

use super::{resolve, sync};
use crate::{Discovery, Result, client::Core, transport::backoff::Backoff};

/// Pauses between attempts to find endpoints by DNS.
const RESOLVE_FIRST: Duration = Duration::from_millis(250);
const RESOLVE_MOST: Duration = Duration::from_secs(10);

/// What there is to look after, and the task that does.
#[derive(Default)]
pub(crate) struct Upkeep {
    discovery: Option<Discovery>,
    every: Option<Duration>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Upkeep {
    pub(crate) fn new(discovery: Option<Discovery>, every: Option<Duration>) -> Self {
        Self {
            discovery,
            every,
            task: Mutex::default(),
        }
    }

    pub(super) fn start(&self, core: &Arc<Core>) {
        if self.discovery.is_none() && self.every.is_none() {
            return;
        }
        let mut task = self
            .task
            .lock()
            .unwrap_or_else(|broken| broken.into_inner());
        if task.as_ref().is_none_or(JoinHandle::is_finished) && !core.closing.is_closed() {
            *task = Some(tokio::spawn(look_after(
                Arc::downgrade(core),
                self.discovery.clone(),
                self.every,
            )));
        }
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        let task = self
            .task
            .get_mut()
            .unwrap_or_else(|broken| broken.into_inner());
        if let Some(task) = task {
            task.abort();
        }
    }
}

impl fmt::Debug for Upkeep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upkeep")
            .field("discovery", &self.discovery)
            .field("every", &self.every)
            .finish_non_exhaustive()
    }
}

async fn look_after(core: Weak<Core>, discovery: Option<Discovery>, every: Option<Duration>) {
    let Some(closed) = core.upgrade().map(|core| core.closing.closed()) else {
        return;
    };
    tokio::select! {
        () = closed => {}
        () = find_and_follow(core, discovery, every) => {}
    }
}

async fn find_and_follow(core: Weak<Core>, discovery: Option<Discovery>, every: Option<Duration>) {
    let mut backoff = Backoff::new(RESOLVE_FIRST, RESOLVE_MOST);
    while let (Some(discovery), Some(core)) = (&discovery, without_endpoints(&core)) {
        match find(&core, discovery).await {
            Ok(()) => break,
            Err(error) => {
                tracing::debug!(%error, "no endpoints found by DNS");
                core.pool.no_endpoint_because(error);
            }
        }
        drop(core);
        sleep(backoff.next(fastrand::f64())).await;
    }
    let Some(every) = every else {
        return;
    };
    // The core is held only while there is something to do: it ends with its last user.
    while let Some(core) = core.upgrade() {
        if let Err(error) = sync::sync(&core).await {
            tracing::debug!(%error, "the endpoints could not be synced");
            if let Some(discovery) = &discovery
                && !core.pool.is_reachable()
                && let Err(error) = find(&core, discovery).await
            {
                tracing::debug!(%error, "no endpoints found by DNS");
            }
        }
        drop(core);
        sleep(every).await;
    }
}

fn without_endpoints(core: &Weak<Core>) -> Option<Arc<Core>> {
    core.upgrade()
        .filter(|core| core.roster.places().is_empty())
}

async fn find(core: &Core, discovery: &Discovery) -> Result<()> {
    let endpoints = resolve(discovery).await?;
    let endpoints = crate::transport::endpoint::parse_all(&endpoints, core.config.wants_tls)?;
    core.adopt_seeds(endpoints)
}
