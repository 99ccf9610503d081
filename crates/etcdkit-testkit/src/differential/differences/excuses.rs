//! Questions to operations and their outcomes, of which the list is made.

use etcdkit_proto::{
    etcdserverpb::{TxnRequest, TxnResponse, request_op::Request, response_op::Response},
    mvccpb::{KeyValue, event::EventType},
};
use tonic::Code;

use crate::differential::{
    calls::{Answer, Call},
    operation::{WatchAnswer, WatchCall},
    outcome::Outcome,
};

const PREFIX: &str = "etcdserver: ";
const DENIED: &str = "permission denied";
const NO_USER: &str = "user name is empty";
const BAD_TOKEN: &str = "invalid auth token";

/// What a refusal says, without what says who refuses.
fn refusal(outcome: &Outcome) -> Option<&str> {
    let text = match outcome {
        Outcome::Refused { text, .. } => text,
        Outcome::Answered(Answer::Watch(WatchAnswer::Message(response))) if response.canceled => {
            &response.cancel_reason
        }
        _ => return None,
    };
    let text = text
        .rsplit_once("desc = ")
        .map_or(&**text, |(_, text)| text);
    let text = text.strip_prefix("auth: ").unwrap_or(text);
    Some(text.strip_prefix(PREFIX).unwrap_or(text))
}

/// Whether a permission is missing.
pub(super) fn is_denied(outcome: &Outcome) -> bool {
    refusal(outcome) == Some(DENIED)
}

pub(super) fn has_bad_token(outcome: &Outcome) -> bool {
    refusal(outcome) == Some(BAD_TOKEN)
}

/// Whether a caller is refused for who it is.
pub(super) fn is_unwelcome(outcome: &Outcome) -> bool {
    refusal(outcome).is_some_and(|text| [DENIED, NO_USER, BAD_TOKEN].contains(&text))
}

/// Whether an alarm keeps from writing.
pub(super) fn is_alarmed(outcome: &Outcome) -> bool {
    let texts = ["corrupt cluster", "mvcc: database space exceeded"];
    refusal(outcome).is_some_and(|text| texts.contains(&text))
}

pub(super) fn is_unknown_method(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Refused { code: Code::Unimplemented, text } if text.starts_with("unknown method"))
}

/// Whether two refusals say the same, the real one without a code.
pub(super) fn is_same_without_code(real: &Outcome, embedded: &Outcome) -> bool {
    matches!(
        real,
        Outcome::Refused {
            code: Code::Unknown,
            ..
        }
    ) && refusal(real).is_some()
        && refusal(real) == refusal(embedded)
}

pub(super) fn is_kv_or_watch(call: &Call) -> bool {
    matches!(
        call,
        Call::Range(_) | Call::Put(_) | Call::DeleteRange(_) | Call::Txn(_) | Call::Watch(_)
    )
}

/// Whether what a call asks for was done.
pub(super) fn took_effect(outcome: &Outcome) -> bool {
    outcome.answer().is_some() && refusal(outcome).is_none()
}

/// Whether it matters later whether a call was carried out.
pub(super) fn changes_state(call: &Call) -> bool {
    !matches!(
        call,
        Call::Range(_)
            | Call::HashKv(_)
            | Call::Hash(_)
            | Call::Status(_)
            | Call::MemberList(_)
            | Call::LeaseKeepAlive(_)
            | Call::LeaseTimeToLive(_)
            | Call::LeaseLeases(_)
            | Call::AuthStatus(_)
            | Call::UserGet(_)
            | Call::UserList(_)
            | Call::RoleGet(_)
            | Call::RoleList(_)
            | Call::Leader(_)
            | Call::Defragment(_)
            | Call::Downgrade(_)
            | Call::MoveLeader(_)
            | Call::Watch(WatchCall::Progress { .. } | WatchCall::Drain { .. })
    )
}

pub(super) fn watches_open_range(call: &Call) -> bool {
    matches!(call, Call::Watch(WatchCall::Create { request, .. }) if request.range_end == b"\0"[..])
}

pub(super) fn has_nested_txn(call: &Call) -> bool {
    let Call::Txn(txn) = call else { return false };
    let mut ops = txn.success.iter().chain(&txn.failure);
    ops.any(|op| matches!(op.request, Some(Request::RequestTxn(_))))
}

pub(super) fn has_reversed_range(call: &Call) -> bool {
    let is_reversed = |key: &[u8], end: &[u8]| !matches!(end, b"" | b"\0") && end <= key;
    match call {
        Call::Range(request) => is_reversed(&request.key, &request.range_end),
        Call::DeleteRange(request) => is_reversed(&request.key, &request.range_end),
        Call::Watch(WatchCall::Create { request, .. }) => {
            is_reversed(&request.key, &request.range_end)
        }
        Call::Txn(txn) => any_range(txn, &is_reversed),
        _ => false,
    }
}

/// Whether a range of a transaction, of whatever operation or comparison, is of a kind.
fn any_range(txn: &TxnRequest, is_it: &impl Fn(&[u8], &[u8]) -> bool) -> bool {
    let compares = &mut txn.compare.iter();
    let ops = &mut txn.success.iter().chain(&txn.failure);
    compares.any(|compare| is_it(&compare.key, &compare.range_end))
        || ops.any(|op| match &op.request {
            Some(Request::RequestRange(request)) => is_it(&request.key, &request.range_end),
            Some(Request::RequestDeleteRange(request)) => is_it(&request.key, &request.range_end),
            Some(Request::RequestTxn(txn)) => any_range(txn, is_it),
            _ => false,
        })
}

pub(super) fn asks_for_keys_only(call: &Call) -> bool {
    match call {
        Call::Range(request) => request.keys_only,
        Call::Txn(txn) => txn_asks_for_keys_only(txn),
        _ => false,
    }
}

fn txn_asks_for_keys_only(txn: &TxnRequest) -> bool {
    let mut ops = txn.success.iter().chain(&txn.failure);
    ops.any(|op| match &op.request {
        Some(Request::RequestRange(request)) => request.keys_only,
        Some(Request::RequestTxn(txn)) => txn_asks_for_keys_only(txn),
        _ => false,
    })
}

/// Without the leases of all pairs that have no value.
pub(super) fn without_leases(outcome: &Outcome) -> Outcome {
    let mut outcome = outcome.clone();
    match &mut outcome {
        Outcome::Answered(Answer::Range(response)) => clear_leases(&mut response.kvs),
        Outcome::Answered(Answer::Txn(response)) => clear_leases_in(response),
        _ => {}
    }
    outcome
}

fn clear_leases_in(response: &mut TxnResponse) {
    for op in &mut response.responses {
        match &mut op.response {
            Some(Response::ResponseRange(response)) => clear_leases(&mut response.kvs),
            Some(Response::ResponseTxn(response)) => clear_leases_in(response),
            _ => {}
        }
    }
}

fn clear_leases(kvs: &mut [KeyValue]) {
    for kv in kvs.iter_mut().filter(|kv| kv.value.is_empty()) {
        kv.lease = 0;
    }
}

/// Without the messages that nothing called for, if they tell of progress.
pub(super) fn without_unasked_progress(outcome: &Outcome) -> Outcome {
    let mut outcome = outcome.clone();
    if let Outcome::Answered(Answer::Watch(WatchAnswer::Drained { unasked, .. })) = &mut outcome {
        unasked.retain(|message| message.canceled || !message.events.is_empty());
    }
    outcome
}

/// Whether the real events are those of the embedded server without some deletions.
pub(super) fn differ_in_deletions_only(real: &Outcome, embedded: &Outcome) -> bool {
    let (
        Some(Answer::Watch(WatchAnswer::Drained { events: real, .. })),
        Some(Answer::Watch(WatchAnswer::Drained { events, .. })),
    ) = (real.answer(), embedded.answer())
    else {
        return false;
    };
    real.keys().all(|id| events.contains_key(id))
        && events.iter().all(|(id, events)| {
            let mut real = real.get(id).into_iter().flatten().peekable();
            let rest_are_deletions = events.iter().all(|event| {
                real.next_if_eq(&event).is_some() || event.r#type == EventType::Delete as i32
            });
            rest_are_deletions && real.next().is_none()
        })
}

/// Without the version and what only later versions tell.
pub(super) fn without_version(outcome: &Outcome) -> Outcome {
    let mut outcome = outcome.clone();
    if let Outcome::Answered(Answer::Status(response)) = &mut outcome {
        response.version.clear();
        response.db_size_quota = 0;
        response.downgrade_info = None;
    }
    outcome
}

pub(super) fn with_single_spaces(outcome: &Outcome) -> Outcome {
    let mut outcome = outcome.clone();
    if let Outcome::Answered(Answer::Status(response)) = &mut outcome {
        for text in &mut response.errors {
            *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        }
    }
    outcome
}

pub(super) fn is_same_but_for_patch_version(real: &Outcome, embedded: &Outcome) -> bool {
    match (real.answer(), embedded.answer()) {
        (Some(Answer::Downgrade(real)), Some(Answer::Downgrade(embedded))) => {
            real.header == embedded.header && real.version == format!("{}.0", embedded.version)
        }
        _ => false,
    }
}
