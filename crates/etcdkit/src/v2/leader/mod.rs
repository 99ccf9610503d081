//! Leaders: a lock whose value says who has it, and others who look on.

mod campaign;
mod observe;

use super::{
    Call, Client, Error, Result,
    lock::{LockHolder, LockPlace, Module, Named, directory, told_as},
};

pub use self::{
    campaign::{Campaign, Leadership, SetLeader},
    observe::Observer,
};

/// Where the queues of candidates are, hidden from listings of the root.
const LEADERS: &str = "/_leaders";

impl Client {
    /// The leader of a name: who it is, becoming it, and looking on.
    ///
    /// Candidates queue below `/_leaders/NAME`, as for a [lock](Self::lock), and the first one leads.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
    /// # let client = etcdkit::v2::Client::connect(server.endpoint()).await?;
    /// let mut observer = client.leader("workers").observe().await?;
    /// assert_eq!(observer.try_next().await?, Some(None));
    ///
    /// let leadership = client.leader("workers").campaign("host-7").ttl(15).await?;
    /// let leader = client.leader("workers").get().await?.expect("somebody leads");
    /// assert_eq!((leader.value.as_str(), leader.index), ("host-7", leadership.index()));
    ///
    /// let seen = observer.try_next().await?.expect("no end").expect("a leader");
    /// assert_eq!(seen.index, leader.index);
    ///
    /// leadership.resign().await?;
    /// assert_eq!(observer.try_next().await?, Some(None));
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn leader(&self, name: impl Into<String>) -> LeaderOf<'_> {
        LeaderOf {
            client: self,
            name: name.into(),
            parent: LEADERS.to_owned(),
            via_modules: false,
        }
    }
}

/// The leader of a name; made by [`Client::leader`].
#[derive(Debug)]
pub struct LeaderOf<'a> {
    client: &'a Client,
    name: String,
    parent: String,
    via_modules: bool,
}

impl<'a> LeaderOf<'a> {
    /// Keeps the queue in another directory than `/_leaders`. All must agree on it.
    pub fn below(mut self, directory: impl Into<String>) -> Self {
        self.parent = directory.into();
        self
    }

    /// Has the server keep the leader: by `/mod/v2/leader`, which etcd 0.2 and 0.3 have, and this
    /// project's server on request. Others answer [`NotServed`](crate::v2::ErrorKind::NotServed). Whoever comes
    /// with the name that leads leads, too; and [`Leader::index`] is 0.
    pub fn via_modules(mut self) -> Self {
        self.via_modules = true;
        self
    }

    /// Who leads now, with the cluster's agreement; `None` if nobody does.
    ///
    /// # Errors
    ///
    /// Those of [`Get`](crate::v2::Get).
    pub fn get(self) -> Call<Option<Leader>> {
        let named = self.named();
        told_as("get leader", async move {
            Ok(named?.holder().await?.map(Leader::from))
        })
    }

    /// Makes this candidate the leader and keeps it that until it resigns; waits in a queue until it is
    /// its turn. See [`Campaign`] for options.
    pub fn campaign(self, value: impl Into<String>) -> Campaign<'a> {
        Campaign::new(self, value.into())
    }

    /// Makes this candidate the leader for one time to live, without a guard. If it leads already it
    /// goes on to for another one; otherwise waits for its turn. See [`SetLeader`] for options.
    ///
    /// For programs that do something regularly, and set the leader each time.
    pub fn set(self, value: impl Into<String>) -> SetLeader<'a> {
        SetLeader::new(self, value.into())
    }

    /// Ends the leadership of this candidate, or takes it out of the queue.
    ///
    /// # Errors
    ///
    /// [`KeyNotFound`](crate::v2::ErrorKind::KeyNotFound) if it is not there.
    pub fn delete(self, value: impl Into<String>) -> Call<()> {
        let which = LockPlace::Value(value.into());
        let named = self.named();
        told_as("delete leader", async move { named?.release(&which).await })
    }

    /// Looks on: gives who leads now, and then every change of that.
    ///
    /// # Errors
    ///
    /// When no server answers, and [`InvalidRequest`](crate::v2::ErrorKind::InvalidRequest) with
    /// [`via_modules`](Self::via_modules): the server keeps the queue to itself.
    pub async fn observe(self) -> Result<Observer> {
        if self.via_modules {
            return Err(Error::invalid_request(
                "the server's leader module cannot be watched: get the leader now and then",
            )
            .with_operation("observe leader"));
        }
        let directory = directory(&self.parent, &self.name)?;
        Observer::open(self.client, &directory).await
    }

    fn named(&self) -> Result<Named> {
        let client = self.client.clone();
        match self.via_modules {
            true => Ok(Named::Module(Module::leader(client, &self.name)?)),
            false => Ok(Named::Keys {
                client,
                directory: directory(&self.parent, &self.name)?,
            }),
        }
    }
}

/// Who leads.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leader {
    /// What the candidate said, such as its name.
    pub value: String,
    /// The fencing index, which grows from leadership to leadership: a leader that was followed by
    /// itself has another one.
    pub index: u64,
}

impl From<LockHolder> for Leader {
    fn from(holder: LockHolder) -> Self {
        Self {
            value: holder.value,
            index: holder.index,
        }
    }
}
