//! Data that lasts: `serve --data-dir` and `--endpoints embedded:DIR`.

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Stdio},
};

use common::{Ran, etcdkit, run};

/// Runs a command line on the server of a directory, inside the process.
fn inside(directory: &Path, args: &[&str]) -> Ran {
    let endpoint = format!("embedded:{}", directory.display());
    run(
        etcdkit(),
        ["--endpoints", &endpoint].iter().chain(args),
        b"",
    )
}

/// A server that is killed at the end.
struct Served {
    child: Child,
    endpoint: String,
}

impl Served {
    fn start(directory: &Path) -> Self {
        let mut child = etcdkit()
            .args([
                "serve",
                "--listen-client-urls=http://127.0.0.1:0",
                "--data-dir",
            ])
            .arg(directory)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut endpoint = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut endpoint).unwrap();
        let endpoint = endpoint.trim().to_owned();
        assert!(!endpoint.is_empty(), "it does not start");
        Self { child, endpoint }
    }

    fn run(&self, args: &[&str]) -> Ran {
        let endpoints = ["--endpoints", &self.endpoint];
        run(etcdkit(), endpoints.iter().chain(args), b"")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// What both ways to open a directory say about one that cannot be used.
fn refused(directory: &Path, texts: &[&str]) {
    let directory_flag = [
        "serve",
        "--listen-client-urls=http://127.0.0.1:0",
        "--data-dir",
    ];
    let path = directory.to_str().unwrap();
    let serve = run(etcdkit(), directory_flag.iter().chain(&[path]), b"");
    assert_eq!(serve.code, Some(6), "{serve:?}");
    let get = inside(directory, &["get", "k"]);
    assert_eq!(get.code, Some(2), "{get:?}");
    for text in texts.iter().chain(&[path]) {
        assert!(serve.stderr.contains(text), "no {text:?}: {serve:?}");
        assert!(get.stderr.contains(text), "no {text:?}: {get:?}");
    }
}

#[test]
fn commands_share_what_is_in_a_directory() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("data");
    let made = inside(&directory, &["put", "k", "v"]);
    assert_eq!(made.stdout(), "OK\n", "{made:?}");
    assert!(made.stderr.contains("Making"), "{made:?}");
    let got = inside(&directory, &["get", "k"]);
    assert_eq!((got.stdout().as_str(), got.stderr.as_str()), ("k\nv\n", ""));

    let granted = inside(&directory, &["lease", "grant", "1000"]).stdout();
    let lease = granted.split(' ').nth(1).unwrap().to_owned();
    inside(&directory, &["put", "leased", "v", "--lease", &lease]);
    inside(&directory, &["user", "add", "bob:secret"]);
    inside(&directory, &["compaction", "2"]);
    // A server over the network takes over, and loses nothing when it is killed.
    let server = Served::start(&directory);
    assert_eq!(server.run(&["get", "leased"]).stdout(), "leased\nv\n");
    assert_eq!(server.run(&["user", "list"]).stdout(), "bob\n");
    assert_eq!(server.run(&["put", "k", "killed"]).code, Some(0));
    drop(server);
    assert_eq!(inside(&directory, &["get", "k"]).stdout(), "k\nkilled\n");
    assert!(
        inside(&directory, &["lease", "list"])
            .stdout()
            .contains(&lease)
    );
    let hash = inside(&directory, &["endpoint", "hashkv"]);
    assert_eq!(hash, inside(&directory, &["endpoint", "hashkv"]));
    assert_eq!(inside(&directory, &["defrag"]).code, Some(0));
}

/// What monitoring shows next to the quota.
#[test]
fn the_metrics_tell_the_size_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let server = Served::start(folder.path());
    let address = server.endpoint.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let request = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    let file = fs::read_dir(folder.path()).unwrap().next().unwrap();
    let size = file.unwrap().metadata().unwrap().len();
    let told = format!("\netcd_mvcc_db_total_size_in_bytes {size}\n");
    assert!(page.replace('\r', "").contains(&told), "{size}: {page}");
}

#[test]
fn one_process_at_a_time_uses_a_directory() {
    let folder = tempfile::tempdir().unwrap();
    let server = Served::start(folder.path());
    refused(
        folder.path(),
        &["another server is using it", "stop that one"],
    );
    let get = inside(folder.path(), &["get", "k"]);
    assert!(get.stderr.contains("--endpoints"), "{get:?}");
    assert_eq!(
        server.run(&["put", "k", "v"]).code,
        Some(0),
        "it is not disturbed"
    );
    drop(server);
    assert_eq!(inside(folder.path(), &["get", "k"]).stdout(), "k\nv\n");
}

#[test]
fn a_directory_of_etcd_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("member/snap")).unwrap();
    let snapshot = folder.path().join("member/snap/db");
    refused(
        folder.path(),
        &["real etcd", "--restore", snapshot.to_str().unwrap()],
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn what_is_damaged_is_refused_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    inside(folder.path(), &["put", "k", "v"]);
    let entry = fs::read_dir(folder.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let whole = fs::read(entry.path()).unwrap();
    let mut damaged = whole.clone();
    for byte in &mut damaged[8192..12288] {
        *byte ^= 0x55;
    }
    for (bytes, text) in [
        (&b"no data file"[..], "no data file of an etcdkit server"),
        (&damaged, "damaged"),
        (&whole[..whole.len() / 2], "damaged"),
    ] {
        fs::write(entry.path(), bytes).unwrap();
        refused(folder.path(), &[text]);
        assert_eq!(fs::read(entry.path()).unwrap(), bytes, "it is as it was");
    }
    fs::write(entry.path(), &whole).unwrap();
    assert_eq!(inside(folder.path(), &["get", "k"]).stdout(), "k\nv\n");
}

#[test]
fn what_cannot_be_a_directory_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    refused(&file, &[]);
    refused(&file.join("below"), &[]);
    // Root may write wherever that is possible at all.
    #[cfg(target_os = "linux")]
    refused(Path::new("/proc/etcdkit"), &[]);
}
