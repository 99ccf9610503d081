//! Commands that go on: the same is done with etcdctl and with etcdkit, each on a server of its own,
//! and what they print is compared.

use std::process::Command;

use etcdkit_testkit::etcd::{Binary, Cluster};
use tokio::runtime::Runtime;

use crate::{
    beside::beside_each_other,
    common::{clean, etcdkit, run},
    drives::embedded,
    etcdctl::Etcdctl,
    running::Running,
};

/// A program on a server.
pub(crate) struct Stage<'a> {
    pub(crate) endpoint: &'a str,
    /// etcdctl; etcdkit without it.
    etcdctl: Option<&'a Etcdctl>,
}

impl<'a> Stage<'a> {
    pub(crate) fn new(endpoint: &'a str, etcdctl: &'a Etcdctl) -> Self {
        let etcdctl = Some(etcdctl);
        Self { endpoint, etcdctl }
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = match self.etcdctl {
            Some(etcdctl) => clean(etcdctl.path()),
            None => etcdkit(),
        };
        command
            .env("ETCDCTL_API", "3")
            .env("ETCDCTL_ENDPOINTS", self.endpoint);
        command
    }

    pub(crate) fn start(&self, args: &[&str]) -> Running {
        Running::start(self.command(), args)
    }

    /// Runs another command to its end; by etcdkit, which is not what is compared here.
    pub(crate) fn also(&self, args: &[&str]) -> String {
        let args = ["--endpoints", self.endpoint]
            .into_iter()
            .chain(args.iter().copied());
        let ran = run(etcdkit(), args, b"");
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.stdout()
    }

    /// Waits until there are so many keys with a prefix.
    pub(crate) fn wait_for_keys(&self, prefix: &str, count: usize) {
        let reached = format!("\"Count\" : {count}");
        let mut asked = 0;
        while !self
            .also(&["get", "--prefix", prefix, "-w", "fields"])
            .contains(&reached)
        {
            asked += 1;
            assert!(asked < 1_000, "there are never {count} keys below {prefix}");
        }
    }

    /// The revision after the newest one.
    pub(crate) fn next_revision(&self) -> String {
        let fields = self.also(&["get", "none", "-w", "fields"]);
        let mut lines = fields.lines();
        let revision = lines.find_map(|line| line.strip_prefix("\"Revision\" : "));
        (revision.unwrap().parse::<i64>().unwrap() + 1).to_string()
    }
}

/// What was seen, in the order in which it was.
pub(crate) type Seen = Vec<String>;

/// Each etcdctl and etcdkit do the same on a real etcd; each etcdctl does on the embedded server what it
/// does on the etcd that it came with.
fn compare(since: (u32, u32), scene: impl Fn(&Stage<'_>) -> Seen + Sync) {
    compare_programs(since, &scene);
    compare_servers(since, &scene);
}

/// Each etcdctl and etcdkit do the same on a real etcd.
fn compare_programs(since: (u32, u32), scene: impl Fn(&Stage<'_>) -> Seen + Sync) {
    let etcds = Binary::all().unwrap_or_else(|error| panic!("{error}"));
    let mut etcdctls = Etcdctl::all(&etcds);
    etcdctls.retain(|etcdctl| etcdctl.version() >= since);
    let (etcdctls, scene) = (&etcdctls, &scene);
    let jobs = etcds.iter().flat_map(|etcd| {
        let programs = std::iter::once(None).chain(etcdctls.iter().map(Some));
        programs.map(move |program| move || act_on_real(etcd, program, scene))
    });
    let seen = beside_each_other(jobs);
    for (etcd, seen) in etcds.iter().zip(seen.chunks(1 + etcdctls.len())) {
        let (ours, theirs) = seen.split_first().unwrap();
        for (etcdctl, theirs) in etcdctls.iter().zip(theirs) {
            let version = etcdctl.version();
            let ours: Seen = match version < (3, 7) {
                true => ours.iter().map(|line| without_reason(line)).collect(),
                false => ours.clone(),
            };
            assert_eq!(ours, *theirs, "etcdkit, and etcdctl {version:?} on {etcd}");
        }
    }
}

/// Each etcdctl does on the embedded server what it does on the etcd that it came with.
pub(crate) fn compare_servers(since: (u32, u32), scene: impl Fn(&Stage<'_>) -> Seen + Sync) {
    let etcds = Binary::all().unwrap_or_else(|error| panic!("{error}"));
    let scene = &scene;
    let compare = |etcd: &Binary| {
        let etcdctl = Etcdctl::of(etcd);
        if etcdctl.version() < since {
            return;
        }
        let jobs = [true, false].map(|real| {
            let etcdctl = &etcdctl;
            move || match real {
                true => act_on_real(etcd, Some(etcdctl), scene),
                false => act_on_embedded(etcd, etcdctl, scene),
            }
        });
        let [expected, found] = beside_each_other(jobs).try_into().unwrap();
        assert_eq!(
            found, expected,
            "etcdctl on the embedded server, and on {etcd}"
        );
    };
    beside_each_other(etcds.iter().map(|etcd| || compare(etcd)));
}

fn act_on_real(
    etcd: &Binary,
    etcdctl: Option<&Etcdctl>,
    scene: impl Fn(&Stage<'_>) -> Seen,
) -> Seen {
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(Cluster::builder(etcd).start()).unwrap();
    act(server.endpoint(), etcdctl, scene)
}

fn act_on_embedded(etcd: &Binary, etcdctl: &Etcdctl, scene: impl Fn(&Stage<'_>) -> Seen) -> Seen {
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(embedded(etcd));
    act(&server.endpoint(), Some(etcdctl), scene)
}

fn act(endpoint: &str, etcdctl: Option<&Etcdctl>, scene: impl Fn(&Stage<'_>) -> Seen) -> Seen {
    let seen = scene(&Stage { endpoint, etcdctl });
    seen.into_iter().map(|line| settle(&line)).collect()
}

/// Takes out the ids of servers and leases, few of which begin with many zeros, and the terms.
fn settle(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(start) = rest.find(|c: char| c.is_ascii_hexdigit()) {
        let (before, after) = rest.split_at(start);
        let length = after
            .find(|c: char| !c.is_ascii_hexdigit())
            .unwrap_or(after.len());
        let (word, after) = after.split_at(length);
        out += before;
        out += if length >= 12 { "<id>" } else { word };
        rest = after;
    }
    out += rest;
    for name in ["\"raft_term\":", "\"RaftTerm\" : "] {
        if let Some((before, after)) = out.split_once(name) {
            let after = after.trim_start_matches(|c: char| c.is_ascii_digit());
            out = format!("{before}{name}#{after}");
        }
    }
    out
}

/// The JSON of a watch as it was before 3.7: without a reason for its end, and with an empty list then.
fn without_reason(line: &str) -> String {
    match line.split_once(",\"CancelReason\":\"") {
        Some((before, _)) => format!("{before}}}").replace("\"Events\":null", "\"Events\":[]"),
        None => line.to_owned(),
    }
}

/// Puts what there is to watch: five changes, the last of them of `k/end`.
pub(crate) fn history(stage: &Stage<'_>) {
    stage.also(&["put", "k/1", "one"]);
    stage.also(&["put", "k/1", "<two> \"quoted\" é"]);
    stage.also(&["put", "other", "unseen"]);
    stage.also(&["del", "k/1"]);
    stage.also(&["put", "k/2", ""]);
    stage.also(&["put", "k/end", "end"]);
}

#[test]
fn watches_print_what_etcdctl_prints() {
    compare((3, 4), |stage| {
        history(stage);
        let mut seen = Vec::new();
        for (lines, flags) in [
            (15, &["k/", "--prefix", "--rev", "1"][..]),
            (19, &["k/", "--prefix", "--rev", "1", "--prev-kv"]),
            (15, &["--rev=1", "k/", "k0"]),
            (9, &["k/1", "--rev", "1"]),
            (15, &["k/", "--prefix", "--rev", "1", "--hex"]),
            (39, &["k/", "--prefix", "--rev", "1", "-w", "fields"]),
            (
                51,
                &["k/", "--prefix", "--rev", "1", "-w", "fields", "--prev-kv"],
            ),
            (1, &["k/", "--prefix", "--rev", "1", "-w", "json"]),
            (
                1,
                &["k/", "--prefix", "--rev", "1", "-w", "json", "--prev-kv"],
            ),
        ] {
            let watch = stage.start(&[&["watch"], flags].concat());
            seen.extend(watch.lines(lines));
        }
        seen
    });
}

#[test]
fn watches_print_what_happens() {
    compare((3, 4), |stage| {
        let next = stage.next_revision();
        let watch = stage.start(&["watch", "a", "--rev", &next, "-w", "json"]);
        stage.also(&["put", "a", "1"]);
        let mut seen = watch.lines(1);
        stage.also(&["put", "b", "1"]);
        stage.also(&["put", "a", "2"]);
        seen.extend(watch.lines(1));
        stage.also(&["del", "a"]);
        seen.extend(watch.lines(1));
        watch.signal("-INT");
        seen.extend(watch.end().0);
        seen
    });
}

#[test]
fn watches_run_a_program_for_every_event() {
    const SHOW: &str =
        "echo $ETCD_WATCH_REVISION $ETCD_WATCH_EVENT_TYPE $ETCD_WATCH_KEY $ETCD_WATCH_VALUE; cat";
    compare((3, 4), |stage| {
        history(stage);
        let args = [
            "watch", "--rev", "1", "--prefix", "k/", "--", "sh", "-c", SHOW,
        ];
        let mut seen = stage.start(&args).lines(20);
        // The variables name the key, and a program that fails ends the watch.
        let mut command = stage.command();
        command.env("ETCDCTL_WATCH_KEY", "k/1");
        command.env("ETCDCTL_WATCH_RANGE_END", "k/2");
        let watch = Running::start(command, ["watch", "--rev=1", "--", "sh", "-c", "exit 3"]);
        let (lines, code) = watch.end();
        seen.extend(lines);
        seen.push(format!("{code:?}"));
        seen
    });
}

#[test]
fn watches_are_asked_for_line_by_line() {
    compare((3, 4), |stage| {
        history(stage);
        let mut watch = stage.start(&["watch", "-i"]);
        let mut seen = Vec::new();
        watch.say("watch k/1 --rev 1");
        seen.extend(watch.lines(9));
        watch.say("watch --prefix \"k/\" --rev 6 --prev-kv");
        seen.extend(watch.lines(6));
        watch.say("watch k/1 --rev=1 -- echo event");
        seen.extend(watch.lines(12));
        for nonsense in ["", "get a"] {
            watch.say(nonsense);
            assert!(watch.complaint().starts_with("Invalid command"));
        }
        watch.say("watch other --rev 1");
        seen.extend(watch.lines(3));
        watch.close_stdin();
        let (rest, code) = watch.end();
        seen.extend(rest);
        seen.push(format!("{code:?}"));
        let mut watch = stage.start(&["watch", "--interactive"]);
        watch.say("watch a --bogus");
        seen.push(format!("{:?}", watch.end().1));
        seen
    });
}

#[test]
fn watches_end_when_the_server_ends_them() {
    compare((3, 4), |stage| {
        history(stage);
        stage.also(&["compaction", "5"]);
        let mut seen = Vec::new();
        for format in ["simple", "json"] {
            let watch = stage.start(&["watch", "k/1", "--rev", "1", "-w", format]);
            seen.push(watch.complaint());
            seen.push(watch.complaint());
            let (lines, code) = watch.end();
            seen.extend(lines);
            seen.push(format!("{code:?}"));
        }
        seen
    });
}

#[test]
fn locks_are_held_until_told_to_end() {
    compare((3, 4), |stage| {
        let mut seen = Vec::new();
        for signal in ["-INT", "-TERM"] {
            let first = stage.start(&["lock", "mutex"]);
            seen.extend(first.lines(2));
            // It waits in line: its key is there, and is not the oldest.
            let second = stage.start(&["lock", "mutex", "-w", "fields"]);
            stage.wait_for_keys("mutex/", 2);
            first.signal(signal);
            seen.push(format!("{:?}", first.end()));
            seen.push(second.lines(7).split_off(4).join(" "));
            second.signal(signal);
            seen.push(format!("{:?}", second.end().1));
            stage.wait_for_keys("mutex/", 0);
        }
        seen
    });
}

#[test]
fn locks_are_held_while_a_program_runs() {
    // 3.4 returns 1 whatever the program does.
    compare((3, 5), |stage| {
        let show = "echo $ETCD_LOCK_REV $ETCD_LOCK_KEY; exit 7";
        let lock = stage.start(&["lock", "mutex", "--ttl", "5", "--", "sh", "-c", show]);
        let (mut seen, code) = lock.end();
        seen.push(format!("{code:?}"));
        for command in [
            &["true"][..],
            &["no-such-program"],
            &["sh", "-c", "kill -9 $$"],
        ] {
            let lock = stage.start(&[&["lock", "mutex", "--"], command].concat());
            seen.push(format!("{:?}", lock.end()));
            stage.wait_for_keys("mutex/", 0);
        }
        seen
    });
}

#[test]
fn a_lock_is_handed_over_to_who_waits_for_it() {
    // 3.4 returns 1 whatever the program does.
    compare((3, 5), |stage| {
        let first = stage.start(&["lock", "mutex"]);
        stage.wait_for_keys("mutex/", 1);
        let show = "echo $ETCD_LOCK_REV $ETCD_LOCK_KEY; exit 7";
        let second = stage.start(&["lock", "mutex", "--", "sh", "-c", show]);
        stage.wait_for_keys("mutex/", 2);
        stage.also(&["put", "other", "value"]);
        first.signal("-TERM");
        let mut seen = vec![format!("{:?}", first.end())];
        seen.push(format!("{:?}", second.end()));
        stage.wait_for_keys("mutex/", 0);
        seen
    });
}

#[test]
fn who_is_interrupted_in_a_wait_for_a_lock_leaves_nothing_behind() {
    compare((3, 4), |stage| {
        let first = stage.start(&["lock", "mutex"]);
        stage.wait_for_keys("mutex/", 1);
        let mut seen = Vec::new();
        for command in [&[][..], &["--", "echo", "this never runs"]] {
            for signal in ["-INT", "-TERM"] {
                let waiting = stage.start(&[&["lock", "mutex"], command].concat());
                stage.wait_for_keys("mutex/", 2);
                waiting.signal(signal);
                seen.push(format!("{:?}", waiting.end()));
                stage.wait_for_keys("mutex/", 1);
            }
        }
        first.signal("-TERM");
        seen.push(format!("{:?}", first.end()));
        seen
    });
}

#[test]
fn leaders_are_elected_and_observed() {
    compare((3, 4), |stage| {
        let observer = stage.start(&["elect", "-l", "president"]);
        let first = stage.start(&["elect", "president", "one"]);
        let mut seen = first.lines(2);
        seen.extend(observer.lines(2));
        let second = stage.start(&["elect", "president", "two"]);
        stage.wait_for_keys("president/", 2);
        first.signal("-INT");
        seen.push(format!("{:?}", first.end()));
        seen.extend(second.lines(2));
        seen.extend(observer.lines(2));
        second.signal("-TERM");
        seen.push(format!("{:?}", second.end()));
        stage.wait_for_keys("president/", 0);
        observer.signal("-INT");
        seen.push(format!("{:?}", observer.end()));
        seen
    });
}

#[test]
fn leases_are_kept_alive_until_they_end() {
    compare((3, 4), |stage| {
        // Long enough that a busy machine renews it in time.
        let granted = stage.also(&["lease", "grant", "6"]);
        let id = granted.split(' ').nth(1).unwrap();
        let kept = stage.start(&["lease", "keep-alive", id]);
        // Longer than the lease would live by itself.
        let mut seen = kept.lines(5);
        stage.also(&["lease", "revoke", id]);
        let (rest, code) = kept.end();
        // One more renewal may have been answered before the end.
        seen.extend(rest.last().cloned());
        seen.push(format!("{code:?}"));
        seen
    });
}

#[test]
fn snapshots_are_saved_and_told_of() {
    compare((3, 4), |stage| {
        history(stage);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a b.db");
        let path = path.to_str().unwrap();
        let save = stage.start(&["snapshot", "save", path]);
        let (lines, code) = save.end();
        let mut seen = vec![format!("{code:?}")];
        let saved = format!("Snapshot saved at {path}");
        // Since 3.6 there is the server's version, too.
        assert!(lines.contains(&saved), "{lines:?}");
        let status = stage.also(&["snapshot", "status", path, "-w", "json"]);
        assert!(
            status.contains("\"revision\":7,\"totalKey\":3,"),
            "{status}"
        );
        let failed = stage.start(&["snapshot", "save", "/nonexistent/folder/file"]);
        seen.push(format!("{:?}", failed.end()));
        seen
    });
}
