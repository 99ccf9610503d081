//! Revisions that mean something in any history.
//!
//! A generated operation names revisions relative to where the store is, and they become numbers
//! only when it is sent. So a list that lost half of its operations still asks for "the revision
//! just compacted", and shrinks well.

use etcdkit_proto::{
    etcdserverpb::{
        Compare, Member, RangeRequest, RequestOp, TxnRequest, compare::TargetUnion,
        request_op::Request,
    },
    v3electionpb::LeaderKey,
};

use super::{
    calls::{Answer, Call},
    operation::{Operation, QueueAnswer, WatchCall},
    outcome::Outcome,
};

/// Relative revisions are encoded as numbers around these, which no history reaches.
const CURRENT: i64 = 1 << 40;
const COMPACTED: i64 = 1 << 41;
const RETAINED: i64 = 1 << 42;
/// How far an encoded number may be from its base.
const REACH: i64 = 1 << 20;

/// The revision this far after (or, if negative, before) the current one.
pub(super) fn from_current(offset: i64) -> i64 {
    CURRENT + offset
}

/// The revision this far after (or, if negative, before) the last compacted one.
pub(super) fn from_compacted(offset: i64) -> i64 {
    COMPACTED + offset
}

/// The revision so many thousandths of the way from the oldest readable one to the current one.
pub(super) fn retained(thousandths: i64) -> i64 {
    RETAINED + thousandths
}

/// Stands for the id of the only member.
pub(super) const THIS_MEMBER: u64 = 1 << 60;

/// Stands for the peer URL of the only member.
pub(super) const THIS_PEER_URL: &str = "this";

/// Where a server is, as its answers tell.
#[derive(Clone, Debug)]
pub(super) struct Position {
    revision: i64,
    compacted: i64,
    member: Member,
    /// The leader that was last named by an answer.
    leader: LeaderKey,
}

impl Position {
    /// That of an empty store.
    pub(super) fn start(member: Member) -> Self {
        Self {
            revision: 1,
            compacted: -1,
            member,
            // A lease of its own, so that no server has to choose one.
            leader: LeaderKey {
                name: "q".into(),
                key: "q/9".into(),
                rev: 1,
                lease: 9,
            },
        }
    }

    /// Follows the store through an operation that was sent.
    pub(super) fn observe(&mut self, sent: &Operation, outcome: &Outcome) {
        self.revision = self.revision.max(outcome.revision());
        match (&sent.call, outcome.answer()) {
            (Call::Compact(request), Some(_)) => self.compacted = request.revision,
            (Call::MemberUpdate(request), Some(_)) => {
                self.member.peer_ur_ls.clone_from(&request.peer_ur_ls);
            }
            (_, Some(Answer::Queue(QueueAnswer::Elected(response)))) => {
                self.leader = response.leader.clone().unwrap_or_default();
            }
            (Call::Leader(request), Some(Answer::Leader(response))) => {
                let kv = response.kv.clone().unwrap_or_default();
                self.leader = LeaderKey {
                    name: request.name.clone(),
                    key: kv.key,
                    rev: kv.create_revision,
                    lease: kv.lease,
                };
            }
            _ => {}
        }
    }

    /// The operation with numbers in place of relative revisions, and names in place of symbols.
    pub(super) fn resolve(&self, operation: &Operation) -> Operation {
        let mut operation = operation.clone();
        match &mut operation.call {
            Call::Range(request) => self.resolve_range(request),
            Call::Txn(request) => self.resolve_txn(request),
            Call::Compact(request) => self.resolve_revision(&mut request.revision),
            Call::HashKv(request) => self.resolve_revision(&mut request.revision),
            Call::Watch(WatchCall::Create { request, .. }) => {
                self.resolve_revision(&mut request.start_revision);
            }
            Call::Alarm(request) => self.resolve_member(&mut request.member_id),
            Call::MoveLeader(request) => self.resolve_member(&mut request.target_id),
            Call::MemberAdd(request) => self.resolve_urls(&mut request.peer_ur_ls),
            Call::MemberRemove(request) => self.resolve_member(&mut request.id),
            Call::MemberPromote(request) => self.resolve_member(&mut request.id),
            Call::MemberUpdate(request) => {
                self.resolve_member(&mut request.id);
                self.resolve_urls(&mut request.peer_ur_ls);
            }
            Call::Proclaim(request) => self.resolve_leader(request.leader.as_mut()),
            Call::Resign(request) => self.resolve_leader(request.leader.as_mut()),
            _ => {}
        }
        operation
    }

    fn resolve_member(&self, id: &mut u64) {
        if *id == THIS_MEMBER {
            *id = self.member.id;
        }
    }

    fn resolve_urls(&self, urls: &mut Vec<String>) {
        if urls.iter().any(|url| url == THIS_PEER_URL) {
            urls.clone_from(&self.member.peer_ur_ls);
        }
    }

    /// A leader without a key stands for the one last named.
    fn resolve_leader(&self, leader: Option<&mut LeaderKey>) {
        let Some(leader) = leader else { return };
        if leader.key.is_empty() {
            *leader = self.leader.clone();
        } else {
            self.resolve_revision(&mut leader.rev);
        }
    }

    fn resolve_range(&self, request: &mut RangeRequest) {
        for revision in [
            &mut request.revision,
            &mut request.min_mod_revision,
            &mut request.max_mod_revision,
            &mut request.min_create_revision,
            &mut request.max_create_revision,
        ] {
            self.resolve_revision(revision);
        }
    }

    fn resolve_txn(&self, txn: &mut TxnRequest) {
        for Compare { target_union, .. } in &mut txn.compare {
            if let Some(
                TargetUnion::CreateRevision(revision) | TargetUnion::ModRevision(revision),
            ) = target_union
            {
                self.resolve_revision(revision);
            }
        }
        for RequestOp { request } in txn.success.iter_mut().chain(&mut txn.failure) {
            match request {
                Some(Request::RequestRange(request)) => self.resolve_range(request),
                Some(Request::RequestTxn(request)) => self.resolve_txn(request),
                _ => {}
            }
        }
    }

    fn resolve_revision(&self, revision: &mut i64) {
        let near = |base: i64| (base - REACH..base + REACH).contains(revision);
        if near(CURRENT) {
            *revision += self.revision - CURRENT;
        } else if near(COMPACTED) {
            *revision += self.compacted - COMPACTED;
        } else if near(RETAINED) {
            let oldest = self.compacted.max(1);
            *revision = oldest + (self.revision - oldest) * (*revision - RETAINED) / 1_000;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_revisions_follow_the_store_and_others_stay() {
        let position = Position {
            revision: 110,
            compacted: 10,
            ..Position::start(Member::default())
        };
        let resolved = |mut revision| {
            position.resolve_revision(&mut revision);
            revision
        };
        assert_eq!(resolved(from_current(1)), 111);
        assert_eq!(resolved(from_compacted(-1)), 9);
        assert_eq!(resolved(retained(0)), 10);
        assert_eq!(resolved(retained(500)), 60);
        assert_eq!(resolved(retained(1_000)), 110);
        for unchanged in [0, 5, -1, i64::MIN, i64::MAX] {
            assert_eq!(resolved(unchanged), unchanged);
        }
    }
}
