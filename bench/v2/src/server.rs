//! A real etcd with its v2 API.

use std::{
    fs, io,
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use crate::Failure;

/// Longer than any etcd takes to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running member with data of its own. Dropping it ends the process and removes the data.
pub(crate) struct Server {
    process: Child,
    folder: PathBuf,
    pub(crate) endpoint: String,
}

impl Server {
    pub(crate) fn start(etcd: &str) -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("etcdkit-bench-v2-{}", std::process::id()));
        fs::create_dir(&folder)?;
        let client = free_port()?;
        let endpoint = format!("http://127.0.0.1:{client}");
        let peer = format!("http://127.0.0.1:{}", free_port()?);
        let process = Command::new(etcd)
            .args(["--enable-v2=true", "--unsafe-no-fsync", "--log-level=error"])
            .arg(format!("--data-dir={}", folder.display()))
            .arg(format!("--listen-client-urls={endpoint}"))
            .arg(format!("--advertise-client-urls={endpoint}"))
            .arg(format!("--listen-peer-urls={peer}"))
            .arg(format!("--initial-advertise-peer-urls={peer}"))
            .arg(format!("--initial-cluster=default={peer}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let server = Self {
            process,
            folder,
            endpoint,
        };
        // It listens for clients once it has joined its cluster.
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", client)).is_err() {
            if start.elapsed() > PATIENCE {
                return Err(format!("{etcd} does not serve").into());
            }
            sleep(Duration::from_millis(20));
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only for a process that has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
