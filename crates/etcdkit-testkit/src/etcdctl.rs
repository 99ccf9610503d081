//! etcdctl beside an etcd, as a program that goes on until it ends or is told to.
//!
//! ```no_run
//! # async fn example(cluster: etcdkit_testkit::etcd::Cluster) {
//! use etcdkit_testkit::{etcd::Binary, etcdctl::Etcdctl};
//!
//! let etcd = Binary::newest().unwrap();
//! let mut holder = Etcdctl::start(&etcd, cluster.endpoint(), &["lock", "orders"]);
//! let key = holder.line().await;
//! holder.terminate().await;
//! # drop(key); }
//! ```

use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

use crate::{etcd::Binary, patience::PATIENCE};

/// An etcdctl under way. It panics when etcdctl cannot be run, or does not do in a minute what it
/// is waited for. Dropping it kills the process.
#[derive(Debug)]
pub struct Etcdctl {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Etcdctl {
    /// Starts the etcdctl that came with an etcd.
    ///
    /// # Panics
    ///
    /// When there is none beside it.
    pub fn start(etcd: &Binary, endpoint: &str, arguments: &[&str]) -> Self {
        let path = etcd.path().with_file_name("etcdctl");
        assert!(path.is_file(), "there is no etcdctl beside {etcd}");
        let mut child = Command::new(path)
            .env_clear()
            // For the programs that it runs.
            .env("PATH", "/usr/bin:/bin")
            .args(["--endpoints", endpoint])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("the etcdctl beside {etcd} does not run: {error}"));
        let output = child.stdout.take().expect("piped");
        let lines = BufReader::new(output).lines();
        Self { child, lines }
    }

    /// The next line of its output. Nothing is lost when the future is dropped.
    ///
    /// # Panics
    ///
    /// When none comes, or its output ends.
    pub async fn line(&mut self) -> String {
        let line = timeout(PATIENCE, self.lines.next_line()).await;
        let line = line.expect("etcdctl says something in time");
        line.expect("its output is text").expect("a further line")
    }

    /// Asks it to end by SIGTERM, and waits until it has; its exit code.
    ///
    /// # Panics
    ///
    /// When it does not end.
    pub async fn terminate(mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        self.ended().await
    }

    /// Ends it by SIGKILL, which it does not feel: whatever it has in the store stays.
    ///
    /// # Panics
    ///
    /// When it does not end.
    pub async fn kill(mut self) {
        self.signal(Signal::KILL);
        self.ended().await;
    }

    /// Waits until it ends by itself; its exit code.
    ///
    /// # Panics
    ///
    /// When it does not end.
    pub async fn ended(&mut self) -> Option<i32> {
        let ended = timeout(PATIENCE, self.child.wait()).await;
        ended.expect("etcdctl ends in time").expect("an end").code()
    }

    fn signal(&self, signal: Signal) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        let pid = id.and_then(Pid::from_raw).expect("a running process");
        kill_process(pid, signal).expect("a signal");
    }
}
