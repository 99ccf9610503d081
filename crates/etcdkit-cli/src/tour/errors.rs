//! Steps about what goes wrong: compaction, and errors with their outcomes.

use std::{net::Ipv4Addr, time::Duration};

use etcdkit::{Client, Error, ErrorKind, Outcome};
use tokio::net::TcpSocket;

use super::Tour;
use crate::error::Result;

impl Tour<'_> {
    pub(super) async fn compaction(&mut self) -> Result {
        let key = self.key("greeting");
        let screen = &mut *self.screen;
        screen.step(
            "Compaction",
            "History costs space. Compacting drops what is older than a revision, of all keys.",
        )?;
        if !self.compact {
            screen.shell("etcdkit compaction REVISION")?;
            return screen.note(
                "left out: it would drop history of the whole cluster; tour --compact does it",
            );
        }
        let now = self.client.put(&key, "hello again").await?.header.revision;
        screen.rust(&format!("client.compact({now}).await?;"))?;
        screen.shell(&format!("etcdkit compaction {now}"))?;
        self.client.compact(now).await?;
        screen.reply(&format!("compacted revision {now}"))?;
        let at = self.client.get(&key).revision(now).await?;
        screen.check(at.is_some(), "the revision compacted to can be read")?;

        let before = now - 1;
        screen.rust(&format!("client.get({key:?}).revision({before}).await?;"))?;
        let error = self.client.get(&key).revision(before).await.err();
        self.expect(error, ErrorKind::Compacted, "what is older cannot")
    }

    pub(super) async fn errors(&mut self) -> Result {
        let key = self.key("greeting");
        let screen = &mut *self.screen;
        screen.step(
            "Errors",
            "Each has a kind to act on, and says whether the request may have been applied.",
        )?;
        screen.rust("client.put(\"\", \"value\").await?;")?;
        screen.shell("etcdkit put '' value")?;
        let error = self.client.put("", "value").await.err();
        self.expect(error, ErrorKind::EmptyKey, "a key has at least one byte")?;

        let revision = i64::MAX;
        self.screen
            .rust(&format!("client.get({key:?}).revision(i64::MAX).await?;"))?;
        self.screen
            .shell(&format!("etcdkit get {key} --rev {revision}"))?;
        let error = self.client.get(&key).revision(revision).await.err();
        self.expect(
            error,
            ErrorKind::FutureRevision,
            "the future cannot be read",
        )?;

        let unused = unused_address()?;
        let nowhere = format!("http://{}", unused.local_addr()?);
        self.screen.rust(&format!(
            "let lost = Client::builder().endpoint({nowhere:?}).connect_lazy()?;"
        ))?;
        self.screen
            .rust("lost.put(\"key\", \"value\").timeout(Duration::from_millis(200)).await?;")?;
        self.screen.shell(&format!(
            "etcdkit --endpoints {nowhere} --command-timeout 200ms put key value"
        ))?;
        let lost = Client::builder().endpoint(&nowhere).connect_lazy()?;
        let put = lost.put("key", "value").timeout(Duration::from_millis(200));
        let error = put.await.err();
        self.expect(
            error,
            ErrorKind::Connect,
            "nobody listens there, so nothing was written",
        )
    }

    /// Shows an error, which must be of a kind, and of a request without effect.
    fn expect(&mut self, error: Option<Error>, kind: ErrorKind, claim: &str) -> Result {
        let Some(error) = error else {
            self.screen.reply("no error")?;
            return self.screen.check(false, claim);
        };
        self.screen
            .reply(&format!("{:?}, {:?}", error.kind(), error.outcome()))?;
        self.screen.reply(&error.to_string())?;
        let passed = error.kind() == kind && error.outcome() == Outcome::NotApplied;
        self.screen.check(passed, claim)
    }
}

/// An address of this machine where nobody listens, nor can as long as the socket is held.
fn unused_address() -> Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    Ok(socket)
}
