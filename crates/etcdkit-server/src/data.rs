//! What a server starts with: nothing, what it held before, or a snapshot.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use etcdkit_store::Store;

use crate::applier::Applier;
use crate::builder::{Config, StartError};
#[cfg(feature = "durable")]
use crate::durable::{DataError, DataFile, Found, Location};
use crate::leadership::Leadership;
use crate::restore;

/// etcd's `raft_term` after a first start; it rises by one with each restart.
const FIRST_TERM: u64 = 2;

/// The engine, whose it is, and its file.
pub(crate) struct Data {
    pub(crate) applier: Applier,
    pub(crate) cluster_id: u64,
    pub(crate) member_id: u64,
    pub(crate) raft_term: u64,
    pub(crate) revision: i64,
    #[cfg(feature = "durable")]
    pub(crate) file: Option<DataFile>,
}

impl Data {
    /// Reads the data file, or begins anew, with a snapshot if there is one. Leases have what
    /// their last checkpoint left of them, or their whole TTL, from `now` on.
    pub(crate) async fn open(
        config: &Config,
        now: Duration,
        leadership: &Arc<Leadership>,
    ) -> Result<Self, StartError> {
        let ids = (config.cluster_id, config.member_id);
        let snapshot = config.snapshot.clone();
        let checkpoints = config.lease_checkpoints;
        let leadership = Arc::clone(leadership);
        #[cfg(feature = "durable")]
        if let Some(location) = config.location.clone() {
            let open = move || {
                let snapshot = snapshot.as_deref();
                in_file(location, ids, snapshot, now, checkpoints, leadership)
            };
            return blocking(open).await;
        }
        let mut store = match snapshot {
            Some(path) => {
                let mut store = blocking(move || first_store(Some(&path), now)).await?;
                store.drop_journal();
                store
            }
            None => Store::new(),
        };
        if checkpoints {
            store.keep_lease_checkpoints(now);
        }
        let (cluster_id, member_id) = ids;
        Ok(Self {
            revision: store.revision(),
            applier: Applier::new(store, leadership),
            cluster_id: cluster_id.unwrap_or_else(random_id),
            member_id: member_id.unwrap_or_else(random_id),
            raft_term: FIRST_TERM,
            #[cfg(feature = "durable")]
            file: None,
        })
    }
}

/// Opens the file, or makes it. The ids given are those of a new file only; an old one has its own.
#[cfg(feature = "durable")]
fn in_file(
    location: Location,
    (cluster_id, member_id): (Option<u64>, Option<u64>),
    snapshot: Option<&Path>,
    now: Duration,
    checkpoints: bool,
    leadership: Arc<Leadership>,
) -> Result<Data, StartError> {
    let place = location.to_string();
    let unusable = |source| StartError::Data {
        place: place.clone(),
        source,
    };
    let (file, mut found) = match DataFile::open(location.clone(), now).map_err(unusable)? {
        Some(_) if snapshot.is_some() => return Err(unusable(DataError::NotEmpty)),
        Some(opened) => opened,
        None => {
            let mut store = first_store(snapshot, now)?;
            store.keep_journal();
            let found = Found {
                store,
                cluster_id: cluster_id.unwrap_or_else(random_id),
                member_id: member_id.unwrap_or_else(random_id),
                term: FIRST_TERM - 1,
                applied_index: 0,
            };
            (DataFile::create(location, &found).map_err(unusable)?, found)
        }
    };
    if checkpoints {
        found.store.keep_lease_checkpoints(now);
    }
    found.term = found.term.saturating_add(1).max(FIRST_TERM);
    file.begin_term(found.term).map_err(unusable)?;
    Ok(Data {
        revision: found.store.revision(),
        applier: Applier::durable(found.store, found.applied_index, leadership),
        cluster_id: found.cluster_id,
        member_id: found.member_id,
        raft_term: found.term,
        file: Some(file),
    })
}

/// What a server without data begins with.
fn first_store(snapshot: Option<&Path>, now: Duration) -> Result<Store, StartError> {
    match snapshot {
        Some(path) => restore::store_of(path, now).map_err(|source| StartError::Restore {
            path: path.to_owned(),
            source,
        }),
        None => Ok(Store::new()),
    }
}

/// Does on a thread of its own what would keep the runtime's from other work.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is going down, and so is whoever waits.
            Err(_) => std::future::pending().await,
        },
    }
}

/// etcd's ids are hashes; any number but 0 is as good.
fn random_id() -> u64 {
    fastrand::u64(1..)
}
