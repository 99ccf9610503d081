//! Rules on requests alone.

use bytes::Bytes;
use etcdkit_proto::EtcdError::{self, *};
use etcdkit_proto::etcdserverpb::{Compare, PutRequest, RangeRequest, RequestOp, TxnRequest};
use etcdkit_store::check;

use super::{delete, get, op, put, range, then};

#[test]
fn every_request_needs_a_key() {
    assert_eq!(check::range(&range("", "z")), Err(EmptyKey));
    assert_eq!(check::put(&put("", "v")), Err(EmptyKey));
    assert_eq!(check::delete_range(&delete("", "z")), Err(EmptyKey));
    let compare = TxnRequest {
        compare: vec![Compare::default()],
        ..Default::default()
    };
    assert_eq!(check::txn(&compare, 128), Err(EmptyKey));
    assert_eq!(
        check::txn(&then(vec![op(then(vec![op(get(""))]))]), 128),
        Err(EmptyKey)
    );
}

#[test]
fn unknown_sort_options_are_refused() {
    for number in [-1, 5, i32::MAX] {
        let order = RangeRequest {
            sort_order: number,
            ..get("a")
        };
        assert_eq!(check::range(&order), Err(InvalidSortOption));
        let target = RangeRequest {
            sort_target: number,
            ..get("a")
        };
        assert_eq!(check::range(&target), Err(InvalidSortOption));
    }
    assert_eq!(
        check::range(&RangeRequest {
            sort_order: 2,
            sort_target: 4,
            ..get("a")
        }),
        Ok(())
    );
}

#[test]
fn what_a_put_ignores_must_not_be_given() {
    let ignore_value = PutRequest {
        ignore_value: true,
        ..put("a", "")
    };
    assert_eq!(check::put(&ignore_value), Ok(()));
    assert_eq!(
        check::put(&PutRequest {
            value: "v".into(),
            ..ignore_value
        }),
        Err(ValueProvided)
    );
    let ignore_lease = PutRequest {
        ignore_lease: true,
        ..put("a", "v")
    };
    assert_eq!(check::put(&ignore_lease), Ok(()));
    assert_eq!(
        check::put(&PutRequest {
            lease: 1,
            ..ignore_lease
        }),
        Err(LeaseProvided)
    );
}

#[test]
fn an_operation_without_content_is_a_key_not_found() {
    assert_eq!(
        check::txn(&then(vec![RequestOp::default()]), 128),
        Err(KeyNotFound)
    );
}

#[test]
fn the_longest_list_counts_against_the_limit() {
    let gets = |count| vec![op(get("a")); count];
    let compares = |count| {
        vec![
            Compare {
                key: "a".into(),
                ..Default::default()
            };
            count
        ]
    };
    let txn = |compare, success, failure| TxnRequest {
        compare: compares(compare),
        success: gets(success),
        failure: gets(failure),
    };
    assert_eq!(check::txn(&txn(128, 128, 128), 128), Ok(()));
    assert_eq!(check::txn(&txn(129, 0, 0), 128), Err(TooManyOps));
    assert_eq!(check::txn(&txn(0, 129, 0), 128), Err(TooManyOps));
    assert_eq!(check::txn(&txn(0, 0, 129), 128), Err(TooManyOps));
    assert_eq!(check::txn(&txn(0, 3, 0), 2), Err(TooManyOps));
}

#[test]
fn a_nested_transaction_gets_what_its_outer_one_leaves() {
    let gets = |count| then(vec![op(get("a")); count]);
    let two_nested = then(vec![op(gets(126)), op(gets(126))]);
    assert_eq!(check::txn(&two_nested, 128), Ok(()));
    assert_eq!(
        check::txn(&then(vec![op(gets(127)), op(gets(1))]), 128),
        Err(TooManyOps)
    );
}

#[test]
fn nesting_is_bounded_whatever_the_limit() {
    let nested = |depth| (1..depth).fold(TxnRequest::default(), |inner, _| then(vec![op(inner)]));
    assert_eq!(check::txn(&nested(20), 128), Ok(()));
    assert_eq!(
        check::txn(&nested(check::MAX_TXN_DEPTH), usize::MAX),
        Ok(())
    );
    assert_eq!(
        check::txn(&nested(check::MAX_TXN_DEPTH + 1), usize::MAX),
        Err(TooManyOps)
    );
}

#[test]
fn a_branch_changes_a_key_once() {
    let nested = |success, failure| TxnRequest {
        success,
        failure,
        ..Default::default()
    };
    let a = || op(put("a", "1"));
    let cases: Vec<(&str, Vec<RequestOp>, Result<(), EtcdError>)> = vec![
        ("two puts", vec![a(), a()], Err(DuplicateKey)),
        (
            "put and delete",
            vec![a(), op(delete("a", ""))],
            Err(DuplicateKey),
        ),
        (
            "delete and put",
            vec![op(delete("a", "")), a()],
            Err(DuplicateKey),
        ),
        (
            "put in a deleted range",
            vec![op(delete("A", "b")), a()],
            Err(DuplicateKey),
        ),
        (
            "put at the end of a range",
            vec![op(delete("A", "a")), a()],
            Ok(()),
        ),
        (
            "put before a range",
            vec![op(delete("b", "c")), a()],
            Ok(()),
        ),
        (
            "put between ranges",
            vec![op(delete("A", "B")), op(delete("b", "c")), a()],
            Ok(()),
        ),
        ("reversed range", vec![op(delete("b", "A")), a()], Ok(())),
        ("open range", vec![op(delete("A", "\0")), a()], Ok(())),
        (
            "two deletes",
            vec![op(delete("a", "")), op(delete("a", "c"))],
            Ok(()),
        ),
        ("put and range", vec![a(), op(get("a"))], Ok(())),
        (
            "put and nested put",
            vec![a(), op(then(vec![a()]))],
            Err(DuplicateKey),
        ),
        (
            "put and nested delete",
            vec![a(), op(then(vec![op(delete("a", ""))]))],
            Err(DuplicateKey),
        ),
        (
            "delete and nested put",
            vec![op(delete("a", "")), op(then(vec![a()]))],
            Err(DuplicateKey),
        ),
        (
            "both nested branches",
            vec![op(nested(vec![a()], vec![a()]))],
            Ok(()),
        ),
        (
            "put and both nested branches",
            vec![a(), op(nested(vec![a()], vec![a()]))],
            Err(DuplicateKey),
        ),
        (
            "put against delete of the other nested branch",
            vec![op(nested(vec![a()], vec![op(delete("a", ""))]))],
            Ok(()),
        ),
        (
            "siblings",
            vec![op(then(vec![a()])), op(then(vec![a()]))],
            Err(DuplicateKey),
        ),
        (
            "sibling in its other branch",
            vec![op(then(vec![a()])), op(nested(vec![], vec![a()]))],
            Err(DuplicateKey),
        ),
        (
            "put after a sibling's delete",
            vec![op(then(vec![op(delete("a", ""))])), op(then(vec![a()]))],
            Err(DuplicateKey),
        ),
        (
            "put before a sibling's delete",
            vec![op(then(vec![a()])), op(then(vec![op(delete("a", ""))]))],
            Ok(()),
        ),
    ];
    for (name, ops, expected) in cases {
        assert_eq!(check::txn(&then(ops.clone()), 128), expected, "{name}");
        let untaken = TxnRequest {
            failure: ops,
            ..Default::default()
        };
        assert_eq!(
            check::txn(&untaken, 128),
            expected,
            "{name}, in the other branch"
        );
    }
}

#[test]
fn overlapping_deletes_cover_their_union() {
    let ranges = [
        (b'd', b'f'),
        (b'a', b'b'),
        (b'e', b'h'),
        (b'b', b'c'),
        (b'm', b'n'),
        (b'c', b'd'),
    ];
    for key in b'A'..=b'z' {
        let deletes = ranges.iter().map(|(from, to)| {
            let mut request = delete("", "");
            request.key = Bytes::copy_from_slice(&[*from]);
            request.range_end = Bytes::copy_from_slice(&[*to]);
            op(request)
        });
        let mut ops: Vec<_> = deletes.collect();
        ops.push(op(PutRequest {
            key: vec![key].into(),
            ..Default::default()
        }));
        let covered = ranges.iter().any(|(from, to)| (*from..*to).contains(&key));
        let expected = if covered { Err(DuplicateKey) } else { Ok(()) };
        assert_eq!(check::txn(&then(ops), 128), expected, "key {}", key as char);
    }
}
