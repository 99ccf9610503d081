//! Namespaces: a prefix that a client puts in front of every key, and takes off every key it is told.
//!
//! Ranges keep their meaning inside: one without an end ends with the namespace. The prefix itself
//! would be the empty key inside, which etcd does not know, so it belongs to no namespace's keys.

use std::{fmt, sync::Arc};

use bytes::{BufMut, Bytes, BytesMut};
use etcdkit_proto::etcdserverpb::{self as pb, request_op::Request};

use crate::{
    Blob, Client, KeyRange, KeyValue,
    types::{UNBOUNDED, prefix_end},
    wire::Joined,
};

impl Client {
    /// The same client, confined to the keys that begin with `prefix`.
    ///
    /// Keys are given and come back without the prefix, and a range without an end ends with the
    /// namespace: `..` is all keys in it, and nothing outside can be read, watched or changed. That
    /// holds for operations on keys, transactions with their conditions, scans, watches, the keys of
    /// leases, and the names of locks and elections. Namespaces nest: `"b/"` inside of `"a/"` is
    /// `"a/b/"`.
    ///
    /// What is not about keys is the whole cluster's: revisions, compactions, leases as such, users and
    /// roles (whose permissions name keys in full), members and their maintenance. A namespace guards
    /// against accidents; what must not be reached has to be denied by etcd's roles.
    ///
    /// A client in a namespace shares everything with the one it was made from and costs nothing of
    /// its own. The key that is the prefix and nothing more is not in the namespace, since etcd knows no
    /// empty key.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// let app = client.namespaced("app/");
    /// app.put("mode", "on").await?;
    /// client.put("else", "where").await?;
    ///
    /// assert_eq!(app.range(..).await?.kvs[0].key, "mode");
    /// assert_eq!(app.delete(..).await?.deleted, 1);
    /// assert!(client.get("else").await?.is_some());
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    #[must_use = "the client itself stays as it is"]
    pub fn namespaced<'a>(&self, prefix: impl Into<Blob<'a>>) -> Self {
        Self {
            core: Arc::clone(&self.core),
            namespace: self.namespace.nested(prefix.into().as_slice()),
        }
    }

    /// The prefix of all keys of this client, as [`namespaced`](Self::namespaced) or
    /// [`ClientBuilder::namespace`](crate::ClientBuilder::namespace) has set it; empty without one.
    pub fn namespace(&self) -> &[u8] {
        self.namespace.prefix()
    }
}

/// What stands in front of a client's keys, if anything.
#[derive(Clone, Default)]
pub(crate) struct Namespace(Option<Arc<[u8]>>);

/// A key came from the server that is not in the client's namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Foreign;

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key outside of the client's namespace")
    }
}

impl Namespace {
    pub(crate) fn new(prefix: &[u8]) -> Self {
        Self::default().nested(prefix)
    }

    pub(crate) fn nested(&self, prefix: &[u8]) -> Self {
        match prefix {
            [] => self.clone(),
            _ => Self(Some([self.prefix(), prefix].concat().into())),
        }
    }

    pub(crate) fn prefix(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// A key as it goes over the wire.
    pub(crate) fn key<'a>(&'a self, key: &'a [u8]) -> Joined<'a> {
        Joined {
            first: self.prefix(),
            then: key,
            last: None,
        }
    }

    /// A range's end as it goes over the wire.
    pub(crate) fn range_end<'a>(&'a self, keys: &'a KeyRange<'_>) -> Joined<'a> {
        self.end(keys.range_end_parts())
    }

    fn end<'a>(&'a self, (then, last): (&'a [u8], Option<u8>)) -> Joined<'a> {
        let (first, (then, last)) = match (then, last) {
            // One key.
            ([], None) => (Default::default(), (then, last)),
            (UNBOUNDED, None) if !self.is_empty() => {
                (Default::default(), prefix_end(self.prefix()))
            }
            _ => (self.prefix(), (then, last)),
        };
        Joined { first, then, last }
    }

    /// A key for a message that owns it; an empty one is put in front, too, so check before.
    pub(crate) fn own_key(&self, key: Bytes) -> Bytes {
        match self.is_empty() {
            true => key,
            false => owned(self.key(&key)),
        }
    }

    /// The two keys of a range for a message that owns them.
    pub(crate) fn own_range(&self, keys: KeyRange<'_>) -> (Bytes, Bytes) {
        match self.is_empty() {
            true => keys.into_wire(),
            false => (owned(self.key(keys.start())), owned(self.range_end(&keys))),
        }
    }

    /// A key without the prefix.
    pub(crate) fn strip(&self, mut key: Bytes) -> Result<Bytes, Foreign> {
        let prefix = self.prefix();
        // The prefix itself is in no range inside, so nobody can have asked for it.
        if !key.starts_with(prefix) || (key.len() == prefix.len() && !self.is_empty()) {
            return Err(Foreign);
        }
        Ok(key.split_off(prefix.len()))
    }

    /// Puts all keys of a transaction, its conditions and nested transactions, into the namespace.
    pub(crate) fn enter_txn(&self, txn: &mut pb::TxnRequest) {
        if self.is_empty() {
            return;
        }
        for compare in &mut txn.compare {
            self.enter(&mut compare.key, &mut compare.range_end);
        }
        for op in txn.success.iter_mut().chain(&mut txn.failure) {
            match &mut op.request {
                Some(Request::RequestPut(put)) => put.key = owned(self.key(&put.key)),
                Some(Request::RequestRange(range)) => {
                    self.enter(&mut range.key, &mut range.range_end);
                }
                Some(Request::RequestDeleteRange(delete)) => {
                    self.enter(&mut delete.key, &mut delete.range_end);
                }
                Some(Request::RequestTxn(txn)) => self.enter_txn(txn),
                None => {}
            }
        }
    }

    fn enter(&self, key: &mut Bytes, range_end: &mut Bytes) {
        *key = owned(self.key(key));
        *range_end = owned(self.end((range_end, None)));
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Blob::borrowed(self.prefix()).fmt(f)
    }
}

fn owned(joined: Joined<'_>) -> Bytes {
    let mut bytes = BytesMut::with_capacity(joined.len());
    bytes.put_slice(joined.first);
    bytes.put_slice(joined.then);
    bytes.extend(joined.last);
    bytes.freeze()
}

/// An answer with keys in it, which leaves the namespace it was asked in.
pub(crate) trait Leave {
    fn leave(&mut self, namespace: &Namespace) -> Result<(), Foreign>;
}

impl Leave for KeyValue {
    fn leave(&mut self, namespace: &Namespace) -> Result<(), Foreign> {
        self.key = namespace.strip(std::mem::take(&mut self.key))?;
        Ok(())
    }
}

impl<T: Leave> Leave for Option<T> {
    fn leave(&mut self, namespace: &Namespace) -> Result<(), Foreign> {
        self.as_mut().map_or(Ok(()), |it| it.leave(namespace))
    }
}

impl<T: Leave> Leave for Vec<T> {
    fn leave(&mut self, namespace: &Namespace) -> Result<(), Foreign> {
        self.iter_mut().try_for_each(|it| it.leave(namespace))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Sink;

    fn wire(namespace: &[u8], keys: KeyRange<'_>) -> (Vec<u8>, Vec<u8>) {
        keys.check().unwrap();
        let namespace = Namespace::new(namespace);
        let (key, range_end) = namespace.own_range(keys.clone());

        // A field written straight to the wire, and the keys of a finished message, are the same.
        let mut by_hand = BytesMut::new();
        by_hand.bytes_field(2, namespace.range_end(&keys));
        let mut of_bytes = BytesMut::new();
        of_bytes.bytes_field(2, &range_end[..]);
        assert_eq!(by_hand, of_bytes);
        let (mut entered_key, mut entered_end) = keys.into_wire();
        namespace.enter(&mut entered_key, &mut entered_end);
        assert_eq!((&entered_key, &entered_end), (&key, &range_end));

        (key.into(), range_end.into())
    }

    fn pair(key: &[u8], range_end: &[u8]) -> (Vec<u8>, Vec<u8>) {
        (key.into(), range_end.into())
    }

    #[test]
    fn ranges_keep_their_meaning_and_open_ones_end_with_the_namespace() {
        assert_eq!(wire(b"a/", KeyRange::key("k")), pair(b"a/k", b""));
        assert_eq!(wire(b"a/", KeyRange::all()), pair(b"a/\0", b"a0"));
        assert_eq!(wire(b"a/", KeyRange::from_key("k")), pair(b"a/k", b"a0"));
        assert_eq!(wire(b"a/", KeyRange::prefix("")), pair(b"a/\0", b"a0"));
        assert_eq!(wire(b"a/", KeyRange::prefix("k")), pair(b"a/k", b"a/l"));
        assert_eq!(wire(b"a/", KeyRange::prefix("\u{7f}")).1, b"a/\x80");
        assert_eq!(
            wire(b"a/", KeyRange::prefix([0xff])),
            pair(b"a/\xff", b"a0")
        );
        assert_eq!(wire(b"a/", ("b".."f").into()), pair(b"a/b", b"a/f"));
        assert_eq!(wire(b"a/", ("b"..="f").into()), pair(b"a/b", b"a/f\0"));
        assert_eq!(wire(b"a/", ("b".."b").into()), pair(b"a/b", b"a/b"));
        // No key follows those that begin so.
        assert_eq!(
            wire(b"\xff\xff", KeyRange::all()),
            pair(b"\xff\xff\0", b"\0")
        );
        assert_eq!(wire(b"a\xff", KeyRange::all()), pair(b"a\xff\0", b"b"));
        assert_eq!(wire(b"", KeyRange::all()), pair(b"\0", b"\0"));
        assert_eq!(wire(b"", KeyRange::key("k")), pair(b"k", b""));
    }

    #[test]
    fn namespaces_nest() {
        let outer = Namespace::new(b"a/");
        assert_eq!(outer.nested(b"b/").prefix(), b"a/b/");
        assert_eq!(outer.nested(b"").prefix(), b"a/");
        assert!(Namespace::new(b"").is_empty());
    }

    #[test]
    fn only_keys_of_the_namespace_leave_it() {
        let namespace = Namespace::new(b"a/");
        let strip = |key: &'static str| namespace.strip(key.into());
        assert_eq!(strip("a/k"), Ok("k".into()));
        for foreign in ["", "a", "a/", "a0", "b/k"] {
            assert_eq!(strip(foreign), Err(Foreign), "{foreign}");
        }
        assert_eq!(Namespace::default().strip("k".into()), Ok("k".into()));
        assert_eq!(Namespace::default().strip("".into()), Ok("".into()));
    }

    /// For any namespace, range and key: the range in the namespace holds, on the server, exactly the
    /// keys that the range holds inside, and nothing else.
    #[test]
    fn no_range_reaches_out_of_its_namespace() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let alphabet = [0, 1, b'a', 0xfe, 0xff];
        let mut some = |least: usize| -> Vec<u8> {
            let length = rng.usize(least..4);
            (0..length).map(|_| alphabet[rng.usize(..5)]).collect()
        };
        for round in 0..100_000 {
            let (prefix, a, b) = (some(0), some(1), some(1));
            let keys = match round % 6 {
                0 => KeyRange::key(&a),
                1 => KeyRange::prefix(&a),
                2 => KeyRange::from_key(&a),
                3 => KeyRange::range(&a, &b),
                4 => KeyRange::from(&a..=&b),
                _ => KeyRange::all(),
            };
            if keys.check().is_err() {
                continue;
            }
            let (start, end) = wire(&prefix, keys.clone());
            let on_server = if round % 2 == 0 {
                [&prefix[..], &some(1)].concat()
            } else {
                some(1)
            };
            let found = match &end[..] {
                [] => on_server == start,
                [0] => on_server >= start,
                end => on_server >= start && &on_server[..] < end,
            };
            let inside = on_server.strip_prefix(&prefix[..]);
            let expected = inside.is_some_and(|key| !key.is_empty() && keys.contains(key));
            assert_eq!(found, expected, "{prefix:?} {keys:?} {on_server:?}");
        }
    }
}
