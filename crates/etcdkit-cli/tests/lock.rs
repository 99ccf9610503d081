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
