//! Transactions.

use etcdkit::{
    Client, Compare, DeleteResponse, ErrorKind, KeyRange, LeaseId, Op, OpResponse, PutResponse,
    RangeResponse, Revision, SortOrder, SortTarget, TxnResponse,
};

use super::keys::{Keys, kind};

#[track_caller]
fn put(response: &OpResponse) -> &PutResponse {
    match response {
        OpResponse::Put(put) => put,
        other => panic!("expected a put, not {other:?}"),
    }
}

#[track_caller]
fn range(response: &OpResponse) -> &RangeResponse {
    match response {
        OpResponse::Range(range) => range,
        other => panic!("expected a range, not {other:?}"),
    }
}

#[track_caller]
fn delete(response: &OpResponse) -> &DeleteResponse {
    match response {
        OpResponse::Delete(delete) => delete,
        other => panic!("expected a delete, not {other:?}"),
    }
}

#[track_caller]
fn txn(response: &OpResponse) -> &TxnResponse {
    match response {
        OpResponse::Txn(txn) => txn,
        other => panic!("expected a transaction, not {other:?}"),
    }
}

async fn holds(client: &Client, condition: Compare) -> bool {
    all_hold(client, vec![condition]).await
}

/// With a read, because etcd answers a transaction without operations from the member's own store,
/// which may lag.
async fn all_hold(client: &Client, conditions: Vec<Compare>) -> bool {
    let done = client.txn().when(conditions).then([Op::get("any")]).await;
    done.expect("a transaction").succeeded
}

pub(super) async fn conditions_choose_the_branch(client: &Client) {
    let keys = Keys::new();
    let key = keys.key("lock");
    for (value, expected) in [("me", true), ("you", false)] {
        let done = client
            .txn()
            .when([Compare::missing(&key)])
            .then([Op::put(&key, value)])
            .or_else([Op::get(&key)])
            .await
            .expect("a transaction");
        assert_eq!(done.succeeded, expected);
        assert_eq!(done.responses.len(), 1);
        if expected {
            put(&done.responses[0]);
        } else {
            assert_eq!(range(&done.responses[0]).kvs[0].value, "me");
        }
    }
}

pub(super) async fn an_empty_transaction_succeeds(client: &Client) {
    let keys = Keys::new();
    let revision = keys.fill(client, &["a"]).await[0];
    let done = client.txn().await.expect("a transaction");
    assert!(done.succeeded);
    assert!(done.responses.is_empty());
    // A member that lags answers, too, with its own revision.
    assert!(done.header.revision <= revision);
    assert_eq!(
        keys.fill(client, &["a"]).await,
        [revision + 1],
        "it made no revision"
    );
}

pub(super) async fn a_transaction_that_reads_changes_nothing(client: &Client) {
    let keys = Keys::new();
    let revision = keys.fill(client, &["a"]).await[0];
    let done = client.txn().then([
        Op::get(keys.key("a")),
        Op::delete(keys.key("missing")),
        Op::txn([], [Op::range(keys.all())], []),
    ]);
    let done = done.await.expect("a transaction");
    assert_eq!(done.header.revision, revision);
    assert_eq!(range(&done.responses[0]).kvs[0].value, "a");
    assert_eq!(delete(&done.responses[1]).deleted, 0);
    let nested = txn(&done.responses[2]);
    assert_eq!(range(&nested.responses[0]).count, 1);
}

pub(super) async fn every_comparison_is_right(client: &Client) {
    let keys = Keys::new();
    let key = keys.key("a");
    let created = client.put(&key, "m").await.expect("a put").header.revision;
    let changed = client.put(&key, "m").await.expect("a put").header.revision;

    for (target, actual) in [("version", 2), ("create", created), ("mod", changed)] {
        let compare = || match target {
            "version" => Compare::version(&key),
            "create" => Compare::create_revision(&key),
            _ => Compare::mod_revision(&key),
        };
        for operand in [actual - 1, actual, actual + 1] {
            let results = [
                (compare().eq(operand), actual == operand),
                (compare().ne(operand), actual != operand),
                (compare().gt(operand), actual > operand),
                (compare().lt(operand), actual < operand),
            ];
            for (condition, expected) in results {
                let about = format!("{condition:?}");
                assert_eq!(holds(client, condition).await, expected, "{about}");
            }
        }
    }
    for operand in ["", "l", "m", "m\0", "n"] {
        let results = [
            (Compare::value(&key).eq(operand), "m" == operand),
            (Compare::value(&key).ne(operand), "m" != operand),
            (Compare::value(&key).gt(operand), "m" > operand),
            (Compare::value(&key).lt(operand), "m" < operand),
        ];
        for (condition, expected) in results {
            assert_eq!(
                holds(client, condition).await,
                expected,
                "value with {operand:?}"
            );
        }
    }
    assert!(holds(client, Compare::lease(&key).eq(0)).await);
    assert!(holds(client, Compare::lease(&key).ne(7)).await);
    assert!(holds(client, Compare::lease(&key).lt(7)).await);
    assert!(!holds(client, Compare::lease(&key).gt(0)).await);
    assert!(holds(client, Compare::exists(&key)).await);
    assert!(!holds(client, Compare::missing(&key)).await);
}

pub(super) async fn a_missing_key_compares_as_zero(client: &Client) {
    let key = Keys::new().key("missing");
    assert!(holds(client, Compare::missing(&key)).await);
    assert!(!holds(client, Compare::exists(&key)).await);
    assert!(holds(client, Compare::version(&key).eq(0)).await);
    assert!(holds(client, Compare::create_revision(&key).eq(0)).await);
    assert!(holds(client, Compare::mod_revision(&key).lt(1)).await);
    assert!(holds(client, Compare::lease(&key).eq(0)).await);
    assert!(!holds(client, Compare::version(&key).gt(0)).await);
}

pub(super) async fn the_value_of_a_missing_key_compares_never(client: &Client) {
    let key = Keys::new().key("missing");
    assert!(!holds(client, Compare::value(&key).eq("")).await);
    assert!(!holds(client, Compare::value(&key).ne("x")).await);
    assert!(!holds(client, Compare::value(&key).lt("x")).await);
    assert!(!holds(client, Compare::value(&key).gt("")).await);
}

pub(super) async fn all_keys_of_a_range_must_match(client: &Client) {
    let keys = Keys::new();
    keys.fill(client, &["a", "b", "c"]).await;
    client.put(keys.key("b"), "b").await.expect("a put");
    assert!(holds(client, Compare::version(keys.all()).gt(0)).await);
    assert!(
        !holds(client, Compare::version(keys.all()).eq(1)).await,
        "b has version 2"
    );
    assert!(!holds(client, Compare::value(keys.all()).ne("c")).await);
    assert!(holds(client, Compare::value(keys.all()).lt("d")).await);
    let all_but_b = Compare::version(keys.key("c")..).gt(0);
    assert!(holds(client, all_but_b).await);

    let empty = || KeyRange::range(keys.key("x"), keys.key("z"));
    assert!(holds(client, Compare::version(empty()).eq(0)).await);
    assert!(!holds(client, Compare::version(empty()).gt(0)).await);
    assert!(!holds(client, Compare::value(empty()).ne("")).await);
}

pub(super) async fn one_false_condition_decides(client: &Client) {
    let keys = Keys::new();
    let key = keys.key("a");
    let revision = keys.fill(client, &["a"]).await[0];
    let all_true = || {
        vec![
            Compare::value(&key).eq("a"),
            Compare::value(&key).ne("b"),
            Compare::version(&key).gt(0),
            Compare::version(&key).lt(2),
            Compare::create_revision(&key).eq(revision),
            Compare::mod_revision(&key).eq(revision),
        ]
    };
    assert!(all_hold(client, all_true()).await);
    for position in 0..=all_true().len() {
        let mut conditions = all_true();
        conditions.insert(position, Compare::value(&key).eq("b"));
        assert!(
            !all_hold(client, conditions).await,
            "a false condition at {position}"
        );
    }
}

pub(super) async fn compare_and_swap_by_revision(client: &Client) {
    let keys = Keys::new();
    let key = keys.key("a");
    let revision = keys.fill(client, &["a"]).await[0];
    let swap = |expected| {
        client
            .txn()
            .when([Compare::mod_revision(&key).eq(expected)])
            .then([Op::put(&key, "new").prev_kv()])
    };
    let wrong = swap(revision - 1).await.expect("a transaction");
    assert!(!wrong.succeeded);
    assert!(wrong.responses.is_empty());
    let right = swap(revision).await.expect("a transaction");
    assert!(right.succeeded);
    let previous = put(&right.responses[0]).prev_kv.as_ref();
    assert_eq!(previous.expect("the pair before").value, "a");
    assert!(!swap(revision).await.expect("a transaction").succeeded);
}

pub(super) async fn operations_see_earlier_ones(client: &Client) {
    let keys = Keys::new();
    keys.fill(client, &["a", "b"]).await;
    let done = client.txn().then([
        Op::range(keys.all()).keys_only(),
        Op::put(keys.key("c"), "new"),
        Op::range(keys.all()),
        Op::delete(keys.key("a")).prev_kv(),
        Op::range(keys.all()).count_only(),
    ]);
    let done = done.await.expect("a transaction");
    assert_eq!(keys.names(&range(&done.responses[0]).kvs), ["a", "b"]);
    let middle = range(&done.responses[2]);
    assert_eq!(keys.names(&middle.kvs), ["a", "b", "c"]);
    assert_eq!(middle.kvs[2].value, "new");
    assert_eq!(keys.names(&delete(&done.responses[3]).prev_kvs), ["a"]);
    assert_eq!(range(&done.responses[4]).count, 2);
}

pub(super) async fn writes_share_one_revision(client: &Client) {
    let keys = Keys::new();
    let before = keys.fill(client, &["x", "y"]).await[1];
    let done = client.txn().then([
        Op::get(keys.key("x")),
        Op::put(keys.key("a"), ""),
        Op::put(keys.key("b"), ""),
        Op::delete(keys.key("x")),
        Op::get(keys.key("a")),
    ]);
    let done = done.await.expect("a transaction");
    assert_eq!(done.header.revision, before + 1);
    let found = client.range(keys.all()).await.expect("a read");
    assert_eq!(keys.names(&found.kvs), ["a", "b", "y"]);
    assert_eq!(found.kvs[0].mod_revision, before + 1);
    assert_eq!(found.kvs[1].mod_revision, before + 1);
    // Operations before the first write still carry the old revision.
    assert_eq!(range(&done.responses[0]).header.revision, before);
    assert_eq!(put(&done.responses[1]).header.revision, before + 1);
    assert_eq!(range(&done.responses[4]).header.revision, before + 1);
}

pub(super) async fn every_option_works_inside(client: &Client) {
    let keys = Keys::new();
    let revisions = keys.fill(client, &["a", "b", "c"]).await;
    client.delete(keys.key("c")).await.expect("a delete");
    let done = client.txn().then([
        Op::range(keys.all()).revision(revisions[2]).limit(2),
        Op::range(keys.all()).sort_by(SortTarget::Key, SortOrder::Descending),
        Op::range(keys.all()).keys_only().serializable(),
        Op::range(keys.all()).count_only(),
        Op::range(keys.all())
            .min_mod_revision(revisions[1])
            .max_mod_revision(revisions[1])
            .min_create_revision(revisions[1])
            .max_create_revision(revisions[1]),
        Op::put(keys.key("a"), "").ignore_value().prev_kv(),
        Op::put(keys.key("b"), "new").ignore_lease(),
        Op::delete(keys.key("c")).prev_kv(),
    ]);
    let responses = done.await.expect("a transaction").responses;
    let old = range(&responses[0]);
    assert_eq!(keys.names(&old.kvs), ["a", "b"]);
    assert_eq!((old.count, old.more), (3, true));
    assert_eq!(keys.names(&range(&responses[1]).kvs), ["b", "a"]);
    assert!(
        range(&responses[2])
            .kvs
            .iter()
            .all(|kv| kv.value.is_empty())
    );
    assert_eq!(
        (range(&responses[3]).count, range(&responses[3]).kvs.len()),
        (2, 0)
    );
    assert_eq!(keys.names(&range(&responses[4]).kvs), ["b"]);
    assert_eq!(
        put(&responses[5])
            .prev_kv
            .as_ref()
            .expect("the pair before")
            .value,
        "a"
    );
    assert_eq!(put(&responses[6]).prev_kv, None);
    assert_eq!(delete(&responses[7]).deleted, 0);
    let kv = client
        .get(keys.key("a"))
        .await
        .expect("a get")
        .expect("the key");
    assert_eq!((kv.value, kv.version), ("a".into(), 2));
}

pub(super) async fn transactions_nest(client: &Client) {
    let keys = Keys::new();
    let before = keys.fill(client, &["a"]).await[0];
    let done = client
        .txn()
        .when([Compare::exists(keys.key("a"))])
        .then([
            Op::put(keys.key("outer"), "1"),
            Op::txn(
                [Compare::missing(keys.key("a"))],
                [Op::put(keys.key("wrong"), "")],
                [
                    Op::put(keys.key("inner"), "2"),
                    Op::txn([], [Op::range(keys.all()).keys_only()], []),
                ],
            ),
        ])
        .or_else([Op::put(keys.key("wrong"), "")])
        .await
        .expect("a transaction");
    assert!(done.succeeded);
    assert_eq!(done.header.revision, before + 1);
    let nested = txn(&done.responses[1]);
    assert!(!nested.succeeded);
    put(&nested.responses[0]);
    let innermost = txn(&nested.responses[1]);
    assert!(innermost.succeeded);
    assert_eq!(
        keys.names(&range(&innermost.responses[0]).kvs),
        ["a", "inner", "outer"]
    );
}

pub(super) async fn nested_conditions_see_the_state_before(client: &Client) {
    let keys = Keys::new();
    let done = client.txn().then([
        Op::put(keys.key("a"), "1"),
        Op::txn(
            [Compare::exists(keys.key("a"))],
            [Op::put(keys.key("seen"), "")],
            [Op::put(keys.key("not seen"), "")],
        ),
    ]);
    let done = done.await.expect("a transaction");
    assert!(!txn(&done.responses[1]).succeeded);
    assert_eq!(keys.existing(client).await, ["a", "not seen"]);
}

pub(super) async fn nesting_may_be_deep(client: &Client) {
    let keys = Keys::new();
    let mut op = Op::put(keys.key("a"), "deep");
    for _ in 0..20 {
        op = Op::txn([], [op], []);
    }
    client.txn().then([op]).await.expect("a transaction");
    let kv = client.get(keys.key("a")).await.expect("a get");
    assert_eq!(kv.expect("the key").value, "deep");
}

pub(super) async fn a_key_changes_once_in_a_branch(client: &Client) {
    let keys = Keys::new();
    let write = || Op::put(keys.key("b"), "");
    let remove = || Op::delete(keys.key("a")..keys.key("c"));
    let nested = |op| Op::txn([], [op], []);
    let refused = [
        vec![write(), write()],
        vec![write(), remove()],
        vec![remove(), write()],
        vec![write(), Op::delete(keys.key("b"))],
        vec![nested(write()), write()],
        vec![nested(write()), nested(write())],
        vec![remove(), nested(write())],
    ];
    for ops in refused {
        let about = format!("{ops:?}");
        let taken = client.txn().then(ops.clone());
        assert_eq!(kind(taken.await), ErrorKind::DuplicateKey, "{about}");
        let not_taken = client.txn().or_else(ops);
        assert_eq!(kind(not_taken.await), ErrorKind::DuplicateKey, "{about}");
    }
    assert!(keys.existing(client).await.is_empty());

    let allowed = [
        (vec![write()], vec![write()]),
        (vec![remove(), remove()], vec![]),
        (vec![write(), Op::range(keys.all())], vec![]),
        (vec![Op::txn([], [write()], [write()])], vec![]),
        (vec![write(), Op::delete(keys.key("c"))], vec![]),
    ];
    for (then, or_else) in allowed {
        let about = format!("{then:?} {or_else:?}");
        let done = client.txn().then(then).or_else(or_else).await;
        assert!(done.is_ok(), "{about}: {done:?}");
    }
}

/// 128 by default, of conditions and of each branch; a nested transaction gets what its outer one
/// leaves.
pub(super) async fn operations_are_limited(client: &Client) {
    let keys = Keys::new();
    let ops = |count: usize| {
        let names = (0..count).map(|number| keys.key(&number.to_string()));
        names.map(|key| Op::put(key, "")).collect::<Vec<_>>()
    };
    let conditions = |count| vec![Compare::missing(keys.key("a")); count];

    let done = client
        .txn()
        .when(conditions(128))
        .then(ops(128))
        .or_else(ops(128));
    assert_eq!(done.await.expect("a transaction").responses.len(), 128);
    for too_many in [
        client.txn().then(ops(129)),
        client.txn().or_else(ops(129)),
        client.txn().when(conditions(129)),
        client.txn().then([Op::txn([], ops(128), [])]),
        client
            .txn()
            .when(conditions(64))
            .then([Op::txn(conditions(65), [], [])]),
    ] {
        assert_eq!(kind(too_many.await), ErrorKind::TooManyOps);
    }
    let nested = client.txn().then([Op::txn([], ops(127), [])]).await;
    let nested = nested.expect("a transaction");
    assert_eq!(txn(&nested.responses[0]).responses.len(), 127);
}

pub(super) async fn a_failing_operation_undoes_all(client: &Client) {
    let keys = Keys::new();
    let before = keys.fill(client, &["a"]).await[0];
    let failing = [
        (
            Op::put(keys.key("x"), "").lease(LeaseId(7)),
            ErrorKind::LeaseNotFound,
        ),
        (
            Op::put(keys.key("x"), "").ignore_value(),
            ErrorKind::KeyNotFound,
        ),
        (
            Op::put(keys.key("x"), "").ignore_lease(),
            ErrorKind::KeyNotFound,
        ),
    ];
    for (op, expected) in failing {
        undoes_all(client, &keys, before, op, expected).await;
    }
}

/// On one member only: up to at least 3.6, members that need not answer skip the reads of a
/// transaction and apply the writes, so the members of a cluster part for good (etcd issue 18667).
pub(super) async fn a_failing_read_undoes_all(client: &Client) {
    let keys = Keys::new();
    let before = keys.fill(client, &["a"]).await[0];
    let future = Op::get(keys.key("a")).revision(before + 1);
    undoes_all(client, &keys, before, future, ErrorKind::FutureRevision).await;
}

/// A transaction of a put, a delete of `a` and this operation fails and changes nothing, wherever
/// the operation stands in it.
async fn undoes_all(client: &Client, keys: &Keys, before: Revision, op: Op, expected: ErrorKind) {
    let about = format!("{op:?}");
    let nested = Op::txn([], [op.clone()], []);
    for failing in [op, nested] {
        for position in 0..3 {
            let mut ops = vec![Op::put(keys.key("b"), ""), Op::delete(keys.key("a"))];
            ops.insert(position, failing.clone());
            assert_eq!(kind(client.txn().then(ops).await), expected, "{about}");
        }
    }
    let found = client.range(keys.all()).await.expect("a read");
    assert_eq!(keys.names(&found.kvs), ["a"], "{about}");
    assert_eq!(found.header.revision, before, "{about}");
}

pub(super) async fn the_other_branch_need_not_be_possible(client: &Client) {
    let keys = Keys::new();
    let revision = keys.fill(client, &["a"]).await[0];
    let done = client
        .txn()
        .when([Compare::exists(keys.key("a"))])
        .then([Op::put(keys.key("b"), "")])
        .or_else([
            Op::put(keys.key("c"), "").lease(LeaseId(7)),
            Op::get(keys.key("a")).revision(revision + 1_000),
            Op::put(keys.key("d"), "").ignore_value(),
        ]);
    assert!(done.await.expect("a transaction").succeeded);
    assert_eq!(keys.existing(client).await, ["a", "b"]);
}
