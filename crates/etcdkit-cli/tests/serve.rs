//! The embedded server as a program, started as etcd is started.

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
};

use common::{Ran, clean, etcdkit, run};
use etcdkit_testkit::etcd::Binary;

/// A server that runs until it is ended.
struct Served {
    child: Child,
    endpoint: String,
}

impl Served {
    fn start(mut command: Command, flags: &[&str]) -> Self {
        let mut child = command
            .arg("serve")
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut endpoint = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut endpoint).unwrap();
        let endpoint = endpoint.trim().to_owned();
        if endpoint.is_empty() {
            let ended = child.wait_with_output().unwrap();
            panic!("{}", String::from_utf8_lossy(&ended.stderr));
        }
        Self { child, endpoint }
    }

    fn run(&self, args: &[&str]) -> Ran {
        let endpoints = ["--endpoints", &self.endpoint];
        run(etcdkit(), endpoints.iter().chain(args), b"")
    }

    /// Ends it in good order; what it said on standard error.
    fn end(mut self) -> String {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").arg(id).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
        let mut said = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut said).unwrap();
        said
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `serve` where it must not start.
fn refused(command: Command, flags: &[&str], code: i32, texts: &[&str]) {
    let ran = run(command, ["serve"].iter().chain(flags), b"");
    assert_eq!(ran.code, Some(code), "{flags:?} {ran:?}");
    for text in texts {
        assert!(ran.stderr.contains(text), "{flags:?} {ran:?}");
    }
}

/// The flags that a program lists in its help.
fn flags_of(program: Command) -> BTreeSet<String> {
    let ran = run(program, ["--help"], b"");
    let help = ran.stdout() + &ran.stderr;
    let flags = help.lines().filter_map(|line| {
        let flag = line.trim_start().strip_prefix("--")?;
        let end = flag.find(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        Some(flag[..end.unwrap_or(flag.len())].to_owned())
    });
    flags.collect()
}

#[test]
fn every_flag_of_every_etcd_is_known() {
    let unknown = "unexpected argument";
    refused(etcdkit(), &["--no-such-flag=", "surplus"], 1, &[unknown]);
    for etcd in Binary::all().expect("a real etcd") {
        let flags = flags_of(clean(etcd.path()));
        assert!(flags.len() > 70, "{etcd} lists {flags:?}");
        for flag in flags {
            // Every flag, switches as well, takes a value after an equals sign. An unknown one is
            // found before the argument that no server takes.
            let flag = format!("--{flag}=");
            let ran = run(etcdkit(), ["serve", &flag, "surplus"], b"");
            assert!(
                !ran.stderr.contains("unexpected argument"),
                "{etcd} {ran:?}"
            );
        }
    }
}

/// What kubeadm starts etcd with, without TLS.
#[test]
fn a_command_line_of_a_cluster_manager_works() {
    let server = Served::start(
        etcdkit(),
        &[
            "--advertise-client-urls=http://127.0.0.1:2379",
            "--experimental-initial-corrupt-check=true",
            "--experimental-watch-progress-notify-interval=5s",
            "--initial-advertise-peer-urls=http://127.0.0.1:2380",
            "--initial-cluster=node=http://127.0.0.1:2380",
            "--listen-client-urls=http://127.0.0.1:0",
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--name=node",
            "--peer-cert-file=/etc/kubernetes/pki/etcd/peer.crt",
            "--peer-client-cert-auth=true",
            "--peer-key-file=/etc/kubernetes/pki/etcd/peer.key",
            "--peer-trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt",
            "--snapshot-count=10000",
        ],
    );
    let members = server.run(&["member", "list"]).stdout();
    assert!(
        members.contains("node, http://127.0.0.1:2380, http://127.0.0.1:2379"),
        "{members}"
    );
    let said = server.end();
    for flag in ["--peer-cert-file", "--snapshot-count", "--initial-cluster"] {
        assert!(said.contains(flag), "{said}");
    }
    assert!(!said.contains("--name"), "{said}");
}

#[test]
fn variables_are_etcds() {
    let mut command = etcdkit();
    command
        .env("ETCD_NAME", "var")
        .env("ETCD_LISTEN_CLIENT_URLS", "http://127.0.0.1:0")
        .env("ETCD_ENABLE_V2", "true")
        .env("ETCD_MAX_TXN_OPS", "1")
        .env("ETCD_SNAPSHOT_COUNT", "7")
        .env("ETCD_ENABLE_PPROF", "false")
        .env("ETCD_PRE_VOTE", "")
        .env("ETCD_EXPERIMENTAL_WATCH_PROGRESS_NOTIFY_INTERVAL", "1s");
    let server = Served::start(command, &["--name", "flag"]);
    assert!(
        server
            .run(&["member", "list"])
            .stdout()
            .contains(", flag, ")
    );
    assert_eq!(server.run(&["v2", "set", "/a", "1"]).stdout(), "1\n");
    let said = server.end();
    assert!(said.contains("--snapshot-count"), "{said}");
    assert!(!said.contains("--pre-vote"), "{said}");

    let mut command = etcdkit();
    command.env("ETCD_ENABLE_PPROF", "true");
    refused(command, &[], 4, &["--enable-pprof"]);
    let mut command = etcdkit();
    command.env("ETCD_EXPERIMENTAL_WATCH_PROGRESS_NOTIFY_INTERVAL", "soon");
    refused(command, &[], 1, &["soon"]);
}

#[test]
fn a_file_stands_in_for_flags_and_variables() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("etcd.yml");
    let file = path.to_str().unwrap();
    fs::write(
        &path,
        "name: file\n\
         listen-client-urls: http://127.0.0.1:0\n\
         max-txn-ops: 1\n\
         enable-v2: true\n\
         snapshot-count: 5000\n\
         peer-transport-security:\n  auto-tls: true\n\
         auto-compaction-retention: \"1\"\n\
         no-such-key: 1\n",
    )
    .unwrap();
    let mut command = etcdkit();
    command.env("ETCD_NAME", "variable");
    let server = Served::start(command, &["--config-file", file, "--name=flag"]);
    assert!(
        server
            .run(&["member", "list"])
            .stdout()
            .contains(", file, ")
    );
    assert_eq!(server.run(&["v2", "set", "/a", "1"]).stdout(), "1\n");
    let said = server.end();
    for text in ["--snapshot-count", "--peer-auto-tls", "no-such-key"] {
        assert!(said.contains(text), "{said}");
    }

    let missing = folder.path().join("missing.yml");
    refused(
        etcdkit(),
        &["--config-file", missing.to_str().unwrap()],
        1,
        &["missing.yml"],
    );
    for (text, code, said) in [
        ("- a", 1, "etcd.yml"),
        ("max-txn-ops: many", 1, "etcd.yml"),
        ("enable-pprof: true", 4, "--enable-pprof"),
        ("initial-cluster: a=http://a,b=http://b", 4, "one node"),
    ] {
        fs::write(&path, text).unwrap();
        refused(etcdkit(), &["--config-file", file], code, &[said]);
    }
}

#[test]
fn logs_go_where_they_are_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("etcd.log");
    let log = path.to_str().unwrap();
    let url = "--listen-client-urls=http://127.0.0.1:0";
    let server = Served::start(etcdkit(), &[url, "--log-level=debug", "--log-outputs", log]);
    server.end();
    assert!(fs::read_to_string(&path).unwrap().contains("has started"));
    let nowhere = folder.path().join("none/etcd.log");
    refused(
        etcdkit(),
        &["--log-outputs", nowhere.to_str().unwrap()],
        6,
        &["etcd.log"],
    );
    refused(
        etcdkit(),
        &["--log-outputs=stderr,x"],
        4,
        &["several places"],
    );
}

#[test]
fn a_server_begins_with_a_snapshot() {
    let any_port = "--listen-client-urls=http://127.0.0.1:0";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("backup.db");
    let path = path.to_str().unwrap();
    let first = Served::start(etcdkit(), &[any_port]);
    for args in [
        &["put", "k", "old"][..],
        &["put", "k", "new"],
        &["snapshot", "save", path],
    ] {
        let ran = first.run(args);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    first.end();

    let second = Served::start(etcdkit(), &[any_port, "--restore", path]);
    for (args, printed) in [
        (&["get", "k", "--print-value-only"][..], "new\n"),
        (&["get", "k", "--print-value-only", "--rev=2"], "old\n"),
    ] {
        assert_eq!(second.run(args).stdout(), printed);
    }
    second.end();

    fs::write(path, "something else").unwrap();
    let restore = &[any_port, "--restore", path];
    refused(
        etcdkit(),
        restore,
        6,
        &["cannot restore", path, "no snapshot"],
    );
}
