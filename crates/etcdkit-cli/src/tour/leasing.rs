//! The step about leases.

use std::time::Duration;

use super::Tour;
use crate::error::Result;

impl Tour<'_> {
    pub(super) async fn lease(&mut self) -> Result {
        let key = self.key("session");
        let screen = &mut *self.screen;
        screen.step(
            "Lease",
            "Keys that last as long as whoever wrote them: the client keeps the lease alive.",
        )?;
        screen.rust("let lease = client.lease(Duration::from_secs(60)).await?;")?;
        screen.rust(&format!(
            "client.put({key:?}, \"here\").lease(&lease).await?;"
        ))?;
        screen.shell("etcdkit lease grant 60")?;
        screen.shell(&format!("etcdkit put {key} here --lease ID"))?;
        let lease = self.client.lease(Duration::from_secs(60)).await?;
        self.client.put(&key, "here").lease(&lease).await?;
        let leases = self.client.leases();
        let told = leases.time_to_live(&lease).keys().await?;
        let keys = told.keys.iter().map(|key| String::from_utf8_lossy(key));
        screen.reply(&format!(
            "lease {:016x} lives {:.0?} unless it is renewed, with {}",
            lease.id().0,
            told.ttl.unwrap_or_default(),
            keys.collect::<Vec<_>>().join(", ")
        ))?;
        screen.check(
            told.ttl.is_some() && told.keys == [key.as_bytes()],
            "the key is attached to the lease",
        )?;

        screen.rust("lease.revoke().await?;")?;
        screen.shell("etcdkit lease revoke ID")?;
        lease.revoke().await?;
        let lost = lease.lost().await;
        screen.reply(&lost.to_string())?;
        let left = self.client.get(&key).await?;
        screen.check(
            left.is_none() && lease.is_lost(),
            "with the lease the key is gone, as when the program that held it dies",
        )
    }
}
