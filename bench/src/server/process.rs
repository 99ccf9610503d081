//! A server in a process of its own, and what it costs the machine.

use std::{
    fmt, fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use etcdkit_bench_load::Failure;
use etcdkit_testkit::etcd::Cluster;
use tempfile::TempDir;

use super::Bench;

/// More than any part writes; etcd would refuse writes from 2 GiB on.
const QUOTA: &str = "--quota-backend-bytes=8589934592";

/// etcd's own election timeout, by which the time of its start is judged.
const ELECTION_TIMEOUT: Duration = Duration::from_secs(1);

/// What runs in the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `etcdkit serve`, in memory.
    Memory,
    /// `etcdkit serve --data-dir`.
    Durable,
    /// A real etcd, in a file system in memory, without fsync.
    EtcdWithoutFsync,
    /// A real etcd on a disk.
    Etcd,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [
        Self::Memory,
        Self::EtcdWithoutFsync,
        Self::Durable,
        Self::Etcd,
    ];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Memory => "etcdkit, memory",
            Self::Durable => "etcdkit, durable",
            Self::EtcdWithoutFsync => "etcd --unsafe-no-fsync",
            Self::Etcd => "etcd",
        })
    }
}

/// A running server. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) endpoint: String,
    pid: u32,
    _held: Held,
}

#[derive(Debug)]
enum Held {
    Etcd {
        _cluster: Box<Cluster>,
        _disk: TempDir,
    },
    Etcdkit {
        _child: Ended,
        _disk: Option<TempDir>,
    },
}

/// A child that is ended with this.
#[derive(Debug)]
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // Both fail only for a program that has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    pub(super) fn start(bench: &Bench<'_>, kind: Kind) -> Result<Self, Failure> {
        match kind {
            Kind::Memory => Self::etcdkit(bench, None),
            Kind::Durable => Self::etcdkit(bench, Some(TempDir::new_in(&bench.disk)?)),
            Kind::EtcdWithoutFsync => Self::etcd(bench, false),
            Kind::Etcd => Self::etcd(bench, true),
        }
    }

    fn etcdkit(bench: &Bench<'_>, disk: Option<TempDir>) -> Result<Self, Failure> {
        let mut command = Command::new(&bench.etcdkit);
        command.args(["serve", "--listen-client-urls=http://127.0.0.1:0", QUOTA]);
        if let Some(disk) = &disk {
            command.arg("--data-dir").arg(disk.path());
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let child = child.map_err(|error| {
            let program = bench.etcdkit.display();
            format!("cannot run {program}: {error}; `cargo xtask bench server` builds it")
        })?;
        let mut child = Ended(child);
        let stdout = child.0.stdout.take().ok_or("its output was asked for")?;
        let mut endpoint = String::new();
        BufReader::new(stdout).read_line(&mut endpoint)?;
        if endpoint.is_empty() {
            return Err("`etcdkit serve` ended before it listened".into());
        }
        Ok(Self {
            endpoint: endpoint.trim().to_owned(),
            pid: child.0.id(),
            _held: Held::Etcdkit {
                _child: child,
                _disk: disk,
            },
        })
    }

    fn etcd(bench: &Bench<'_>, on_disk: bool) -> Result<Self, Failure> {
        let mut builder = Cluster::builder(&bench.etcd)
            .election_timeout(ELECTION_TIMEOUT)
            .flag(QUOTA);
        let disk = TempDir::new_in(&bench.disk)?;
        if on_disk {
            builder = builder.flag(format!("--data-dir={}", disk.path().display()));
            if bench.etcd.has_unsafe_no_fsync() {
                builder = builder.flag("--unsafe-no-fsync=false");
            }
        }
        let mut cluster = bench.runtime.block_on(builder.start())?;
        Ok(Self {
            endpoint: cluster.endpoint().to_owned(),
            pid: cluster.member(0).pid().ok_or("etcd has ended")?,
            _held: Held::Etcd {
                _cluster: Box::new(cluster),
                _disk: disk,
            },
        })
    }

    /// The CPU time it has used so far, in seconds.
    pub(super) fn cpu_seconds(&self) -> Result<f64, Failure> {
        /// What Linux counts CPU time in, for every process on every machine.
        const TICKS_PER_SECOND: f64 = 100.0;
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        let ticks = crate::noise::own_ticks(&stat).ok_or("no CPU time in /proc")?;
        Ok(ticks as f64 / TICKS_PER_SECOND)
    }

    /// The memory it holds, in MiB.
    pub(super) fn rss_mib(&self) -> Result<f64, Failure> {
        rss_mib(self.pid)
    }
}

/// The memory that a process holds, in MiB.
pub(super) fn rss_mib(pid: u32) -> Result<f64, Failure> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.strip_suffix("kB"));
    let kib: f64 = kib.ok_or("no VmRSS in /proc")?.trim().parse()?;
    Ok(kib / 1024.0)
}
