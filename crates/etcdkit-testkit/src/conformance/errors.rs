//! Requests that must fail, and what their errors say.

use etcdkit::{Client, Compare, ErrorKind, KeyRange, Op, Outcome};

use super::keys::{Keys, kind};

pub(super) async fn empty_keys_are_refused(client: &Client) {
    let empty = || KeyRange::key("");
    assert_eq!(kind(client.put("", "1").await), ErrorKind::EmptyKey);
    assert_eq!(kind(client.get("").await), ErrorKind::EmptyKey);
    assert_eq!(kind(client.range(empty()).await), ErrorKind::EmptyKey);
    assert_eq!(kind(client.delete(empty()).await), ErrorKind::EmptyKey);
    let condition = client.txn().when([Compare::exists("")]);
    assert_eq!(kind(condition.await), ErrorKind::EmptyKey);
    for op in [Op::put("", ""), Op::get(""), Op::delete(empty())] {
        let nested = Op::txn([], [], [op.clone()]);
        assert_eq!(kind(client.txn().then([op]).await), ErrorKind::EmptyKey);
        assert_eq!(
            kind(client.txn().or_else([nested]).await),
            ErrorKind::EmptyKey
        );
    }
}

pub(super) async fn reversed_ranges_are_refused(client: &Client) {
    let reversed = || KeyRange::range("b", "a");
    assert_eq!(
        kind(client.range(reversed()).await),
        ErrorKind::InvalidRequest
    );
    assert_eq!(
        kind(client.delete(reversed()).await),
        ErrorKind::InvalidRequest
    );
    let txn = client.txn().then([Op::delete(reversed())]);
    assert_eq!(kind(txn.await), ErrorKind::InvalidRequest);
}

pub(super) async fn negative_numbers_are_refused(client: &Client) {
    assert_eq!(
        kind(client.range("a").limit(-1).await),
        ErrorKind::InvalidRequest
    );
    assert_eq!(
        kind(client.get("a").revision(-1).await),
        ErrorKind::InvalidRequest
    );
}

pub(super) async fn the_future_cannot_be_read(client: &Client) {
    let keys = Keys::new();
    let revision = keys.fill(client, &["a"]).await[0];
    for future in [revision + 1, i64::MAX] {
        let get = client.get(keys.key("a")).revision(future);
        assert_eq!(kind(get.await), ErrorKind::FutureRevision);
        let counted = client.range(keys.all()).revision(future).count_only();
        assert_eq!(kind(counted.await), ErrorKind::FutureRevision);
    }
}

/// etcd takes requests up to 1.5 MiB by default, its gRPC layer messages up to 2 MiB.
pub(super) async fn large_requests_are_refused(client: &Client) {
    let keys = Keys::new();
    for size in [1_572_864, 2_000_000, 2_200_000, 5_000_000] {
        let error = client.put(keys.key("a"), vec![b'x'; size]).await;
        let error = error.expect_err("too large");
        assert_eq!(
            error.kind(),
            ErrorKind::RequestTooLarge,
            "{size} bytes: {error}"
        );
        assert_eq!(error.outcome(), Outcome::NotApplied);
    }
    assert!(keys.existing(client).await.is_empty());
    keys.fill(client, &["the connection still works"]).await;
}

pub(super) async fn errors_tell_their_story(client: &Client) {
    let keys = Keys::new();
    let revision = keys.fill(client, &["a"]).await[0];
    let get = client.get(keys.key("a")).revision(revision + 1);
    let error = get.await.expect_err("the future");
    assert_eq!(
        error.code().map(|code| code.number()),
        Some(11),
        "out of range"
    );
    assert_eq!(
        error.message(),
        "etcdserver: mvcc: required revision is a future revision"
    );
    assert_eq!(error.outcome(), Outcome::NotApplied);
    assert_eq!(error.attempts(), 1, "it is no use to repeat it");
    let endpoint = error.endpoint().expect("an answer comes from somewhere");
    assert!(
        client.endpoints().any(|known| known == endpoint),
        "{endpoint}"
    );
    let text = error.to_string();
    assert!(
        text.contains("future revision") && text.contains(endpoint),
        "{text}"
    );

    let error = client.put("", "").await.expect_err("an empty key");
    assert_eq!(error.attempts(), 0, "it was never sent");
    assert_eq!(error.outcome(), Outcome::NotApplied);
}
