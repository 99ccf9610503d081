//! All leases of one client, between the handles and the task that keeps them alive.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use etcdkit_proto::etcdserverpb as pb;
use prost::Message;
use tokio::{
    runtime::Handle,
    sync::{Notify, oneshot},
    time::Instant,
};

use super::{
    grant::seconds,
    held::Held,
    keeper::{Act, Answer, Keeper},
    lost::{LeaseLost, LostReason},
    renew::{LeaseKeepAlive, Renewed},
    task::{KeepAlive, Revoker},
};
use crate::{Error, ErrorKind, LeaseId, client::Core, exec::Broken};

/// Shared by the client, its handles and the task.
#[derive(Debug)]
pub(crate) struct Hub {
    state: Mutex<State>,
    /// Tells the task that there is something new.
    pub(super) news: Notify,
}

#[derive(Debug)]
struct State {
    keeper: Keeper<Seat>,
    /// Whether the task runs.
    running: bool,
    /// Why renewals are not answered at present.
    trouble: Option<Arc<Error>>,
    /// Leases whose handles were dropped.
    to_revoke: VecDeque<LeaseId>,
    revoking: bool,
    /// Where the task runs, for handles that are dropped elsewhere.
    runtime: Option<Handle>,
}

fn cluster_of(response: &pb::LeaseKeepAliveResponse) -> u64 {
    let header = response.header.as_ref();
    header.map_or(0, |header| header.cluster_id)
}

/// Who is interested in one lease.
#[derive(Debug, Default)]
pub(super) struct Seat {
    /// The cluster that granted it; 0 if not known.
    cluster: u64,
    holders: Vec<Arc<Held>>,
    waiters: Vec<Waiter>,
}

/// Somebody who waits for one renewal.
#[derive(Debug)]
struct Waiter {
    /// The answer to a request of this number or a higher one will do.
    from: u64,
    reply: oneshot::Sender<Result<Renewed, Refused>>,
}

pub(super) type Reply = oneshot::Receiver<Result<Renewed, Refused>>;

/// Why a renewal did not happen.
#[derive(Clone, Debug)]
pub(super) enum Refused {
    /// The lease is lost.
    Lost(LostReason),
    /// Repeating it would do no good.
    Failed(Arc<Error>),
}

/// What the task has to do next.
pub(super) struct Todo {
    pub(super) renew: Vec<LeaseId>,
    pub(super) act: Option<Act>,
    pub(super) wake: Option<Instant>,
}

impl Hub {
    pub(crate) fn new() -> Self {
        let keeper = Keeper::new(Instant::now(), fastrand::Rng::new());
        Self {
            state: Mutex::new(State {
                keeper,
                running: false,
                trouble: None,
                to_revoke: VecDeque::new(),
                revoking: false,
                runtime: None,
            }),
            news: Notify::new(),
        }
    }

    /// Keeps a lease alive from now on.
    pub(super) fn hold(
        &self,
        core: &Arc<Core>,
        id: LeaseId,
        cluster: u64,
        ttl: Duration,
        until: Instant,
    ) -> Arc<Held> {
        let held = Arc::new(Held::new(id, ttl, until));
        let mut state = self.lock();
        let seat = state.keeper.hold(id, ttl, until, Instant::now());
        seat.cluster = cluster;
        seat.holders.push(Arc::clone(&held));
        drop(state);
        self.run(core);
        held
    }

    /// Ends the interest of one handle in its lease.
    pub(super) fn release(&self, held: &Arc<Held>) {
        let mut state = self.lock();
        if let Some(seat) = state.keeper.seat(held.id) {
            seat.holders.retain(|other| !Arc::ptr_eq(other, held));
            state.vacate(held.id);
        }
        drop(state);
        self.news.notify_one();
    }

    /// Revokes a lease whose handle is gone, in the background and without telling anybody.
    pub(super) fn revoke_later(&self, core: &Arc<Core>, id: LeaseId) {
        let mut state = self.lock();
        state.to_revoke.push_back(id);
        let is_new = !mem::replace(&mut state.revoking, true);
        let runtime = state.runtime.clone();
        drop(state);
        if let (true, Some(runtime)) = (is_new, runtime) {
            runtime.spawn(Revoker(Arc::clone(core)).run());
        }
    }

    /// For the revoker: the next lease to revoke.
    pub(super) fn next_to_revoke(&self) -> Option<LeaseId> {
        self.lock().to_revoke.pop_front()
    }

    /// For the revoker: whether it may end, since there is nothing to revoke.
    pub(super) fn end_revoking(&self) -> bool {
        let mut state = self.lock();
        state.revoking = !state.to_revoke.is_empty();
        !state.revoking
    }

    /// For the revoker, when it is made to end: what it has not revoked runs out by itself.
    pub(super) fn abandon_revoking(&self) {
        let mut state = self.lock();
        state.to_revoke.clear();
        state.revoking = false;
    }

    /// Ends everybody's interest in a lease that is known to be gone.
    pub(super) fn forget(&self, id: LeaseId, reason: LostReason) {
        let mut state = self.lock();
        if let Some(seat) = state.keeper.remove(id) {
            seat.lose(id, reason, None);
        }
        drop(state);
        self.news.notify_one();
    }

    /// Asks for a renewal of a lease, kept alive or not.
    pub(super) fn ask(&self, core: &Arc<Core>, id: LeaseId) -> Reply {
        let (reply, answer) = oneshot::channel();
        let mut state = self.lock();
        let (from, seat) = state.keeper.ask(id, Instant::now());
        seat.waiters.push(Waiter { from, reply });
        drop(state);
        self.run(core);
        answer
    }

    /// Nobody waits any more whose answer channel is closed.
    pub(super) fn unask(&self, id: LeaseId) {
        let mut state = self.lock();
        if let Some(seat) = state.keeper.seat(id) {
            seat.waiters.retain(|waiter| !waiter.reply.is_closed());
            state.vacate(id);
        }
        drop(state);
        self.news.notify_one();
    }

    /// Why renewals are not answered at present, as far as known.
    pub(super) fn trouble(&self) -> Option<Arc<Error>> {
        self.lock().trouble.clone()
    }

    /// For the task: what to do now.
    pub(super) fn turn(&self) -> Todo {
        let mut state = self.lock();
        let turn = state.keeper.turn(Instant::now());
        for (id, seat) in turn.expired {
            seat.lose(id, LostReason::Expired, state.trouble.as_ref());
        }
        if turn.act == Some(Act::End) {
            state.running = false;
            state.trouble = None;
        }
        Todo {
            renew: turn.renew,
            act: turn.act,
            wake: turn.wake,
        }
    }

    /// For the task: the stream is open.
    pub(super) fn opened(&self) {
        self.lock().keeper.opened(Instant::now());
    }

    /// For the task: the stream broke, or did not come about.
    pub(super) fn broke(&self, broken: Broken) {
        tracing::debug!(error = %broken.error, "renewals interrupted");
        let refused = broken.error.kind() == ErrorKind::PermissionDenied;
        let error = Arc::new(broken.error);
        let mut state = self.lock();
        match state.keeper.broke(Instant::now(), refused) {
            Some((id, seat)) => {
                seat.lose(id, LostReason::PermissionDenied, Some(&error));
            }
            None => {
                if !broken.passing {
                    state.fail_waiters(&error);
                }
                state.trouble = Some(error);
            }
        }
    }

    /// For the task: the stream was given up.
    pub(super) fn abandoned(&self, error: Error) {
        tracing::debug!(%error, "renewals interrupted");
        self.lock().trouble = Some(Arc::new(error));
    }

    /// For the task: the server answered.
    pub(super) fn answered(&self, message: Bytes) -> Result<(), prost::DecodeError> {
        let response = pb::LeaseKeepAliveResponse::decode(message)?;
        let (id, cluster) = (LeaseId(response.id), cluster_of(&response));
        let mut state = self.lock();
        let state = &mut *state;
        state.trouble = None;
        let is_foreign = |seat: &mut Seat| seat.cluster != 0 && seat.cluster != cluster;
        if cluster != 0 && state.keeper.seat(id).is_some_and(is_foreign) {
            if let Answer::Gone { seat } = state.keeper.answer(id, Duration::ZERO, Instant::now()) {
                seat.lose(id, LostReason::OtherCluster, None);
            }
            return Ok(());
        }
        match state
            .keeper
            .answer(id, seconds(response.ttl), Instant::now())
        {
            Answer::Renewed {
                seat,
                until,
                number,
            } => {
                let renewed = Renewed {
                    answer: LeaseKeepAlive::from(response),
                    until,
                };
                // Who has seen the time pass has been told that the lease is lost.
                seat.holders
                    .retain(|held| held.renewed(renewed.answer.ttl, until));
                seat.answer_waiters(number, &renewed);
                if seat.holders.is_empty() {
                    state.vacate(id);
                }
            }
            Answer::Gone { seat } => {
                seat.lose(id, LostReason::NotFound, None);
            }
            Answer::Stray => {}
        }
        Ok(())
    }

    /// For the task, when it ends: if it was made to, nothing is kept alive any more.
    pub(super) fn stopped(&self) {
        let mut state = self.lock();
        state.running = false;
        state.keeper.broke(Instant::now(), false);
        for (id, seat) in state.keeper.remove_all() {
            seat.lose(id, LostReason::Closed, None);
        }
    }

    /// Sees to it that the task runs and knows what there is.
    fn run(&self, core: &Arc<Core>) {
        let mut state = self.lock();
        let is_new = !mem::replace(&mut state.running, true);
        if is_new {
            state.runtime = Handle::try_current().ok();
        }
        drop(state);
        match is_new {
            // A task that is never run ends at once, and takes the lock.
            true => drop(tokio::spawn(KeepAlive::new(core).run())),
            false => self.news.notify_one(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(|broken| broken.into_inner())
    }
}

impl State {
    /// Forgets what nobody is interested in.
    fn vacate(&mut self, id: LeaseId) {
        let Some(seat) = self.keeper.seat(id) else {
            return;
        };
        match (seat.holders.is_empty(), seat.waiters.is_empty()) {
            (true, true) => drop(self.keeper.remove(id)),
            (true, false) => self.keeper.let_go(id),
            (false, _) => {}
        }
    }

    fn fail_waiters(&mut self, error: &Arc<Error>) {
        for id in self.keeper.ids() {
            if let Some(seat) = self.keeper.seat(id) {
                seat.refuse_waiters(&Refused::Failed(Arc::clone(error)));
                self.vacate(id);
            }
        }
    }
}

impl Seat {
    /// Tells everybody that the lease is lost.
    fn lose(mut self, id: LeaseId, reason: LostReason, cause: Option<&Arc<Error>>) {
        for held in &self.holders {
            held.lose(LeaseLost::new(id, reason, cause.cloned()));
        }
        self.refuse_waiters(&Refused::Lost(reason));
    }

    // Who has stopped waiting needs no answer, so that nobody may take it is no error.
    fn refuse_waiters(&mut self, refused: &Refused) {
        for waiter in mem::take(&mut self.waiters) {
            let _ = waiter.reply.send(Err(refused.clone()));
        }
    }

    fn answer_waiters(&mut self, number: u64, renewed: &Renewed) {
        for waiter in mem::take(&mut self.waiters) {
            if number < waiter.from {
                self.waiters.push(waiter);
            } else {
                let _ = waiter.reply.send(Ok(renewed.clone()));
            }
        }
    }
}
