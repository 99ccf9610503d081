//! The state of all faults of one server, and what its front ends ask it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use etcdkit_proto::EtcdError;
use http::{HeaderMap, Response};
use tokio::sync::watch;

use super::failure::Failure;
use super::rules::{End, Rule, RuleId, Rules, Step};
use super::select::Rpcs;
use super::streams::Streams;
use crate::body::Body;
use crate::connection::Line;
use crate::grpc;
use crate::node::Node;
use crate::rpc::Rpc;

/// Everything that was done to a server on purpose. Unless there was, a call asks one flag.
#[derive(Debug)]
pub(crate) struct Board {
    /// Whether calls must look any further.
    concerns_calls: AtomicBool,
    paused: AtomicBool,
    refusing: AtomicBool,
    rules: Mutex<Rules>,
    pub(crate) streams: Streams,
    /// What is to be woken when the server goes on after a pause.
    paused_tasks: Mutex<Vec<Waker>>,
    /// Streams wait for the server's end, and so are woken through it.
    stop: watch::Sender<bool>,
}

impl Board {
    pub(crate) fn new(stop: watch::Sender<bool>) -> Self {
        Self {
            concerns_calls: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            refusing: AtomicBool::new(false),
            rules: Mutex::default(),
            streams: Streams::default(),
            paused_tasks: Mutex::default(),
            stop,
        }
    }

    /// Whether calls have to be looked at, one by one.
    pub(crate) fn concerns_calls(&self) -> bool {
        self.concerns_calls.load(Ordering::Relaxed)
    }

    /// Has calls ask, or not, after something has changed.
    pub(super) fn update(&self, leader_is_lost: bool) {
        let concerns = leader_is_lost || self.is_paused() || !self.rules().is_empty();
        self.concerns_calls.store(concerns, Ordering::Relaxed);
    }

    pub(super) fn add(&self, rule: Rule) -> RuleId {
        let id = self.rules().add(rule);
        self.concerns_calls.store(true, Ordering::Relaxed);
        id
    }

    pub(super) fn remove(&self, rule: RuleId) {
        self.rules().remove(rule);
    }

    pub(super) fn remove_all(&self) {
        self.rules().clear();
    }

    fn rules(&self) -> MutexGuard<'_, Rules> {
        // A panic in between leaves rules that are whole.
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_refusing(&self) -> bool {
        self.refusing.load(Ordering::Relaxed)
    }

    pub(super) fn refuse(&self, refusing: bool) {
        self.refusing.store(refusing, Ordering::Relaxed);
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    pub(super) fn pause(&self) {
        self.paused.store(true, Ordering::Release);
    }

    pub(super) fn resume(&self) {
        self.paused.store(false, Ordering::Release);
        let tasks = std::mem::take(&mut *self.paused_tasks());
        tasks.into_iter().for_each(Waker::wake);
    }

    fn paused_tasks(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.paused_tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a task must wait; it is woken when it need not any more.
    pub(crate) fn poll_running(&self, cx: &Context<'_>) -> Poll<()> {
        if !self.is_paused() {
            return Poll::Ready(());
        }
        let mut tasks = self.paused_tasks();
        // Whoever resumes takes the tasks after this.
        if !self.paused.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        if !tasks.iter().any(|task| task.will_wake(cx.waker())) {
            tasks.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Runs a future, which does nothing during a pause.
    pub(crate) async fn unless_paused<F: Future>(&self, mut future: Pin<&mut F>) -> F::Output {
        poll_fn(|cx| match self.poll_running(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => future.as_mut().poll(cx),
        })
        .await
    }

    /// Ends streams that are open now.
    pub(super) fn end_streams(&self, rpcs: Rpcs, only_wanting_leader: bool, failure: &Failure) {
        self.streams.end(rpcs, only_wanting_leader, failure);
        self.wake_streams();
    }

    pub(super) fn stall_streams(&self, change: impl FnOnce(Rpcs) -> Rpcs) {
        self.streams.stall(change);
        self.wake_streams();
    }

    fn wake_streams(&self) {
        self.stop.send_modify(|_| {});
    }
}

/// Whether a call goes to a member only as long as that has a leader.
pub(crate) fn wants_leader(headers: &HeaderMap) -> bool {
    headers
        .get("hasleader")
        .is_some_and(|value| value == "true")
}

/// What is done to a call before it is carried out. Returns what is to be done afterwards, or what
/// the caller is told instead.
pub(crate) async fn before(
    line: &Line,
    rpc: Rpc,
    headers: &HeaderMap,
) -> Result<Step, Response<Body>> {
    let node = &line.node;
    if node.leadership.is_lost() && wants_leader(headers) {
        return Err(grpc::failed(&EtcdError::NoLeader.into()));
    }
    let plan = node.faults.rules().plan(rpc);
    take(line, plan.before).await?;
    poll_fn(|cx| node.faults.poll_running(cx)).await;
    Ok(plan.once_applied)
}

/// Lets the time of a step pass, and ends the call if that is due.
pub(crate) async fn take(line: &Line, step: Step) -> Result<(), Response<Body>> {
    let node = &line.node;
    if !step.delay.is_zero() {
        tokio::select! {
            () = tokio::time::sleep(step.delay) => {}
            stopped = stopped(node) => return Err(stopped),
        }
    }
    match step.end {
        None => Ok(()),
        Some(End::Fail(failure)) => Err(grpc::failed(failure.status())),
        Some(End::Hang) => Err(stopped(node).await),
        Some(End::Disconnect) => {
            line.cut();
            Err(stopped(node).await)
        }
    }
}

/// Waits until the server stops, which ends every call.
async fn stopped(node: &Node) -> Response<Body> {
    // An error means that the server is gone.
    let _ = node.stopping.clone().wait_for(|stopping| *stopping).await;
    grpc::failed(&EtcdError::Stopped.into())
}
