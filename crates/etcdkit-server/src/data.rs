//! What a server starts with: nothing, or what it held before.

use std::sync::Arc;
use std::time::Duration;

use etcdkit_store::Store;

use crate::applier::Applier;
use crate::builder::{Config, StartError};
#[cfg(feature = "durable")]
use crate::durable::{DataFile, Found, Location};
use crate::leadership::Leadership;

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
    /// Reads the data file, or begins anew. Leases have their whole TTL from `now` on.
    pub(crate) async fn open(
        config: &Config,
        now: Duration,
        leadership: &Arc<Leadership>,
    ) -> Result<Self, StartError> {
        #[cfg(feature = "durable")]
        if let Some(location) = config.location.clone() {
            let place = location.to_string();
            let ids = (config.cluster_id, config.member_id);
            let leadership = Arc::clone(leadership);
            let opened =
                tokio::task::spawn_blocking(move || in_file(location, ids, now, leadership)).await;
            let opened = opened.map_err(|error| StartError::Data {
                place: place.clone(),
                source: crate::durable::DataError::Damaged(error.to_string()),
            })?;
            return opened.map_err(|source| StartError::Data { place, source });
        }
        let _ = now;
        let store = Store::new();
        Ok(Self {
            revision: store.revision(),
            applier: Applier::new(store, Arc::clone(leadership)),
            cluster_id: config.cluster_id.unwrap_or_else(random_id),
            member_id: config.member_id.unwrap_or_else(random_id),
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
    now: Duration,
    leadership: Arc<Leadership>,
) -> Result<Data, crate::durable::DataError> {
    let (file, mut found) = match DataFile::open(location.clone(), now)? {
        Some(opened) => opened,
        None => {
            let mut store = Store::new();
            store.keep_journal();
            let found = Found {
                store,
                cluster_id: cluster_id.unwrap_or_else(random_id),
                member_id: member_id.unwrap_or_else(random_id),
                term: FIRST_TERM - 1,
                applied_index: 0,
            };
            (DataFile::create(location, &found)?, found)
        }
    };
    found.term = found.term.saturating_add(1).max(FIRST_TERM);
    file.begin_term(found.term)?;
    Ok(Data {
        revision: found.store.revision(),
        applier: Applier::durable(found.store, found.applied_index, leadership),
        cluster_id: found.cluster_id,
        member_id: found.member_id,
        raft_term: found.term,
        file: Some(file),
    })
}

/// etcd's ids are hashes; any number but 0 is as good.
fn random_id() -> u64 {
    fastrand::u64(1..)
}
