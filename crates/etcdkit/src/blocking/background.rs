//! The thread behind blocking clients, and waiting on other threads for what it does.

use std::{
    cell::Cell,
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError, Weak},
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use tokio::{
    runtime::{self, Runtime},
    task::{block_in_place, unconstrained},
};

use crate::{Error, Result};

/// The runtime of all blocking clients. It ends with the last who holds it.
#[derive(Debug)]
pub(crate) struct Background {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

static SHARED: Mutex<Weak<Background>> = Mutex::new(Weak::new());

thread_local! {
    /// Whether this is a thread of the runtime, on which tasks would wait for one that waits.
    static IS_BACKGROUND: Cell<bool> = const { Cell::new(false) };
}

impl Background {
    /// The one there is, or a new one.
    pub(crate) fn shared() -> Result<Arc<Self>> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(background) = shared.upgrade() {
            return Ok(background);
        }
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("etcdkit")
            .on_thread_start(|| IS_BACKGROUND.set(true))
            .enable_all()
            .build()
            .map_err(|error| {
                let what = format!("no thread could be started for blocking clients: {error}");
                Error::invalid_config(what).with_source(error)
            })?;
        let background = Arc::new(Self {
            runtime: Some(runtime),
        });
        *shared = Arc::downgrade(&background);
        Ok(background)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Waits for nothing, because this may well happen on the thread that is to end.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Runs something that blocks, with the background's timers and tasks at hand.
pub(super) fn enter<T>(blocking: impl FnOnce() -> T) -> T {
    // Should there be no background and none be had, what is waited for decides whether it can do
    // without.
    let background = Background::shared().ok();
    let runtime = background.as_ref().and_then(|it| it.runtime.as_ref());
    let _entered = runtime.map(Runtime::enter);
    match IS_BACKGROUND.get() {
        // Another thread takes over the tasks of this one meanwhile.
        true => block_in_place(blocking),
        false => blocking(),
    }
}

/// Waits on this thread, as long as it takes.
///
/// Not tokio's own `block_on`, which panics on threads that run a runtime. On such a thread what is
/// waited for must not be held to the budget of the task that waits: once that is used up, everything
/// would be pending until the task yields, which it does not.
pub(super) fn block_on<F: Future>(future: Pin<&mut F>) -> F::Output {
    let (mut future, waker) = (pin!(unconstrained(future)), waker());
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// As [`block_on`], but for so long at the most.
pub(super) fn block_on_for<F: Future>(future: Pin<&mut F>, limit: Duration) -> Option<F::Output> {
    let started = Instant::now();
    let (mut future, waker) = (pin!(unconstrained(future)), waker());
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return Some(output),
            Poll::Pending => match limit.saturating_sub(started.elapsed()) {
                Duration::ZERO => return None,
                left => thread::park_timeout(left),
            },
        }
    }
}

/// Wakes this thread when it is parked.
fn waker() -> Waker {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    Arc::new(Unpark(thread::current())).into()
}
