//! What is wanted: a lock or a leadership, wherever it is kept.

use std::time::Duration;

use super::{
    check_value, guard::Lock, keeper::acquire, keys::KeyQueue, modules::ModuleQueue, named::Named,
    stamp::Stamp, time_to_live,
};
use crate::v2::{Error, ErrorKind, Result, Ttl};

pub(crate) struct Bid {
    named: Named,
    name: String,
    value: String,
    ttl: Duration,
    wait: Option<Duration>,
}

impl Bid {
    pub(crate) fn new(
        named: Named,
        name: String,
        value: String,
        ttl: Ttl,
        wait: Option<Duration>,
    ) -> Result<Self> {
        check_value(&value)?;
        Ok(Self {
            named,
            name,
            value,
            ttl: time_to_live(ttl)?,
            wait,
        })
    }

    /// Waits for its turn.
    pub(crate) async fn acquire(self) -> Result<Lock> {
        let wait = self.wait;
        self.run(false).await?.ok_or_else(|| {
            let wait = wait.unwrap_or_default();
            let what = format!("somebody else had it, and it was not free within {wait:.1?}");
            Error::new(ErrorKind::Timeout, what)
        })
    }

    /// `None` if somebody else has it.
    pub(crate) async fn try_acquire(self) -> Result<Option<Lock>> {
        self.run(true).await
    }

    async fn run(self, once: bool) -> Result<Option<Lock>> {
        let stamp = Stamp::new(&self.value);
        let grant = match self.named {
            Named::Module(module) => {
                let queue = ModuleQueue::new(module, &stamp, &self.value, once);
                acquire(queue, self.ttl, self.wait).await
            }
            Named::Keys { client, directory } => {
                let queue = KeyQueue::new(client, directory, stamp, once);
                acquire(queue, self.ttl, self.wait).await
            }
        };
        Ok(grant?.map(|grant| Lock::new(grant, self.name, self.value)))
    }
}
