//! etcdctl on the embedded server: every command does and prints what it does and prints on a real
//! etcd of its own version.

use etcdkit_proto::etcdserverpb::AlarmType;
use etcdkit_server::Server;
use etcdkit_testkit::{
    alarm,
    etcd::{Binary, Cluster, Version},
};
use tokio::runtime::Runtime;

use crate::{
    beside::beside_each_other,
    cases::{Case, all, read, write},
    common::{Ran, etcdkit, run},
    etcdctl::Etcdctl,
    ids::Ids,
    is, is_at_least,
    mask::{Mask, Masked},
    running::Running,
    streaming::{Stage, compare_servers, history},
};

/// The embedded server says it is at least this; what asks for the version differs below it.
const OLDEST_SPOKEN: Version = Version::new(3, 5, 13);

/// An embedded server that speaks for a version, as far as it does.
pub(crate) async fn embedded(etcd: &Binary) -> Server {
    let mut builder = Server::builder().listen("127.0.0.1:0");
    if etcd.version() >= OLDEST_SPOKEN {
        builder = builder.version(etcd.version().to_string());
    }
    builder.start().await.unwrap()
}

/// Commands beside those that are compared with etcdkit's. Before them, as later there are leases,
/// whose random ids are in what is hashed.
fn more() -> Vec<Case> {
    vec![
        write(&["put", "hashed", "1"]),
        write(&["put", "hashed", "2"]),
        write(&["del", "hashed"]),
        read(&["endpoint", "hashkv", "--cluster"]),
        read(&["endpoint", "health", "--cluster"]).varies(),
        read(&["endpoint", "status", "--cluster", "-w", "json"]).varies(),
        read(&["endpoint", "hashkv", "--rev", "3", "-w", "fields"]),
        read(&["version"]),
    ]
}

/// What an old etcd answers otherwise, on purpose.
fn differs(case: &Case, etcd: &Binary) -> bool {
    // 3.4 sends no header with a list of alarms.
    is(etcd, 3, 4) && case.title() == "alarm list -w json"
}

#[test]
fn etcdctl_finds_a_real_server() {
    let etcds = Binary::all().unwrap_or_else(|error| panic!("{error}"));
    let wrong = beside_each_other(etcds.iter().map(|etcd| || unlike_real(etcd))).concat();
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Where the embedded server does not answer the etcdctl that came with an etcd as that etcd does.
fn unlike_real(etcd: &Binary) -> Vec<String> {
    let runtime = Runtime::new().unwrap();
    let etcdctl = Etcdctl::of(etcd);
    let real = runtime.block_on(Cluster::builder(etcd).start()).unwrap();
    let embedded = runtime.block_on(embedded(etcd));
    let cases: Vec<Case> = more()
        .into_iter()
        .chain(all())
        .filter(|case| etcdctl.version() >= case.since && is_at_least(etcd, case.server))
        .filter(|case| !case.real_only && !case.is_binary() && !differs(case, etcd))
        .collect();
    let endpoints = [real.endpoint().to_owned(), embedded.endpoint()];
    let answers = endpoints
        .iter()
        .map(|endpoint| || answers(&etcdctl, endpoint, &cases));
    let [expected, found] = beside_each_other(answers).try_into().unwrap();
    let mut wrong = Vec::new();
    for ((case, expected), found) in cases.iter().zip(expected).zip(found) {
        if found != expected {
            wrong.push(format!(
                "{} ({etcd})\n  real     {expected:?}\n  embedded {found:?}",
                case.title()
            ));
        }
    }
    wrong
}

fn answers(etcdctl: &Etcdctl, endpoint: &str, cases: &[Case]) -> Vec<Masked> {
    let mask = Mask::of(endpoint);
    let mut ids = Ids::default();
    let answer = |case: &Case| {
        let ran = etcdctl.run(case, endpoint, &ids);
        ids.learn(&ran.stdout());
        mask.apply(&ran, case, &ids)
    };
    cases.iter().map(answer).collect()
}

#[test]
fn watches_tell_how_far_they_are_when_asked() {
    // 3.4 answers a watch that has not caught up, too.
    compare_servers((3, 5), |stage| {
        history(stage);
        let mut watch = stage.start(&["watch", "-i"]);
        watch.say("watch k/ --prefix --rev 1");
        let mut seen = watch.lines(15);
        watch.say("progress");
        seen.extend(watch.lines(1));
        stage.also(&["put", "k/3", "more"]);
        seen.extend(watch.lines(3));
        watch.say("progress");
        seen.extend(watch.lines(1));
        watch.close_stdin();
        seen.push(format!("{:?}", watch.end()));
        seen
    });
}

#[test]
fn an_alarm_is_listed_keeps_from_writing_and_is_disarmed() {
    let runtime = Runtime::new().unwrap();
    compare_servers((3, 4), |stage| {
        runtime
            .block_on(alarm::raise(stage.endpoint, AlarmType::Nospace))
            .unwrap();
        let mut seen = Vec::new();
        for args in [
            &["alarm", "list"][..],
            &["put", "a", "1"],
            &["get", "a"],
            &["del", "a"],
            &["lease", "grant", "10"],
            &["endpoint", "health"],
            &["alarm", "disarm"],
            &["alarm", "list"],
            &["alarm", "disarm"],
            &["put", "a", "1"],
        ] {
            let ran = run(stage.command(), args, b"");
            seen.extend(ran.stdout().lines().map(str::to_owned));
            // Newer ones log, too, with the time of it.
            let errors = ran.stderr.lines().filter(|line| !line.starts_with('{'));
            seen.extend(errors.map(|line| without_time(line, stage.endpoint)));
            seen.push(format!("{:?}", ran.code));
        }
        seen
    });
}

/// Takes out where a server is, and how long it took to answer.
fn without_time(line: &str, endpoint: &str) -> String {
    let address = endpoint.trim_start_matches("http://");
    let line = line.replace(address, "<address>");
    match line.split_once("took = ") {
        Some((before, _)) => before.to_owned(),
        None => line,
    }
}

#[test]
fn what_needs_further_members_is_refused_with_a_reason() {
    let runtime = Runtime::new().unwrap();
    for etcd in Binary::all().unwrap_or_else(|error| panic!("{error}")) {
        let etcdctl = Etcdctl::of(&etcd);
        let server = runtime.block_on(embedded(&etcd));
        let endpoint = server.endpoint();
        let stage = Stage::new(&endpoint, &etcdctl);
        let list = run(stage.command(), ["member", "list"], b"").stdout();
        let member = list.split(',').next().unwrap();
        let peer_urls = "--peer-urls=http://127.0.0.1:1001";
        for (args, reason) in [
            (
                ["member", "add", "new", peer_urls],
                "takes no other members",
            ),
            (
                ["member", "remove", member, "--hex"],
                "not enough started members",
            ),
            (
                ["member", "promote", member, "--hex"],
                "can only promote a learner member",
            ),
        ] {
            let ran = run(stage.command(), args, b"");
            assert_eq!(ran.code, Some(1), "{etcdctl:?}: {ran:?}");
            assert!(ran.stderr.contains(reason), "{etcdctl:?}: {ran:?}");
        }
        let update = ["member", "update", member, peer_urls];
        assert_eq!(run(stage.command(), update, b"").code, Some(0));
        let list = run(stage.command(), ["member", "list"], b"").stdout();
        assert!(list.contains("http://127.0.0.1:1001"), "{list}");
    }
}

/// Starts to mirror one server to another, and ends when it is dropped.
fn mirror(etcdctl: &Etcdctl, from: &str, to: &str, flags: &[&str]) -> Running {
    let to = to.trim_start_matches("http://");
    let args = [&["make-mirror", to][..], flags].concat();
    Stage::new(from, etcdctl).start(&args)
}

/// Waits until there is in one server what is in another, under another prefix.
fn wait_for_same(from: &str, to: &str, prefix: &str, dest_prefix: &str) {
    let pairs = |endpoint: &str, prefix: &str| {
        let args = ["--endpoints", endpoint, "get", "--prefix", prefix];
        let args = [&args[..], &["-w", "json"]].concat();
        let ran = run(etcdkit(), args, b"");
        let json: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
        let pairs = json["kvs"].as_array().cloned().unwrap_or_default();
        let text = |value: &serde_json::Value| {
            let bytes = base64_text(value.as_str().unwrap_or_default());
            String::from_utf8(bytes).unwrap()
        };
        pairs
            .iter()
            .map(|pair| {
                let key = text(&pair["key"]);
                let key = key.strip_prefix(prefix).unwrap().to_owned();
                (key, text(&pair["value"]))
            })
            .collect::<Vec<_>>()
    };
    let expected = pairs(from, prefix);
    assert!(!expected.is_empty());
    let mut found = Vec::new();
    for _ in 0..1_000 {
        found = pairs(to, dest_prefix);
        if found == expected {
            return;
        }
    }
    panic!("{found:?} never become {expected:?}");
}

fn base64_text(text: &str) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .unwrap()
}

#[test]
fn mirrors_are_made_from_and_to_the_embedded_server() {
    let runtime = Runtime::new().unwrap();
    for etcd in Binary::all().unwrap_or_else(|error| panic!("{error}")) {
        let etcdctl = Etcdctl::of(&etcd);
        let start = || async { Cluster::builder(&etcd).start().await.unwrap() };
        let real = runtime.block_on(start());
        let other_real = runtime.block_on(start());
        let servers: Vec<Server> = (0..4).map(|_| runtime.block_on(embedded(&etcd))).collect();
        let [a, b, c, d] = [0, 1, 2, 3].map(|index| servers[index].endpoint());
        for (from, to) in [
            (real.endpoint(), &*a),
            (&*b, other_real.endpoint()),
            (&*c, &*d),
        ] {
            let source = Stage::new(from, &etcdctl);
            // More than one request of the mirror's first copy.
            for batch in 0..10 {
                let puts = (0..120).map(|n| format!("put m/{batch}/{n} value-{n}\n"));
                let script = format!("\n{}\n\n", puts.collect::<String>());
                let ran = run(source.command(), ["txn"], script.as_bytes());
                assert_eq!(ran.code, Some(0), "{ran:?}");
            }
            source.also(&["put", "other", "unseen"]);
            let flags = ["--prefix=m/", "--dest-prefix=copy/"];
            let mirroring = mirror(&etcdctl, from, to, &flags);
            wait_for_same(from, to, "m/", "copy/");
            source.also(&["put", "m/new", "of a later time"]);
            source.also(&["del", "--prefix", "m/3/"]);
            let script = b"\nput m/one 1\nput m/two 2\ndel m/0/0\n\n\n";
            assert_eq!(run(source.command(), ["txn"], script).code, Some(0));
            wait_for_same(from, to, "m/", "copy/");
            drop(mirroring);
            let to_root = mirror(&etcdctl, from, to, &["--prefix=m/1", "--no-dest-prefix"]);
            wait_for_same(from, to, "m/1/", "/");
            drop(to_root);
        }
    }
}

/// Runs one of etcdctl's own checks of a server to its end.
fn self_check(args: &[&str]) -> Ran {
    let runtime = Runtime::new().unwrap();
    let etcd = Binary::newest().unwrap_or_else(|error| panic!("{error}"));
    let server = runtime.block_on(embedded(&etcd));
    let etcdctl = Etcdctl::of(&etcd);
    let endpoint = server.endpoint();
    run(Stage::new(&endpoint, &etcdctl).command(), args, b"")
}

/// A minute long, whatever the load. Whether it calls the server fast enough is up to the machine, on which
/// no request may take half a second; that none fails is up to the server.
#[test]
fn the_performance_is_measured_by_its_own_check() {
    let ran = self_check(&["check", "perf", "--load", "s"]);
    let stdout = ran.stdout();
    let verdict = stdout.trim_end().lines().last();
    assert!(
        matches!(
            (verdict, ran.code),
            (Some("PASS"), Some(0)) | (Some("FAIL"), Some(1))
        ),
        "{ran:?}"
    );
    for measured in [" writes/s\n", "lowest request took ", "tddev"] {
        assert!(stdout.contains(measured), "no {measured:?}: {ran:?}");
    }
    assert!(!stdout.contains("error"), "{ran:?}");
}

/// It asks for the memory of the process, before and after.
#[test]
fn the_memory_for_data_is_told_by_its_own_check() {
    let ran = self_check(&["check", "datascale", "--load", "s"]);
    let told = ran.stdout();
    assert!(
        ran.code == Some(0) && told.contains("PASS: Approximate system memory used"),
        "{ran:?}"
    );
}
