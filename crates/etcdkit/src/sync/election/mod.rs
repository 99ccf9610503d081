//! Elections: one leader at a time, and everybody knows who.

mod campaign;
mod candidates;
mod leader;
mod leadership;
mod observe;

use std::{fmt, time::Duration};

use bytes::Bytes;

pub use self::{
    campaign::Campaign,
    leader::{Leader, Observation},
    leadership::Leadership,
    observe::Observe,
};
use super::{
    Session,
    queue::{Want, directory, holders, take_up},
    session::Via,
};
use crate::{Blob, Client, Error, KeyRange, Result};

impl Client {
    /// An election by its name: to stand for, to follow, or to ask who leads. Nothing is sent yet.
    ///
    /// A candidate is a key below `<name>/`, as of etcd's Go client, `etcdctl elect` and the server's
    /// election service, so all of them take part in the same election. Any key there counts, however
    /// deep: the names `a` and `a/b` are two elections only in so far as nobody stands for the latter.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// use std::time::Duration;
    ///
    /// let election = client.election("workers").ttl(Duration::from_secs(10));
    /// let leadership = election.campaign("host-7").await?;
    /// tokio::select! {
    ///     lost = leadership.lost() => eprintln!("another one leads: {lost}"),
    ///     // Done only as long as it leads.
    ///     led = lead(&leadership) => led?,
    /// }
    /// leadership.resign().await?;
    /// # Ok(())
    /// # }
    /// # async fn lead(leadership: &etcdkit::sync::Leadership) -> etcdkit::Result<()> {
    /// #     leadership.put("jobs/next", "1").await.map(drop)
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn election<'a>(&self, name: impl Into<Blob<'a>>) -> Election {
        Election::new(Via::own(self), name.into().as_slice())
    }
}

impl Session {
    /// An election that one stands for with this session; see [`Client::election`].
    pub fn election<'a>(&self, name: impl Into<Blob<'a>>) -> Election {
        Election::new(Via::lent(self), name.into().as_slice())
    }
}

/// An election; made by [`Client::election`] or [`Session::election`].
#[derive(Clone)]
#[must_use = "an election does nothing by itself"]
pub struct Election {
    via: Via,
    /// What all candidates' keys begin with.
    prefix: Bytes,
}

impl Election {
    fn new(via: Via, name: &[u8]) -> Self {
        Self {
            via,
            prefix: directory(name),
        }
    }

    /// How long a leader that has fallen silent still leads; 60 s otherwise. Each campaign has a lease of
    /// its own with this time to live. Not for elections [by a session](Session::election), which has
    /// one already; standing for one is then refused.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.via.set_ttl(ttl);
        self
    }

    /// Stands for the election with a value for others to see, and waits until it is won. Awaiting the
    /// result begins; see [`Campaign`] for options and errors.
    ///
    /// A session is one candidate: if it leads already, it leads on with the new value, and if it is in
    /// the queue, as after a restart, it keeps its place.
    pub fn campaign<'a>(&self, value: impl Into<Blob<'a>>) -> Campaign {
        let want = Want {
            operation: "campaign",
            prefix: self.prefix.clone(),
            is_numbered: false,
            value: value.into().into_bytes(),
            keeps_value: false,
            is_agreed: false,
            rivals: self.candidates(),
            limit: 1,
            excludes: None,
        };
        Campaign::new(self.via.clone(), want)
    }

    /// Takes up the leadership that the session's lease has already, as after a
    /// [restart](super::OpenSession::resume); `None` if it does not lead. Nothing is written, and nobody waits.
    ///
    /// # Errors
    ///
    /// Those of reads, [`SessionLost`](crate::ErrorKind::SessionLost), and
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest) for an election that is not
    /// [by a session](Session::election), because only a lease can be known again.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// # let lease = {
    /// #     let session = client.session().await?;
    /// #     let leadership = session.election("workers").campaign("host-7").await?;
    /// #     session.detach()
    /// # };
    /// // With a lease that the program has kept on disk.
    /// let session = client.session().resume(lease).await?;
    /// let election = session.election("workers");
    /// let leadership = match election.resume().await? {
    ///     Some(leadership) => leadership,
    ///     None => election.campaign("host-7").await?,
    /// };
    /// # assert_eq!(leadership.fencing_token(), 2);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub async fn resume(&self) -> Result<Option<Leadership>> {
        let resumed = self.take_up().await;
        resumed.map_err(|error| error.with_operation("resume"))
    }

    async fn take_up(&self) -> Result<Option<Leadership>> {
        let Via::Lent { session, .. } = &self.via else {
            return Err(Error::invalid_request(
                "a leadership is known again by its lease: resume a session with it, and use the \
                 session's election",
            ));
        };
        let Some(leader) = self.leader().await? else {
            return Ok(None);
        };
        let held = take_up(session, &self.prefix, &leader).await?;
        Ok(held.map(Leadership::new))
    }

    /// Who leads now; `None` if nobody does. One linearizable read.
    ///
    /// # Errors
    ///
    /// As [`Client::range`].
    pub async fn leader(&self) -> Result<Option<Leader>> {
        let oldest = holders(self.via.client(), &self.candidates(), 1).await?;
        // Kept for longer than the answer.
        Ok(oldest.first().map(|kv| Leader::new(kv.detach())))
    }

    /// Follows who leads, what leaders proclaim, and when nobody leads. See [`Observe`].
    ///
    /// # Errors
    ///
    /// As [`Client::list_then_watch`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future, or the stream, leaves nothing behind.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// let mut leaders = client.election("workers").observe().await?;
    /// # let _leadership = client.election("workers").campaign("host-7").await?;
    /// while let Some(observation) = leaders.try_next().await? {
    ///     match observation.leader {
    ///         None => println!("nobody leads since revision {}", observation.revision),
    ///         Some(leader) => {
    ///             println!("{} leads", leader.value_str()?);
    /// #           break;
    ///         }
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub async fn observe(&self) -> Result<Observe> {
        Observe::open(self.via.client(), self.candidates()).await
    }

    fn candidates(&self) -> KeyRange<'static> {
        KeyRange::prefix(self.prefix.clone())
    }
}

impl fmt::Debug for Election {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Election")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
