//! Compaction. It reaches the whole store: other cases may run before and after, but not beside.

use etcdkit::{Client, ErrorKind, Op, OpResponse};

use super::keys::{Keys, kind};

pub(super) async fn older_revisions_are_gone(client: &Client) {
    let keys = Keys::new();
    let revisions = keys.fill(client, &["a", "a", "b"]).await;
    client
        .compact(revisions[1])
        .physical()
        .await
        .expect("a compaction");

    let before = client.get(keys.key("a")).revision(revisions[0]);
    assert_eq!(kind(before.await), ErrorKind::Compacted);
    let before = client.range(keys.all()).revision(1).count_only();
    assert_eq!(kind(before.await), ErrorKind::Compacted);
    let inside = client
        .txn()
        .then([Op::get(keys.key("a")).revision(revisions[0])]);
    assert_eq!(kind(inside.await), ErrorKind::Compacted);

    let at = client
        .range(keys.all())
        .revision(revisions[1])
        .await
        .expect("a read");
    assert_eq!(
        keys.names(&at.kvs),
        ["a"],
        "the compacted revision itself is readable"
    );
    let inside = client
        .txn()
        .then([Op::range(keys.all()).revision(revisions[2])]);
    match &inside.await.expect("a transaction").responses[..] {
        [OpResponse::Range(found)] => assert_eq!(keys.names(&found.kvs), ["a", "b"]),
        other => panic!("one range was asked for, not {other:?}"),
    }
}

pub(super) async fn revisions_compact_once(client: &Client) {
    let keys = Keys::new();
    let revisions = keys.fill(client, &["a", "a"]).await;
    client.compact(revisions[1]).await.expect("a compaction");
    for revision in [revisions[1], revisions[0], 1] {
        assert_eq!(kind(client.compact(revision).await), ErrorKind::Compacted);
    }
    assert_eq!(kind(client.compact(0).await), ErrorKind::Compacted);
}

pub(super) async fn the_future_cannot_be_compacted(client: &Client) {
    let keys = Keys::new();
    let revision = keys.fill(client, &["a"]).await[0];
    for physical in [false, true] {
        let mut compact = client.compact(revision + 1);
        if physical {
            compact = compact.physical();
        }
        assert_eq!(kind(compact.await), ErrorKind::FutureRevision);
    }
}

pub(super) async fn compaction_keeps_the_revision(client: &Client) {
    let keys = Keys::new();
    let revision = keys.fill(client, &["a", "b"]).await[1];
    let compacted = client
        .compact(revision - 1)
        .physical()
        .await
        .expect("a compaction");
    assert_eq!(compacted.header.revision, revision);
    assert_eq!(keys.fill(client, &["c"]).await, [revision + 1]);
}

pub(super) async fn compaction_keeps_what_lives(client: &Client) {
    let keys = Keys::new();
    keys.fill(client, &["a", "gone", "b", "b"]).await;
    let deleted = client.delete(keys.key("gone")).await.expect("a delete");
    client
        .compact(deleted.header.revision)
        .physical()
        .await
        .expect("a compaction");
    let found = client.range(keys.all()).await.expect("a read");
    assert_eq!(keys.names(&found.kvs), ["a", "b"]);
    assert_eq!(found.kvs[1].version, 2, "versions count on");
    let previous = client
        .put(keys.key("b"), "")
        .prev_kv()
        .await
        .expect("a put")
        .prev_kv;
    assert_eq!(previous.expect("the pair before").version, 2);
    let again = client
        .put(keys.key("gone"), "")
        .prev_kv()
        .await
        .expect("a put");
    assert_eq!(again.prev_kv, None);
}
