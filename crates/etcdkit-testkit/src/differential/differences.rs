//! The deliberate differences between the embedded server and real etcds: all of them that show.
//!
//! The embedded server follows 3.6 where versions differ. Not listed, because no test sends them, are
//! requests that crash real servers, or that make them wait for members that do not exist;
//! `generate.rs` says which. What users need to know of all this is in
//! `etcdkit-server/docs/differences.md`.

mod excuses;

use etcdkit_proto::etcdserverpb::downgrade_request::DowngradeAction;

use self::excuses::*;
use super::{
    calls::{Answer, Call},
    difference::{Difference, Versions},
    operation::{Operation, QueueAnswer, WatchAnswer, WatchCall},
    outcome::Outcome,
};
use crate::etcd::Version;

const V3_5: Version = Version::new(3, 5, 0);
const V3_6: Version = Version::new(3, 6, 0);
const V3_7: Version = Version::new(3, 7, 0);

/// The list.
pub const DIFFERENCES: &[Difference<Operation, Outcome>] = &[
    Difference {
        name: "unknown sort order",
        reason: "3.6 refuses it; before, it meant unsorted",
        versions: Versions::Before(V3_6),
        excuses: |operation, _, embedded| {
            matches!(&operation.call, Call::Range(request) if !(0..3).contains(&request.sort_order))
                && embedded.is_refused("etcdserver: invalid sort option")
        },
    },
    Difference {
        name: "first error of a transaction",
        reason: "of several wrong operations 3.6 reports the first; before, puts went before reads",
        versions: Versions::Before(V3_6),
        excuses: |operation, real, embedded| {
            matches!(operation.call, Call::Txn(_))
                && (real.is_refused("etcdserver: key not found")
                    || real.is_refused("etcdserver: requested lease not found"))
                && (embedded.is_refused("etcdserver: mvcc: required revision has been compacted")
                    || embedded
                        .is_refused("etcdserver: mvcc: required revision is a future revision"))
        },
    },
    Difference {
        name: "first error of a put in a transaction",
        reason: "3.7 looks at the lease before the key",
        versions: Versions::Since(V3_7),
        excuses: |operation, real, embedded| {
            matches!(operation.call, Call::Txn(_))
                && real.is_refused("etcdserver: requested lease not found")
                && embedded.is_refused("etcdserver: key not found")
        },
    },
    Difference {
        name: "leases of keys without values",
        reason: "3.7 may leave out the lease with `keys_only`",
        versions: Versions::Since(V3_7),
        excuses: |operation, real, embedded| {
            asks_for_keys_only(&operation.call)
                && real.answer().is_some()
                && without_leases(real) == without_leases(embedded)
        },
    },
    Difference {
        name: "shortest TTL",
        reason: "etcd's is 1.5 election timeouts, which tests shorten; the embedded server's is that \
                 of the default timeout",
        versions: Versions::All,
        excuses: |_, real, embedded| match (real.answer(), embedded.answer()) {
            (Some(Answer::LeaseGrant(real)), Some(Answer::LeaseGrant(embedded))) => {
                let mut embedded = embedded.clone();
                embedded.ttl -= 1;
                real.ttl == 1 && *real == embedded
            }
            _ => false,
        },
    },
    Difference {
        name: "hash_revision",
        reason: "the field exists since 3.6; before, it is 0",
        versions: Versions::Before(V3_6),
        excuses: |_, real, embedded| match (real.answer(), embedded.answer()) {
            (Some(Answer::HashKv(real)), Some(Answer::HashKv(embedded))) => {
                let mut embedded = *embedded;
                embedded.hash_revision = 0;
                *real == embedded
            }
            _ => false,
        },
    },
    Difference {
        name: "HashKV at the compacted revision",
        reason: "3.4 refuses the compacted revision itself, and remembers no hashes of compactions",
        versions: Versions::Before(V3_5),
        excuses: |operation, real, embedded| {
            matches!(&operation.call, Call::HashKv(request) if request.revision > 0)
                && real.is_refused("etcdserver: mvcc: required revision has been compacted")
                && embedded.answer().is_some()
        },
    },
    Difference {
        name: "HashKV after compacting revision 0",
        reason: "since 3.5 a request for revision 0, the current one, then finds the empty hash of \
                 that compaction",
        versions: Versions::Before(V3_5),
        excuses: |operation, real, embedded| match (&operation.call, embedded.answer()) {
            (Call::HashKv(request), Some(Answer::HashKv(embedded))) => {
                request.revision == 0 && embedded.hash == HASH_OF_NOTHING && real.answer().is_some()
            }
            _ => false,
        },
    },
    Difference {
        name: "watches from a tombstone at the compacted revision",
        reason: "3.5.16 keeps it; before, a compaction removed it, and a watch from there missed it",
        versions: Versions::Before(Version::new(3, 5, 16)),
        excuses: |_, real, embedded| differ_in_deletions_only(real, embedded),
    },
    Difference {
        name: "watches from negative revisions",
        reason: "3.5.24 refuses them; before, they were started and cancelled",
        versions: Versions::Before(Version::new(3, 5, 24)),
        excuses: |operation, _, embedded| {
            matches!(&operation.call, Call::Watch(WatchCall::Create { request, .. })
                if request.start_revision < 0)
                && !took_effect(embedded)
        },
    },
    Difference {
        name: "progress of watches that are not synced",
        reason: "3.5.22 leaves such a request without an answer; before, a watch that starts in the \
                 future did not matter, and in 3.4 nothing did",
        versions: Versions::Before(Version::new(3, 5, 22)),
        excuses: |operation, real, embedded| {
            let asks = matches!(operation.call, Call::Watch(WatchCall::Progress { .. }));
            let is_told = matches!(real.answer(), Some(Answer::Watch(WatchAnswer::Message(_))));
            let is_not = matches!(embedded.answer(), Some(Answer::Watch(WatchAnswer::Nothing)));
            (asks && is_told && is_not) || without_unasked_progress(real) == *embedded
        },
    },
    Difference {
        name: "locks whose key is gone",
        reason: "3.5 says that the session has expired; before, the lock seemed to be had",
        versions: Versions::Before(V3_5),
        excuses: |_, real, embedded| {
            matches!(real.answer(), Some(Answer::Queue(QueueAnswer::Locked(_))))
                && embedded.is_refused("mutex: session is expired")
        },
    },
    Difference {
        name: "permission for a range that ends before it starts",
        reason: "such a range has no keys; etcd's answer depends on the order in which permissions \
                 were granted, the embedded server's on the permission for the start",
        versions: Versions::All,
        excuses: |operation, real, embedded| {
            has_reversed_range(&operation.call) && is_denied(real) != is_denied(embedded)
        },
    },
    Difference {
        name: "permission to watch an open range",
        reason: "GHSA-xg4h-6gfc-h4m8: a permission for the first key was enough until 3.6.13",
        versions: Versions::Before(Version::new(3, 6, 14)),
        excuses: |operation, real, embedded| {
            watches_open_range(&operation.call) && is_denied(embedded) && !is_denied(real)
        },
    },
    Difference {
        name: "permission for nested transactions",
        reason: "CVE-2026-33343: they were not checked",
        versions: Versions::Before(Version::new(3, 6, 14)),
        excuses: |operation, real, embedded| {
            has_nested_txn(&operation.call) && is_denied(embedded) && !is_denied(real)
        },
    },
    Difference {
        name: "calls that need a user, or root",
        reason: "before 3.6 fewer calls were checked, those of leases and maintenance above all",
        versions: Versions::Before(V3_6),
        excuses: |operation, real, embedded| {
            !is_kv_or_watch(&operation.call) && is_unwelcome(embedded) && !is_unwelcome(real)
        },
    },
    Difference {
        name: "Status for root only",
        reason: "a mistake of 3.5.30's; any user may ask, before and after",
        versions: Versions::Before(V3_6),
        excuses: |operation, real, embedded| {
            matches!(operation.call, Call::Status(_))
                && is_unwelcome(real)
                && embedded.answer().is_some()
        },
    },
    Difference {
        name: "codes of refusals by maintenance",
        reason: "before 3.6 they were sent without a code, and with another prefix",
        versions: Versions::Before(V3_6),
        excuses: |_, real, embedded| is_same_without_code(real, embedded),
    },
    Difference {
        name: "what comes before a password that is too long",
        reason: "since 3.5 it is hashed first; 3.4 asks who the caller is, and for the user, before",
        versions: Versions::Before(V3_5),
        excuses: |_, real, embedded| {
            embedded.is_refused("bcrypt: password length exceeds 72 bytes")
                && (real.is_refused("etcdserver: permission denied")
                    || real.is_refused("etcdserver: invalid auth token")
                    || real.is_refused("etcdserver: user name is empty")
                    || real.is_refused("etcdserver: user name already exists")
                    || real.is_refused("etcdserver: user name not found"))
        },
    },
    Difference {
        name: "tokens while authentication is off",
        reason: "3.5 ignores them; before, an unknown one was refused",
        versions: Versions::Before(V3_5),
        excuses: |_, real, embedded| has_bad_token(real) && !is_unwelcome(embedded),
    },
    Difference {
        name: "AuthStatus",
        reason: "the call exists since 3.5",
        versions: Versions::Before(V3_5),
        excuses: |operation, real, _| {
            matches!(operation.call, Call::AuthStatus(_)) && is_unknown_method(real)
        },
    },
    Difference {
        name: "AuthStatus for everybody",
        reason: "3.7 tells whoever asks; before, only root",
        versions: Versions::Since(V3_7),
        excuses: |operation, real, embedded| {
            matches!(operation.call, Call::AuthStatus(_))
                && real.answer().is_some()
                && is_unwelcome(embedded)
        },
    },
    Difference {
        name: "permissions for ranges without keys",
        reason: "3.5 refuses to grant them",
        versions: Versions::Before(V3_5),
        excuses: |operation, _, embedded| {
            matches!(operation.call, Call::RoleGrantPermission(_))
                && embedded.is_refused("etcdserver: invalid auth management")
        },
    },
    Difference {
        name: "permissions of the role root",
        reason: "3.6 shows that it may do everything; before, what it was granted",
        versions: Versions::Before(V3_6),
        excuses: |operation, real, embedded| {
            matches!(&operation.call, Call::RoleGet(request) if request.role == "root")
                && real.answer().is_some()
                && embedded.answer().is_some()
        },
    },
    Difference {
        name: "alarms together",
        reason: "before 3.6 the one raised last decided alone, and taking one back lifted all",
        versions: Versions::Before(V3_6),
        excuses: |_, real, embedded| real != embedded && (is_alarmed(embedded) || is_alarmed(real)),
    },
    Difference {
        name: "answers to alarms that are not raised",
        reason: "3.4 sends no header",
        versions: Versions::Before(V3_5),
        excuses: |_, real, embedded| match (real.answer(), embedded.answer()) {
            (Some(Answer::Alarm(real)), Some(Answer::Alarm(embedded))) => {
                real.header.is_none() && real.alarms == embedded.alarms
            }
            _ => false,
        },
    },
    Difference {
        name: "Status in other words",
        reason: "3.4 and before 3.5.13 are versions the embedded server does not call itself",
        versions: Versions::Before(Version::new(3, 5, 13)),
        excuses: |_, real, embedded| {
            real.answer().is_some() && without_version(real) == without_version(embedded)
        },
    },
    Difference {
        name: "spaces between the words of alarms in Status",
        reason: "since 3.7 they differ from build to build, on purpose",
        versions: Versions::Since(V3_7),
        excuses: |_, real, embedded| {
            real.answer().is_some() && with_single_spaces(real) == with_single_spaces(embedded)
        },
    },
    Difference {
        name: "Downgrade",
        reason: "the call exists since 3.5, which names the version otherwise and refuses to cancel \
                 what is not under way",
        versions: Versions::Before(V3_6),
        excuses: |operation, real, embedded| {
            let Call::Downgrade(request) = &operation.call else {
                return false;
            };
            let cancels = request.action == DowngradeAction::Cancel as i32;
            is_unknown_method(real)
                || (cancels && real.is_refused("etcdserver: no inflight downgrade job"))
                || is_same_but_for_patch_version(real, embedded)
        },
    },
];

/// The CRC-32C of `key`, the name of the bucket that `HashKV` covers.
const HASH_OF_NOTHING: u32 = 1_084_519_789;

/// Whether servers that answered so have different states now, so that nothing more can be compared.
pub(super) fn have_parted(operation: &Operation, real: &Outcome, embedded: &Outcome) -> bool {
    changes_state(&operation.call) && took_effect(real) != took_effect(embedded)
}
