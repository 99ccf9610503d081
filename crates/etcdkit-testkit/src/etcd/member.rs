//! One etcd process: start, wait until it serves, kill, pause, restart.

use std::{
    fs, io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use super::binary::Version;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

/// How long a member may take until it serves, or until it obeys a request to end. Generous: it
/// only bounds how long a broken test hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a condition is looked at again.
const POLL: Duration = Duration::from_millis(5);

/// A member that did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    /// The process could not be run or signalled.
    #[error("{what}: {cause}")]
    Process {
        /// What was tried.
        what: String,
        /// Why it failed.
        cause: io::Error,
    },
    /// Another process has one of the member's ports.
    #[error("a port of {name} is taken; its log ends:\n{log}")]
    PortTaken {
        /// The member.
        name: String,
        /// The end of its log.
        log: String,
    },
    /// The process ended before it served.
    #[error("{name} ended early ({status}); its log ends:\n{log}")]
    Ended {
        /// The member.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of its log.
        log: String,
    },
    /// The process did not get to the awaited state in time.
    #[error("{name} was not {awaited} after {} s; its log ends:\n{log}", PATIENCE.as_secs())]
    Late {
        /// The member.
        name: String,
        /// The state waited for.
        awaited: &'static str,
        /// The end of its log.
        log: String,
    },
}

/// One member of a [`Cluster`](super::Cluster).
///
/// Its data and ports stay the same over restarts. Dropping it kills the process; so does the end of
/// the test process, however it ends.
#[derive(Debug)]
pub struct Member {
    name: String,
    binary: PathBuf,
    arguments: Vec<String>,
    endpoint: String,
    health_port: u16,
    log: PathBuf,
    running: Option<Running>,
}

impl Member {
    pub(super) fn new(
        name: String,
        binary: &Path,
        arguments: Vec<String>,
        endpoint: String,
        health_port: u16,
        log: PathBuf,
    ) -> Self {
        Self {
            name,
            binary: binary.to_path_buf(),
            arguments,
            endpoint,
            health_port,
            log,
            running: None,
        }
    }

    /// Gives the process a further argument when it is started next.
    pub(super) fn argument(&mut self, argument: &str) {
        self.arguments.push(argument.to_owned());
    }

    /// The member's name, as `--name` gave it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its client URL, such as `http://127.0.0.1:12345`. Stays the same over restarts.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Whether a process was started and not yet ended by [`kill`](Self::kill) or
    /// [`terminate`](Self::terminate).
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// The last lines of the log of all of the member's processes.
    pub fn log_tail(&self) -> String {
        const LINES: usize = 30;
        let log = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }

    /// Starts the process without waiting for it to serve, and ends the one that ran.
    ///
    /// # Errors
    ///
    /// When the binary cannot be run.
    pub fn spawn(&mut self) -> Result<(), MemberError> {
        self.running = None;
        let running = Running::spawn(&self.binary, &self.arguments, &self.log);
        self.running = Some(running.map_err(|cause| self.process_error("start", cause))?);
        Ok(())
    }

    /// Waits until the member answers a linearizable read, so it has a leader and a quorum.
    ///
    /// # Errors
    ///
    /// When the process ends or stays unhealthy.
    pub async fn ready(&mut self) -> Result<(), MemberError> {
        // Its health is what a linearizable read says.
        self.until("healthy", "/health", "").await
    }

    /// Waits until the member knows that its cluster is of this version.
    ///
    /// The leader decides it some time after its election, from what it hears of the members: of a lower
    /// version first while one of them does not answer yet. Until then downgrades and what only newer
    /// members can do are refused.
    ///
    /// # Errors
    ///
    /// When the process ends or learns of no such version.
    pub async fn in_cluster_of(&mut self, version: Version) -> Result<(), MemberError> {
        let set = format!(
            "\netcd_cluster_version{{cluster_version=\"{}.{}\"}} 1\n",
            version.major, version.minor
        );
        self.until("in a cluster of its version", "/metrics", &set)
            .await
    }

    /// Waits until the answer at this path is a 200 that contains this text.
    async fn until(
        &mut self,
        awaited: &'static str,
        path: &str,
        text: &str,
    ) -> Result<(), MemberError> {
        let start = Instant::now();
        loop {
            let answer = get(self.health_port, path).await;
            if answer.is_some_and(|answer| answer.contains(text)) {
                return Ok(());
            }
            let ended = match &mut self.running {
                Some(running) => running.etcd.try_wait(),
                None => Err(io::Error::other("it is not running")),
            };
            if let Some(status) = ended.map_err(|cause| self.process_error("wait for", cause))? {
                return Err(self.ended(status));
            }
            if start.elapsed() > PATIENCE {
                return Err(self.late(awaited));
            }
            sleep(POLL).await;
        }
    }

    /// Ends the process, if one runs, as by `kill -9`, starts it again on the same data and ports,
    /// and waits until it serves.
    ///
    /// # Errors
    ///
    /// When it cannot be started or stays unhealthy.
    pub async fn restart(&mut self) -> Result<(), MemberError> {
        self.spawn()?;
        self.ready().await
    }

    /// Ends the process as by `kill -9`. The data stays.
    ///
    /// # Errors
    ///
    /// When no process runs.
    pub fn kill(&mut self) -> Result<(), MemberError> {
        match self.running.take() {
            Some(_) => Ok(()),
            None => Err(self.process_error("kill", io::Error::other("it is not running"))),
        }
    }

    /// The id of the process, if one runs.
    pub fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.etcd.id())
    }

    /// Asks the process to end (SIGTERM) and waits until it has.
    ///
    /// # Errors
    ///
    /// When no process runs, or it does not end in time.
    pub async fn terminate(&mut self) -> Result<(), MemberError> {
        self.signal("terminate", Signal::TERM)?;
        let start = Instant::now();
        while let Some(running) = &mut self.running {
            match running.etcd.try_wait() {
                Ok(Some(_)) => self.running = None,
                Ok(None) if start.elapsed() > PATIENCE => return Err(self.late("terminated")),
                Ok(None) => sleep(POLL).await,
                Err(cause) => return Err(self.process_error("wait for", cause)),
            }
        }
        Ok(())
    }

    /// Freezes the process (SIGSTOP) and waits until it stands still: connections stay open, nothing
    /// is answered.
    ///
    /// # Errors
    ///
    /// When no process runs.
    pub fn pause(&self) -> Result<(), MemberError> {
        self.signal("pause", Signal::STOP)?;
        let Some(running) = &self.running else {
            return Ok(());
        };
        // The signal is only sent by now; until every thread has stopped, answers may still go out.
        let stopped = waitid(
            WaitId::Pid(Pid::from_child(&running.etcd)),
            WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
        );
        stopped
            .map(|_| ())
            .map_err(|cause| self.process_error("pause", cause.into()))
    }

    /// Lets a paused process go on.
    ///
    /// # Errors
    ///
    /// When no process runs.
    pub fn resume(&self) -> Result<(), MemberError> {
        self.signal("resume", Signal::CONT)
    }

    fn signal(&self, what: &str, signal: Signal) -> Result<(), MemberError> {
        let result = match &self.running {
            Some(running) => {
                kill_process(Pid::from_child(&running.etcd), signal).map_err(io::Error::from)
            }
            None => Err(io::Error::other("it is not running")),
        };
        result.map_err(|cause| self.process_error(what, cause))
    }

    fn process_error(&self, what: &str, cause: io::Error) -> MemberError {
        MemberError::Process {
            what: format!("cannot {what} {} ({})", self.name, self.binary.display()),
            cause,
        }
    }

    fn ended(&self, status: ExitStatus) -> MemberError {
        let name = self.name.clone();
        let log = self.log_tail();
        if log.contains("address already in use") {
            MemberError::PortTaken { name, log }
        } else {
            MemberError::Ended { name, status, log }
        }
    }

    fn late(&self, awaited: &'static str) -> MemberError {
        MemberError::Late {
            name: self.name.clone(),
            awaited,
            log: self.log_tail(),
        }
    }
}

/// A process of a member, and the guard that outlives the test process to end it and to remove the
/// folder with its log and data.
///
/// `Drop` does not run when a test process is interrupted or aborts, and would leave etcd behind.
/// The guard is a shell that waits for its standard input to close, which the kernel does for us
/// then.
#[derive(Debug)]
struct Running {
    etcd: Child,
    guard: Child,
}

impl Running {
    fn spawn(binary: &Path, arguments: &[String], log_path: &Path) -> io::Result<Self> {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(log_path)?;
        let mut etcd = Command::new(std::path::absolute(binary)?)
            .args(arguments)
            // Unix sockets are named relative to it, and nothing may be left elsewhere.
            .current_dir(log_path.parent().unwrap_or(Path::new("/")))
            // etcd also takes its flags from ETCD_* variables; the tester's must not leak in.
            .env_clear()
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()?;
        let guard = Command::new("sh")
            .args(["-c", r#"read -r _; kill -9 "$0"; rm -rf "$1""#])
            .arg(etcd.id().to_string())
            .args(log_path.parent())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        match guard {
            Ok(guard) => Ok(Self { etcd, guard }),
            Err(cause) => {
                end(&mut etcd);
                Err(cause)
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The guard first: it must not signal a process id that may belong to someone else by then.
        end(&mut self.guard);
        end(&mut self.etcd);
    }
}

/// Kills and reaps. Both fail only for a process that has been reaped before.
fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// The answer at this path, head and body, if it is a 200 and comes soon.
///
/// The port is one of plain HTTP (`--listen-metrics-urls`), also when clients need TLS.
async fn get(port: u16, path: &str) -> Option<String> {
    let answer = timeout(Duration::from_secs(2), async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        io::Result::Ok(answer)
    });
    let answer = answer.await.ok()?.ok()?;
    answer.starts_with("HTTP/1.0 200").then_some(answer)
}
