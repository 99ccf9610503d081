//! Copying a v2 key space into v3, which etcd's own tools no longer offer.

mod copy;
mod error;
mod leases;
mod mapping;
mod notes;
mod plan;
mod report;
mod source;

use std::{
    fmt,
    future::IntoFuture,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use self::{copy::Pass, mapping::Mapping, notes::Notes, source::Source};
pub use self::{
    error::MigrationError,
    plan::Reason,
    report::{Conflict, Progress, Report},
};
use super::{Client, path};

/// Where a migration notes in v3 what it has done, unless told otherwise.
const STATE: &str = "_etcdkit/migration/";

/// How often v2 is listed at the most, unless told otherwise.
const PASSES: u32 = 10;

/// How often a copy that is kept in step looks for changes.
const FOLLOW_EVERY: Duration = Duration::from_millis(500);

/// What the program wants to be done with each step.
type Tell = dyn Fn(&Progress) + Send + Sync;

/// A copy of a v2 key space, or of a part of it, into v3: made by [`Migration::new`], run when awaited.
///
/// Keys keep their names, leading slash included, unless [`to_prefix`](Self::to_prefix) or
/// [`map_prefix`](Self::map_prefix) say otherwise. Values are copied as the bytes of their text.
/// Directories are not copied, since v3 has none, unless as keys of their own
/// ([`keep_directories`](Self::keep_directories)). Users, roles and members are not copied either.
///
/// **Times to live** become leases: one for all keys that expire within the same second, so a key may
/// live up to a second longer than in v2, and never shorter. The time of a directory counts for all that
/// is in it; that of directories above [`from`](Self::from) is not looked at. Leases that no copy needs any
/// more are revoked, unless somebody has attached keys to them.
///
/// **Hidden keys**, whose names begin with `_`, are in no listing of v2, so they are copied only if they
/// are named ([`include`](Self::include)), or in a directory that is.
///
/// **Nobody's data is overwritten.** Each write is a transaction that fails if the key has changed since
/// it was looked at, and notes beside it, in the same transaction, what was copied. By these notes a later
/// run knows its own copies, of which it takes up every change and removal in v2, from keys that others
/// wrote or changed: these are left alone and reported as conflicts, unless
/// [`overwrite`](Self::overwrite) is asked for. So a migration can be stopped at any time, by dropping the
/// future, an error or a crash, and goes on when it is run again with the same settings.
/// [`forget`](Self::forget) removes the notes in the end.
///
/// **Nothing is lost while programs go on writing.** When everything is copied, v2 is listed again and
/// compared with v3, key by key and value by value; what has changed meanwhile is brought up to date, and
/// so on until a listing shows no difference. Only then [`Report::verified`] is true, for the index
/// [`Report::index`]. For the final switch stop the writers and run it once more.
///
/// # Errors
///
/// [`MigrationError`], when one of the clusters cannot be read or written. What has been copied stays.
///
/// # Examples
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
/// # let (old, new) = (server.endpoint(), server.endpoint());
/// use etcdkit::v2::Migration;
///
/// let v2 = etcdkit::v2::Client::connect(old).await?;
/// let v3 = etcdkit::Client::connect(new).await?;
/// v2.set("/app/port", "80").await?;
/// v2.set("/app/session", "7").ttl(60).await?;
///
/// let plan = Migration::new(&v2, &v3).from("/app").to_prefix("web").dry_run().await?;
/// assert_eq!((plan.created, plan.conflicts.len()), (2, 0));
/// assert!(v3.get("web/port").await?.is_none());
///
/// let report = Migration::new(&v2, &v3).from("/app").to_prefix("web").await?;
/// assert!(report.verified);
/// assert_eq!(v3.get("web/port").await?.unwrap().value, "80");
/// assert!(v3.get("web/session").await?.unwrap().lease.is_some());
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Clone)]
#[must_use = "a migration runs when awaited"]
pub struct Migration {
    v2: Client,
    v3: crate::Client,
    from: String,
    to: Option<String>,
    mapping: Mapping,
    include: Vec<String>,
    keep_directories: bool,
    overwrite: bool,
    dry_run: bool,
    state: String,
    passes: u32,
    progress: Option<Arc<Tell>>,
}

impl Migration {
    /// Everything from one cluster to another, or within a cluster from one API to the other.
    pub fn new(v2: &Client, v3: &crate::Client) -> Self {
        Self {
            v2: v2.clone(),
            v3: v3.clone(),
            from: "/".to_owned(),
            to: None,
            mapping: Mapping::default(),
            include: Vec::new(),
            keep_directories: false,
            overwrite: false,
            dry_run: false,
            state: STATE.to_owned(),
            passes: PASSES,
            progress: None,
        }
    }

    /// Copies only one directory with all that is in it, or one key. Default: the root.
    pub fn from(mut self, key: impl Into<String>) -> Self {
        self.from = key.into();
        self
    }

    /// Replaces [`from`](Self::from) at the beginning of keys: from `/app` to `web`, `/app/port` becomes
    /// `web/port`; from `/` to nothing, `app/port`. Default: keys keep their names.
    pub fn to_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.to = Some(prefix.into());
        self
    }

    /// Replaces another beginning of keys. Of several that fit a key the longest counts. A slash at the
    /// end is replaced, too.
    pub fn map_prefix(mut self, from: impl AsRef<str>, to: impl AsRef<str>) -> Self {
        self.mapping.add(from.as_ref(), to.as_ref());
        self
    }

    /// Copies a hidden key, or a hidden directory with all in it that is not hidden in turn.
    pub fn include(mut self, key: impl Into<String>) -> Self {
        self.include.push(key.into());
        self
    }

    /// Copies directories, too: as keys with a slash at the end and no value, so that empty ones leave
    /// a trace.
    pub fn keep_directories(mut self) -> Self {
        self.keep_directories = true;
        self
    }

    /// Writes over whatever v3 has under the names of the copies, and writes again what was removed
    /// there.
    pub fn overwrite(mut self) -> Self {
        self.overwrite = true;
        self
    }

    /// Only looks at both sides and tells what it would do.
    pub fn dry_run(mut self) -> Self {
        self.dry_run = true;
        self
    }

    /// Where it notes in v3 what it has done: the beginning of the notes' keys. Each migration needs its
    /// own. Default: `_etcdkit/migration/`.
    pub fn state_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.state = prefix.into();
        self
    }

    /// How often v2 is listed at the most while programs go on writing. Default 10; at least 2, or
    /// nothing would be verified.
    pub fn max_passes(mut self, passes: u32) -> Self {
        self.passes = passes.max(2);
        self
    }

    /// Has a function called as the work goes on. It must not block.
    pub fn on_progress(mut self, tell: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(tell));
        self
    }

    /// Removes the notes from v3 when all is done for good. A later run would take its copies for
    /// somebody else's.
    ///
    /// # Errors
    ///
    /// As [`delete`](crate::Client::delete).
    pub async fn forget(&self) -> crate::Result<()> {
        self.notes()?.forget(&self.v3).await
    }

    fn notes(&self) -> crate::Result<Notes> {
        match self.state.is_empty() {
            true => Err(crate::Error::invalid_request(
                "the notes of a migration need a prefix of their own",
            )),
            false => Ok(Notes::at(&self.state)),
        }
    }

    /// Copies everything and goes on taking up changes of v2 until `stop` is done, then verifies the copy
    /// once more: for programs that are switched over one by one. Ask it to stop when all writers of v2
    /// have stopped; what the report then says to be [verified](Report::verified) is all there is.
    ///
    /// Whether something has changed is asked every half second. If so, v2 is listed, so this takes more
    /// of a server the more it holds.
    ///
    /// # Errors
    ///
    /// As awaiting the migration.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(v2: etcdkit::v2::Client, v3: etcdkit::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use etcdkit::v2::Migration;
    ///
    /// let writers_have_stopped = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
    /// let report = Migration::new(&v2, &v3).follow(writers_have_stopped).await?;
    /// assert!(report.verified);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn follow(
        self,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<Report, MigrationError> {
        let mut stop = pin!(stop);
        let source = self.source();
        let mut report = Report::default();
        loop {
            self.make_passes(&source, &mut report).await?;
            let seen = report.index;
            let changed = async {
                loop {
                    tokio::time::sleep(FOLLOW_EVERY).await;
                    if source.index(&self.v2).await? != seen {
                        return Ok::<_, MigrationError>(());
                    }
                }
            };
            tokio::select! {
                () = stop.as_mut() => {
                    self.make_passes(&source, &mut report).await?;
                    return Ok(report);
                }
                changed = changed => changed?,
            }
        }
    }

    async fn run(self) -> Result<Report, MigrationError> {
        let mut report = Report::default();
        self.make_passes(&self.source(), &mut report).await?;
        Ok(report)
    }

    fn source(&self) -> Source {
        let mut mapping = self.mapping.clone();
        if let Some(to) = &self.to {
            mapping.add(&self.from, to);
        }
        Source {
            from: path::clean(&self.from),
            include: self.include.iter().map(|key| path::clean(key)).collect(),
            mapping,
            keep_directories: self.keep_directories,
            state: self.state.clone(),
        }
    }

    /// Lists and copies until a listing shows no difference.
    async fn make_passes(
        &self,
        source: &Source,
        report: &mut Report,
    ) -> Result<(), MigrationError> {
        let notes = self.notes()?;
        let mut passes = 0;
        loop {
            let listing = source.list(&self.v2).await?;
            // Each time, since an address can come to lead to another cluster.
            let described = self.describe(source, listing.cluster);
            notes.claim(&self.v3, &described, self.dry_run).await?;
            let changes = Pass::make(self, &notes, listing, report).await?;
            passes += 1;
            report.verified = changes == 0;
            if report.verified || self.dry_run || passes >= self.passes {
                return Ok(());
            }
        }
    }

    /// What is noted of the migration itself.
    fn describe(&self, source: &Source, cluster: u64) -> String {
        format!(
            "{:?} of cluster {cluster:x}{}{}",
            source.from,
            source.mapping.describe(),
            match self.keep_directories {
                true => " with directories",
                false => "",
            }
        )
    }
}

impl IntoFuture for Migration {
    type Output = Result<Report, MigrationError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for Migration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Migration")
            .field("from", &self.from)
            .field("to", &self.to)
            .field("mapping", &self.mapping)
            .field("include", &self.include)
            .field("overwrite", &self.overwrite)
            .field("dry_run", &self.dry_run)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
