//! The refusals of real servers against the table of errors.

use crate::{lines, transcript::Refusal};
use etcdkit_proto::EtcdError::{self, *};
use std::collections::BTreeSet;

/// Refusals whose code is not the one in the table: the line of servers (empty: every line), the
/// method, the error and the code that is sent.
const OTHER_CODES: &[(&str, &str, EtcdError, u32)] = &[
    // Only since 3.6 does etcd translate these refusals of maintenance requests.
    ("3.4.", "etcdserverpb.Maintenance/Defragment", UserEmpty, 2),
    ("3.5.", "etcdserverpb.Maintenance/Defragment", UserEmpty, 2),
    (
        "3.4.",
        "etcdserverpb.Maintenance/Defragment",
        InvalidAuthToken,
        2,
    ),
    (
        "3.5.",
        "etcdserverpb.Maintenance/Defragment",
        InvalidAuthToken,
        2,
    ),
    (
        "3.4.",
        "etcdserverpb.Maintenance/Defragment",
        PermissionDenied,
        2,
    ),
    (
        "3.5.",
        "etcdserverpb.Maintenance/Defragment",
        PermissionDenied,
        2,
    ),
    ("3.4.", "etcdserverpb.KV/Put", NotSupportedForLearner, 14),
    ("3.5.", "etcdserverpb.KV/Put", NotSupportedForLearner, 14),
    // The lock service is a client of its own server and passes the text on without the code.
    ("", "v3lockpb.Lock/Lock", LeaseNotFound, 2),
];

/// Rows that the recorder cannot bring about at will.
const NOT_PROVOKED: &[EtcdError] = &[
    InvalidClientApiVersion,
    AuthOldRevision,
    TooManyRequests,
    MemberExists,
    ClusterIdMismatch,
    NotCapable,
    ClusterVersionUnavailable,
    NoLeader,
    Stopped,
    ServerTimeout,
    TimeoutDueToLeaderFail,
    TimeoutDueToConnectionLost,
    TimeoutWaitAppliedIndex,
    TimeoutLeaderTransfer,
    WatchCanceled,
    RequestCanceled,
    ServerDeadlineExceeded,
    UnknownMethod,
    NotPrimaryLessor,
    ProposalDropped,
    LockSessionExpired,
    // Reasons of a cancelled watch, which are no statuses.
    WatcherNotExist,
    WatchEmptyRange,
    WatchDuplicateId,
];

fn refusals() -> impl Iterator<Item = (String, Refusal)> {
    lines().filter_map(|(place, line)| {
        line.starts_with('!')
            .then(|| (place.clone(), Refusal::from_line(&line).expect(&place)))
    })
}

#[test]
fn every_refusal_has_a_row_and_its_code() {
    for (place, refusal) in refusals() {
        let Refusal { method, code, text } = refusal;
        if code == 12 {
            assert!(text.starts_with("unknown method"), "{place}: {text}");
            continue;
        }
        let error = EtcdError::from_text(&text).unwrap_or_else(|| panic!("{place}: {text}"));
        let other = OTHER_CODES
            .iter()
            .find(|row| place.starts_with(row.0) && method == row.1 && error == row.2);
        let expected = other.map_or(error.wire_code() as u32, |row| row.3);
        assert_eq!(code, expected, "{place}: {method}: {text}");
    }
}

#[test]
fn every_row_is_provoked_but_the_named_ones() {
    let provoked: BTreeSet<&str> = refusals()
        .filter_map(|(_, refusal)| EtcdError::from_text(&refusal.text))
        .map(EtcdError::text)
        .collect();
    let all: BTreeSet<&str> = EtcdError::ALL.iter().map(|error| error.text()).collect();
    let missing: BTreeSet<&str> = all.difference(&provoked).copied().collect();
    let named = NOT_PROVOKED.iter().map(|error| error.text()).collect();
    assert_eq!(missing, named, "left: not provoked, right: the list");
}
