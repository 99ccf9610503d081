//! Rules of transactions.

use etcdkit_proto::EtcdError::{self, *};
use etcdkit_proto::etcdserverpb::compare::TargetUnion;
use etcdkit_proto::etcdserverpb::response_op::Response;
use etcdkit_proto::etcdserverpb::{
    Compare, PutRequest, RangeRequest, RequestOp, ResponseOp, TxnRequest, TxnResponse,
};
use etcdkit_store::{Store, check};

use super::{compact, delete, filled, get, keys, op, put, range, then};

const EQUAL: i32 = 0;
const GREATER: i32 = 1;
const LESS: i32 = 2;
const NOT_EQUAL: i32 = 3;

const VERSION: i32 = 0;
const CREATE: i32 = 1;
const MOD: i32 = 2;
const VALUE: i32 = 3;
const LEASE: i32 = 4;

fn compare(key: &'static str, target: i32, result: i32, operand: TargetUnion) -> Compare {
    let target_union = Some(operand);
    Compare {
        key: key.into(),
        range_end: "".into(),
        target,
        result,
        target_union,
    }
}

fn holds(store: &mut Store, compare: Compare) -> bool {
    let txn = TxnRequest {
        compare: vec![compare],
        ..Default::default()
    };
    store.txn(txn).unwrap().succeeded
}

fn revision(response: &ResponseOp) -> i64 {
    let header = match response.response.as_ref().unwrap() {
        Response::ResponseRange(response) => response.header,
        Response::ResponsePut(response) => response.header,
        Response::ResponseDeleteRange(response) => response.header,
        Response::ResponseTxn(response) => response.header,
    };
    header.unwrap().revision
}

fn nested(response: &ResponseOp) -> &TxnResponse {
    match response.response.as_ref().unwrap() {
        Response::ResponseTxn(response) => response,
        other => panic!("not a transaction: {other:?}"),
    }
}

#[test]
fn an_empty_transaction_succeeds_and_changes_nothing() {
    let mut store = filled();
    let done = store.txn(TxnRequest::default()).unwrap();
    assert!(done.succeeded && done.responses.is_empty());
    assert_eq!((done.header.unwrap().revision, store.revision()), (8, 8));
}

#[test]
fn comparisons_of_an_existing_key() {
    let mut store = filled();
    type Operand = fn(i64) -> TargetUnion;
    let targets: [(i32, Operand, i64); 4] = [
        (VERSION, TargetUnion::Version, 3),
        (CREATE, TargetUnion::CreateRevision, 3),
        (MOD, TargetUnion::ModRevision, 8),
        (LEASE, TargetUnion::Lease, 0),
    ];
    for (target, operand, actual) in targets {
        for (result, below, same, above) in [
            (EQUAL, false, true, false),
            (NOT_EQUAL, true, false, true),
            (GREATER, true, false, false),
            (LESS, false, false, true),
        ] {
            for (number, expected) in [(actual - 1, below), (actual, same), (actual + 1, above)] {
                let compare = compare("b", target, result, operand(number));
                assert_eq!(holds(&mut store, compare.clone()), expected, "{compare:?}");
            }
        }
    }
    for (result, value, expected) in [
        (EQUAL, "0", true),
        (EQUAL, "", false),
        (NOT_EQUAL, "1", true),
        (GREATER, "", true),
        (GREATER, "0", false),
        (LESS, "00", true),
        (LESS, "0", false),
    ] {
        let compare = compare("b", VALUE, result, TargetUnion::Value(value.into()));
        assert_eq!(holds(&mut store, compare), expected, "{result} {value:?}");
    }
}

#[test]
fn a_missing_key_has_numbers_of_0_and_no_value() {
    let mut store = filled();
    for (target, operand) in [
        (VERSION, TargetUnion::Version(0)),
        (CREATE, TargetUnion::CreateRevision(0)),
        (MOD, TargetUnion::ModRevision(0)),
        (LEASE, TargetUnion::Lease(0)),
    ] {
        assert!(holds(
            &mut store,
            compare("x", target, EQUAL, operand.clone())
        ));
        assert!(!holds(&mut store, compare("x", target, GREATER, operand)));
    }
    for result in [EQUAL, NOT_EQUAL, GREATER, LESS, 9] {
        let compare = compare("x", VALUE, result, TargetUnion::Value("".into()));
        assert!(!holds(&mut store, compare));
    }
}

#[test]
fn a_comparison_of_a_range_holds_for_every_key_of_it() {
    let mut store = filled();
    for (key, range_end, version, expected) in [
        ("c", "e", 1, true),
        ("b", "e", 1, false),
        ("c", "\0", 1, true),
        ("\0", "\0", 1, false),
        ("x", "z", 0, true),
        ("x", "z", 1, false),
        ("e", "c", 0, true),
    ] {
        let compare = Compare {
            range_end: range_end.into(),
            ..compare(key, VERSION, EQUAL, TargetUnion::Version(version))
        };
        assert_eq!(
            holds(&mut store, compare),
            expected,
            "{key} to {range_end:?}"
        );
    }
}

#[test]
fn odd_comparisons_have_etcds_answers() {
    let mut store = filled();
    // The operand of another target counts as 0.
    assert!(!holds(
        &mut store,
        compare("b", VERSION, EQUAL, TargetUnion::ModRevision(3))
    ));
    assert!(holds(
        &mut store,
        compare("b", VERSION, GREATER, TargetUnion::ModRevision(3))
    ));
    assert!(holds(
        &mut store,
        Compare {
            target_union: None,
            ..compare("b", VALUE, GREATER, TargetUnion::Lease(0))
        }
    ));
    // An unknown target is equal, an unknown result is true.
    assert!(holds(
        &mut store,
        compare("b", 9, EQUAL, TargetUnion::Version(7))
    ));
    assert!(!holds(
        &mut store,
        compare("b", 9, LESS, TargetUnion::Version(7))
    ));
    assert!(holds(
        &mut store,
        compare("b", VERSION, 9, TargetUnion::Version(7))
    ));
    assert!(holds(
        &mut store,
        compare("b", -1, -1, TargetUnion::Version(7))
    ));
}

#[test]
fn all_comparisons_must_hold() {
    let mut store = filled();
    let right = compare("a", VERSION, EQUAL, TargetUnion::Version(1));
    let wrong = compare("a", VERSION, EQUAL, TargetUnion::Version(2));
    let txn = TxnRequest {
        compare: vec![right, wrong],
        success: vec![op(put("a", "then"))],
        failure: vec![op(put("a", "else"))],
    };
    assert!(!store.txn(txn).unwrap().succeeded);
    assert_eq!(store.range(&get("a")).unwrap().kvs[0].value, "else");
}

#[test]
fn all_writes_share_a_revision_and_headers_follow_the_first() {
    let mut store = filled();
    let done = store
        .txn(then(vec![
            op(delete("x", "")),
            op(get("a")),
            op(put("f", "1")),
            op(delete("x", "")),
            op(delete("a", "c")),
            op(range("\0", "\0")),
        ]))
        .unwrap();
    assert_eq!(
        done.responses.iter().map(revision).collect::<Vec<_>>(),
        [8, 8, 9, 9, 9, 9]
    );
    assert_eq!(done.header.unwrap().revision, 9);
    let Some(Response::ResponseRange(found)) = &done.responses[5].response else {
        panic!()
    };
    assert_eq!(keys(found), "c d e f");
    assert_eq!(found.kvs[3].mod_revision, 9);
}

#[test]
fn a_range_at_an_old_revision_does_not_see_the_transaction() {
    let mut store = filled();
    let old = RangeRequest {
        revision: 8,
        ..get("a")
    };
    let done = store.txn(then(vec![op(put("a", "new")), op(old)])).unwrap();
    let Some(Response::ResponseRange(found)) = &done.responses[1].response else {
        panic!()
    };
    assert_eq!(
        (found.kvs[0].value.as_ref(), found.header.unwrap().revision),
        (b"5".as_slice(), 9)
    );
}

#[test]
fn nested_conditions_see_the_state_before_everything() {
    let mut store = Store::new();
    let missing = || compare("a", VERSION, EQUAL, TargetUnion::Version(0));
    let inner = TxnRequest {
        compare: vec![missing()],
        success: vec![op(put("b", "then"))],
        failure: vec![op(put("b", "else"))],
    };
    let done = store.txn(then(vec![op(put("a", "1")), op(inner)])).unwrap();
    let inner = nested(&done.responses[1]);
    assert!(inner.succeeded);
    assert_eq!(inner.header.unwrap().revision, 0);
    assert_eq!(revision(&inner.responses[0]), 2);
    assert_eq!(store.range(&get("b")).unwrap().kvs[0].value, "then");
}

#[test]
fn a_failure_on_the_path_taken_undoes_nothing_because_nothing_was_done() {
    let mut store = filled();
    compact(&mut store, 4).unwrap();
    let at = |revision| {
        op(RangeRequest {
            revision,
            ..get("a")
        })
    };
    let cases: Vec<(RequestOp, EtcdError)> = vec![
        (at(9), FutureRevision),
        (at(3), Compacted),
        (at(-1), Compacted),
        (
            op(PutRequest {
                lease: 7,
                ..put("x", "")
            }),
            LeaseNotFound,
        ),
        (
            op(PutRequest {
                ignore_value: true,
                ..put("x", "")
            }),
            KeyNotFound,
        ),
        (
            op(PutRequest {
                ignore_lease: true,
                ..put("x", "")
            }),
            KeyNotFound,
        ),
        // In a transaction the key is looked up before the lease.
        (
            op(PutRequest {
                ignore_value: true,
                lease: 7,
                ..put("x", "")
            }),
            KeyNotFound,
        ),
    ];
    for (bad, error) in cases {
        let hash = store.hash_kv(8).unwrap();
        let ops = vec![op(put("a", "changed")), bad.clone()];
        assert_eq!(store.txn(then(ops.clone())), Err(error));
        assert_eq!(
            store.txn(then(vec![op(put("b", "changed")), op(then(ops))])),
            Err(error)
        );
        assert_eq!(store.hash_kv(8).unwrap(), hash);
        assert_eq!(store.revision(), 8);
        let untaken = TxnRequest {
            failure: vec![bad],
            ..Default::default()
        };
        assert!(store.txn(untaken).unwrap().succeeded);
    }
}

#[test]
fn the_first_failure_in_order_is_the_answer() {
    let mut store = filled();
    let future = || {
        op(RangeRequest {
            revision: 99,
            ..get("a")
        })
    };
    let lease = || {
        op(PutRequest {
            lease: 7,
            ..put("x", "")
        })
    };
    assert_eq!(
        store.txn(then(vec![future(), lease()])),
        Err(FutureRevision)
    );
    assert_eq!(store.txn(then(vec![lease(), future()])), Err(LeaseNotFound));
}

#[test]
fn a_negative_revision_passes_only_before_the_first_compaction() {
    let mut store = filled();
    let at = |revision| {
        then(vec![op(RangeRequest {
            revision,
            ..get("a")
        })])
    };
    assert!(store.txn(at(-1)).is_ok());
    assert_eq!(store.txn(at(-2)), Err(Compacted));
    compact(&mut store, 0).unwrap();
    assert_eq!(store.txn(at(-1)), Err(Compacted));
    assert!(store.txn(at(0)).is_ok());
}

#[test]
fn a_key_put_by_the_transaction_itself_cannot_be_ignored_into() {
    let mut store = Store::new();
    let ignore = PutRequest {
        ignore_value: true,
        ..put("a", "")
    };
    let txn = then(vec![op(then(vec![op(put("b", "1"))])), op(ignore)]);
    assert_eq!(store.txn(txn), Err(KeyNotFound));
}

#[test]
fn a_put_ignoring_what_an_open_delete_took_is_refused() {
    let mut store = filled();
    let ignore = |key| {
        op(PutRequest {
            ignore_value: true,
            ..put(key, "")
        })
    };
    let txn = |from, key| then(vec![op(delete(from, "\0")), ignore(key)]);
    assert_eq!(store.txn(txn("a", "b")), Err(KeyNotFound));
    assert_eq!(store.txn(txn("b", "b")), Err(KeyNotFound));
    let two = then(vec![
        op(delete("a", "\0")),
        op(delete("c", "\0")),
        ignore("b"),
    ]);
    assert_eq!(store.txn(two), Err(KeyNotFound));
    assert_eq!(store.revision(), 8);
    assert!(
        store
            .txn(then(vec![ignore("b"), op(delete("c", "\0"))]))
            .is_ok()
    );
    assert!(store.txn(txn("b\0", "b")).is_ok());
}

#[test]
fn an_unchecked_empty_operation_changes_nothing() {
    let mut store = filled();
    let txn = then(vec![op(put("a", "changed")), RequestOp::default()]);
    assert_eq!(store.txn(txn), Err(KeyNotFound));
    assert_eq!(store.revision(), 8);
}

#[test]
fn the_deepest_transaction_that_passes_the_check_runs() {
    let innermost = then(vec![op(put("a", "deep"))]);
    let deepest = (1..check::MAX_TXN_DEPTH).fold(innermost, |inner, _| then(vec![op(inner)]));
    assert_eq!(check::txn(&deepest, usize::MAX), Ok(()));
    let mut store = Store::new();
    let too_deep = then(vec![op(deepest.clone())]);
    assert_eq!(store.txn(too_deep), Err(TooManyOps));
    assert_eq!(store.txn(deepest).unwrap().header.unwrap().revision, 2);
    assert_eq!(store.range(&get("a")).unwrap().kvs[0].value, "deep");
}
