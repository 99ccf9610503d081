//! What a server is started with.

use std::io;
use std::path::PathBuf;
#[cfg(feature = "durable")]
use std::sync::Arc;
use std::time::Duration;

use etcdkit_store::Quota;

use crate::auto_compaction::AutoCompaction;
#[cfg(feature = "durable")]
use crate::durable::{DataError, Disk, Location};
use crate::gate::Gate;
use crate::listen::Address;
use crate::password;
use crate::restore::RestoreError;
use crate::server::{self, Server};
use crate::tls::{Security, ServerTls};
use crate::token::AuthToken;
use crate::version::{DEFAULT_VERSION, OLDEST_VERSION, Version};

/// Where a server listens unless told otherwise: any free port of this machine only.
const DEFAULT_ADDRESS: &str = "127.0.0.1:0";

/// How long a simple token is good for, in etcd too.
const DEFAULT_TOKEN_TTL: Duration = Duration::from_secs(5 * 60);

/// etcd's lower limit for the interval of progress notifications.
const SHORTEST_PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// How a [`Server`] is started; made by [`Server::builder`].
///
/// Setters take anything; [`start`](Self::start) checks it all before it binds anything.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `start` is called"]
pub struct ServerBuilder {
    listen: Listen,
    name: String,
    advertise_client_urls: Vec<String>,
    advertise_peer_urls: Vec<String>,
    max_request_bytes: usize,
    max_txn_ops: usize,
    quota_backend_bytes: i64,
    auto_compaction: AutoCompaction,
    lease_checkpoints: bool,
    enable_v2: bool,
    v2_modules: bool,
    watch_progress_notify_interval: Duration,
    tls: Option<ServerTls>,
    auth_token: AuthToken,
    auth_token_ttl: Duration,
    bcrypt_cost: u32,
    version: String,
    cluster_id: Option<u64>,
    member_id: Option<u64>,
    snapshot: Option<PathBuf>,
    #[cfg(feature = "durable")]
    location: Option<Location>,
}

#[derive(Clone, Debug)]
enum Listen {
    Default,
    Nowhere,
    On(Vec<String>),
}

impl Default for ServerBuilder {
    fn default() -> Self {
        Self {
            listen: Listen::Default,
            name: "default".to_owned(),
            advertise_client_urls: Vec::new(),
            advertise_peer_urls: vec!["http://localhost:2380".to_owned()],
            max_request_bytes: 1_572_864,
            max_txn_ops: etcdkit_store::check::DEFAULT_MAX_TXN_OPS,
            quota_backend_bytes: 0,
            auto_compaction: AutoCompaction::Off,
            lease_checkpoints: false,
            enable_v2: false,
            v2_modules: false,
            watch_progress_notify_interval: Duration::from_secs(10 * 60),
            tls: None,
            auth_token: AuthToken::default(),
            auth_token_ttl: DEFAULT_TOKEN_TTL,
            bcrypt_cost: password::DEFAULT_COST,
            version: DEFAULT_VERSION.to_owned(),
            cluster_id: None,
            member_id: None,
            snapshot: None,
            #[cfg(feature = "durable")]
            location: None,
        }
    }
}

impl ServerBuilder {
    /// Listens on an address too: `host:port` or `http://host:port` (port 0 takes any free one), or
    /// `unix:path`; with TLS `https://host:port` or `unixs:path`, which need [`tls`](Self::tls). May be called
    /// several times; `127.0.0.1:0` if never called. A TCP address given as `http` and as `https` speaks both,
    /// as with etcd.
    ///
    /// There is no authentication until a client turns it on, or certificates are
    /// [demanded](ServerTls::client_ca_file): until then whoever reaches the address may read and write.
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        match &mut self.listen {
            Listen::On(addresses) => addresses.push(address.into()),
            other => *other = Listen::On(vec![address.into()]),
        }
        self
    }

    /// Listens nowhere; only [`Server::connector`] reaches the server.
    pub fn without_listener(mut self) -> Self {
        self.listen = Listen::Nowhere;
        self
    }

    /// The member's name in the member list; `default` unless set, as with etcd's `--name`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The client URLs in the member list, as with etcd's `--advertise-client-urls`; the endpoints that
    /// the server listens on unless set.
    pub fn advertise_client_urls(
        mut self,
        urls: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.advertise_client_urls = urls.into_iter().map(Into::into).collect();
        self
    }

    /// The peer URLs in the member list, as with etcd's `--initial-advertise-peer-urls`;
    /// `http://localhost:2380` unless set. Nothing listens there: the member is alone.
    pub fn advertise_peer_urls(
        mut self,
        urls: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.advertise_peer_urls = urls.into_iter().map(Into::into).collect();
        self
    }

    /// The largest request in bytes, as etcd would log it; 1.5 MiB unless set, as with etcd's
    /// `--max-request-bytes`. Larger ones are refused with `etcdserver: request is too large`, and gRPC
    /// messages 512 KiB above it with `grpc: received message larger than max`.
    pub fn max_request_bytes(mut self, bytes: usize) -> Self {
        self.max_request_bytes = bytes;
        self
    }

    /// The most operations of a transaction; 128 unless set, as with etcd's `--max-txn-ops`.
    pub fn max_txn_ops(mut self, ops: usize) -> Self {
        self.max_txn_ops = ops;
        self
    }

    /// How large the data may grow, history included, in bytes; 0 stands for etcd's default of 2 GiB,
    /// which it is unless set, and a negative number for no limit, as with etcd's
    /// `--quota-backend-bytes`.
    ///
    /// The first put, transaction that may put, or grant of a lease that would reach the quota is refused with
    /// `etcdserver: mvcc: database space exceeded`, and raises the alarm `NOSPACE`. While that is
    /// raised all of these are refused, also when there is room again; everything else goes on. To
    /// get out: compact, defragment, then disarm the alarm.
    ///
    /// In memory the size is that of all revisions that are kept, so compacting alone makes room. With a data file
    /// it is that of the file, which only defragmenting makes smaller.
    ///
    /// ```
    /// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = etcdkit_server::Server::builder()
    ///     .quota_backend_bytes(16 * 1024 * 1024)
    ///     .start()
    ///     .await?;
    /// # server.shutdown().await?;
    /// # Ok(()) }
    /// ```
    pub fn quota_backend_bytes(mut self, bytes: i64) -> Self {
        self.quota_backend_bytes = bytes;
        self
    }

    /// What history to forget without being asked; nothing unless set. The rules are those of etcd's
    /// `--auto-compaction-mode` and `--auto-compaction-retention`:
    ///
    /// * [`Periodic`](AutoCompaction::Periodic): the revision is noted ten times in the retention, or in an hour if
    ///   that is shorter. Nothing is compacted until the retention has passed. Then the oldest note is compacted, once in
    ///   the retention or in an hour, so that history is kept for the retention and up to as long, or
    ///   an hour, beyond it.
    /// * [`Revision`](AutoCompaction::Revision): every five minutes all but the newest revisions are compacted.
    ///
    /// It follows the server's clock, which [`Server::advance_time`] moves on.
    ///
    /// ```
    /// use std::time::Duration;
    /// use etcdkit_server::{AutoCompaction, Server};
    ///
    /// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let hour = Duration::from_secs(3600);
    /// let server = Server::builder()
    ///     .auto_compaction(AutoCompaction::Periodic(hour))
    ///     .start()
    ///     .await?;
    /// // … put keys …
    /// server.advance_time(2 * hour);
    /// // … only their newest revisions are left.
    /// # server.shutdown().await?;
    /// # Ok(()) }
    /// ```
    pub fn auto_compaction(mut self, auto_compaction: AutoCompaction) -> Self {
        self.auto_compaction = auto_compaction;
        self
    }

    /// Whether to store every five minutes what leases have left, for those that have more than that;
    /// not unless set, as with etcd's `LeaseCheckpoint`. A renewal takes it back.
    ///
    /// Without, a restart gives every lease its whole TTL again. With it, a lease goes on from its last
    /// checkpoint, so that one of a day expires although the server is restarted every hour. Time
    /// during which no server runs never counts. A checkpoint that is in the data, or in a snapshot,
    /// counts in any case.
    pub fn lease_checkpoints(mut self, on: bool) -> Self {
        self.lease_checkpoints = on;
        self
    }

    /// Whether to answer etcd's v2 API too, under `/v2` of the same addresses; not unless set, as with the
    /// `--enable-v2` of etcd 3.4 and 3.5. Without, `/v2` is not found.
    ///
    /// The keys of v2 are apart from those of v3, but live in the same data file. A file with keys of v2 may be
    /// used without the option in between. [What differs from etcd](crate::differences) is listed.
    ///
    /// Real etcds find each other at such a server: put the number of members at
    /// `/v2/keys/TOKEN/_config/size`, and start each with `--discovery=http://HOST/v2/keys/TOKEN`.
    ///
    /// ```
    /// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
    /// let client = etcdkit::v2::Client::connect([server.endpoint()]).await?;
    /// client.set("/message", "Hello").await?;
    /// # server.shutdown().await?;
    /// # Ok(()) }
    /// ```
    pub fn enable_v2(mut self, on: bool) -> Self {
        self.enable_v2 = on;
        self
    }

    /// Whether to answer, beside the v2 API, what only etcd 0.x has and its clients may still call; not unless
    /// set. With it the v2 API is answered, too.
    ///
    /// * `/mod/v2/lock/NAME` and `/mod/v2/leader/NAME`, as 0.2 and 0.3 have them: the server waits for the lock on
    ///   behalf of the client, whose place in the queue goes with its connection. Queues are keys below
    ///   `/_etcd/mod/lock`, and permissions for those decide who may use them.
    /// * `/v2/leader`, and on the client port `/v2/admin/machines`, `/v2/admin/config` and `/etcdURL`.
    ///
    /// ```
    /// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = etcdkit_server::Server::builder().v2_modules(true).start().await?;
    /// let client = etcdkit::v2::Client::connect(server.endpoint()).await?;
    /// let lock = client.lock("job").ttl(30).via_modules().await?;
    /// lock.release().await?;
    /// # server.shutdown().await?;
    /// # Ok(()) }
    /// ```
    pub fn v2_modules(mut self, on: bool) -> Self {
        self.v2_modules = on;
        self
    }

    /// How often watches that asked for it are told of progress while they have no events; ten
    /// minutes unless set, as with etcd's `--watch-progress-notify-interval`. Each stream adds up to
    /// a tenth. Less than 100 ms is raised to that, as in etcd.
    pub fn watch_progress_notify_interval(mut self, interval: Duration) -> Self {
        self.watch_progress_notify_interval = interval;
        self
    }

    /// How the server proves who it is on addresses with TLS, and whether clients must. Other addresses
    /// have no use for it.
    pub fn tls(mut self, tls: ServerTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// What a user is given for a password; etcd's simple tokens unless set, as with its `--auth-token`.
    pub fn auth_token(mut self, kind: AuthToken) -> Self {
        self.auth_token = kind;
        self
    }

    /// How long a simple token is good for after its last use; five minutes unless set, and if zero, as with
    /// etcd's `--auth-token-ttl`. A [`Jwt`](crate::Jwt) has a time of its own. [`Server::advance_time`] lets tokens age.
    pub fn auth_token_ttl(mut self, ttl: Duration) -> Self {
        self.auth_token_ttl = ttl;
        self
    }

    /// How much work hashing a password is, from 4 to 31; 10 unless set, as with etcd's
    /// `--bcrypt-cost`. Each step doubles it. Tests that log in often want 4.
    pub fn bcrypt_cost(mut self, cost: u32) -> Self {
        self.bcrypt_cost = cost;
        self
    }

    /// The version that the server says it is, such as `3.6.14`, at least 3.5.13. Only what is said
    /// changes: behaviour is that of etcd 3.6 whatever the version.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// Keeps the data in one file of a directory, which is made if it is missing: a server started
    /// there again has all that was acknowledged, under the same ids, and at a raft term one higher. In
    /// memory unless set, as nothing is with etcd's `--data-dir`.
    ///
    /// A write is answered once it is synced to the disk; writes at the same time share a sync. When
    /// the disk has no room, the alarm NOSPACE is raised. After any other failure to write nothing
    /// is accepted any more until a restart, and reads go on.
    ///
    /// ```
    /// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// let server = etcdkit_server::Server::builder().data_dir(directory.path()).start().await?;
    /// server.shutdown().await?;
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "durable")]
    pub fn data_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.location = Some(Location::Directory(directory.into()));
        self
    }

    /// Keeps the data on a medium other than a file, in place of [`data_dir`](Self::data_dir).
    #[cfg(feature = "durable")]
    pub fn disk(mut self, disk: Arc<dyn Disk>) -> Self {
        self.location = Some(Location::Disk(disk));
        self
    }

    /// Begins with what a snapshot holds: all keys with their history, leases, users, roles, and whether
    /// authentication is on. The file may be one that `etcdctl snapshot save` or etcdkit has saved of a
    /// cluster of etcd 3.4 to 3.7, or of another embedded server; or the `member/snap/db` of a member that
    /// does not run.
    ///
    /// Members are not taken over, and leases have their whole time to live. All revisions that the
    /// snapshot's server could read can be read here, with the same `HashKV`. The whole file is read
    /// before [`start`](Self::start) returns.
    ///
    /// With [`data_dir`](Self::data_dir) there must be no data yet.
    ///
    /// ```no_run
    /// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = etcdkit_server::Server::builder().from_snapshot("backup.db").start().await?;
    /// # Ok(()) }
    /// ```
    pub fn from_snapshot(mut self, path: impl Into<PathBuf>) -> Self {
        self.snapshot = Some(path.into());
        self
    }

    /// The cluster's id; random unless set. Not 0. A data file that is there already has its own.
    pub fn cluster_id(mut self, id: u64) -> Self {
        self.cluster_id = Some(id);
        self
    }

    /// The member's id; random unless set. Not 0. A data file that is there already has its own.
    pub fn member_id(mut self, id: u64) -> Self {
        self.member_id = Some(id);
        self
    }

    /// Starts the server on the Tokio runtime of the caller, which must keep running.
    ///
    /// When this returns, the server answers. Dropping the future before leaves nothing behind.
    ///
    /// # Errors
    ///
    /// [`StartError::Config`] for a setting that cannot be used; [`StartError::MissingFeature`] for one that
    /// this build does not know; [`StartError::Listen`] when an address cannot be listened on;
    /// [`StartError::Data`] when the data cannot be used, in which case it is left as it is;
    /// [`StartError::Restore`] when the snapshot cannot be.
    pub async fn start(self) -> Result<Server, StartError> {
        server::start(self.validate()?).await
    }

    fn validate(self) -> Result<Config, StartError> {
        let addresses = match self.listen {
            Listen::Default => vec![DEFAULT_ADDRESS.to_owned()],
            Listen::Nowhere => Vec::new(),
            Listen::On(addresses) => addresses,
        };
        let mut listen = Vec::with_capacity(addresses.len());
        for text in &addresses {
            Address::parse(text)
                .and_then(|address| address.add_to(&mut listen))
                .map_err(|reason| config("listen", format!("{text:?}: {reason}")))?;
        }
        let secure = listen.iter().any(Address::is_secure);
        let plain = listen.iter().any(Address::is_plain);
        match &self.tls {
            None if secure => {
                let reason = "an address with TLS needs a certificate and its key".to_owned();
                return Err(config("tls", reason));
            }
            Some(_) if plain => tracing::warn!(
                "certificates are neither shown nor demanded on addresses without TLS"
            ),
            _ => {}
        }
        let version = Version::parse(&self.version)
            .filter(|version| *version >= OLDEST_VERSION)
            .ok_or_else(|| {
                let reason = format!(
                    "{:?}: expected three numbers, such as {DEFAULT_VERSION}, at least {OLDEST_VERSION}",
                    self.version
                );
                config("version", reason)
            })?;
        for (setting, value) in [
            ("max_request_bytes", self.max_request_bytes),
            ("max_txn_ops", self.max_txn_ops),
        ] {
            if value == 0 {
                return Err(config(setting, "0 would refuse every request".to_owned()));
            }
        }
        for (setting, id) in [
            ("cluster_id", self.cluster_id),
            ("member_id", self.member_id),
        ] {
            if id == Some(0) {
                return Err(config(setting, "0 means \"no id\" in etcd".to_owned()));
            }
        }
        if !password::COSTS.contains(&self.bcrypt_cost) {
            let reason = format!("{}: expected a number from 4 to 31", self.bcrypt_cost);
            return Err(config("bcrypt_cost", reason));
        }
        // etcd takes no time at all for the default.
        let auth_token_ttl = match self.auth_token_ttl {
            Duration::ZERO => DEFAULT_TOKEN_TTL,
            ttl => ttl,
        };
        Ok(Config {
            addresses: listen,
            security: Security::new(self.tls)?,
            gate: Gate::new(&self.auth_token, auth_token_ttl)?,
            name: self.name,
            advertise_client_urls: self.advertise_client_urls,
            advertise_peer_urls: self.advertise_peer_urls,
            max_request_bytes: self.max_request_bytes,
            max_txn_ops: self.max_txn_ops,
            quota: Quota::new(self.quota_backend_bytes),
            auto_compaction: self.auto_compaction,
            lease_checkpoints: self.lease_checkpoints,
            enable_v2: self.enable_v2 || self.v2_modules,
            v2_modules: self.v2_modules,
            watch_progress_notify_interval: self
                .watch_progress_notify_interval
                .max(SHORTEST_PROGRESS_INTERVAL),
            bcrypt_cost: self.bcrypt_cost,
            version,
            cluster_id: self.cluster_id,
            member_id: self.member_id,
            snapshot: self.snapshot,
            #[cfg(feature = "durable")]
            location: self.location,
        })
    }
}

fn config(setting: &'static str, reason: String) -> StartError {
    StartError::Config { setting, reason }
}

/// A checked configuration.
pub(crate) struct Config {
    pub(crate) addresses: Vec<Address>,
    pub(crate) name: String,
    pub(crate) advertise_client_urls: Vec<String>,
    pub(crate) advertise_peer_urls: Vec<String>,
    pub(crate) max_request_bytes: usize,
    pub(crate) max_txn_ops: usize,
    pub(crate) quota: Quota,
    pub(crate) auto_compaction: AutoCompaction,
    pub(crate) lease_checkpoints: bool,
    pub(crate) enable_v2: bool,
    pub(crate) v2_modules: bool,
    pub(crate) watch_progress_notify_interval: Duration,
    pub(crate) security: Security,
    pub(crate) gate: Gate,
    pub(crate) bcrypt_cost: u32,
    pub(crate) version: Version,
    pub(crate) cluster_id: Option<u64>,
    pub(crate) member_id: Option<u64>,
    pub(crate) snapshot: Option<PathBuf>,
    #[cfg(feature = "durable")]
    pub(crate) location: Option<Location>,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A setting cannot be used.
    #[error("invalid setting `{setting}`: {reason}")]
    Config {
        /// The builder's method.
        setting: &'static str,
        /// What is wrong with the value, and what is expected.
        reason: String,
    },
    /// A setting needs a feature of this crate that was left out of the build.
    #[error("setting `{setting}` needs etcdkit-server's feature `{feature}`")]
    MissingFeature {
        /// The builder's method.
        setting: &'static str,
        /// The feature to build with.
        feature: &'static str,
    },
    /// An address cannot be listened on; usually something else listens there.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The data of an earlier start cannot be used, or no new file can be made.
    #[cfg(feature = "durable")]
    #[error("cannot use the data in {place}: {source}")]
    Data {
        /// The directory.
        place: String,
        /// Why not.
        source: DataError,
    },
    /// The snapshot cannot be used. Nothing was made of it.
    #[error("cannot restore {}: {source}", path.display())]
    Restore {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: RestoreError,
    },
}
