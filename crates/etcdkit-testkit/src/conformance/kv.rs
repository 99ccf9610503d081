//! Put and get.

use std::collections::BTreeSet;

use etcdkit::{Client, ErrorKind, LeaseId, MemberId};

use super::keys::{Keys, kind};

pub(super) async fn a_put_can_be_read(client: &Client) {
    let key = Keys::new().key("a");
    let put = client.put(&key, "1").await.expect("a put");
    assert_eq!(put.prev_kv, None, "it was not asked for");
    let kv = client.get(&key).await.expect("a get").expect("the key");
    assert_eq!(kv.key, key);
    assert_eq!(kv.value, "1");
    assert_eq!(kv.create_revision, put.header.revision);
    assert_eq!(kv.mod_revision, put.header.revision);
    assert_eq!(kv.version, 1);
    assert_eq!(kv.lease, None);
}

pub(super) async fn a_missing_key_is_none(client: &Client) {
    let keys = Keys::new();
    keys.fill(client, &["ab"]).await;
    assert_eq!(client.get(keys.key("a")).await.expect("a get"), None);
}

pub(super) async fn versions_and_revisions_count(client: &Client) {
    let key = Keys::new().key("a");
    let first = client.put(&key, "1").await.expect("a put").header.revision;
    for (version, expected) in (2..=5).zip(first + 1..) {
        let put = client.put(&key, "1").await.expect("a put");
        assert_eq!(put.header.revision, expected, "every put is one revision");
        let kv = client.get(&key).await.expect("a get").expect("the key");
        assert_eq!(kv.version, version);
        assert_eq!(kv.create_revision, first);
        assert_eq!(kv.mod_revision, expected);
    }
}

pub(super) async fn a_deleted_key_starts_anew(client: &Client) {
    let key = Keys::new().key("a");
    client.put(&key, "1").await.expect("a put");
    client.put(&key, "2").await.expect("a put");
    client.delete(&key).await.expect("a delete");
    assert_eq!(client.get(&key).await.expect("a get"), None);
    let again = client.put(&key, "3").await.expect("a put").header.revision;
    let kv = client.get(&key).await.expect("a get").expect("the key");
    assert_eq!((kv.version, kv.create_revision), (1, again));
}

pub(super) async fn the_previous_pair_is_returned(client: &Client) {
    let key = Keys::new().key("a");
    let first = client.put(&key, "1").prev_kv().await.expect("a put");
    assert_eq!(first.prev_kv, None);
    let second = client.put(&key, "2").prev_kv().await.expect("a put");
    let previous = second.prev_kv.expect("the pair before");
    assert_eq!(previous.key, key);
    assert_eq!(previous.value, "1");
    assert_eq!(previous.version, 1);
    assert_eq!(previous.mod_revision, first.header.revision);
}

pub(super) async fn keys_and_values_are_bytes(client: &Client) {
    let keys = Keys::new();
    for tail in [
        &b"\0"[..],
        b"\xff",
        b"a\0b\xff\xfe",
        "ключ 🔑".as_bytes(),
        b"\n \t",
    ] {
        let key = [keys.key("").as_bytes(), tail].concat();
        client.put(&key, tail).await.expect("a put");
        let kv = client.get(&key).await.expect("a get").expect("the key");
        assert_eq!(kv.key, key);
        assert_eq!(kv.value, tail);
    }
    let count = client
        .range(keys.all())
        .count_only()
        .await
        .expect("a count");
    assert_eq!(count.count, 5);
}

pub(super) async fn an_empty_value_is_a_value(client: &Client) {
    let key = Keys::new().key("a");
    client.put(&key, "").await.expect("a put");
    let kv = client.get(&key).await.expect("a get").expect("the key");
    assert!(kv.value.is_empty());
}

pub(super) async fn values_arrive_whole(client: &Client) {
    let keys = Keys::new();
    for size in [
        1, 100, 16_383, 16_384, 16_385, 65_536, 300_000, 1_000_000, 1_500_000,
    ] {
        let value: Vec<u8> = (0..size).map(|index: usize| (index % 251) as u8).collect();
        let key = keys.key(&size.to_string());
        client.put(&key, &value).await.expect("a put");
        let kv = client.get(&key).await.expect("a get").expect("the key");
        assert!(kv.value == value, "{size} bytes came back changed");
    }
    // More than the 4 MiB at which many gRPC clients stop.
    for part in 0..4 {
        let key = keys.key(&format!("large/{part}"));
        client
            .put(&key, vec![b'x'; 1_400_000])
            .await
            .expect("a put");
    }
    let large = keys.key("large/");
    let found = client.range(etcdkit::KeyRange::prefix(&large)).await;
    let total: usize = found
        .expect("a read")
        .kvs
        .iter()
        .map(|kv| kv.value.len())
        .sum();
    assert_eq!(total, 4 * 1_400_000);
    client.delete(keys.all()).await.expect("a delete");
}

pub(super) async fn old_revisions_can_be_read(client: &Client) {
    let key = Keys::new().key("a");
    let first = client.put(&key, "1").await.expect("a put").header.revision;
    let second = client.put(&key, "2").await.expect("a put").header.revision;
    client.delete(&key).await.expect("a delete");
    client.put(&key, "3").await.expect("a put");

    let at = async |revision| {
        let found = client.get(&key).revision(revision).await.expect("a get");
        found.map(|kv| kv.value)
    };
    assert_eq!(at(first - 1).await, None);
    assert_eq!(at(first).await.expect("the key"), "1");
    assert_eq!(at(second).await.expect("the key"), "2");
    assert_eq!(at(second + 1).await, None, "it was deleted there");
    assert_eq!(at(second + 2).await.expect("the key"), "3");
    assert_eq!(
        at(0).await.expect("the key"),
        "3",
        "0 is the current revision"
    );
}

pub(super) async fn the_value_can_be_kept(client: &Client) {
    let key = Keys::new().key("a");
    client.put(&key, "1").await.expect("a put");
    let put = client
        .put(&key, "")
        .ignore_value()
        .prev_kv()
        .await
        .expect("a put");
    assert_eq!(put.prev_kv.expect("the pair before").value, "1");
    let kv = client.get(&key).await.expect("a get").expect("the key");
    assert_eq!(kv.value, "1");
    assert_eq!(kv.version, 2);
    client.put(&key, "2").ignore_lease().await.expect("a put");
    let kv = client.get(&key).await.expect("a get").expect("the key");
    assert_eq!((kv.value, kv.lease), ("2".into(), None));
}

pub(super) async fn what_is_kept_must_exist(client: &Client) {
    let keys = Keys::new();
    let key = keys.key("a");
    assert_eq!(
        kind(client.put(&key, "").ignore_value().await),
        ErrorKind::KeyNotFound
    );
    assert_eq!(
        kind(client.put(&key, "1").ignore_lease().await),
        ErrorKind::KeyNotFound
    );
    assert!(keys.existing(client).await.is_empty());
}

pub(super) async fn what_is_kept_cannot_be_given(client: &Client) {
    let key = Keys::new().key("a");
    client.put(&key, "1").await.expect("a put");
    assert_eq!(
        kind(client.put(&key, "2").ignore_value().await),
        ErrorKind::ValueProvided
    );
    let put = client.put(&key, "2").ignore_lease().lease(LeaseId(7));
    assert_eq!(kind(put.await), ErrorKind::LeaseProvided);
    let kv = client.get(&key).await.expect("a get").expect("the key");
    assert_eq!((kv.value, kv.version), ("1".into(), 1));
}

pub(super) async fn an_unknown_lease_is_refused(client: &Client) {
    let keys = Keys::new();
    for lease in [1, -1, i64::MAX] {
        let put = client.put(keys.key("a"), "1").lease(LeaseId(lease));
        assert_eq!(kind(put.await), ErrorKind::LeaseNotFound);
    }
    assert!(keys.existing(client).await.is_empty());
}

pub(super) async fn concurrent_puts_take_turns(client: &Client) {
    const PUTS: i64 = 64;
    let key = Keys::new().key("a");
    let tasks = (0..PUTS).map(|value| {
        let (client, key) = (client.clone(), key.clone());
        tokio::spawn(async move {
            let put = client
                .put(key, value.to_string())
                .prev_kv()
                .await
                .expect("a put");
            let previous = put.prev_kv.map_or(0, |kv| kv.version);
            (put.header.revision, previous)
        })
    });
    let mut revisions = BTreeSet::new();
    let mut versions = BTreeSet::new();
    for task in tasks.collect::<Vec<_>>() {
        let (revision, previous) = task.await.expect("a task");
        revisions.insert(revision);
        versions.insert(previous);
    }
    assert_eq!(revisions.len() as i64, PUTS, "no two puts share a revision");
    assert!(
        versions.into_iter().eq(0..PUTS),
        "each put follows another one"
    );
    let kv = client.get(&key).await.expect("a get").expect("the key");
    assert_eq!(kv.version, PUTS);
    assert_eq!(Some(kv.mod_revision), revisions.into_iter().next_back());
}

pub(super) async fn headers_identify_the_server(client: &Client) {
    let key = Keys::new().key("a");
    let put = client.put(&key, "1").await.expect("a put").header;
    let read = client.range(&key).await.expect("a read").header;
    for header in [put, read] {
        assert_ne!(header.cluster_id, 0);
        assert_ne!(header.member_id, MemberId(0));
        assert!(header.raft_term >= 1, "{header:?}");
    }
    assert_eq!(put.cluster_id, read.cluster_id);
    assert_eq!(put.revision, read.revision, "reading makes no revision");
}
