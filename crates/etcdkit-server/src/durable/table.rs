//! The tables of the file: those of etcd, and one of our own.

use etcdkit_store::Bucket;
use redb::{ReadableTable, Table, TableDefinition, TableError, WriteTransaction};

/// Every table maps bytes to bytes, as in etcd.
pub(super) type Definition = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// What etcd has no place for.
pub(super) const OWN: Definition = TableDefinition::new("etcdkit");

/// The entries of [`OWN`].
pub(super) const FORMAT: &[u8] = b"format";
pub(super) const CLUSTER_ID: &[u8] = b"cluster_id";
pub(super) const MEMBER_ID: &[u8] = b"member_id";

/// The entries of [`Bucket::Meta`] that are not the engine's, named by etcd.
pub(super) const CONSISTENT_INDEX: &[u8] = b"consistent_index";
pub(super) const TERM: &[u8] = b"term";

pub(super) fn of(bucket: Bucket) -> Definition {
    TableDefinition::new(bucket.name())
}

pub(super) fn open(
    transaction: &WriteTransaction,
    bucket: Bucket,
) -> Result<Table<'_, &'static [u8], &'static [u8]>, TableError> {
    transaction.open_table(of(bucket))
}

/// A number as etcd stores it.
pub(super) fn number(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    key: &[u8],
) -> Result<Option<u64>, redb::StorageError> {
    let found = table.get(key)?;
    Ok(found.and_then(|value| Some(u64::from_be_bytes(value.value().try_into().ok()?))))
}
