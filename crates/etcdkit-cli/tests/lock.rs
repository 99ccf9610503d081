//! `lock`, where it does more than etcdctl's.

#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/running.rs"]
#[allow(dead_code, reason = "nothing is said to the programs here")]
mod running;

use std::process::Command;

use common::{Ran, etcdkit, run};
use etcdkit_server::Server;
use running::Running;
use tokio::runtime::Runtime;

/// A server, and etcdkit that talks to it.
struct Served {
    server: Server,
    _runtime: Runtime,
}

impl Served {
    fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let server = runtime.block_on(Server::builder().start()).unwrap();
        Self {
            server,
            _runtime: runtime,
        }
    }

    fn command(&self) -> Command {
        let mut command = etcdkit();
        // Where the programs that it runs find the server, too.
        command.env("ETCDCTL_ENDPOINTS", self.server.endpoint());
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        run(self.command(), args, b"")
    }

    #[track_caller]
    fn prints(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, Some(0), "{args:?} {ran:?}");
        ran.stdout()
    }

    fn start_command(&self, args: &[&str]) -> Running {
        Running::start(self.command(), args)
    }

    /// The keys in the queue for a lock, as soon as there are so many.
    fn queue_of(&self, name: &str, length: usize) -> Vec<String> {
        let queue = format!("{name}/");
        for _ in 0..1_000 {
            let keys = self.prints(&["get", "--prefix", &queue, "--keys-only"]);
            let keys: Vec<_> = keys.split_whitespace().map(str::to_owned).collect();
            if keys.len() == length {
                return keys;
            }
        }
        panic!("there are never {length} in the queue for {name}");
    }

    fn no_lease_is_left(&self) {
        assert_eq!(self.prints(&["lease", "list"]), "found 0 leases\n");
    }

    fn revoke_lease_of(&self, key: &str) {
        let id = key.rsplit('/').next().unwrap();
        self.prints(&["lease", "revoke", id]);
    }
}

#[test]
fn a_program_is_told_when_the_lock_is_lost() {
    let served = Served::start();
    let script = "trap 'echo told; exit 0' TERM; echo runs; while :; do sleep 0.1; done";
    let lock = served.start_command(&["lock", "l", "--ttl", "2", "--", "sh", "-c", script]);
    assert_eq!(lock.line(), "runs");
    served.revoke_lease_of(&served.queue_of("l", 1)[0]);
    let said = lock.complaint();
    assert!(
        said.starts_with("session expired: ") && said.ends_with("; ending sh"),
        "{said}"
    );
    assert_eq!(lock.end(), (vec!["told".to_owned()], Some(1)));
}

#[test]
fn a_program_that_does_not_end_when_the_lock_is_lost_is_made_to() {
    let served = Served::start();
    let script = "trap '' TERM; echo runs; while :; do sleep 0.1; done";
    let lock = served.start_command(&["lock", "l", "--ttl", "2", "--", "sh", "-c", script]);
    assert_eq!(lock.line(), "runs");
    served.revoke_lease_of(&served.queue_of("l", 1)[0]);
    assert_eq!(lock.end(), (vec![], Some(1)));
}

#[test]
fn a_program_is_told_when_the_key_of_the_lock_is_deleted() {
    let served = Served::start();
    let script = "trap 'echo told; exit 0' TERM; echo runs; while :; do sleep 0.1; done";
    let lock = served.start_command(&["lock", "l", "--", "sh", "-c", script]);
    assert_eq!(lock.line(), "runs");
    served.prints(&["del", "--prefix", "l/"]);
    let said = lock.complaint();
    assert!(said.starts_with("the lock is lost: "), "{said}");
    assert_eq!(lock.end(), (vec!["told".to_owned()], Some(1)));
    served.no_lease_is_left();
}

#[test]
fn a_holder_without_a_program_ends_when_the_key_of_the_lock_is_deleted() {
    let served = Served::start();
    let lock = served.start_command(&["lock", "l"]);
    let key = lock.line();
    served.prints(&["del", &key]);
    assert!(lock.complaint().contains("deleted by somebody else"));
    assert_eq!(lock.end().1, Some(1));
    served.no_lease_is_left();
}

#[test]
fn the_lock_of_a_killed_holder_goes_to_the_next_when_its_lease_has_ended() {
    let served = Served::start();
    let holder = served.start_command(&["lock", "l", "--ttl", "5"]);
    let dead = holder.line();
    let next = served.start_command(&["lock", "l"]);
    served.queue_of("l", 2);
    holder.signal("-KILL");
    assert_eq!(holder.end().1, None);
    let key = next.line();
    assert_ne!(key, dead);
    assert_eq!(served.queue_of("l", 1), [key]);
    next.signal("-TERM");
    assert_eq!(next.end().1, Some(0));
    served.no_lease_is_left();
}

#[test]
fn a_wait_is_given_up_with_the_exit_code_that_was_asked_for() {
    let served = Served::start();
    let holder = served.start_command(&["lock", "l", "--value", "host-1"]);
    let key = holder.line();
    let code = ["--conflict-exit-code", "75"];
    for patience in [&["--try"][..], &["--wait-at-most", "100ms"]] {
        let never = &["--", "sh", "-c", "echo runs"];
        for (args, expected) in [(&code[..], 75), (&[], 1)] {
            let ran = served.run(&[&["lock", "l"], patience, args, never].concat());
            assert_eq!(ran.code, Some(expected), "{ran:?}");
            assert_eq!(ran.stdout(), "", "{ran:?}");
            assert!(ran.stderr.contains(&key), "{ran:?}");
        }
    }
    served.queue_of("l", 1);
    holder.signal("-TERM");
    assert_eq!(holder.end().1, Some(0));
    // The program's own exit code is not mistaken for it.
    for patience in [&["--try"][..], &["--wait-at-most", "10s"]] {
        let fails = &["--", "sh", "-c", "exit 1"];
        let ran = served.run(&[&["lock", "l"], patience, &code, fails].concat());
        assert_eq!(ran.code, Some(1), "{ran:?}");
    }
    served.no_lease_is_left();
}

#[test]
fn who_holds_a_lock_is_printed_and_told_to_who_waits() {
    let served = Served::start();
    let ran = served.run(&["lock", "l", "--holder"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("nobody holds the lock"), "{ran:?}");

    let holder = served.start_command(&["lock", "l", "--value", "host-1"]);
    let key = holder.line();
    assert_eq!(holder.line(), "host-1");
    let waiting = served.start_command(&["lock", "l", "--verbose"]);
    assert_eq!(
        waiting.complaint(),
        format!("Waiting for l, which is held by {key} (host-1)")
    );
    assert_eq!(
        served.prints(&["lock", "l", "--holder"]),
        format!("{key}\nhost-1\n")
    );
    waiting.signal("-INT");
    assert!(waiting.complaint().contains("interrupted while waiting"));
    assert_eq!(waiting.end(), (vec![], Some(1)));
    served.queue_of("l", 1);
    holder.signal("-INT");
    assert_eq!(holder.end().1, Some(0));
    served.no_lease_is_left();
}

#[test]
fn a_program_writes_only_as_long_as_the_lock_is_held() {
    let served = Served::start();
    let etcdkit = env!("CARGO_BIN_EXE_etcdkit");
    let script = format!(
        r#"trap '' TERM
        write() {{
            printf 'create("%s") = "%s"\n\nput ledger %s\n\n\n' "$ETCD_LOCK_KEY" "$ETCDKIT_LOCK_TOKEN" "$1" |
                {etcdkit} txn | head -n 1
        }}
        write one
        {etcdkit} del "$ETCD_LOCK_KEY" > /dev/null
        write two"#
    );
    let lock = served.start_command(&["lock", "l", "--", "sh", "-c", &script]);
    let (seen, _) = lock.end();
    assert_eq!(seen, ["SUCCESS", "FAILURE"]);
    assert_eq!(served.prints(&["get", "ledger"]), "ledger\none\n");
}

#[test]
fn a_session_lives_a_minute_where_no_time_is_asked_for() {
    let served = Served::start();
    for (ttl, granted) in [("0", "60s"), ("-1", "60s"), ("30", "30s")] {
        let lock = served.start_command(&["lock", "l", "--ttl", ttl]);
        let key = lock.line();
        let id = key.rsplit('/').next().unwrap();
        let told = served.prints(&["lease", "timetolive", id]);
        assert!(
            told.contains(&format!("granted with TTL({granted})")),
            "{told}"
        );
        lock.signal("-TERM");
        assert_eq!(lock.end().1, Some(0));
    }
}

#[test]
fn locks_inside_locks_have_their_own_keys() {
    let served = Served::start();
    let etcdkit = env!("CARGO_BIN_EXE_etcdkit");
    let script =
        format!("{etcdkit} lock inner -- sh -c 'echo $ETCD_LOCK_KEY'; echo $ETCD_LOCK_KEY");
    let (seen, code) = served
        .start_command(&["lock", "outer", "--", "sh", "-c", &script])
        .end();
    assert_eq!(code, Some(0), "{seen:?}");
    assert!(
        seen[0].starts_with("inner/") && seen[1].starts_with("outer/"),
        "{seen:?}"
    );
}
