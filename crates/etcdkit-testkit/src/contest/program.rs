//! A program of a contender's, as far as one can be ended at any point.

use std::time::Duration;

use etcdkit::Client;
use tokio::runtime::Runtime;

pub(super) struct Program {
    pub(super) runtime: Runtime,
    pub(super) client: Client,
}

impl Program {
    pub(super) fn start(endpoints: &[String]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let client = {
            let _inside = runtime.enter();
            let client = Client::builder().endpoints(endpoints);
            let client = client.request_timeout(Duration::from_secs(2));
            client.connect_lazy().expect("a client")
        };
        Self { runtime, client }
    }

    /// Ends it as `kill -9` does: nothing of it runs any more, least of all what would release a lock.
    pub(super) fn crash(self) {
        self.runtime.shutdown_background();
    }
}
