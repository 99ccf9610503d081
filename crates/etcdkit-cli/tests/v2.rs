//! The v2 commands that etcdctl does not have, and how v2 command lines are told from those of v3.

#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/running.rs"]
#[allow(dead_code, reason = "nothing is said to the programs here")]
mod running;

use std::{path::Path, time::Instant};

use common::{Ran, etcdkit, run};
use etcdkit_server::Server;
use etcdkit_testkit::certificates::Authority;
use running::Running;
use tokio::runtime::Runtime;

/// A server with the v2 API and its old modules.
struct Served {
    server: Server,
    _runtime: Runtime,
}

impl Served {
    fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let builder = Server::builder().listen("127.0.0.1:0").enable_v2(true);
        let server = runtime.block_on(builder.v2_modules(true).start()).unwrap();
        Self {
            server,
            _runtime: runtime,
        }
    }

    fn args(&self, args: &[&str]) -> Vec<String> {
        let server = ["v2", "--endpoints", &self.server.endpoint()].map(str::to_owned);
        let args = args.iter().map(|word| (*word).to_owned());
        server.into_iter().chain(args).collect()
    }

    fn run(&self, args: &[&str]) -> Ran {
        run(etcdkit(), self.args(args), b"")
    }

    #[track_caller]
    fn prints(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, Some(0), "{args:?} {ran:?}");
        ran.stdout()
    }

    #[track_caller]
    fn fails(&self, args: &[&str], code: i32, said: &str) {
        let ran = self.run(args);
        assert_eq!(ran.code, Some(code), "{args:?} {ran:?}");
        assert!(ran.stderr.contains(said), "{args:?} {ran:?}");
    }

    fn start_command(&self, args: &[&str]) -> Running {
        Running::start(etcdkit(), self.args(args))
    }
}

#[test]
fn a_server_inside_the_process_serves_one_command() {
    for args in [
        &["v2", "--endpoints", "embedded:", "set", "k", "v"][..],
        &["--endpoints", "embedded:", "v2", "set", "k", "v"],
        &["--endpoints=embedded:", "v2", "set", "k", "v", "--ttl", "5"],
    ] {
        let ran = run(etcdkit(), args, b"");
        assert_eq!(
            (ran.stdout().as_str(), ran.code),
            ("v\n", Some(0)),
            "{ran:?}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let endpoint = format!("embedded:{}", folder.path().display());
    let on_disk = |args: &[&str]| {
        let args = ["v2", "--endpoints", &endpoint]
            .into_iter()
            .chain(args.iter().copied());
        run(etcdkit(), args, b"")
    };
    assert_eq!(on_disk(&["set", "/a/b", "kept"]).code, Some(0));
    assert_eq!(on_disk(&["get", "/a/b"]).stdout(), "kept\n");
}

#[test]
fn the_variable_of_etcdctl_chooses_the_commands() {
    let ran = |version: &str, args: &[&str]| {
        let mut command = etcdkit();
        command
            .env("ETCDCTL_API", version)
            .env("ETCDCTL_ENDPOINTS", "embedded:");
        run(command, args, b"")
    };
    assert_eq!(ran("2", &["set", "k", "v"]).stdout(), "v\n");
    assert_eq!(ran("2", &["v2", "set", "k", "v"]).stdout(), "v\n");
    assert_eq!(
        ran("2", &["-o", "extended", "mk", "k", "v"])
            .stdout()
            .lines()
            .count(),
        7
    );
    assert_eq!(ran("2", &["put", "k", "v"]).code, Some(3));
    assert_eq!(ran("3", &["put", "k", "v"]).stdout(), "OK\n");
    assert_eq!(ran("3", &["set", "k", "v"]).code, Some(1));
    assert_eq!(ran("", &["put", "k", "v"]).stdout(), "OK\n");
    assert!(ran("2", &["tour"]).stdout().contains("etcd"));
    assert!(
        ran("2", &["serve", "--help"])
            .stdout()
            .contains("--enable-v2")
    );
}

#[test]
fn help_tells_of_both_command_lines() {
    let help = |args: &[&str]| run(etcdkit(), args, b"").stdout();
    assert!(help(&["--help"]).contains("v2"));
    for args in [
        &["v2"][..],
        &["v2", "--help"],
        &["v2", "help"],
        &["help", "v2"],
    ] {
        let text = help(args);
        for word in ["exec-watch", "cluster-health", "ETCDCTL_API=2", "--no-sync"] {
            assert!(text.contains(word), "{args:?}: {text}");
        }
    }
    for args in [
        &["v2", "set", "--help"][..],
        &["v2", "help", "set"],
        &["help", "v2", "set"],
    ] {
        assert!(help(args).contains("--swap-with-index"), "{args:?}");
    }
    assert_eq!(run(etcdkit(), ["v2", "help", "bogus"], b"").code, Some(3));
}

#[test]
fn a_reader_of_help_that_leaves_early_is_no_error() {
    for words in [&["v2", "--help"][..], &["v2", "set", "--help"], &["--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = etcdkit().args(words).stdout(writer).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!((ended.status.code(), &*said), (Some(0), ""), "{words:?}");
    }
}

#[test]
fn keys_are_compared_and_swapped_or_deleted() {
    let served = Served::start();
    served.prints(&["set", "k", "1"]);
    assert_eq!(
        served.prints(&["cas", "k", "2", "--with-value", "1"]),
        "2\n"
    );
    served.fails(
        &["cas", "k", "3", "--with-value", "1"],
        4,
        "Error:  101: Compare failed ([1 != 2]) [",
    );
    served.fails(
        &["cas", "k", "3"],
        1,
        "--with-value or --with-index required",
    );
    served.fails(&["cad", "k", "--with-index", "1"], 4, "101: Compare failed");
    served.fails(&["cad", "k"], 1, "--with-value or --with-index required");
    assert_eq!(served.prints(&["cad", "k", "--with-value", "2"]), "\n");
    served.fails(&["get", "k"], 4, "100: Key not found (/k) [");
}

#[test]
fn keys_in_order_are_named() {
    let served = Served::start();
    let first = served.prints(&["in-order", "q", "1"]);
    let second = served.prints(&["in-order", "q", "2", "--ttl", "100"]);
    let directory = served.prints(&["in-order", "q", "--dir"]);
    assert!(
        first < second && second < directory,
        "{first} {second} {directory}"
    );
    assert_eq!(served.prints(&["get", second.trim()]), "2\n");
    assert_eq!(
        served.prints(&["ls", "--sort", "-p", "q"]),
        format!("{first}{second}{}/\n", directory.trim())
    );
    served.fails(
        &["in-order", "q", "--dir", "value"],
        1,
        "unexpected argument",
    );
    served.fails(&["in-order"], 1, "key required");
}

#[test]
fn members_and_counts_are_shown() {
    let served = Served::start();
    assert!(served.prints(&["member", "list"]).contains("isLeader=true"));
    let url = served.prints(&["machines"]);
    assert_eq!(url.trim(), served.server.endpoint());
    assert!(served.prints(&["health"]).ends_with("cluster is healthy\n"));
    served.prints(&["set", "k", "v"]);
    let store = served.prints(&["stats"]);
    assert!(store.contains("\nsetsSuccess: "), "{store}");
    let json = served.prints(&["-o", "json", "stats", "store"]);
    assert!(json.starts_with("{\"getsSuccess\":"), "{json}");
    let own = served.prints(&["stats", "self"]);
    assert!(
        own.contains("state: StateLeader\n") && own.contains("leaderInfo.leader: "),
        "{own}"
    );
    assert!(served.prints(&["stats", "leader"]).starts_with("leader: "));
    served.fails(&["stats", "bogus"], 1, "bogus");
    let version = served.prints(&["version", "--server"]);
    assert!(
        version.contains("API version: 2\netcd version: 3."),
        "{version}"
    );
}

#[test]
fn a_lock_is_held_while_a_program_runs() {
    let served = Served::start();
    let script = "echo $ETCD_LOCK_INDEX; exit 7";
    let ran = served.run(&["lock", "l", "--", "sh", "-c", script]);
    assert_eq!(ran.code, Some(7), "{ran:?}");
    let first: u64 = ran.stdout().trim().parse().unwrap();
    let ran = served.run(&["lock", "l", "--", "sh", "-c", script]);
    assert!(ran.stdout().trim().parse::<u64>().unwrap() > first);
    served.fails(&["lock", "l", "--holder"], 4, "nobody holds the lock");
}

#[test]
fn a_lock_is_held_until_the_command_is_interrupted() {
    let served = Served::start();
    let holder = served.start_command(&["lock", "l", "--value", "me"]);
    let index = holder.line();
    assert_eq!(
        served.prints(&["lock", "l", "--holder"]),
        format!("{index} me\n")
    );
    served.fails(&["lock", "l", "--try"], 4, "somebody else holds the lock");
    served.fails(
        &["lock", "l", "--wait-at-most", "100ms"],
        4,
        "not free within",
    );
    let waiting = served.start_command(&["lock", "l"]);
    holder.signal("-INT");
    assert_eq!(holder.end(), (vec![], Some(0)));
    let next = waiting.line();
    assert!(next.parse::<u64>().unwrap() > index.parse().unwrap());
    waiting.signal("-TERM");
    assert_eq!(waiting.end(), (vec![], Some(0)));
}

#[test]
fn who_no_longer_waits_stands_in_nobodys_way() {
    let served = Served::start();
    let holder = served.start_command(&["lock", "l"]);
    holder.line();
    let leader = served.start_command(&["leader", "campaign", "l", "one"]);
    leader.line();
    for command in [&["lock", "l"][..], &["leader", "campaign", "l", "two"]] {
        let waiting = served.start_command(command);
        let queue = format!(
            "/_{}s/l",
            if command[0] == "lock" {
                "lock"
            } else {
                "leader"
            }
        );
        let places = || served.prints(&["ls", &queue]).lines().count();
        let mut asked = 0;
        while places() < 2 {
            asked += 1;
            assert!(asked < 1_000, "nobody ever waits");
        }
        waiting.signal("-INT");
        assert!(waiting.complaint().contains("interrupted"));
        assert_eq!(waiting.end().1, Some(4));
        assert_eq!(places(), 1);
    }
}

#[test]
fn a_lock_is_renewed_and_released_by_its_index() {
    let served = Served::start();
    let holder = served.start_command(&["lock", "l", "--ttl", "60"]);
    let index = holder.line();
    served.prints(&["lock", "l", "--renew", &index, "--ttl", "120"]);
    served.fails(&["lock", "l", "--renew", "1"], 4, "100: Key not found");
    served.prints(&["lock", "l", "--release", &index]);
    // Its holder learns of that, and says so.
    let (rest, code) = holder.end();
    assert_eq!((rest, code), (vec![], Some(1)));
}

#[test]
fn modules_of_old_servers_lock_and_lead_on_request() {
    let served = Served::start();
    let holder = served.start_command(&["lock", "l", "--via-modules", "--value", "me"]);
    let index = holder.line();
    let seen = served.prints(&["lock", "l", "--via-modules", "--holder"]);
    assert_eq!(seen, format!("{index} me\n"));
    served.fails(&["lock", "l", "--via-modules", "--try"], 4, "somebody else");
    served.fails(&["lock", "l", "--holder"], 4, "nobody holds the lock");
    holder.signal("-INT");
    assert_eq!(holder.end(), (vec![], Some(0)));
    served.fails(&["lock", "l", "--via-modules", "--holder"], 4, "nobody");

    served.prints(&["leader", "set", "e", "one", "--via-modules"]);
    assert_eq!(
        served.prints(&["leader", "get", "e", "--via-modules"]),
        "one\n"
    );
    served.prints(&["leader", "delete", "e", "one", "--via-modules"]);
    served.fails(&["leader", "get", "e", "--via-modules"], 4, "nobody leads");
}

#[test]
fn certificates_are_named_by_flags_and_variables() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new("ours");
    let ca = ours.write(folder.path());
    let (certificate, key) = ours.server(&["127.0.0.1"]).write(folder.path(), "server");
    let (client, client_key) = ours.client("me").write(folder.path(), "client");
    let flag = |name: &str, file: &Path| format!("--{name}={}", file.display());
    let mut serve = etcdkit();
    serve.args([
        "serve",
        "--enable-v2",
        "--client-cert-auth",
        "--listen-client-urls",
    ]);
    let flags = [
        "https://127.0.0.1:0".to_owned(),
        flag("cert-file", &certificate),
        flag("key-file", &key),
        flag("trusted-ca-file", &ca),
    ];
    let server = Running::start(serve, flags);
    let endpoint = server.line();

    let ran = |flags: &[String], variables: &[(&str, &Path)]| {
        let mut command = etcdkit();
        command.envs(variables.iter().copied());
        command.args(["v2", "--endpoints", &endpoint]).args(flags);
        run(command, ["cluster-health"], b"")
    };
    for names in [
        ["ca-file", "cert-file", "key-file"],
        ["cacert", "cert", "key"],
    ] {
        let flags = [
            flag(names[0], &ca),
            flag(names[1], &client),
            flag(names[2], &client_key),
        ];
        let ran = ran(&flags, &[]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(
            ran.stdout().contains("got healthy result from https://"),
            "{ran:?}"
        );
    }
    for names in [
        ["CA_FILE", "CERT_FILE", "KEY_FILE"],
        ["CACERT", "CERT", "KEY"],
    ] {
        let names = names.map(|name| format!("ETCDCTL_{name}"));
        let files = [&*ca, &*client, &*client_key];
        let variables: Vec<_> = names.iter().map(String::as_str).zip(files).collect();
        let ran = ran(&[], &variables);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    // Nobody is let in without a certificate, and no server is believed without its authority.
    assert_eq!(ran(&[flag("ca-file", &ca)], &[]).code, Some(4));
    assert_eq!(ran(&[], &[]).code, Some(4));
    let half = ran(&[flag("cert-file", &client)], &[]);
    assert_eq!(half.code, Some(1), "{half:?}");
    assert!(half.stderr.contains("together"), "{half:?}");
}

#[test]
fn a_server_without_the_v2_api_is_told() {
    let runtime = Runtime::new().unwrap();
    let builder = Server::builder().listen("127.0.0.1:0");
    let server = runtime.block_on(builder.start()).unwrap();
    let args = ["v2", "--endpoints", &server.endpoint(), "get", "k"];
    let ran = run(etcdkit(), args, b"");
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.stderr.contains("does not serve"), "{ran:?}");
}

#[test]
fn an_endpoint_that_is_silent_has_as_long_as_timeout_says() {
    let served = Served::start();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    let both = format!("{silent},{}", served.server.endpoint());
    let patient = ["--no-sync", "--timeout", "200ms", "--total-timeout", "60s"];
    let start = Instant::now();
    let ran = run(
        etcdkit(),
        ["v2", "--endpoints", &silent]
            .iter()
            .chain(&patient)
            .chain(&["set", "k", "v"]),
        b"",
    );
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.stderr.contains("may have been applied"), "{ran:?}");
    let ran = run(
        etcdkit(),
        ["v2", "--endpoints", &both]
            .iter()
            .chain(&patient)
            .chain(&["ls"]),
        b"",
    );
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
    // As with etcdctl, 0 is no limit.
    assert_eq!(served.prints(&["--timeout", "0s", "set", "k", "v"]), "v\n");
}

#[test]
fn passwords_are_asked_for_on_terminals_only() {
    let served = Served::start();
    served.fails(&["user", "add", "u"], 1, "failed to ask password");
    served.fails(&["-u", "root", "get", "k"], 1, "failed to ask password");
    served.prints(&["user", "add", "u:pw"]);
    served.fails(&["user", "passwd", "u"], 1, "failed to ask password");
    served.fails(&["user", "add", "u:pw"], 1, "exists");
}

#[test]
fn debugging_shows_requests_without_secrets() {
    let served = Served::start();
    let ran = served.run(&["--debug", "-u", "root:pa55word", "set", "k", "hidden"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let url = format!(
        "curl -X PUT \"{}/v2/keys/k\" -d \"value=...\"",
        served.server.endpoint()
    );
    assert!(ran.stderr.contains(&url), "{ran:?}");
    assert!(ran.stderr.contains("Cluster-Endpoints: "), "{ran:?}");
    for secret in ["pa55word", "hidden"] {
        assert!(!ran.stderr.contains(secret), "{ran:?}");
    }
}

#[test]
fn a_leader_is_elected_observed_and_followed_by_another() {
    let served = Served::start();
    served.fails(&["leader", "get", "e"], 4, "nobody leads");
    let observer = served.start_command(&["leader", "observe", "e"]);
    assert_eq!(observer.line(), "");
    let first = served.start_command(&["leader", "campaign", "e", "one"]);
    let index = first.line();
    assert_eq!(observer.line(), "one");
    assert_eq!(served.prints(&["leader", "get", "e"]), "one\n");
    let second = served.start_command(&["leader", "campaign", "e", "two"]);
    first.signal("-INT");
    assert_eq!(first.end(), (vec![], Some(0)));
    assert!(second.line().parse::<u64>().unwrap() > index.parse().unwrap());
    // In between nobody may have led for a moment.
    let mut seen = observer.line();
    while seen.is_empty() {
        seen = observer.line();
    }
    assert_eq!(seen, "two");
    second.signal("-TERM");
    assert_eq!(second.end(), (vec![], Some(0)));
    observer.signal("-INT");
    assert_eq!(observer.end().1, Some(0));
}

#[test]
fn a_leader_is_set_for_a_time_and_deleted() {
    let served = Served::start();
    let index = served.prints(&["leader", "set", "e", "one", "--ttl", "60"]);
    let again = served.prints(&["leader", "set", "e", "one", "--ttl", "120"]);
    assert_eq!(again, index);
    assert_eq!(served.prints(&["leader", "get", "e"]), "one\n");
    served.prints(&["leader", "delete", "e", "one"]);
    served.fails(&["leader", "get", "e"], 4, "nobody leads");
}
