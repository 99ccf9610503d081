//! A file that appears under its name only when it is whole and on the disk.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use tokio::{sync::mpsc, task::JoinHandle};

/// How many chunks may wait for the disk.
const QUEUE: usize = 32;

/// Writes a file on a thread that may block. Dropping it removes what is unfinished.
#[derive(Debug)]
pub(super) struct Writer {
    orders: mpsc::Sender<Order>,
    thread: JoinHandle<io::Result<()>>,
}

#[derive(Debug)]
enum Order {
    Write(Bytes),
    Finish,
}

impl Writer {
    pub(super) fn start(path: PathBuf) -> Self {
        let (orders, queue) = mpsc::channel(QUEUE);
        let thread = tokio::task::spawn_blocking(move || obey(&path, queue));
        Self { orders, thread }
    }

    /// Appends to the file. A failure may be that of an earlier chunk, and is the end.
    pub(super) async fn write(&mut self, chunk: Bytes) -> io::Result<()> {
        match self.orders.send(Order::Write(chunk)).await {
            Ok(()) => Ok(()),
            Err(_) => self.ended().await,
        }
    }

    /// Returns once the file is on the disk under its name.
    pub(super) async fn finish(mut self) -> io::Result<()> {
        // If nobody takes the order any more, the thread's end says why.
        let _ = self.orders.send(Order::Finish).await;
        self.ended().await
    }

    async fn ended(&mut self) -> io::Result<()> {
        match (&mut self.thread).await {
            Ok(result) => result,
            Err(error) => Err(io::Error::other(error)),
        }
    }
}

fn obey(path: &Path, mut queue: mpsc::Receiver<Order>) -> io::Result<()> {
    let mut part = PartFile::create(path)?;
    while let Some(order) = queue.blocking_recv() {
        match order {
            Order::Write(chunk) => part.file.write_all(&chunk)?,
            Order::Finish => return part.keep(path),
        }
    }
    // Nobody wants it any more.
    Ok(())
}

/// An unfinished file, removed when dropped.
#[derive(Debug)]
struct PartFile {
    path: PathBuf,
    file: File,
    kept: bool,
}

impl PartFile {
    fn create(target: &Path) -> io::Result<Self> {
        let mut path = target.as_os_str().to_owned();
        path.push(".part");
        let path = PathBuf::from(path);
        // One that a crash has left behind may have other permissions.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path)?;
        Ok(Self {
            path,
            file,
            kept: false,
        })
    }

    fn keep(mut self, target: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, target)?;
        self.kept = true;
        sync_folder_of(target)
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if !self.kept {
            // Where even this fails, the name says that the file is unfinished.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A new name is on the disk only when its folder is.
#[cfg(unix)]
fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder_of(_: &Path) -> io::Result<()> {
    Ok(())
}
