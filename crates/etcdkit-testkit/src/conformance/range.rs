//! Reading many keys.

use etcdkit::{Client, KeyRange, SortOrder, SortTarget};

use super::keys::Keys;

pub(super) async fn the_end_is_excluded(client: &Client) {
    let keys = Keys::new();
    keys.fill(client, &["k4", "k1", "k2", "k3", "k10"]).await;
    let found = client
        .range(keys.key("k1")..keys.key("k3"))
        .await
        .expect("a read");
    assert_eq!(
        keys.names(&found.kvs),
        ["k1", "k10", "k2"],
        "in the order of bytes"
    );
    assert_eq!(found.count, 3);
    assert!(!found.more);
}

pub(super) async fn rust_ranges_are_key_ranges(client: &Client) {
    let keys = Keys::new();
    keys.fill(client, &["a", "b", "b\0", "c"]).await;
    let inclusive = client
        .range(keys.key("a")..=keys.key("b"))
        .await
        .expect("a read");
    assert_eq!(keys.names(&inclusive.kvs), ["a", "b"]);
    let one = client.range(keys.key("b")).await.expect("a read");
    assert_eq!(keys.names(&one.kvs), ["b"]);
    for everything in [KeyRange::all(), KeyRange::from(..)] {
        let found = client
            .range(everything)
            .count_only()
            .await
            .expect("a count");
        assert!(found.count >= 4);
    }
    let below = client
        .range(..keys.key("b"))
        .keys_only()
        .await
        .expect("a read");
    let last = below.kvs.last().expect("a key below b");
    assert_eq!(keys.name(&last.key), "a");
}

pub(super) async fn a_prefix_finds_only_its_keys(client: &Client) {
    let keys = Keys::new();
    keys.fill(
        client,
        &["a", "job", "job/", "job/1", "job/2/3", "job0", "jobs"],
    )
    .await;
    let prefix = keys.key("job/");
    let found = client
        .range(KeyRange::prefix(&prefix))
        .await
        .expect("a read");
    assert_eq!(keys.names(&found.kvs), ["job/", "job/1", "job/2/3"]);
}

pub(super) async fn a_prefix_may_end_in_the_last_byte(client: &Client) {
    let keys = Keys::new();
    let key = |tail: &[u8]| [keys.key("p").as_bytes(), tail].concat();
    for tail in [
        &b""[..],
        b"\xfe",
        b"\xff",
        b"\xff\0",
        b"\xff\xff",
        b"\xff\xff\xff",
    ] {
        client.put(key(tail), "").await.expect("a put");
    }
    client.put(keys.key("q"), "").await.expect("a put");
    for (tail, expected) in [(&b"\xff"[..], 4), (b"\xff\xff", 2), (b"\xff\xff\xff", 1)] {
        let found = client
            .range(KeyRange::prefix(key(tail)))
            .await
            .expect("a read");
        assert_eq!(found.count, expected, "prefix {tail:?}");
    }
}

pub(super) async fn an_open_range_has_no_end(client: &Client) {
    let keys = Keys::new();
    keys.fill(client, &["a", "b", "c"]).await;
    let start = keys.key("b");
    for range in [KeyRange::from_key(&start), KeyRange::from(start.as_str()..)] {
        let found = client.range(range).limit(2).await.expect("a read");
        assert_eq!(keys.names(&found.kvs), ["b", "c"]);
    }
}

pub(super) async fn a_limit_cuts_and_says_so(client: &Client) {
    let keys = Keys::new();
    keys.fill(client, &["a", "b", "c", "d", "e"]).await;
    for (limit, expected, more) in [
        (1, 1, true),
        (4, 4, true),
        (5, 5, false),
        (9, 5, false),
        (0, 5, false),
    ] {
        let found = client.range(keys.all()).limit(limit).await.expect("a read");
        assert_eq!(found.kvs.len(), expected, "limit {limit}");
        assert_eq!(found.more, more, "limit {limit}");
        assert_eq!(found.count, 5, "the count knows no limit");
    }
}

pub(super) async fn count_only_counts_everything(client: &Client) {
    let keys = Keys::new();
    let revisions = keys.fill(client, &["a", "b", "c"]).await;
    let counted = client
        .range(keys.all())
        .count_only()
        .keys_only()
        .limit(1)
        .min_mod_revision(revisions[2])
        .await
        .expect("a count");
    assert_eq!(counted.count, 3, "neither limit nor bounds matter");
    assert!(counted.kvs.is_empty());
    assert!(!counted.more);
}

pub(super) async fn keys_only_leaves_values_out(client: &Client) {
    let keys = Keys::new();
    let revisions = keys.fill(client, &["a", "b"]).await;
    let found = client.range(keys.all()).keys_only().await.expect("a read");
    assert_eq!(keys.names(&found.kvs), ["a", "b"]);
    for (kv, revision) in found.kvs.iter().zip(revisions) {
        assert!(kv.value.is_empty());
        assert_eq!((kv.mod_revision, kv.version), (revision, 1));
    }
    let kv = client.get(keys.key("a")).keys_only().await.expect("a get");
    assert!(kv.expect("the key").value.is_empty());
}

pub(super) async fn an_old_revision_shows_what_was(client: &Client) {
    let keys = Keys::new();
    let revisions = keys.fill(client, &["a", "b", "c"]).await;
    client.delete(keys.key("a")).await.expect("a delete");
    let last = client.put(keys.key("b"), "new").await.expect("a put");
    let found = client
        .range(keys.all())
        .revision(revisions[1])
        .await
        .expect("a read");
    assert_eq!(keys.names(&found.kvs), ["a", "b"]);
    assert_eq!(found.kvs[1].value, "b");
    assert_eq!(found.count, 2);
    assert_eq!(
        found.header.revision, last.header.revision,
        "the newest, not the one read"
    );
}

pub(super) async fn revision_bounds_filter_but_do_not_count(client: &Client) {
    let keys = Keys::new();
    let created = keys.fill(client, &["a", "b", "c", "d"]).await;
    let changed = keys.fill(client, &["c", "b"]).await;
    // Modified in this order: a, d, c, b.
    let read = || client.range(keys.all());
    let filtered = [
        (read().min_mod_revision(created[3]), vec!["b", "c", "d"]),
        (read().max_mod_revision(created[3]), vec!["a", "d"]),
        (
            read()
                .min_mod_revision(changed[0])
                .max_mod_revision(changed[0]),
            vec!["c"],
        ),
        (read().min_create_revision(created[2]), vec!["c", "d"]),
        (read().max_create_revision(created[1]), vec!["a", "b"]),
        (read().min_mod_revision(changed[1] + 1), vec![]),
    ];
    for (read, expected) in filtered {
        let shown = format!("{read:?}");
        let found = read.await.expect("a read");
        assert_eq!(keys.names(&found.kvs), expected, "{shown}");
        assert_eq!(found.count, 4, "the count is that of the range");
        assert!(!found.more);
    }
    let cut = read()
        .max_mod_revision(created[3])
        .limit(1)
        .await
        .expect("a read");
    assert_eq!(keys.names(&cut.kvs), ["a"], "filtered first, cut then");
    assert!(cut.more);
}

pub(super) async fn every_sort_target_works(client: &Client) {
    let keys = Keys::new();
    keys.fill(client, &["b", "c", "a"]).await;
    client.put(keys.key("b"), "x").await.expect("a put");
    client.put(keys.key("c"), "w").await.expect("a put");
    client.put(keys.key("c"), "w").await.expect("a put");
    let ascending = [
        (SortTarget::Key, ["a", "b", "c"]),
        (SortTarget::Version, ["a", "b", "c"]),
        (SortTarget::CreateRevision, ["b", "c", "a"]),
        (SortTarget::ModRevision, ["a", "b", "c"]),
        (SortTarget::Value, ["a", "c", "b"]),
    ];
    for (target, mut expected) in ascending {
        let sorted = client
            .range(keys.all())
            .sort_by(target, SortOrder::Ascending);
        assert_eq!(
            keys.names(&sorted.await.expect("a read").kvs),
            expected,
            "{target:?}"
        );
        expected.reverse();
        let sorted = client
            .range(keys.all())
            .sort_by(target, SortOrder::Descending);
        assert_eq!(
            keys.names(&sorted.await.expect("a read").kvs),
            expected,
            "{target:?}"
        );
    }
}

pub(super) async fn sorting_comes_before_the_limit(client: &Client) {
    let keys = Keys::new();
    keys.fill(client, &["c", "a", "b"]).await;
    for (target, order, expected) in [
        (SortTarget::CreateRevision, SortOrder::Ascending, "c"),
        (SortTarget::CreateRevision, SortOrder::Descending, "b"),
        (SortTarget::Key, SortOrder::Descending, "c"),
    ] {
        let found = client
            .range(keys.all())
            .sort_by(target, order)
            .limit(1)
            .await;
        let found = found.expect("a read");
        assert_eq!(keys.names(&found.kvs), [expected], "{target:?} {order:?}");
        assert!(found.more);
        assert_eq!(found.count, 3);
    }
}

/// On a cluster such a read may be stale, so it is only asked for what was there all along.
pub(super) async fn a_serializable_read_answers(client: &Client) {
    let keys = Keys::new();
    let revisions = keys.fill(client, &["a", "b"]).await;
    let found = client
        .range(keys.all())
        .serializable()
        .await
        .expect("a read");
    assert!(found.kvs.len() <= 2);
    let kv = client
        .get(keys.key("a"))
        .serializable()
        .await
        .expect("a get");
    assert!(kv.is_none_or(|kv| kv.mod_revision == revisions[0]));
}

pub(super) async fn an_empty_range_is_no_error(client: &Client) {
    let keys = Keys::new();
    keys.fill(client, &["a"]).await;
    let found = client
        .range(keys.key("b")..keys.key("c"))
        .await
        .expect("a read");
    assert_eq!((found.kvs.len(), found.count, found.more), (0, 0, false));
    let found = client
        .range(keys.key("a")..keys.key("a"))
        .await
        .expect("a read");
    assert_eq!((found.kvs.len(), found.count, found.more), (0, 0, false));
}
