//! The steps about what programs do together: locks, elections, transactions in memory.

use std::time::Duration;

use etcdkit::{ErrorKind, Outcome};
use tokio::join;

use super::Tour;
use crate::error::{Exit, Failure, Result};

/// How many tasks add to the same number at once.
const WRITERS: usize = 8;

impl Tour<'_> {
    /// Takes a lock away from its holder, who then tries to write.
    pub(super) async fn lock(&mut self) -> Result {
        let (name, order) = (self.key("locks/orders"), self.key("order-1"));
        let screen = &mut *self.screen;
        screen.step(
            "Lock",
            "One holder at a time, in the order they came. Whoever has lost the lock, and does not\n\
             know it yet, writes nothing: its writes carry the lock's condition.",
        )?;
        screen.rust(&format!("let guard = client.lock({name:?}).await?;"))?;
        screen.rust(&format!("guard.put({order:?}, \"paid\").await?;"))?;
        screen.shell(&format!("etcdkit lock {name} COMMAND"))?;
        let lock = || self.client.lock(&name).ttl(Duration::from_secs(60));
        let guard = lock().await?;
        guard.put(&order, "paid").await?;
        screen.reply(&format!(
            "held by {}, fencing token {}",
            guard.key().escape_ascii(),
            guard.fencing_token()
        ))?;
        screen.check(
            lock().try_lock().await?.is_none(),
            "nobody else gets it meanwhile",
        )?;

        screen.shell(&format!("etcdkit del {}", guard.key().escape_ascii()))?;
        let (next, broken) = join!(lock(), self.client.delete(&guard.key()[..]));
        let (next, _) = (next?, broken?);
        let late = match guard.put(&order, "paid twice").await {
            Err(late) => late,
            Ok(_) => return Err(Failure::new(Exit::Error, "a past holder has written")),
        };
        screen.reply(&late.to_string())?;
        screen.check(
            late.kind() == ErrorKind::NotHeld && late.outcome() == Outcome::NotApplied,
            "a lock that an operator has broken guards no further write",
        )?;
        screen.check(
            next.fencing_token() > guard.fencing_token() && next.unlock().await?,
            "the next in the queue has it at once, with a higher token",
        )
    }

    /// Elects a leader, and a successor.
    pub(super) async fn election(&mut self) -> Result {
        let name = self.key("elections/workers");
        let screen = &mut *self.screen;
        screen.step(
            "Election",
            "A lock whose holder says who it is. Everybody can follow who leads, and when nobody does.",
        )?;
        screen.rust(&format!(
            "let leadership = client.election({name:?}).campaign(\"host-7\").await?;"
        ))?;
        screen.rust(&format!(
            "let mut leaders = client.election({name:?}).observe().await?;"
        ))?;
        screen.shell(&format!("etcdkit elect {name} host-7"))?;
        screen.shell(&format!("etcdkit elect -l {name}"))?;
        let election = self.client.election(&name);
        let mut leaders = election.observe().await?;
        let mut seen = Vec::new();
        for host in ["host-7", "host-8"] {
            let leadership = election.campaign(host).await?;
            leadership.resign().await?;
        }
        // Nobody, host-7, nobody, host-8, nobody.
        while seen.len() < 5
            && let Some(told) = leaders.try_next().await?
        {
            let leader = told.leader.map(|leader| leader.value.clone());
            screen.reply(&match &leader {
                Some(value) => format!("{} leads", value.escape_ascii()),
                None => "nobody leads".to_owned(),
            })?;
            seen.push(leader);
        }
        let leaders: Vec<_> = seen.iter().map(Option::as_deref).collect();
        screen.check(
            leaders == [None, Some(&b"host-7"[..]), None, Some(b"host-8"), None],
            "an observer sees every leader, and every time without one, in order",
        )
    }

    /// Adds to one number from several tasks at once.
    pub(super) async fn in_memory(&mut self) -> Result {
        let key = self.key("total");
        let screen = &mut *self.screen;
        screen.step(
            "Transactions in memory",
            "Read and write as if alone; what others changed meanwhile makes it run again.",
        )?;
        screen.rust("client.stm(async |tx| {")?;
        screen.rust(&format!(
            "    let n: u64 = tx.get({key:?}).await?.unwrap_or(0);"
        ))?;
        screen.rust(&format!("    tx.put({key:?}, n + 1);"))?;
        screen.rust("    Ok(())")?;
        screen.rust("}).await?;")?;
        let mut writers = tokio::task::JoinSet::new();
        for _ in 0..WRITERS {
            let (client, key) = (self.client.clone(), key.clone());
            writers.spawn(async move {
                let add = client.stm_builder().commit(async |tx| {
                    let n: u64 = tx.get(&key).await?.unwrap_or(0);
                    tx.put(&key, n + 1);
                    Ok::<_, etcdkit::Error>(())
                });
                add.await
            });
        }
        let mut attempts = 0;
        for done in writers.join_all().await {
            attempts += done?.attempts;
        }
        let total = self.client.get(&key).await?;
        screen.reply(&format!("{WRITERS} additions in {attempts} attempts"))?;
        screen.check(
            total.is_some_and(|total| total.value == WRITERS.to_string()),
            "no addition is lost, and none is made twice",
        )
    }
}
