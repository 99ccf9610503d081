//! `Maintenance.Snapshot`: everything the store holds, as the file that etcd's tools restore.

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use etcdkit_proto::Code;
use etcdkit_proto::etcdserverpb::{SnapshotRequest, SnapshotResponse};
use etcdkit_snapshot::{Draft, Image};
use etcdkit_store::{Bucket, Entry, Record, RecordKey};
use futures_core::Stream;
use sha2::{Digest, Sha256};

use crate::gate::Credentials;
use crate::grpc::Status;
use crate::node::Node;

/// How much of the file one message carries, as in etcd.
const PIECE_BYTES: usize = 32 * 1024;

/// Sends the state as it is now, whatever is written meanwhile.
///
/// The records are shared with the store, and the pages of the file are made as the peer takes them.
/// Like etcd's, the answers have no header.
pub(crate) async fn snapshot(
    node: &Arc<Node>,
    credentials: &Credentials,
    _: SnapshotRequest,
) -> Result<impl Stream<Item = Result<SnapshotResponse, Status>> + use<>, Status> {
    node.require_root(credentials)?;
    let (records, mut entries) = node
        .applier
        .ask(|store| Ok((store.records().to_vec(), store.entries())))
        .await?;
    let version = node.identity.version;
    let version = version
        .reports_storage()
        .then(|| version.of_cluster().to_string());
    entries.extend(notes(node, version.as_deref()));
    entries.sort_by(|a, b| (a.bucket, &a.key).cmp(&(b.bucket, &b.key)));
    // A long history is no matter of an instant.
    let image = tokio::task::spawn_blocking(move || image(&records, entries)).await;
    let image = image.map_err(|error| internal(&error))??;
    Ok(tokio_stream::iter(Pieces {
        left: image.size(),
        image,
        hasher: Some(Sha256::new()),
        version: version.unwrap_or_default(),
    }))
}

/// What a member notes in its file beside the store's own. Who the members are is left out: to restore
/// a file is to say so anew.
fn notes(node: &Node, storage_version: Option<&str>) -> Vec<Entry> {
    let entry = |bucket, key: &'static str, value: Bytes| Entry {
        bucket,
        key: Bytes::from_static(key.as_bytes()),
        value,
    };
    let number = |number: u64| Bytes::copy_from_slice(&number.to_be_bytes());
    let cluster_version = node.identity.version.of_cluster().to_string();
    let mut notes = vec![
        entry(Bucket::Cluster, "clusterVersion", cluster_version.into()),
        entry(
            Bucket::Meta,
            "consistent_index",
            number(node.applier.applied_index()),
        ),
        entry(Bucket::Meta, "term", number(node.raft_term())),
    ];
    notes.extend(storage_version.map(|version| {
        let version = Bytes::copy_from_slice(version.as_bytes());
        entry(Bucket::Meta, "storageVersion", version)
    }));
    notes
}

/// The name of an entry.
enum Name {
    Record(RecordKey),
    Other(Bytes),
}

impl AsRef<[u8]> for Name {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Record(key) => key.as_slice(),
            Self::Other(key) => key,
        }
    }
}

/// All of it in etcd's buckets, the empty ones, too.
fn image(records: &[Record], entries: Vec<Entry>) -> Result<Image<Name, Bytes>, Status> {
    let mut draft = Draft::new();
    for bucket in Bucket::ALL {
        draft.bucket(bucket.name());
    }
    let key = Bucket::Key.name();
    for record in records {
        let name = Name::Record(record.key());
        let pushed = draft.push(key, name, record.value().clone());
        pushed.map_err(|error| internal(&error))?;
    }
    for Entry { bucket, key, value } in entries {
        let pushed = draft.push(bucket.name(), Name::Other(key), value);
        pushed.map_err(|error| internal(&error))?;
    }
    Ok(draft.finish())
}

fn internal(error: &dyn std::error::Error) -> Status {
    Status::new(
        Code::Internal,
        format!("the snapshot cannot be made: {error}"),
    )
}

/// The messages of a snapshot: the file in pieces, then its digest.
struct Pieces {
    image: Image<Name, Bytes>,
    /// How many bytes of the file are still to be sent.
    left: u64,
    /// `None` once the digest has been sent.
    hasher: Option<Sha256>,
    version: String,
}

impl Pieces {
    fn piece(&mut self) -> std::io::Result<Option<Bytes>> {
        let Some(hasher) = &mut self.hasher else {
            return Ok(None);
        };
        let length = usize::try_from(self.left).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
        if length == 0 {
            let hasher = self.hasher.take().unwrap_or_default();
            return Ok(Some(Bytes::copy_from_slice(&hasher.finalize())));
        }
        let mut piece = vec![0; length];
        self.image.read_exact(&mut piece)?;
        hasher.update(&piece);
        self.left -= length as u64;
        Ok(Some(piece.into()))
    }
}

impl Iterator for Pieces {
    type Item = Result<SnapshotResponse, Status>;

    fn next(&mut self) -> Option<Self::Item> {
        let piece = self.piece().map_err(|error| internal(&error));
        let response = piece.map(|piece| {
            piece.map(|blob| SnapshotResponse {
                header: None,
                remaining_bytes: self.left,
                blob,
                version: self.version.clone(),
            })
        });
        response.transpose()
    }
}
