//! Programs that can be ended at any point.

use std::time::Duration;

use etcdkit::v2;
use tokio::{runtime::Runtime, task::JoinHandle};

/// No request of a program takes longer.
const REQUESTS: Duration = Duration::from_secs(2);

/// A program, as far as one can be ended at any point: a runtime of its own, and a client on it, whose
/// connections nobody else has. Dropping it ends it as [`crash`](Self::crash) does.
#[derive(Debug)]
pub struct Program<C = etcdkit::Client> {
    /// Taken when it is dropped.
    runtime: Option<Runtime>,
    client: C,
}

impl Program {
    /// Starts a program that has these members to talk to.
    ///
    /// # Panics
    ///
    /// When no thread can be had, or these are no endpoints.
    pub fn start(endpoints: &[String]) -> Self {
        Self::with(|| {
            let client = etcdkit::Client::builder().endpoints(endpoints);
            client.request_timeout(REQUESTS).connect_lazy()
        })
    }
}

impl Program<v2::Client> {
    /// As [`start`](Program::start), one that uses the v2 API.
    ///
    /// # Panics
    ///
    /// As [`start`](Program::start).
    pub fn start_v2(endpoints: &[String]) -> Self {
        Self::with(|| {
            let client = v2::Client::builder().endpoints(endpoints);
            client.request_timeout(REQUESTS).connect_lazy()
        })
    }
}

impl<C> Program<C> {
    fn with<E: std::fmt::Debug>(client: impl FnOnce() -> Result<C, E>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let client = {
            let _inside = runtime.enter();
            client().expect("a client")
        };
        Self {
            runtime: Some(runtime),
            client,
        }
    }

    /// Its client.
    pub fn client(&self) -> &C {
        &self.client
    }

    /// Does something as the program, on the thread of the caller, which must not be one of a runtime.
    pub fn run<F: Future>(&self, work: F) -> F::Output {
        self.runtime().block_on(work)
    }

    /// Lets the program do something by itself, to its end.
    pub fn spawn<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.runtime().spawn(work)
    }

    /// Ends it as `kill -9` does: nothing of it runs any more, least of all what would release a lock.
    pub fn crash(self) {
        drop(self);
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("a program that runs")
    }
}

impl<C> Drop for Program<C> {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
