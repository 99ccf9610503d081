//! Maintenance: the state of single members, and looking after it.

use std::{borrow::Cow, time::Duration};

use prost::Message;

use super::{
    Alarm, Defragment, Disarm, DisarmAll, Downgrades, GetHash, GetHashKv, GetStatus, ListAlarms,
    MoveLeader, OpenSnapshot,
};
use crate::{
    Call, Client, MemberId,
    exec::{Decode, Method, Request},
    policy::Class,
    wire::Frame,
};

impl Client {
    /// The state of members and their stores.
    pub fn maintenance(&self) -> Maintenance<'_> {
        Maintenance { client: self }
    }
}

/// What can be asked about the state of members; made by [`Client::maintenance`].
///
/// Questions about one member go to the endpoint given and to no other. It need not be one of the
/// client's endpoints: others are dialled for the question, with the client's settings.
///
/// With authentication on nearly all of it needs the root role. Listing alarms does not. The status
/// needs nothing with etcd 3.4, the root role with late releases of 3.5, and any user since 3.6.
#[derive(Clone, Copy, Debug)]
pub struct Maintenance<'a> {
    client: &'a Client,
}

impl<'a> Maintenance<'a> {
    /// Asks the member behind an endpoint for its state. Awaiting the result sends the request.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](crate::ErrorKind::InvalidConfig) if the endpoint is not one, and whatever
    /// keeps that endpoint from answering: no other is asked.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// for endpoint in client.endpoints() {
    ///     let status = client.maintenance().status(endpoint.as_str()).await?;
    ///     println!("{endpoint}: etcd {}, {} bytes", status.version, status.db_size);
    /// }
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn status(&self, endpoint: impl Into<Cow<'a, str>>) -> GetStatus<'a> {
        GetStatus::new(self.client, endpoint.into())
    }

    /// Asks the member behind an endpoint for a hash over its keys. Awaiting the result sends the
    /// request. Since etcd 3.3.
    ///
    /// Members that agree have the same hash at the same revision, provided that they were
    /// compacted at the same revision.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](crate::ErrorKind::InvalidConfig) if the endpoint is not one,
    /// [`Compacted`](crate::ErrorKind::Compacted) and
    /// [`FutureRevision`](crate::ErrorKind::FutureRevision) with a
    /// [revision](GetHashKv::revision), and whatever keeps that endpoint from answering.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// let revision = client.put("key", "value").await?.header.revision;
    /// let hash = client
    ///     .maintenance()
    ///     .hash_kv(server.endpoint())
    ///     .revision(revision)
    ///     .await?;
    /// println!("{:08x} at revision {revision}", hash.hash);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn hash_kv(&self, endpoint: impl Into<Cow<'a, str>>) -> GetHashKv<'a> {
        GetHashKv::new(self.client, endpoint.into())
    }

    /// Lists the cluster's alarms. Awaiting the result sends the request.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// for alarm in client.maintenance().alarms().await?.alarms {
    ///     println!("{:?} on member {}", alarm.kind, alarm.member_id);
    /// }
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn alarms(&self) -> ListAlarms<'a> {
        ListAlarms::new(self.client)
    }

    /// Disarms an alarm, such as one from the [list](Self::alarms). Awaiting the result sends the
    /// request; its answer has the alarm if it was on, and is empty otherwise.
    ///
    /// The server does not look whether the cause is gone: a cluster without space that is disarmed
    /// without having been compacted and defragmented raises the alarm again with the next writes.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// use etcdkit::AlarmKind;
    ///
    /// for alarm in client.maintenance().alarms().await?.alarms {
    ///     if alarm.kind == AlarmKind::NoSpace {
    ///         client.maintenance().disarm(alarm).await?;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn disarm(&self, alarm: Alarm) -> Disarm<'a> {
        Disarm::new(self.client, alarm)
    }

    /// Disarms all alarms: lists them and disarms one after the other, as `etcdctl alarm disarm`
    /// does. Awaiting the result sends the requests; it lists the alarms that were disarmed.
    ///
    /// # Errors
    ///
    /// The first request that fails ends it; alarms before that are disarmed.
    pub fn disarm_all(&self) -> DisarmAll<'a> {
        DisarmAll::new(self.client)
    }

    /// Has the member behind an endpoint hash its whole backend. Awaiting the result sends the
    /// request.
    ///
    /// Meant for tests of etcd itself: the hash takes in bookkeeping that members may well differ in,
    /// and the member answers no write meanwhile. [`hash_kv`](Self::hash_kv) compares data.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](crate::ErrorKind::InvalidConfig) if the endpoint is not one, and whatever
    /// keeps that endpoint from answering.
    pub fn hash(&self, endpoint: impl Into<Cow<'a, str>>) -> GetHash<'a> {
        GetHash::new(self.client, endpoint.into())
    }

    /// Has the member behind an endpoint give unused space of its backend back to the file system.
    /// Awaiting the result sends the request.
    ///
    /// The member serves nothing meanwhile, so defragment one member at a time, the leader last.
    /// Where the endpoint is one of several of this client, its other calls avoid it until then.
    /// See [`Defragment`] for the time that it takes.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](crate::ErrorKind::InvalidConfig) if the endpoint is not one, and whatever
    /// keeps that endpoint from answering. When the [outcome](crate::Error::outcome) is unknown the
    /// member may still be at it; doing it again does no harm.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example(client: etcdkit::Client) -> etcdkit::Result<()> {
    /// for endpoint in client.endpoints() {
    ///     client.maintenance().defragment(endpoint).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn defragment(&self, endpoint: impl Into<Cow<'a, str>>) -> Defragment<'a> {
        Defragment::new(self.client, endpoint.into())
    }

    /// Makes another member the leader. Awaiting the result finds the leader and sends it the
    /// request. Since etcd 3.3.
    ///
    /// # Errors
    ///
    /// [`NotLeader`](crate::ErrorKind::NotLeader) if none of the client's endpoints is the leader's,
    /// or the one [given](MoveLeader::endpoint) is not;
    /// [`BadLeaderTransferee`](crate::ErrorKind::BadLeaderTransferee) if the target is no member or a
    /// learner; [`TimeoutLeaderTransfer`](crate::ErrorKind::TimeoutLeaderTransfer), of unknown
    /// outcome, if the target does not take over in time.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example(client: etcdkit::Client) -> etcdkit::Result<()> {
    /// let list = client.cluster().members().await?;
    /// if let Some(target) = list.members.iter().find(|member| member.name == "host-2") {
    ///     let moved = client.maintenance().move_leader(target.id).await?;
    ///     println!("{} leads in place of {}", moved.to, moved.from);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn move_leader(&self, target: MemberId) -> MoveLeader<'a> {
        MoveLeader::new(self.client, target)
    }

    /// The downgrade of the cluster to the version before. Since etcd 3.5, and of use since 3.6.
    pub fn downgrade(&self) -> Downgrades<'a> {
        Downgrades::new(self.client)
    }

    /// Fetches a snapshot of a member's backend, as a [stream](crate::Snapshot) or into a
    /// [file](OpenSnapshot::save). Awaiting the result sends the request.
    ///
    /// The snapshot is what one member has at one moment: the member [named](OpenSnapshot::from), or
    /// any one of the client's endpoints.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example(client: etcdkit::Client) -> etcdkit::Result<()> {
    /// let saved = client
    ///     .maintenance()
    ///     .snapshot()
    ///     .save("backup.db")
    ///     .on_progress(|progress| println!("{} of {}", progress.received, progress.total))
    ///     .await?;
    /// println!("{} bytes", saved.size);
    /// # Ok(())
    /// # }
    /// ```
    pub fn snapshot(&self) -> OpenSnapshot<'a> {
        OpenSnapshot::new(self.client)
    }
}

/// Sends a question to one endpoint.
pub(super) fn ask<T>(
    client: &Client,
    endpoint: &str,
    method: &'static Method,
    message: &impl Message,
    timeout: Option<Duration>,
    decode: Decode<T>,
) -> Call<T> {
    let (core, place) = match client.core.at(endpoint) {
        Ok(found) => found,
        Err(error) => return Call::failed(error.with_operation(method.name)),
    };
    let request = Request {
        method,
        frame: Frame::of(message),
        class: Class::Local,
        timeout,
        only: Some(place),
    };
    Call::new(&core, request, decode)
}
