//! The commands and calls that bring out each message and field at least once.

mod calls;
mod refusals;

use crate::{
    Failure,
    etcd::{Binaries, Process, connect, free_address},
    journal::Journal,
    proxy::{self, Keep},
};
use std::{
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, Command},
};
use tonic::transport::Channel;

const PATIENCE: Duration = Duration::from_secs(20);

/// Runs everything against one version of etcd.
pub(crate) async fn run(binaries: &Binaries) -> Result<Journal, Failure> {
    let first = Process::member(binaries, "first", None, &[]).await?;
    let journal = Journal::default();
    let recorded = proxy::start(first.address.clone(), journal.clone(), Keep::All).await?;
    let answers = proxy::start(first.address.clone(), journal.clone(), Keep::Responses).await?;
    let stage = Stage {
        binaries,
        journal,
        folder: tempfile::tempdir()?,
        endpoint: recorded.clone(),
        direct: connect(&answers).await?,
    };

    stage.keys().await?;
    stage.leases().await?;
    stage.watches().await?;
    stage.snapshot().await?;
    {
        stage.journal.step("etcd grpc-proxy starts");
        let go = Process::grpc_proxy(binaries, &recorded).await?;
        let channel = go.connect().await?;
        calls::through_grpc_proxy(&stage, &channel).await?;
    }
    calls::direct(&stage).await?;
    stage.maintenance().await?;
    refusals::without_auth(&stage).await?;
    stage.auth().await?;
    stage.cluster(&first).await?;
    if binaries.minor >= (3, 6) {
        stage.downgrade().await?;
    }
    Ok(stage.journal)
}

/// What the parts of the script share.
struct Stage<'a> {
    binaries: &'a Binaries,
    journal: Journal,
    /// Where etcdctl runs and leaves its files.
    folder: tempfile::TempDir,
    /// The recording proxy, as etcdctl's endpoint.
    endpoint: String,
    /// A connection of which only the answers are recorded.
    direct: Channel,
}

impl Stage<'_> {
    async fn keys(&self) -> Result<(), Failure> {
        for command in [
            "put greeting hello",
            "put greeting again --prev-kv",
            "put numbers/1 one",
            "put numbers/2 two",
            "put numbers/3 three",
            "get greeting",
            "get greeting --rev=2",
            "get missing",
            "get greeting --consistency=s",
            "get numbers/1 numbers/3",
            "get numbers/2 --from-key",
            "get --prefix numbers/ --limit=2",
            "get --prefix numbers/ --keys-only",
            "get --prefix numbers/ --order=DESCEND",
            "get --prefix numbers/ --order=ASCEND --sort-by=VERSION",
            "get --prefix numbers/ --order=ASCEND --sort-by=CREATE",
            "get --prefix numbers/ --order=ASCEND --sort-by=MODIFY",
            "get --prefix numbers/ --order=ASCEND --sort-by=VALUE",
        ] {
            self.ctl(command).await?;
        }
        if self.binaries.minor >= (3, 7) {
            self.ctl("get --prefix numbers/ --stream").await?;
            self.ctl("get --prefix numbers/ --limit=2 --stream").await?;
        }
        let compares = "value(\"greeting\") = \"again\"\nversion(\"greeting\") > \"1\"\n\
                        create(\"greeting\") < \"9\"\nmod(\"greeting\") > \"1\"\n\n";
        let operations = "put greeting bye\nget greeting\ndel numbers/3\n\nput greeting never\n\n";
        self.ctl_with("txn", &format!("{compares}{operations}"))
            .await?;
        self.ctl_with("txn", "version(\"missing\") > \"0\"\n\n\nget greeting\n\n")
            .await?;
        self.ctl("del greeting --prev-kv").await?;
        self.ctl("del --prefix numbers/").await?;
        self.ctl("compaction 4").await?;
        self.ctl("compaction 6 --physical").await?;
        Ok(())
    }

    async fn leases(&self) -> Result<(), Failure> {
        let granted = self.ctl("lease grant 600").await?;
        let id = granted
            .split_whitespace()
            .nth(1)
            .ok_or("no lease id from etcdctl")?
            .to_string();
        self.ctl(&format!("put leased x --lease={id}")).await?;
        self.ctl(&format!("put leased --ignore-value --lease={id}"))
            .await?;
        self.ctl("put leased y --ignore-lease --prev-kv").await?;
        self.ctl("get leased").await?;
        self.ctl(&format!("lease timetolive {id}")).await?;
        self.ctl(&format!("lease timetolive {id} --keys")).await?;
        self.ctl("lease timetolive 77").await?;
        self.ctl("lease list").await?;
        self.ctl(&format!("lease keep-alive --once {id}")).await?;
        self.ctl(&format!("lease revoke {id}")).await?;
        Ok(())
    }

    async fn watches(&self) -> Result<(), Failure> {
        let newest = self.newest_revision().await?;
        let before = self.journal.responses();
        let mut watch = self.spawn("watch -i")?;
        let mut input = watch.stdin.take().ok_or("no input for etcdctl")?;
        let create: &[u8] = match self.binaries.minor {
            (3, ..=4) => b"watch --prefix --prev-kv seen/\n",
            _ => b"watch --prefix --prev-kv --progress-notify seen/\n",
        };
        input.write_all(create).await?;
        self.more_responses(before, 1).await?;
        self.ctl("put seen/a 1").await?;
        self.ctl("put seen/a 2").await?;
        self.ctl("del seen/a").await?;
        // Three answers to these commands and three to the watch.
        self.more_responses(before, 7).await?;
        let before = self.journal.responses();
        self.journal.step("etcdctl watch -i: progress");
        input.write_all(b"progress\n").await?;
        self.more_responses(before, 1).await?;
        watch.kill().await?;

        let before = self.journal.responses();
        let mut watch = self.spawn(&format!("watch --rev={newest} seen/a seen/b"))?;
        self.more_responses(before, 2).await?;
        watch.kill().await?;
        let before = self.journal.responses();
        let mut watch = self.spawn("watch --rev=2 seen/a")?;
        self.more_responses(before, 2).await?;
        watch.kill().await?;
        Ok(())
    }

    /// A snapshot of more than one part, while the database is still small enough to record.
    async fn snapshot(&self) -> Result<(), Failure> {
        self.ctl_with("put filler", &"x".repeat(40_000)).await?;
        self.ctl("snapshot save backup.db").await?;
        Ok(())
    }

    async fn maintenance(&self) -> Result<(), Failure> {
        for command in [
            "endpoint health",
            "endpoint status",
            "endpoint hashkv",
            "endpoint hashkv --rev=8",
            "alarm list",
            "alarm disarm",
            "defrag",
        ] {
            self.ctl(command).await?;
        }
        Ok(())
    }

    async fn auth(&self) -> Result<(), Failure> {
        refusals::without_root(self).await?;
        for command in [
            "user add ann:secret",
            "user add ben --no-password",
            "role add root",
            "role add reader",
            "role grant-permission reader read a",
            "role grant-permission reader write b c",
            "role grant-permission reader readwrite --from-key x",
            "role get reader",
            "role list",
            "user grant-role root root",
            "user grant-role ann reader",
            "user get ann",
            "user list",
        ] {
            self.ctl(command).await?;
        }
        self.ctl_with("user passwd ann --interactive=false", "other\n")
            .await?;
        if self.binaries.minor >= (3, 5) {
            self.ctl("auth status").await?;
        }
        refusals::before_auth_is_enabled(self).await?;
        self.ctl("auth enable").await?;
        refusals::with_auth(self).await?;
        let as_root = "--user root:secret";
        for command in [
            "get a",
            "role get root",
            "role revoke-permission reader b c",
            "user revoke-role ann reader",
            "role delete reader",
            "user delete ann",
        ] {
            self.ctl(&format!("{command} {as_root}")).await?;
        }
        if self.binaries.minor >= (3, 5) {
            self.ctl(&format!("auth status {as_root}")).await?;
        }
        self.ctl(&format!("auth disable {as_root}")).await?;
        Ok(())
    }

    /// A learner joins, is promoted, leads, and leaves again.
    async fn cluster(&self, first: &Process) -> Result<(), Failure> {
        let members = self.ctl("member list").await?;
        let (first_id, _) = members.split_once(',').ok_or("no member id from etcdctl")?;
        let same_url = &first.peer_url;
        self.ctl(&format!("member update {first_id} --peer-urls={same_url}"))
            .await?;
        let peer_url = format!("http://{}", free_address()?);
        let added = self
            .ctl(&format!(
                "member add second --learner --peer-urls={peer_url}"
            ))
            .await?;
        let id = added
            .split_whitespace()
            .nth(1)
            .ok_or("no member id from etcdctl")?
            .to_string();
        refusals::before_learner_starts(self, &id).await?;
        let others = [format!("first={}", first.peer_url)];
        let second = Process::member(self.binaries, "second", Some(peer_url), &others).await?;
        calls::to_learner(self, &second).await?;
        self.ctl_until_done(&format!("member promote {id}")).await?;
        self.ctl("member list").await?;
        self.ctl(&format!("move-leader {id}")).await?;
        refusals::as_follower(self).await?;
        self.ctl("endpoint status").await?;
        self.ctl_until_done(&format!("member remove {id}")).await?;
        drop(second);
        self.ctl_until_done("endpoint health").await
    }

    async fn downgrade(&self) -> Result<(), Failure> {
        let (major, minor) = self.binaries.minor;
        let target = format!("{major}.{}.0", minor - 1);
        self.ctl(&format!("downgrade validate {target}")).await?;
        self.ctl(&format!("downgrade enable {target}")).await?;
        self.ctl("endpoint status").await?;
        refusals::during_downgrade(self, &target).await?;
        self.ctl("downgrade cancel").await?;
        Ok(())
    }

    async fn newest_revision(&self) -> Result<i64, Failure> {
        let text = self.ctl("get missing -w fields").await?;
        let revision = text
            .lines()
            .find_map(|line| line.strip_prefix("\"Revision\" : "))
            .ok_or("no revision from etcdctl")?;
        Ok(revision.parse()?)
    }

    /// Runs etcdctl to its end and returns what it printed.
    async fn ctl(&self, command: &str) -> Result<String, Failure> {
        self.ctl_with(command, "").await
    }

    /// As [`ctl`](Self::ctl), with something to read.
    async fn ctl_with(&self, command: &str, input: &str) -> Result<String, Failure> {
        let mut child = self.spawn(command)?;
        let mut stdin = child.stdin.take().ok_or("no input for etcdctl")?;
        stdin.write_all(input.as_bytes()).await?;
        drop(stdin);
        let output = tokio::time::timeout(PATIENCE, child.wait_with_output())
            .await
            .map_err(|_| format!("etcdctl {command} does not end"))??;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr);
            return Err(format!("etcdctl {command} failed: {why}").into());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// For commands that are refused until the cluster has settled.
    async fn ctl_until_done(&self, command: &str) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = self.ctl(command).await {
            if Instant::now() > deadline {
                return Err(error);
            }
        }
        Ok(())
    }

    fn spawn(&self, command: &str) -> Result<Child, Failure> {
        self.journal.step(&format!("etcdctl {command}"));
        let child = Command::new(&self.binaries.etcdctl)
            .env("ETCDCTL_API", "3")
            .current_dir(self.folder.path())
            .arg(format!("--endpoints={}", self.endpoint))
            // A command that gives up early may still take effect, which upsets the next ones.
            .arg("--command-timeout=15s")
            .args(command.split(' '))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        Ok(child)
    }

    /// Waits for `count` responses beyond the `before` first ones.
    async fn more_responses(&self, before: usize, count: usize) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        while self.journal.responses() < before + count {
            if Instant::now() > deadline {
                let step = self.journal.last_step();
                return Err(format!("{step}: the expected responses do not come").into());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }
}
