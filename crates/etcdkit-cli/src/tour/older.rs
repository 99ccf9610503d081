//! The step about the API before this one, and the way from there.

use etcdkit::{KeyRange, v2};
use etcdkit_server::Server;

use super::Tour;
use crate::error::{Exit, Failure, Result};

impl Tour<'_> {
    /// Changes keys of a server of the old kind as its clients do, and copies them to the new.
    pub(super) async fn older(&mut self) -> Result {
        let prefix = self.key("from-v2");
        let screen = &mut *self.screen;
        screen.step(
            "The v2 API",
            "Directories, indexes and times to live over HTTP: what etcd had first and 3.5 had last.\n\
             An old deployment is read, written and watched as it is, and copied into v3.",
        )?;
        screen.rust("let v2 = etcdkit::v2::Client::connect([\"http://old:2379\"]).await?;")?;
        screen.rust("v2.compare_and_swap(\"/jobs/1\", \"taken\").prev_value(\"new\").await?;")?;
        screen.rust(
            "let change = v2.watch(\"/jobs\").recursive().from_index(index).next().await?;",
        )?;
        screen.rust("Migration::new(&v2, &client).from(\"/jobs\").to_prefix(\"jobs\").await?;")?;
        screen.shell("etcdkit v2 set /jobs/1 taken --swap-with-value new")?;
        screen.shell("etcdkit v2 watch --recursive --forever /jobs")?;
        screen.shell("etcdkit v2 migrate --to http://new:2379")?;
        let old = Server::builder().enable_v2(true).without_listener();
        let old = old.start().await;
        let old = old.map_err(failed)?;
        let client = v2::Client::builder().connector(old.connector()).connect();
        let client = client.await.map_err(failed)?;

        let created = client.set("/jobs/1", "new").await.map_err(failed)?;
        let set = client.set("/jobs/2", "new").ttl(60).await;
        set.map_err(failed)?;
        let swap = |value: &'static str| client.compare_and_swap("/jobs/1", value);
        let swapped = swap("taken").prev_value("new").await;
        swapped.map_err(failed)?;
        let late = swap("mine").prev_value("new").await;
        screen.check(
            late.is_err_and(|error| error.kind() == v2::ErrorKind::CompareFailed),
            "of two who swap the same value one succeeds",
        )?;
        let watch = client.watch("/jobs").recursive();
        let next = created.header.etcd_index.saturating_add(1);
        let change = watch.from_index(next).next().await.map_err(failed)?;
        screen.check(
            change.key() == "/jobs/2",
            "a watch from an index begins with what happened since",
        )?;

        let copy = v2::Migration::new(&client, &self.client).from("/jobs");
        let report = copy.to_prefix(&prefix).await.map_err(failed)?;
        let copied = self.client.range(KeyRange::prefix(&prefix)).await?;
        screen.reply(&format!("{} keys copied into v3", report.created))?;
        screen.check(
            report.verified && copied.kvs.iter().any(|kv| kv.value == "taken"),
            "every key is in v3, compared value by value",
        )?;
        screen.check(
            copied.kvs.iter().filter(|kv| kv.lease.is_some()).count() == 1,
            "a time to live became a lease",
        )?;
        old.shutdown().await.map_err(failed)
    }
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Error, error.to_string())
}
