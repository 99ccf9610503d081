//! Watches and leases of users who log in: they outlast the token that they began with.

use std::time::{Duration, Instant};

use etcdkit::{Client, ErrorKind, KeyRange, Permission, Watch};
use etcdkit_testkit::etcd::Binary;
use tokio::time::{sleep, timeout};

use crate::support::*;

/// Longer than a lease lives that nobody keeps.
const LEASE: Duration = Duration::from_secs(5);

/// Waits until the watch has shown the put of this value, and checks that it came next.
async fn shows(watch: &mut Watch, value: &str) {
    let update = timeout(Duration::from_secs(60), watch.try_next()).await;
    let update = update.expect("an update").expect("no end");
    let update = update.expect("the watch goes on");
    let values: Vec<_> = update
        .events()
        .iter()
        .map(|event| &event.kv().value)
        .collect();
    assert_eq!(values, [value]);
}

async fn put(client: &Client, key: &str, value: &str) {
    client.put(key, value).await.expect("a put");
}

/// A client with a watch and a lease that are under way.
struct Streams {
    client: Client,
    first: Watch,
    lease: etcdkit::Lease,
    round: u32,
}

impl Streams {
    async fn begin(client: Client) -> Self {
        let first = client.watch("first").await.expect("a watch");
        let lease = client.lease(LEASE).await.expect("a lease");
        let leased = client.put("leased", "v").lease(&lease).await;
        leased.expect("a put");
        Self {
            client,
            first,
            lease,
            round: 0,
        }
    }

    /// The old watch goes on, new ones can be had, and the lease has been kept.
    async fn go_on(&mut self) {
        self.round += 1;
        let value = format!("{}", self.round);
        let mut another = self.client.watch("another").await.expect("a watch");
        put(&self.client, "first", &value).await;
        put(&self.client, "another", &value).await;
        shows(&mut self.first, &value).await;
        shows(&mut another, &value).await;
        assert!(!self.lease.is_lost(), "{:?}", self.lease.loss());
        let kept = self.client.get("leased").await.expect("a get");
        assert!(kept.is_some(), "the lease was not kept");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_and_leases_outlast_their_token() {
    for etcd in etcds() {
        tokio::join!(
            streams_after_expiry(&etcd, 1),
            streams_after_expiry(&etcd, 3)
        );
    }
}

async fn streams_after_expiry(etcd: &Binary, members: usize) {
    let cluster = cluster(etcd).flag("--auth-token-ttl=1").members(members);
    let cluster = start(cluster).await;
    guard(&cluster).await;
    let mut streams = Streams::begin(root(&cluster).await).await;
    streams.go_on().await;
    // Servers look for tokens that have expired once a second; the lease would end in this time, too.
    sleep(LEASE + Duration::from_secs(2)).await;
    streams.go_on().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_and_leases_outlast_servers_that_forget_their_token() {
    for etcd in etcds() {
        for members in [1, 3] {
            let mut cluster = start(cluster(&etcd).members(members)).await;
            guard(&cluster).await;
            let mut streams = Streams::begin(root(&cluster).await).await;
            for member in 0..members {
                let token = token_from(cluster.endpoint()).await;
                commit(&cluster.endpoints()[member], &token).await;
                cluster.member(member).restart().await.expect("a restart");
                streams.go_on().await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_and_leases_outlast_changes_of_users() {
    let folder = folder();
    for etcd in etcds() {
        let jwts = issuing_jwts(&etcd, folder.path(), "300s");
        for builder in [cluster(&etcd), jwts] {
            let cluster = start(builder.members(3)).await;
            guard(&cluster).await;
            let mut streams = Streams::begin(root(&cluster).await).await;
            let admin = root(&cluster).await;
            for round in 0..3 {
                let role = format!("role{round}");
                admin.auth().role(role).add().await.expect("a role");
                streams.go_on().await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_and_leases_outlast_authentication_turned_on_and_off() {
    for etcd in etcds() {
        let cluster = start(cluster(&etcd).members(3)).await;
        add_root(&cluster).await;
        let admin = root(&cluster).await;
        let mut streams = Streams::begin(root(&cluster).await).await;
        for _ in 0..2 {
            admin.auth().enable().await.expect("enabled");
            streams.go_on().await;
            admin.auth().disable().await.expect("disabled");
            streams.go_on().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_that_is_not_permitted_ends_soon_and_alone() {
    for etcd in etcds() {
        let cluster = start(cluster(&etcd)).await;
        guard(&cluster).await;
        let admin = root(&cluster).await;
        let (role, user) = (admin.auth().role("app"), admin.auth().user("alice"));
        role.add().await.expect("a role");
        let mine = Permission::read_write(KeyRange::prefix("app/"));
        role.grant(mine).await.expect("a permission");
        user.add(PASSWORD).await.expect("a user");
        user.grant_role("app").await.expect("a grant");
        let alice = as_root(&cluster).user("alice", PASSWORD).connect().await;
        let alice = alice.expect("a login");

        let mut permitted = alice.watch("app/1").await.expect("a watch");
        let before = logins(&cluster).await;
        let start = Instant::now();
        for round in 0..5 {
            let open = alice.watch("else").timeout(Duration::from_secs(600));
            let error = open.await.expect_err("denied");
            assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
            assert!(start.elapsed() < Duration::from_secs(60));
            let value = format!("{round}");
            put(&alice, "app/1", &value).await;
            shows(&mut permitted, &value).await;
        }
        let logins = logins(&cluster).await - before;
        // Two in the time in which a token is not renewed again, and those begin anew.
        let most = 3 + start.elapsed().as_secs();
        assert!(logins <= most, "{logins} logins for 5 denied watches");
    }
}
