//! Delete.

use etcdkit::{Client, KeyRange};

use super::keys::Keys;

pub(super) async fn deleting_nothing_changes_nothing(client: &Client) {
    let keys = Keys::new();
    let revision = keys.fill(client, &["a"]).await[0];
    for prev_kv in [false, true] {
        let mut delete = client.delete(keys.key("missing"));
        if prev_kv {
            delete = delete.prev_kv();
        }
        let deleted = delete.await.expect("a delete");
        assert_eq!(deleted.deleted, 0);
        assert!(deleted.prev_kvs.is_empty());
        assert_eq!(deleted.header.revision, revision, "no new revision");
    }
}

pub(super) async fn one_key_goes(client: &Client) {
    let keys = Keys::new();
    let revision = keys.fill(client, &["a", "ab"]).await[1];
    let deleted = client
        .delete(keys.key("a"))
        .prev_kv()
        .await
        .expect("a delete");
    assert_eq!(deleted.deleted, 1);
    assert_eq!(keys.names(&deleted.prev_kvs), ["a"]);
    assert_eq!(deleted.prev_kvs[0].value, "a");
    assert_eq!(deleted.header.revision, revision + 1);
    assert_eq!(keys.existing(client).await, ["ab"]);
    let again = client.delete(keys.key("a")).await.expect("a delete");
    assert_eq!(again.deleted, 0);
}

pub(super) async fn a_range_goes_at_one_revision(client: &Client) {
    let keys = Keys::new();
    let revision = keys.fill(client, &["d", "b", "a", "c"]).await[3];
    let delete = client.delete(keys.key("a")..keys.key("d"));
    let deleted = delete.prev_kv().await.expect("a delete");
    assert_eq!(deleted.deleted, 3);
    assert_eq!(keys.names(&deleted.prev_kvs), ["a", "b", "c"]);
    assert_eq!(deleted.header.revision, revision + 1);
    assert_eq!(keys.existing(client).await, ["d"]);

    let silent = client.delete(keys.all()).await.expect("a delete");
    assert_eq!(silent.deleted, 1);
    assert!(silent.prev_kvs.is_empty(), "they were not asked for");
}

pub(super) async fn neighbours_of_a_prefix_stay(client: &Client) {
    let keys = Keys::new();
    keys.fill(client, &["a", "a/", "a/1", "a/2", "a0"]).await;
    let prefix = keys.key("a/");
    let deleted = client
        .delete(KeyRange::prefix(&prefix))
        .await
        .expect("a delete");
    assert_eq!(deleted.deleted, 3);
    assert_eq!(keys.existing(client).await, ["a", "a0"]);
}

/// At the far end of the key space, so that nobody else's keys go with it.
pub(super) async fn an_open_range_is_deleted(client: &Client) {
    let far = |tail: &[u8]| [&b"\xff\xff\xff\xffetcdkit-conformance/"[..], tail].concat();
    for tail in [b"a", b"b", b"c"] {
        client.put(far(tail), "").await.expect("a put");
    }
    let deleted = client
        .delete(KeyRange::from_key(far(b"b")))
        .await
        .expect("a delete");
    assert_eq!(deleted.deleted, 2);
    let deleted = client
        .delete(KeyRange::from_key(far(b"")))
        .await
        .expect("a delete");
    assert_eq!(deleted.deleted, 1);
}

pub(super) async fn the_past_stays_readable(client: &Client) {
    let keys = Keys::new();
    let revision = keys.fill(client, &["a", "b"]).await[1];
    let deleted = client
        .delete(keys.all())
        .await
        .expect("a delete")
        .header
        .revision;
    let then = client
        .range(keys.all())
        .revision(revision)
        .await
        .expect("a read");
    assert_eq!(keys.names(&then.kvs), ["a", "b"]);
    let now = client
        .range(keys.all())
        .revision(deleted)
        .await
        .expect("a read");
    assert_eq!(now.count, 0);
}
