//! The command line without any etcd: on the embedded server, in this process or as `serve`.

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use common::{Ran, etcdkit, run};
use etcdkit_testkit::certificates::Authority;

/// Runs a command line on an embedded server of its own.
fn embedded(args: &[&str], stdin: &[u8]) -> Ran {
    run(
        etcdkit(),
        ["--endpoints", "embedded:"].iter().chain(args),
        stdin,
    )
}

/// `etcdkit serve` on a free port.
struct Served {
    child: Child,
    endpoint: String,
}

impl Served {
    fn start(flags: &[&str]) -> Self {
        Self::on("http://127.0.0.1:0", flags)
    }

    fn on(url: &str, flags: &[&str]) -> Self {
        let mut child = etcdkit()
            .args(["serve", "--listen-client-urls", url])
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut endpoint = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut endpoint).unwrap();
        let endpoint = endpoint.trim().to_owned();
        let address = url.trim_end_matches('0');
        assert!(endpoint.starts_with(address), "{endpoint:?}");
        Self { child, endpoint }
    }

    fn run(&self, args: &[&str], stdin: &[u8]) -> Ran {
        run(
            etcdkit(),
            ["--endpoints", &self.endpoint].iter().chain(args),
            stdin,
        )
    }

    /// Ends the server by a signal; its exit code and what it said.
    fn end(mut self, signal: &str) -> (Option<i32>, String) {
        send(signal, &self.child);
        let code = self.child.wait().unwrap().code();
        let mut said = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        (code, said)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn send(signal: &str, child: &Child) {
    let status = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(status.unwrap().success());
}

#[test]
fn a_server_inside_the_process_serves_one_command() {
    let ran = embedded(&["put", "k", "v"], b"");
    assert_eq!((ran.stdout().as_str(), ran.code), ("OK\n", Some(0)));
    let ran = embedded(&["txn"], b"ver(\"k\") = \"0\"\n\nput k v\nget k\n\n\n");
    assert_eq!(ran.stdout(), "SUCCESS\n\nOK\n\nk\nv\n");
    let ran = embedded(&["get", "k"], b"");
    assert_eq!((ran.stdout().as_str(), ran.code), ("", Some(0)));
    for command in [
        ["endpoint", "health"],
        ["endpoint", "status"],
        ["endpoint", "hashkv"],
    ] {
        let ran = embedded(&command, b"");
        assert!(ran.stdout().starts_with("embedded:"), "{ran:?}");
        assert_eq!(ran.code, Some(0));
    }
    assert_eq!(embedded(&["member", "list"], b"").code, Some(0));
}

#[test]
fn an_embedded_server_stands_alone() {
    let endpoints = ["--endpoints", "embedded:,127.0.0.1:1", "get", "k"];
    assert_eq!(run(etcdkit(), endpoints, b"").code, Some(128));
}

#[test]
fn values_of_any_kind_come_from_standard_input() {
    let server = Served::start(&[]);
    let megabyte: Vec<u8> = (0..1 << 20)
        .map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    assert_eq!(server.run(&["put", "big"], &megabyte).code, Some(0));
    let mut expected = megabyte;
    expected.push(b'\n');
    let got = server.run(&["get", "big", "--print-value-only"], b"");
    assert!(got.stdout == expected, "the value is not what was put");
    let streamed = server.run(&["get", "big", "--stream", "--print-value-only"], b"");
    assert!(streamed.stdout == expected, "the value is not what was put");

    // Larger than the server takes, and larger than the client sends: neither is read to its end.
    let ran = server.run(&["put", "big"], &vec![b'x'; 1_700_000]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr.contains("etcdserver: request is too large"),
        "{ran:?}"
    );
    let ran = server.run(&["put", "big"], &vec![b'x'; 8 << 20]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("2097152 bytes"), "{ran:?}");
}

#[test]
fn a_stream_is_the_range_in_order() {
    let server = Served::start(&[]);
    let puts: String = (0..100).map(|n| format!("put k{n:02} {n}\n")).collect();
    let ran = server.run(&["txn"], format!("\n{puts}\n\n").as_bytes());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for flags in [
        &["k", "--prefix"][..],
        &["k1", "k5"],
        &["k9", "--from-key", "--keys-only"],
    ] {
        let range = server.run(&[&["get"], flags].concat(), b"");
        let stream = server.run(&[&["get", "--stream"], flags].concat(), b"");
        assert!(
            range.stdout == stream.stdout && !stream.stdout.is_empty(),
            "{flags:?}"
        );
    }
    let limited = server.run(&["get", "k", "--prefix", "--stream", "--limit", "2"], b"");
    assert_eq!(limited.stdout(), "k00\n0\nk01\n1\n");
    let sorted = server.run(
        &["get", "k", "--prefix", "--stream", "--order", "DESCEND"],
        b"",
    );
    assert_eq!(sorted.code, Some(4));
}

#[test]
fn ranges_are_deleted_after_second_thoughts() {
    let server = Served::start(&[]);
    for key in ["a", "b", "c"] {
        server.run(&["put", key, "v"], b"");
    }
    let begin = Instant::now();
    let ran = server.run(&["del", "a", "c"], b"");
    assert_eq!(ran.stdout(), "2\n");
    assert!(
        ran.stderr
            .contains(r#"Keys between "a" and "c" will be deleted"#),
        "{ran:?}"
    );
    assert!(
        begin.elapsed() >= Duration::from_secs(2),
        "there was no time to interrupt"
    );
    // Interrupted in time, nothing is deleted.
    let mut child = etcdkit()
        .args(["--endpoints", &server.endpoint, "del", "c", "d"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut warning = String::new();
    BufReader::new(child.stderr.take().unwrap())
        .read_line(&mut warning)
        .unwrap();
    send("-INT", &child);
    assert!(!child.wait().unwrap().success());
    assert_eq!(
        server.run(&["get", "c", "--keys-only"], b"").stdout(),
        "c\n\n"
    );
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let server = Served::start(&[]);
    let value = vec![b'x'; 1 << 20];
    for key in ["a", "b", "c"] {
        server.run(&["put", key], &value);
    }
    for flags in [&[][..], &["--stream"]] {
        let mut child = etcdkit()
            .args(["--endpoints", &server.endpoint, "get", "", "--prefix"])
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(0));
        assert!(ended.stderr.is_empty());
    }
}

#[test]
fn serve_ends_well_on_both_signals_and_says_what_it_is() {
    for signal in ["-INT", "-TERM"] {
        let server = Served::start(&["--name", "one", "--pre-vote", "-snapshot-count=5"]);
        assert!(
            server
                .run(&["member", "list"], b"")
                .stdout()
                .contains(", started, one, ")
        );
        let (code, said) = server.end(signal);
        assert_eq!(code, Some(0), "{said}");
        for text in [
            "one etcd node without failover, in memory",
            "https://etcd.io",
            "--pre-vote",
            "--snapshot-count",
        ] {
            assert!(said.contains(text), "{said}");
        }
    }
}

#[test]
fn serve_takes_etcd_limits() {
    let server = Served::start(&["--max-txn-ops=2", "--max-request-bytes", "100"]);
    let ran = server.run(&["txn"], b"\nput a 1\nput b 2\nput c 3\n\n\n");
    assert!(ran.stderr.contains("too many operations"), "{ran:?}");
    let ran = server.run(&["put", "a"], &[b'x'; 200]);
    assert!(ran.stderr.contains("request is too large"), "{ran:?}");
}

#[test]
fn serve_refuses_what_it_cannot_do() {
    for (flags, code, text) in [
        (
            &["--listen-client-urls", "https://127.0.0.1:0"][..],
            128,
            "--cert-file",
        ),
        (
            &[
                "--listen-client-urls=https://127.0.0.1:0",
                "--cert-file=/x",
                "--key-file=/x",
            ],
            128,
            "the certificate file /x: ",
        ),
        (&["--auth-token=jwt"], 1, "sign-method"),
        (
            &["--auth-token=jwt,sign-method=RS256"],
            128,
            "key is missing",
        ),
        (&["--tls-min-version=TLS1.1"], 1, "TLS1.2"),
        (&["--listen-client-urls", "nonsense"], 128, "host:port"),
        (
            &["--listen-client-urls", "127.0.0.1:0", "--max-txn-ops", "0"],
            128,
            "max_txn_ops",
        ),
        (&["--log-level", "loud"], 4, "loud"),
        (&["--bogus"], 1, "--bogus"),
        (&["x"], 128, "arguments"),
    ] {
        let ran = run(etcdkit(), ["serve"].iter().chain(flags), b"");
        assert_eq!(ran.code, Some(code), "{flags:?} {ran:?}");
        assert!(ran.stderr.contains(text), "{flags:?} {ran:?}");
    }
    // A port that is taken.
    let server = Served::start(&[]);
    let ran = run(
        etcdkit(),
        ["serve", "--listen-client-urls", &server.endpoint],
        b"",
    );
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("cannot listen"), "{ran:?}");
}

#[test]
fn passwords_are_not_asked_for_without_a_terminal() {
    for args in [
        &["--user", "root", "get", "k"][..],
        &["user", "add", "u"],
        &["user", "passwd", "u"],
    ] {
        let ran = embedded(args, b"secret\nsecret\n");
        assert_eq!(ran.code, Some(128), "{args:?} {ran:?}");
        assert!(ran.stderr.contains("no terminal"), "{args:?} {ran:?}");
    }
    // Where nobody is to log in, nobody is asked.
    let ran = run(etcdkit(), ["--user", "root", "version"], b"");
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn restoring_is_left_to_etcd() {
    let ran = run(
        etcdkit(),
        ["snapshot", "restore", "f", "--data-dir", "d"],
        b"",
    );
    assert_eq!(ran.code, Some(4));
    assert!(ran.stderr.contains("etcdutl snapshot restore"), "{ran:?}");
}

#[test]
fn the_tour_is_true() {
    let begin = Instant::now();
    let mut command = etcdkit();
    // Only the flag leads the tour to another server.
    command.env("ETCDCTL_ENDPOINTS", "127.0.0.1:1");
    let ran = run(command, ["tour"], b"");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let text = ran.stdout();
    for step in [
        "Connect",
        "Put",
        "Get",
        "Range",
        "Scan",
        "Delete",
        "Transaction",
        "History",
        "Watch",
        "Interruption",
        "Lease",
        "Compaction",
        "Errors",
        "Where to go next",
    ] {
        assert!(text.contains(step), "no {step} in {text}");
    }
    assert!(!text.contains('✗') && text.contains("all true"), "{text}");
    assert!(!text.contains('\u{1b}'), "there are colours in a pipe");
    assert!(
        begin.elapsed() < Duration::from_secs(20),
        "the tour is for the impatient"
    );
}

#[test]
fn the_tour_leaves_nothing_behind() {
    let server = Served::start(&[]);
    server.run(&["put", "mine", "1"], b"");
    let ran = server.run(&["tour"], b"");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout().contains("left out"), "{ran:?}");
    assert_eq!(
        server
            .run(&["get", "", "--prefix", "--keys-only"], b"")
            .stdout(),
        "mine\n\n"
    );
    // History is still there, since nobody asked for compaction.
    assert_eq!(
        server.run(&["get", "mine", "--rev", "2"], b"").code,
        Some(0)
    );
    assert_eq!(server.run(&["tour", "--compact"], b"").code, Some(0));
    assert_eq!(
        server.run(&["get", "mine", "--rev", "2"], b"").code,
        Some(1)
    );
}

#[test]
fn the_tour_fails_where_there_is_no_server() {
    let args = [
        "--endpoints",
        "127.0.0.1:1",
        "--command-timeout",
        "300ms",
        "tour",
    ];
    let ran = run(etcdkit(), args, b"");
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("127.0.0.1:1"), "{ran:?}");
}

#[test]
fn variables_stand_in_for_flags() {
    let server = Served::start(&[]);
    server.run(&["put", "k", "v"], b"");
    let with = |variables: &[(&str, &str)], args: &[&str]| {
        let mut command = etcdkit();
        command.env("ETCDCTL_ENDPOINTS", &server.endpoint);
        command.envs(variables.iter().copied());
        run(command, args, b"")
    };
    assert_eq!(with(&[], &["get", "k"]).stdout(), "k\nv\n");
    assert_eq!(
        with(&[("ETCDCTL_HEX", "true")], &["get", "k"]).stdout(),
        "\\x6b\n\\x76\n"
    );
    let json = with(&[("ETCDCTL_WRITE_OUT", "json")], &["get", "k"]);
    assert!(json.stdout().starts_with("{\"header\":"), "{json:?}");
    let flag = with(
        &[("ETCDCTL_WRITE_OUT", "json")],
        &["get", "k", "-w", "simple"],
    );
    assert_eq!(flag.stdout(), "k\nv\n");
    assert_eq!(
        with(&[("ETCDCTL_HEX", "")], &["get", "k"]).stdout(),
        "k\nv\n"
    );
    let cluster = with(&[("ETCDCTL_CLUSTER", "true")], &["endpoint", "hashkv"]);
    assert!(cluster.stdout().starts_with("http://"), "{cluster:?}");
    let unknown = with(
        &[("ETCDCTL_NONSENSE", "1"), ("ETCDCTL_API", "3")],
        &["get", "k"],
    );
    assert_eq!(
        unknown.stderr,
        "Warning: unrecognized environment variable ETCDCTL_NONSENSE\n"
    );
    let bad = with(&[("ETCDCTL_COMMAND_TIMEOUT", "soon")], &["get", "k"]);
    assert!(
        bad.stderr.contains("variable ETCDCTL_COMMAND_TIMEOUT"),
        "{bad:?}"
    );
}

#[test]
fn help_is_on_standard_output() {
    for args in [
        &[][..],
        &["--help"],
        &["help"],
        &["help", "get"],
        &["get", "-h"],
        &["txn", "--help"],
        &["endpoint"],
        &["member"],
        &["options"],
        &["serve", "--help"],
        &["help", "serve"],
        &["help", "member", "list"],
        &["lease"],
        &["alarm"],
        &["downgrade"],
        &["snapshot"],
        &["auth"],
        &["user"],
        &["role"],
        &["watch", "--help"],
        &["lock", "--help"],
        &["help", "user", "grant-role"],
        &["--version"],
        &["version"],
    ] {
        let ran = run(etcdkit(), args, b"");
        assert_eq!(ran.code, Some(0), "{args:?}");
        assert!(
            !ran.stdout.is_empty() && ran.stderr.is_empty(),
            "{args:?} {ran:?}"
        );
    }
    assert_eq!(run(etcdkit(), ["help", "bogus"], b"").code, Some(1));
}

#[test]
fn nothing_outlasts_its_time_limit() {
    // Accepts, and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let limits = [
        "--endpoints",
        &address,
        "--command-timeout",
        "500ms",
        "--dial-timeout",
        "1s",
    ];
    for (command, stdin) in [
        (&["get", "k"][..], ""),
        (&["get", "k", "--stream"], ""),
        (&["put", "k", "v"], ""),
        (&["del", "k"], ""),
        (&["txn"], "\nput k v\n\n\n"),
        (&["compaction", "1"], ""),
        (&["member", "list"], ""),
        (&["member", "remove", "1"], ""),
        (&["watch", "k"], ""),
        (&["alarm", "list"], ""),
        (&["defrag"], ""),
        (&["move-leader", "1"], ""),
        (&["downgrade", "cancel"], ""),
        (&["auth", "status"], ""),
        (&["user", "list"], ""),
        (&["role", "list"], ""),
        (&["lease", "grant", "5"], ""),
        (&["lock", "l"], ""),
        (&["elect", "e", "v"], ""),
        (&["endpoint", "status"], ""),
        (&["endpoint", "health"], ""),
        (&["endpoint", "hashkv", "--cluster"], ""),
        (&["tour"], ""),
    ] {
        let begin = Instant::now();
        let ran = run(etcdkit(), limits.iter().chain(command), stdin.as_bytes());
        assert_eq!(ran.code, Some(1), "{command:?} {ran:?}");
        assert!(
            begin.elapsed() < Duration::from_secs(5),
            "{command:?} took {:?}",
            begin.elapsed()
        );
    }
}

#[test]
fn prompts_come_before_their_answers() {
    let mut child = etcdkit()
        .args(["--endpoints", "embedded:", "txn", "-i"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for (prompt, answer) in [
        ("compares:", "ver(\"k\") = \"0\"\n\n"),
        ("success requests (get, put, del):", "put k v\n\n"),
        ("failure requests (get, put, del):", "\n"),
    ] {
        assert_eq!(lines.next().unwrap().unwrap(), prompt);
        stdin.write_all(answer.as_bytes()).unwrap();
    }
    assert_eq!(lines.next().unwrap().unwrap(), "SUCCESS");
    assert!(child.wait().unwrap().success());
}

/// etcd's documentation tells operators to do this.
#[test]
fn a_full_server_is_got_going_again() {
    let server = Served::start(&["--quota-backend-bytes", "1000000"]);
    let value = vec![b'x'; 300_000];
    while server.run(&["put", "k"], &value).code == Some(0) {}
    let ran = server.run(&["put", "small", "v"], b"");
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("database space exceeded"), "{ran:?}");
    let alarms = server.run(&["alarm", "list"], b"").stdout();
    assert!(alarms.contains("alarm:NOSPACE"), "{alarms}");

    let status = server
        .run(&["endpoint", "status", "-w", "json"], b"")
        .stdout();
    let (_, revision) = status.split_once("\"revision\":").unwrap();
    let (revision, _) = revision.split_once(',').unwrap();
    assert_eq!(server.run(&["compact", revision], b"").code, Some(0));
    assert_eq!(server.run(&["defrag"], b"").code, Some(0));
    assert_eq!(server.run(&["put", "small", "v"], b"").code, Some(1));
    let disarmed = server.run(&["alarm", "disarm"], b"").stdout();
    assert!(disarmed.contains("alarm:NOSPACE"), "{disarmed}");
    assert_eq!(server.run(&["put", "small", "v"], b"").code, Some(0));
}

#[test]
fn certificates_and_signed_tokens_say_who_one_is() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new("ours");
    let flag = |name: &str, file: &Path| format!("--{name}={}", file.display());
    let ca = ours.write(folder.path());
    let (certificate, key) = ours.server(&["127.0.0.1"]).write(folder.path(), "server");
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "a secret").unwrap();
    let token = format!(
        "--auth-token=jwt,sign-method=HS256,priv-key={}",
        secret.display()
    );
    let flags = [
        flag("cert-file", &certificate),
        flag("key-file", &key),
        flag("trusted-ca-file", &ca),
        token,
        "--client-cert-auth".to_owned(),
        "--bcrypt-cost=4".to_owned(),
    ];
    let flags = flags.each_ref().map(String::as_str);
    let server = Served::on("https://127.0.0.1:0", &flags);

    let by = |name: &str| {
        let (certificate, key) = ours.client(name).write(folder.path(), name);
        [
            flag("cacert", &ca),
            flag("cert", &certificate),
            flag("key", &key),
        ]
    };
    let (root, ann) = (by("root"), by("ann"));
    let run = |who: &[String; 3], args: &[&str]| {
        let who = who.each_ref().map(String::as_str);
        server.run(&[&who[..], args].concat(), b"pw\npw\n")
    };
    for command in [
        &["user", "add", "root:pw"][..],
        &["user", "grant-role", "root", "root"],
        &["user", "add", "ann", "--no-password"],
        &["auth", "enable"],
        &["put", "a", "b"],
    ] {
        let ran = run(&root, command);
        assert_eq!(ran.code, Some(0), "{command:?}: {}", ran.stderr);
    }
    let refused = run(&ann, &["get", "a"]);
    assert!(
        refused.stderr.contains("permission denied"),
        "{}",
        refused.stderr
    );
    let got = run(
        &ann,
        &["--user", "root:pw", "get", "a", "--print-value-only"],
    );
    assert_eq!((got.code, &got.stdout[..]), (Some(0), &b"b\n"[..]));
    let unknown = flag("cacert", &ca);
    let ran = server.run(&[&unknown, "get", "a", "--command-timeout=5s"], b"");
    assert!(ran.stderr.contains("client certificate"), "{}", ran.stderr);
    let (_, said) = server.end("-TERM");
    assert!(said.contains("--cacert CA --cert CERT --key KEY"), "{said}");
    assert!(!said.contains("Warning"), "{said}");
}

#[test]
fn a_certificate_made_on_the_spot_is_enough_for_a_lab() {
    let server = Served::on("https://127.0.0.1:0", &["--auto-tls"]);
    let trusting = server.run(&["--insecure-skip-tls-verify", "put", "a", "b"], b"");
    assert_eq!(trusting.code, Some(0), "{}", trusting.stderr);
    let verifying = server.run(&["put", "a", "b", "--command-timeout=5s"], b"");
    assert_ne!(verifying.code, Some(0));
    let (_, said) = server.end("-TERM");
    assert!(said.contains("--insecure-skip-tls-verify put"), "{said}");
}

#[test]
fn serve_says_who_may_come_in() {
    let said = |url: &str, flags: &[&str]| {
        let mut child = etcdkit()
            .args(["serve", "--listen-client-urls", url])
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut endpoint = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut endpoint)
            .unwrap();
        let server = Served { child, endpoint };
        server.end("-TERM").1
    };
    let open = said("http://0.0.0.0:0", &["--trusted-ca-file=a.pem"]);
    assert!(
        open.contains("whoever reaches http://0.0.0.0:0 may read and write"),
        "{open}"
    );
    assert!(
        open.contains("Without effect here: --trusted-ca-file"),
        "{open}"
    );
    let secure = said("https://0.0.0.0:0", &["--auto-tls"]);
    assert!(secure.contains("--trusted-ca-file would ask"), "{secure}");
    assert!(!said("http://127.0.0.1:0", &[]).contains("Warning"));
}
