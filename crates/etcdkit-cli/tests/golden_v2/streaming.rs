//! Watches: the same is done while etcdctl and etcdkit watch, and what they print is compared.

use etcdkit::v2::Client;
use etcdkit_testkit::etcd::Binary;

use crate::{
    beside::beside_each_other,
    common::run,
    running::Running,
    stage::{Pair, Place, Program, etcds},
};

/// A program on a server of its own.
struct Stage {
    program: Program,
    place: Place,
}

impl Stage {
    fn start(&self, args: &[&str]) -> Running {
        let server = ["--endpoints", self.place.endpoint()];
        let args = server.iter().chain(args).copied();
        Running::start(self.program.command(), args)
    }

    /// Starts a watch, and waits until the server knows of it.
    fn watch(&self, args: &[&str]) -> Running {
        let running = self.start(args);
        let mut asked = 0;
        while !self.place.also(&["stats", "store"]).contains("watchers: 1") {
            asked += 1;
            assert!(asked < 1_000, "nobody ever watches: {args:?}");
        }
        running
    }

    /// Runs commands one after the other; by etcdkit, which is not what is compared here.
    fn also(&self, lines: &[&str]) {
        for line in lines {
            let words: Vec<_> = line.split(' ').collect();
            self.place.also(&words);
        }
    }
}

/// What was seen, in the order in which it was.
type Seen = Vec<String>;

/// The etcdctl of each etcd and etcdkit see the same on it, and on the embedded server.
fn compare(scene: impl Fn(&Stage) -> Seen + Sync) {
    let etcds = etcds();
    let play = |etcd: &Binary| {
        let pairs = Pair::all(etcd);
        let scene = &scene;
        let seen = beside_each_other(pairs.iter().map(|pair| {
            move || {
                let program = pair.program.clone();
                let place = pair.place(etcd);
                scene(&Stage { program, place })
            }
        }));
        let (expected, found) = seen.split_first().unwrap();
        assert!(!expected.is_empty());
        for (pair, found) in pairs.iter().skip(1).zip(found) {
            assert_eq!(found, expected, "{pair:?}, not like etcdctl on {etcd}");
        }
    };
    beside_each_other(etcds.iter().map(|etcd| || play(etcd)));
}

/// The rest of what a program prints, and how it ended.
fn end(running: Running, mut seen: Seen) -> Seen {
    let (rest, code) = running.end();
    seen.extend(rest);
    seen.push(format!("exit code {code:?}"));
    seen
}

#[test]
fn a_watch_ends_with_the_first_change() {
    compare(|stage| {
        let watch = stage.watch(&["watch", "/w"]);
        stage.also(&["set /other 0", "set /w/below 0", "rm -r /w", "set /w 1"]);
        end(watch, Vec::new())
    });
}

#[test]
fn a_watch_goes_on_until_it_is_interrupted() {
    compare(|stage| {
        let watch = stage.watch(&["watch", "--forever", "--recursive", "/"]);
        stage.also(&["set /w/a 1", "update /w/a 2", "mkdir /w/dir", "rm /w/a"]);
        let mut seen = watch.lines(6);
        stage.also(&[
            "mk /w/b x",
            "cas /w/b y --with-value x",
            "cad /w/b --with-value y",
            "mk --in-order /w/q v",
            "rm -r /w",
            "set /e 1 --ttl 1",
        ]);
        seen.extend(watch.lines(12));
        watch.signal("-INT");
        end(watch, seen)
    });
}

#[test]
fn changes_are_shown_in_every_format() {
    for format in ["json", "extended"] {
        compare(|stage| {
            let watch = stage.watch(&["-o", format, "watch", "-f", "-r", "/w"]);
            stage.also(&["set /w/a 1", "set /w/a 2", "rm /w/a"]);
            let lines = if format == "json" { 6 } else { 8 + 9 + 7 };
            let seen = watch.lines(lines);
            watch.signal("-INT");
            let mut seen = end(watch, seen);
            // The index of the store when it answered, which depends on how fast the program asks.
            seen.retain(|line| !line.starts_with("Index: "));
            seen
        });
    }
}

#[test]
fn a_watch_begins_in_the_past() {
    compare(|stage| {
        stage.also(&["set /w 1", "set /w 2", "set /x 3", "set /w 4"]);
        let mut seen = Vec::new();
        for args in [
            &["watch", "/w", "--after-index", "3"][..],
            &["watch", "--after-index", "4", "/w"],
            &["watch", "/w", "--after-index=5", "-r"],
            &["-o", "json", "watch", "/", "-r", "--after-index", "5"],
        ] {
            seen = end(stage.start(args), seen);
        }
        seen
    });
}

#[test]
fn a_history_that_is_gone_ends_a_watch() {
    compare(|stage| {
        let endpoint = stage.place.endpoint();
        let write = async {
            let client = Client::connect(endpoint).await.unwrap();
            for _ in 0..1_002 {
                client.set("/w", "x").await.unwrap();
            }
        };
        tokio::runtime::Runtime::new().unwrap().block_on(write);
        let mut command = stage.program.command();
        command.args(["--endpoints", endpoint]);
        let ran = run(command, ["watch", "/w", "--after-index", "3"], b"");
        vec![ran.stdout(), ran.stderr, format!("{:?}", ran.code)]
    });
}

#[test]
fn a_program_is_run_for_every_change() {
    let script =
        "echo $ETCD_WATCH_ACTION $ETCD_WATCH_KEY $ETCD_WATCH_VALUE $ETCD_WATCH_MODIFIED_INDEX";
    compare(|stage| {
        // With a flag before it; without one etcdctl takes the last word for the key.
        let watch = stage.watch(&["exec-watch", "-r", "/w", "--", "sh", "-c", script]);
        let mut seen = Vec::new();
        for line in [
            "set /w/a 1",
            "update /w/a 2",
            "cas /w/a 3 --with-value 2",
            "rm /w/a",
            "mk --in-order /w v",
        ] {
            stage.also(&[line]);
            seen.extend(watch.lines(1));
        }
        stage.also(&["mkdir /w/dir"]);
        seen.push(watch.complaint());
        watch.signal("-INT");
        end(watch, seen)
    });
}

#[test]
fn a_program_that_cannot_be_run_ends_the_watch() {
    compare(|stage| {
        let watch = stage.watch(&["exec-watch", "--recursive", "/w", "--", "/none/such"]);
        stage.also(&["set /w/a 1"]);
        end(watch, Vec::new())
    });
}
