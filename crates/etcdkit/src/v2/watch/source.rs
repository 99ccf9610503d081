//! What a watch tells, one after the other: the session's questions and answers over the network.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, timeout};

use super::{
    Resync, ResyncReason, WatchEvent,
    poll::{self, Checks, Ended},
    scope::Scope,
    session::{Ask, Heard, Listed, Session},
};
use crate::{
    transport::backoff::Backoff,
    v2::{Client, ErrorKind, Result, exec::Opened},
};

/// The pause before asking again what failed.
const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_LONGEST: Duration = Duration::from_secs(2);

/// An answer without an event that took less than this was no silence, but somebody in between who
/// does not hold connections.
const SILENCE: Duration = Duration::from_secs(1);

/// How long a server may take to begin its answer, in a watch that goes on: longer each time that it is
/// not enough. A connection that was forgotten on the way would never be answered.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long an event may be on its way on one connection while another one has an answer already.
const LATE: Duration = Duration::from_secs(2);

/// For how long it is believed that a connection without a word still carries one. Whatever delays an
/// event that is on its way lasts at most as long again, by the way TCP repeats itself.
const TRUSTED: Duration = Duration::from_secs(30);

/// An answer that is listened to.
struct Listening {
    ended: Pin<Box<dyn Future<Output = Ended> + Send>>,
    endpoint: Arc<str>,
    since: Instant,
}

pub(super) struct Source {
    client: Client,
    session: Session,
    /// Whether to list everything when changes are missed, or to fail.
    resyncs: bool,
    current: Option<Listening>,
    /// The one before, which had no event for so long that another one was asked for.
    previous: Option<Listening>,
    pauses: Backoff,
    checks: Checks,
    /// Whether everything was listed, and no server has listened since.
    has_listed: bool,
    /// How long the next answer may take to begin; the first time, the client's request timeout.
    patience: Option<Duration>,
}

impl Source {
    pub(super) fn new(
        client: Client,
        scope: Scope,
        from: Option<u64>,
        longest_wait: Duration,
        resyncs: bool,
    ) -> Self {
        Self {
            client,
            session: Session::new(scope, from, longest_wait),
            resyncs,
            current: None,
            previous: None,
            pauses: Backoff::new(PAUSE_FIRST, PAUSE_LONGEST),
            checks: Checks::new(),
            has_listed: false,
            patience: None,
        }
    }

    /// The first index that was not told yet, once a server was reached.
    pub(super) fn next_index(&self) -> Option<u64> {
        self.session.next()
    }

    /// Waits until a server listens on the watch's behalf, or has to be asked for everything.
    pub(super) async fn arm(&mut self) -> Result<()> {
        while self.current.is_none()
            && let Ask::Wait(index) = self.session.ask()
        {
            match self.ask(index).await {
                Ok(opened) => {
                    let index = opened.header.etcd_index;
                    self.session.began(index, Instant::now());
                    self.current = Some(self.listen_to(opened));
                    self.previous = None;
                    self.has_listed = false;
                }
                Err(error) if error.kind() == ErrorKind::EventIndexCleared => {
                    self.session.cleared();
                    if self.session.ask() == Ask::List && self.previous.is_some() {
                        self.bridge().await?;
                    }
                    if self.session.ask() == Ask::List && !self.resyncs {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Goes on with what happens from now on, if it is certain that nothing has happened until now: the
    /// member that was listened to all the time knows of all changes, and told of none. A connection that
    /// was silent for long may have been forgotten on its way, and proves nothing.
    async fn bridge(&mut self) -> Result<()> {
        let Some(mut previous) = self.previous.take() else {
            return Ok(());
        };
        let silent = previous.since.elapsed();
        if silent > TRUSTED {
            return Ok(());
        }
        let opened = self.ask(None).await?;
        let index = opened.header.etcd_index;
        let reached = poll::reached(&self.client, self.session.scope(), &previous.endpoint).await;
        if reached.is_none_or(|reached| reached < index) {
            return Ok(());
        }
        match timeout(LATE.max(silent), &mut previous.ended).await {
            Ok(Ended::Event(event)) => {
                self.current = Some(Listening {
                    ended: Box::pin(std::future::ready(Ended::Event(event))),
                    endpoint: previous.endpoint,
                    since: Instant::now(),
                });
            }
            Ok(_) => {}
            Err(_) => {
                self.session.bridged(index, Instant::now());
                self.current = Some(self.listen_to(opened));
                self.has_listed = false;
            }
        }
        Ok(())
    }

    async fn ask(&mut self, index: Option<u64>) -> Result<Opened> {
        let scope = self.session.scope();
        let opened = poll::ask(&self.client, scope, index, self.patience).await;
        let longest = self.client.core.config.request_timeout;
        let patience = match (&opened, self.patience) {
            (Err(error), Some(patience)) if error.kind() == ErrorKind::Timeout => patience * 2,
            _ => PATIENCE,
        };
        self.patience = Some(patience.min(longest));
        opened
    }

    fn listen_to(&self, opened: Opened) -> Listening {
        let endpoint = Arc::clone(&opened.told.endpoint);
        let listening = poll::listen(self.client.clone(), opened, self.checks.clone());
        Listening {
            ended: Box::pin(listening),
            endpoint,
            since: Instant::now(),
        }
    }

    /// What is to be told next, after whatever failures that pass.
    ///
    /// Not to be cancelled by who wants to go on: an event may be lost that had come.
    pub(super) async fn next(&mut self) -> Result<WatchEvent> {
        loop {
            match self.step().await {
                Ok(Some(event)) => return Ok(event),
                Ok(None) => {}
                Err(error) if error.is_temporary() => {
                    tracing::debug!(%error, key = self.session.scope().named(), "a watch goes on");
                    self.pause().await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn step(&mut self) -> Result<Option<WatchEvent>> {
        self.arm().await?;
        let Some(mut listening) = self.current.take() else {
            return self.list().await;
        };
        let Ok(ended) = timeout(self.session.wait(), &mut listening.ended).await else {
            self.session.silent();
            self.pauses.reset();
            self.previous = Some(listening);
            return Ok(None);
        };
        match ended {
            Ended::Event(event) => {
                let index = event.index();
                match self.session.heard(event.key(), event.action, index) {
                    Heard::News => {
                        self.checks.put_off();
                        self.pauses.reset();
                        return Ok(Some(WatchEvent::Change(*event)));
                    }
                    Heard::Foreign => {}
                    Heard::Old => self.pause().await,
                }
            }
            Ended::Silent => {
                self.session.silent();
                match listening.since.elapsed() < SILENCE {
                    true => self.pause().await,
                    false => self.pauses.reset(),
                }
            }
            // It would be the same the next time.
            Ended::Broken(error) if error.kind() == ErrorKind::ResponseTooLarge => {
                return Err(error);
            }
            Ended::Broken(error) => {
                tracing::debug!(%error, key = self.session.scope().named(), "a watch goes on");
                self.pause().await;
            }
        }
        Ok(None)
    }

    async fn list(&mut self) -> Result<Option<WatchEvent>> {
        self.previous = None;
        if self.has_listed {
            // The history was over before a server could listen from where the listing was.
            self.pause().await;
        }
        let scope = self.session.scope();
        let mut get = self.client.get(scope.named()).sorted().quorum();
        if scope.is_recursive() {
            get = get.recursive();
        }
        let found = get.await?;
        let index = found.header.etcd_index;
        self.has_listed = true;
        let reason = match self.session.listed(index, Instant::now()) {
            Listed::Needless => return Ok(None),
            Listed::Cleared => ResyncReason::Cleared,
            Listed::WentBack => ResyncReason::WentBack,
        };
        Ok(Some(WatchEvent::Resync(Resync {
            reason,
            node: found.node,
            index,
        })))
    }

    async fn pause(&mut self) {
        sleep(self.pauses.next(fastrand::f64())).await;
    }
}
