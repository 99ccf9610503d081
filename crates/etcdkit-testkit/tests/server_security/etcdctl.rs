//! Each etcdctl on the embedded server and on the real one of its version: by certificate, and with signed tokens.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use etcdkit_testkit::{certificates::Authority, etcd::Binary};

use crate::{
    raw::{PASSWORD, Raw},
    site::{Kind, Settings},
};

/// The exit code, the output, and of the complaints what is neither a time nor an address.
type Ran = (Option<i32>, String, String);

struct Etcdctl<'a> {
    path: PathBuf,
    endpoint: String,
    flags: &'a [String],
}

impl Etcdctl<'_> {
    async fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = Command::new(&self.path);
        command
            .env_clear()
            .env("ETCDCTL_API", "3")
            .args(["--endpoints", &self.endpoint, "--command-timeout=10s"])
            .args(self.flags)
            .args(arguments);
        let output = tokio::task::spawn_blocking(move || command.output());
        let output = output.await.expect("a task").expect("etcdctl runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let complaint = text(&output.stderr);
        // Its log before that has times, addresses and alerts in it.
        let mut last = complaint.lines().filter(|line| line.starts_with("Error:"));
        let last = last.next_back().unwrap_or_default().to_owned();
        (output.status.code(), text(&output.stdout), last)
    }
}

/// Runs the same commands on both and compares.
async fn drive(settings: &Settings, prepare: impl AsyncFn(&str), runs: &[(Vec<String>, &[&str])]) {
    for etcd in Binary::all().expect("a real etcd") {
        let etcdctl = etcd.path().with_file_name("etcdctl");
        assert!(etcdctl.is_file(), "no etcdctl beside {etcd}");
        let mut transcripts = Vec::new();
        for kind in [Kind::Embedded, Kind::Etcd(etcd.clone())] {
            let site = settings.start(&kind).await;
            let endpoint = site.endpoint();
            prepare(&endpoint).await;
            let mut transcript = Vec::new();
            for (flags, arguments) in runs {
                let path = etcdctl.clone();
                let endpoint = endpoint.clone();
                let etcdctl = Etcdctl {
                    path,
                    endpoint,
                    flags,
                };
                transcript.push((arguments, etcdctl.run(arguments).await));
            }
            transcripts.push(transcript);
        }
        let [embedded, real] = &transcripts[..] else {
            unreachable!("two servers");
        };
        assert_eq!(embedded, real, "{etcd}");
    }
}

fn shows(folder: &Path, authority: &Authority, name: Option<&str>) -> Vec<String> {
    let mut flags = vec![format!("--cacert={}", authority.write(folder).display())];
    if let Some(name) = name {
        let (certificate, key) = authority.client(name).write(folder, name);
        flags.push(format!("--cert={}", certificate.display()));
        flags.push(format!("--key={}", key.display()));
    }
    flags
}

#[tokio::test]
async fn etcdctl_is_known_by_its_certificate() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ours = Authority::new("ours");
    let settings = Settings::default().mutual_tls(&ours, &folder);
    let [root, ann, eve, nobody] = [Some("root"), Some("ann"), Some("eve"), None]
        .map(|name| shows(folder.path(), &ours, name));
    let with_user = |flags: &[String], user: &str| {
        let mut flags = flags.to_vec();
        flags.push(format!("--user={user}:{PASSWORD}"));
        flags
    };
    let runs: [(Vec<String>, &[&str]); 12] = [
        (root.clone(), &["put", "z", "1"]),
        (root.clone(), &["user", "list"]),
        (ann.clone(), &["put", "a", "2"]),
        (ann.clone(), &["get", "a"]),
        (ann.clone(), &["get", "z"]),
        (ann.clone(), &["user", "list"]),
        (ann.clone(), &["lease", "list"]),
        (with_user(&ann, "root"), &["get", "z"]),
        (with_user(&root, "ann"), &["get", "z"]),
        (eve.clone(), &["get", "a"]),
        (nobody, &["get", "a", "--dial-timeout=2s"]),
        (eve, &["role", "list"]),
    ];
    let prepare = async |endpoint: &str| {
        let root = Raw::showing(endpoint, &ours, &ours.client("root")).await;
        root.set_up().await;
    };
    drive(&settings, prepare, &runs).await;
}

#[tokio::test]
async fn etcdctl_logs_in_for_a_signed_token() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "a secret").expect("a file");
    let settings = Settings::default().jwt("HS512", Some(secret), None);
    let user = |user: &str, password: &str| vec![format!("--user={user}:{password}")];
    let runs: [(Vec<String>, &[&str]); 7] = [
        (user("root", PASSWORD), &["put", "z", "1"]),
        (user("ann", PASSWORD), &["put", "a", "2"]),
        (user("ann", PASSWORD), &["get", "a", "--keys-only"]),
        (user("ann", PASSWORD), &["get", "z"]),
        (user("ann", "wrong"), &["get", "a"]),
        (user("root", PASSWORD), &["role", "add", "another"]),
        (user("ann", PASSWORD), &["del", "a"]),
    ];
    let prepare = async |endpoint: &str| Raw::plain(endpoint).await.set_up().await;
    drive(&settings, prepare, &runs).await;
}
