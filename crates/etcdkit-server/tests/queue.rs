//! The lock and the election service. What is expected was seen on etcd 3.5 and 3.6.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{Way, all, channel, is, kv};
use etcdkit_proto::etcdserverpb::lease_client::LeaseClient;
use etcdkit_proto::etcdserverpb::{LeaseGrantRequest, LeaseRevokeRequest};
use etcdkit_proto::v3electionpb::election_client::ElectionClient;
use etcdkit_proto::v3electionpb::{
    CampaignRequest, CampaignResponse, LeaderKey, LeaderRequest, ProclaimRequest, ResignRequest,
};
use etcdkit_proto::v3lockpb::lock_client::LockClient;
use etcdkit_proto::v3lockpb::{LockRequest, LockResponse, UnlockRequest};
use etcdkit_server::Server;
use tonic::transport::Channel;
use tonic::{Code, Status};

struct World {
    server: Server,
    channel: Channel,
}

impl World {
    /// With the leases 16, 17 and 18.
    async fn start() -> Self {
        let server = Server::builder().start().await.unwrap();
        let channel = channel(&server, Way::Tcp).await;
        let mut leases = LeaseClient::new(channel.clone());
        for id in 16..19 {
            let request = LeaseGrantRequest { id, ttl: 60 };
            leases.lease_grant(request).await.unwrap();
        }
        Self { server, channel }
    }

    fn locks(&self) -> LockClient<Channel> {
        LockClient::new(self.channel.clone())
    }

    fn elections(&self) -> ElectionClient<Channel> {
        ElectionClient::new(self.channel.clone())
    }

    async fn revoke(&self, id: i64) {
        LeaseClient::new(self.channel.clone())
            .lease_revoke(LeaseRevokeRequest { id })
            .await
            .unwrap();
    }

    async fn keys(&self) -> Vec<String> {
        let found = kv(&self.server, Way::Tcp).await.range(all()).await.unwrap();
        let kvs = found.into_inner().kvs.into_iter();
        kvs.map(|kv| String::from_utf8(kv.key.to_vec()).unwrap())
            .collect()
    }

    /// Waits until there are so many keys, for requests that another task makes.
    async fn until_keys(&self, count: usize) {
        while self.keys().await.len() != count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

async fn lock(mut locks: LockClient<Channel>, lease: i64) -> Result<LockResponse, Status> {
    let name = "l".into();
    Ok(locks.lock(LockRequest { name, lease }).await?.into_inner())
}

async fn campaign(
    mut elections: ElectionClient<Channel>,
    lease: i64,
    value: &'static str,
) -> Result<CampaignResponse, Status> {
    let request = CampaignRequest {
        name: "e".into(),
        lease,
        value: value.into(),
    };
    Ok(elections.campaign(request).await?.into_inner())
}

#[tokio::test]
async fn a_lock_goes_from_one_to_the_next_in_order() {
    let world = World::start().await;
    let first = lock(world.locks(), 16).await.unwrap();
    assert_eq!(first.key, "l/10");
    assert_eq!(first.header.unwrap().revision, 2);
    let again = lock(world.locks(), 16).await.unwrap();
    assert_eq!(again.key, first.key, "the same lease has it already");

    let second = tokio::spawn(lock(world.locks(), 17));
    world.until_keys(2).await;
    let third = tokio::spawn(lock(world.locks(), 18));
    world.until_keys(3).await;
    let unlock = |key| UnlockRequest { key };
    let mut locks = world.locks();
    locks.unlock(unlock(first.key.clone())).await.unwrap();
    let second = second.await.unwrap().unwrap();
    assert_eq!(second.key, "l/11");
    assert_eq!(second.header.unwrap().revision, 5);
    assert!(!third.is_finished());
    world.revoke(17).await;
    assert_eq!(third.await.unwrap().unwrap().key, "l/12");
    // Nobody holds it any more, which is no error.
    locks.unlock(unlock(first.key)).await.unwrap();
}

#[tokio::test]
async fn who_stops_waiting_leaves_the_queue() {
    let world = World::start().await;
    lock(world.locks(), 16).await.unwrap();
    let waiting = tokio::spawn(lock(world.locks(), 17));
    world.until_keys(2).await;
    waiting.abort();
    world.until_keys(1).await;
    assert_eq!(world.keys().await, ["l/10"]);
}

#[tokio::test]
async fn who_loses_the_lease_does_not_get_the_lock() {
    let world = World::start().await;
    let first = lock(world.locks(), 16).await.unwrap();
    let waiting = tokio::spawn(lock(world.locks(), 17));
    world.until_keys(2).await;
    world.revoke(17).await;
    let key = first.key;
    world.locks().unlock(UnlockRequest { key }).await.unwrap();
    is(
        &waiting.await.unwrap().unwrap_err(),
        Code::Unknown,
        "mutex: session is expired",
    );
    is(
        &lock(world.locks(), 99).await.unwrap_err(),
        Code::Unknown,
        "etcdserver: requested lease not found",
    );
}

#[tokio::test]
async fn a_lock_without_a_lease_gets_one_of_a_minute() {
    let world = World::start().await;
    lock(world.locks(), 0).await.unwrap();
    assert_eq!(world.keys().await.len(), 1);
    world.server.advance_time(Duration::from_secs(61));
    assert!(world.keys().await.is_empty());
}

#[tokio::test]
async fn an_election_has_one_leader_after_the_other() {
    let world = World::start().await;
    let mut elections = world.elections();
    let name = || LeaderRequest { name: "e".into() };
    is(
        &elections.leader(name()).await.unwrap_err(),
        Code::Unknown,
        "election: no leader",
    );
    let first = campaign(world.elections(), 16, "ann").await.unwrap();
    let leader = first.leader.clone().unwrap();
    assert_eq!(
        leader,
        LeaderKey {
            name: "e".into(),
            key: "e/10".into(),
            rev: 2,
            lease: 16
        }
    );
    let second = tokio::spawn(campaign(world.elections(), 17, "bob"));
    world.until_keys(2).await;
    let found = elections.leader(name()).await.unwrap().into_inner();
    assert_eq!(found.kv.unwrap().value, "ann");

    // Campaigning again as the leader changes the value.
    let again = campaign(world.elections(), 16, "anna").await.unwrap();
    assert_eq!(again.leader.unwrap().rev, 2);
    let found = elections.leader(name()).await.unwrap().into_inner();
    assert_eq!(found.kv.unwrap().value, "anna");

    let resign = |leader| ResignRequest { leader };
    elections
        .resign(resign(Some(leader.clone())))
        .await
        .unwrap();
    let second = second.await.unwrap().unwrap();
    assert_eq!(second.leader.unwrap().key, "e/11");
    // It is not the caller's to give up any more, which is no error.
    elections
        .resign(resign(Some(leader.clone())))
        .await
        .unwrap();

    let proclaim = |leader| ProclaimRequest {
        leader,
        value: "x".into(),
    };
    is(
        &elections
            .proclaim(proclaim(Some(leader)))
            .await
            .unwrap_err(),
        Code::Unknown,
        "election: not leader",
    );
    for missing in [
        elections.proclaim(proclaim(None)).await.unwrap_err(),
        elections.resign(resign(None)).await.unwrap_err(),
    ] {
        let text = "\"leader\" field must be provided";
        is(&missing, Code::Unknown, text);
    }
}

#[tokio::test]
async fn an_observer_sees_every_leader_and_value() {
    let world = World::start().await;
    let mut elections = world.elections();
    let name = LeaderRequest { name: "e".into() };
    let first = campaign(world.elections(), 16, "ann").await.unwrap();
    let mut seen = elections.observe(name).await.unwrap().into_inner();
    let mut next = async || {
        let response = seen.message().await.unwrap().unwrap();
        let kv = response.kv.unwrap();
        (kv.value, response.header.unwrap().revision)
    };
    assert_eq!(next().await, ("ann".into(), 2));
    elections
        .proclaim(ProclaimRequest {
            leader: first.leader,
            value: "anna".into(),
        })
        .await
        .unwrap();
    assert_eq!(next().await, ("anna".into(), 3));
    let second = tokio::spawn(campaign(world.elections(), 17, "bob"));
    world.until_keys(2).await;
    world.revoke(16).await;
    assert_eq!(next().await, ("bob".into(), 5));
    second.await.unwrap().unwrap();
    world.revoke(17).await;
    campaign(world.elections(), 18, "cid").await.unwrap();
    assert_eq!(next().await, ("cid".into(), 7));

    let (stopped, ended) = tokio::join!(world.server.shutdown(), seen.message());
    stopped.unwrap();
    assert_eq!(ended.unwrap_err().code(), Code::Unavailable);
}
