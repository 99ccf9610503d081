//! `v3electionpb.Election`: elections for clients that cannot keep a queue themselves.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use etcdkit_proto::EtcdError;
use etcdkit_proto::etcdserverpb::{ResponseHeader, WatchResponse};
use etcdkit_proto::mvccpb::event::EventType;
use etcdkit_proto::mvccpb::{Event, KeyValue};
use etcdkit_proto::v3electionpb::{
    CampaignRequest, CampaignResponse, LeaderKey, LeaderRequest, LeaderResponse, ProclaimRequest,
    ProclaimResponse, ResignRequest, ResignResponse,
};
use futures_core::Stream;
use futures_util::stream::try_unfold;
use tokio_stream::StreamExt as _;

use super::queue::{Place, Queue, existing, first_created, revision};
use crate::gate::Credentials;
use crate::grpc::Status;
use crate::node::Node;

/// Waits to be elected. Whoever is in the queue already may change its value.
pub(crate) async fn campaign(
    node: &Arc<Node>,
    credentials: &Credentials,
    request: CampaignRequest,
) -> Result<CampaignResponse, Status> {
    let queue = Queue { node, credentials };
    let lease = queue.lease_or_new(request.lease).await?;
    let (place, joined) = queue
        .join(&request.name, lease, request.value.clone())
        .await?;
    if existing(&joined).is_some_and(|kv| kv.value != request.value) {
        let put = queue.put(&place, lease, request.value).await?;
        put.ok_or(EtcdError::ElectionNotLeader)?;
    }
    queue.wait(&request.name, &place).await?;
    Ok(CampaignResponse {
        // Of the moment of joining, as in etcd.
        header: joined.header,
        leader: Some(LeaderKey {
            name: request.name,
            key: place.key,
            rev: place.created,
            lease,
        }),
    })
}

/// Changes the leader's value.
pub(crate) async fn proclaim(
    node: &Arc<Node>,
    credentials: &Credentials,
    request: ProclaimRequest,
) -> Result<ProclaimResponse, Status> {
    let queue = Queue { node, credentials };
    let leader = request.leader.ok_or(EtcdError::ElectionLeaderMissing)?;
    let lease = queue.lease_or_new(leader.lease).await?;
    let header = queue.put(&place(leader), lease, request.value).await?;
    if header.is_none() {
        return Err(EtcdError::ElectionNotLeader.into());
    }
    Ok(ProclaimResponse { header })
}

/// Gives the leadership up; nothing happens if it is another's.
pub(crate) async fn resign(
    node: &Arc<Node>,
    credentials: &Credentials,
    request: ResignRequest,
) -> Result<ResignResponse, Status> {
    let leader = request.leader.ok_or(EtcdError::ElectionLeaderMissing)?;
    let queue = Queue { node, credentials };
    Ok(ResignResponse {
        header: queue.leave(&place(leader)).await?,
    })
}

fn place(leader: LeaderKey) -> Place {
    Place {
        key: leader.key,
        created: leader.rev,
    }
}

/// Who leads now.
pub(crate) async fn leader(
    node: &Arc<Node>,
    credentials: &Credentials,
    request: LeaderRequest,
) -> Result<LeaderResponse, Status> {
    let queue = Queue { node, credentials };
    let found = queue.first(first_created(&request.name)).await?;
    let kv = found.kvs.into_iter().next();
    Ok(LeaderResponse {
        header: found.header,
        kv: Some(kv.ok_or(EtcdError::ElectionNoLeader)?),
    })
}

/// Who leads, and each value and leader after that. While nobody leads there is nothing to say.
pub(crate) async fn observe(
    node: &Arc<Node>,
    credentials: &Credentials,
    request: LeaderRequest,
) -> Result<impl Stream<Item = Result<LeaderResponse, Status>> + Send + use<>, Status> {
    let observer = Observer {
        node: Arc::clone(node),
        credentials: credentials.clone(),
        name: request.name,
        leader: None,
        unsent: VecDeque::new(),
    };
    Ok(try_unfold(observer, async |mut observer| {
        match observer.next().await {
            Ok(response) => Ok(Some((response, observer))),
            Err(stopped) if stopped == EtcdError::Stopped.into() => Err(stopped),
            // Like etcd's, the stream ends without a word when its watch does.
            Err(_) => Ok(None),
        }
    }))
}

type Watch = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

struct Observer {
    node: Arc<Node>,
    credentials: Credentials,
    name: Bytes,
    /// The watch of the leader's key, while there is a leader.
    leader: Option<Watch>,
    /// What that watch has brought.
    unsent: VecDeque<(Option<ResponseHeader>, Event)>,
}

impl Observer {
    async fn next(&mut self) -> Result<LeaderResponse, Status> {
        loop {
            let Some(leader) = &mut self.leader else {
                return self.elected().await;
            };
            let Some((header, event)) = self.unsent.pop_front() else {
                let response = received(leader).await?;
                let header = response.header;
                let events = response.events.into_iter();
                self.unsent.extend(events.map(|event| (header, event)));
                continue;
            };
            if event.r#type == EventType::Delete as i32 {
                self.leader = None;
                self.unsent.clear();
                continue;
            }
            return Ok(LeaderResponse {
                header,
                kv: event.kv,
            });
        }
    }

    /// The leader there is, or the first that comes.
    async fn elected(&mut self) -> Result<LeaderResponse, Status> {
        let request = first_created(&self.name);
        let queue = Queue {
            node: &self.node,
            credentials: &self.credentials,
        };
        let found = queue.first(request.clone()).await?;
        let (header, kv) = match found.kvs.into_iter().next() {
            Some(kv) => (found.header, kv),
            None => {
                let from = revision(found.header.as_ref());
                let mut all = queue.watch(request.key, request.range_end, from);
                let kv = first_put(&mut all).await?;
                (Some(self.node.header(kv.mod_revision)), kv)
            }
        };
        let from = revision(header.as_ref()) + 1;
        self.leader = Some(queue.watch(kv.key.clone(), Bytes::new(), from));
        Ok(LeaderResponse {
            header,
            kv: Some(kv),
        })
    }
}

async fn first_put(watch: &mut Watch) -> Result<KeyValue, Status> {
    loop {
        let events = received(watch).await?.events.into_iter();
        let mut puts = events.filter(|event| event.r#type == EventType::Put as i32);
        if let Some(kv) = puts.find_map(|event| event.kv) {
            return Ok(kv);
        }
    }
}

async fn received(watch: &mut Watch) -> Result<WatchResponse, Status> {
    match watch.next().await {
        Some(response) => response,
        None => Err(EtcdError::Stopped.into()),
    }
}
