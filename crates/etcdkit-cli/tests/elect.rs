//! What `etcdkit elect` does beyond etcdctl, which it is compared with elsewhere.

#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "every program here goes on")]
mod common;
#[path = "common/running.rs"]
#[allow(dead_code, reason = "nothing is said to the programs here")]
mod running;

use std::time::Duration;

use common::etcdkit;
use etcdkit::Client;
use etcdkit_server::Server;
use etcdkit_testkit::{
    proxy::{Conditions, Proxy},
    queue::queue_of,
};
use running::Running;
use tokio::runtime::Runtime;

/// A server, and a way to it that can be cut.
struct Place {
    runtime: Runtime,
    server: Server,
    proxy: Proxy,
    client: Client,
}

impl Place {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let (server, proxy, client) = runtime.block_on(async {
            let server = Server::builder().start().await.unwrap();
            let proxy = Proxy::start(&server.endpoint()).await.unwrap();
            let client = Client::connect(server.endpoint()).await.unwrap();
            (server, proxy, client)
        });
        Self {
            runtime,
            server,
            proxy,
            client,
        }
    }

    fn elect(&self, args: &[&str]) -> Running {
        let endpoint = self.proxy.endpoint();
        let args = ["--endpoints", &endpoint, "elect"]
            .into_iter()
            .chain(args.iter().copied());
        Running::start(etcdkit(), args)
    }

    /// Somebody stands for the election, or proclaims something else.
    fn put(&self, key: &str, value: &str) -> i64 {
        let put = self.client.put(key, value);
        self.runtime
            .block_on(put.into_future())
            .unwrap()
            .header
            .revision
    }

    fn wait_for_queue(&self, name: &str, length: i64) {
        self.runtime.block_on(queue_of(&self.client, name, length));
    }

    fn delete(&self, key: &str) {
        let delete = self.client.delete(key);
        self.runtime.block_on(delete.into_future()).unwrap();
    }
}

#[test]
fn an_observer_says_when_nobody_leads() {
    let place = Place::new();
    let observer = place.elect(&["-l", "workers"]);
    assert_eq!(observer.complaint(), "Nobody leads workers at revision 1");
    place.put("workers/1", "one");
    assert_eq!(observer.lines(2), ["workers/1", "one"]);
    place.put("workers/2", "two");
    place.delete("workers/1");
    assert_eq!(observer.lines(2), ["workers/2", "two"]);
    place.delete("workers/2");
    assert_eq!(observer.complaint(), "Nobody leads workers at revision 5");
    observer.signal("-TERM");
    assert_eq!(observer.end(), (vec![], Some(0)));
}

#[test]
fn an_observer_outlasts_a_lost_connection_and_a_compaction() {
    let place = Place::new();
    place.put("workers/1", "one");
    let observer = place.elect(&["-l", "workers"]);
    assert_eq!(observer.lines(2), ["workers/1", "one"]);
    place.proxy.freeze();
    place.delete("workers/1");
    place.put("workers/2", "two");
    let newest = place.put("workers/2", "two, at work");
    let compact = place.client.compact(newest);
    place.runtime.block_on(compact.into_future()).unwrap();
    place.proxy.cut();
    place.proxy.set_both(Conditions::pass());
    assert_eq!(observer.lines(2), ["workers/2", "two, at work"]);
    observer.signal("-INT");
    assert_eq!(observer.end(), (vec![], Some(0)));
}

#[test]
fn a_leader_whose_key_is_deleted_says_so_and_ends() {
    let place = Place::new();
    let leader = place.elect(&["workers", "one"]);
    let key = leader.line();
    assert_eq!(leader.line(), "one");
    place.delete(&key);
    let complaint = leader.complaint();
    assert!(
        complaint.starts_with("Error: elect: no longer the leader: "),
        "{complaint}"
    );
    assert_eq!(leader.end(), (vec![], Some(1)));
}

#[test]
fn a_killed_leader_leads_until_its_lease_has_ended() {
    let place = Place::new();
    let leader = place.elect(&["workers", "one"]);
    let key = leader.line();
    assert_eq!(leader.line(), "one");
    place.put("workers/2", "two");
    let observer = place.elect(&["-l", "workers"]);
    assert_eq!(observer.lines(2), [&key, "one"]);
    leader.signal("-KILL");
    assert_eq!(leader.end().1, None);
    place.wait_for_queue("workers", 2);
    // More than the minute that candidates of a command have.
    place.server.advance_time(Duration::from_secs(61));
    assert_eq!(observer.lines(2), ["workers/2", "two"]);
    place.wait_for_queue("workers", 1);
}

#[test]
fn a_candidate_that_is_interrupted_leaves_the_queue() {
    let place = Place::new();
    place.put("workers/1", "one");
    let second = place.elect(&["workers", "two"]);
    place.wait_for_queue("workers", 2);
    second.signal("-INT");
    assert_eq!(second.end(), (vec![], Some(1)));
    place.wait_for_queue("workers", 1);
    let leases = place.client.leases().list();
    let leases = place.runtime.block_on(leases.into_future()).unwrap();
    assert_eq!(leases.leases, []);
}
