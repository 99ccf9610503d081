//! The one retry policy: what a failed attempt says about the request, and what to do next. Pure.
//!
//! Which of a server's errors mean that nothing was applied is read from etcd's server code: a
//! request refused before it is proposed, or while it is applied, leaves no trace; one whose waiting
//! was cut short may still be applied later. One refusal says less than it seems to: the quota is
//! looked at when a write has been applied, too, and the answer is the same.

use etcdkit_proto::Code;

use crate::{ErrorKind, Outcome};

/// What a request does to the cluster, which decides what may be done when it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Changes something: sent again only if it certainly had no effect yet.
    Write,
    /// Changes something, but the same when it is applied twice, and whoever asked can tell the answer
    /// of the second time from a failure: sent again as reads are.
    Idempotent,
    /// Changes one member's own state, with or without a leader: sent again as writes are.
    LocalWrite,
    /// Has the server do several steps, of which some may be done when a later one fails: sent again
    /// only if the server certainly did not begin.
    Steps,
    /// Changes nothing, and its answer needs the cluster's agreement.
    Read,
    /// Changes nothing, and one member answers from what it has.
    Local,
    /// Only finds out whether somebody answers; whatever the answer is, it is one.
    Probe,
    /// Asks for a token. Asking twice makes two of them, which harms nobody.
    Login,
}

impl Class {
    /// Whether sending a request a second time may do something a second time.
    pub(crate) fn is_once_only(self) -> bool {
        match self {
            Self::Write | Self::LocalWrite | Self::Steps => true,
            Self::Idempotent | Self::Read | Self::Local | Self::Probe | Self::Login => false,
        }
    }

    /// Whether its requests say who sends them.
    pub(crate) fn carries_token(self) -> bool {
        match self {
            Self::Write
            | Self::Idempotent
            | Self::LocalWrite
            | Self::Steps
            | Self::Read
            | Self::Local => true,
            Self::Probe | Self::Login => false,
        }
    }
}

/// How an attempt ended that did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The connection was closing; the server never processed the request.
    NotSent,
    /// The server would not take the request, and did not process it.
    Refused,
    /// The connection broke, or no answer came, after the request was handed over.
    Lost,
    /// The server answered, and it means this.
    Answered(Meaning),
    /// The answer made no sense, or was too large.
    Unusable,
}

/// What a server's refusal means, whichever API it was said in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meaning {
    /// Whether the request may have been applied.
    pub(crate) applied: Outcome,
    /// Whether the same request may well succeed a little later or elsewhere.
    pub(crate) passing: bool,
    /// Whether it is the member's own trouble rather than the cluster's or the caller's.
    pub(crate) endpoints_fault: bool,
    /// Whether it may come after the first of several steps.
    pub(crate) midway: bool,
}

impl Meaning {
    /// What an error of the v3 API means.
    pub(crate) fn of(kind: ErrorKind, code: Code) -> Self {
        Self {
            applied: applied(kind, code),
            passing: is_passing(kind, code),
            endpoints_fault: is_endpoints_fault(kind, code),
            midway: may_come_midway(kind),
        }
    }
}

/// What follows from an ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) outcome: Outcome,
    /// Whether to try again, on another endpoint where there is one.
    pub(crate) retry: bool,
    /// Whether the endpoint should be avoided for a while.
    pub(crate) avoid: bool,
}

pub(crate) fn judge(ending: Ending, class: Class) -> Verdict {
    let (applied, passing, avoid) = match ending {
        Ending::NotSent => (Outcome::NotApplied, true, false),
        Ending::Refused => (Outcome::NotApplied, true, true),
        Ending::Lost => (Outcome::Unknown, true, false),
        Ending::Unusable => (Outcome::Unknown, false, false),
        Ending::Answered(meaning) => (meaning.applied, meaning.passing, meaning.endpoints_fault),
    };
    match class {
        Class::Write | Class::LocalWrite => Verdict {
            outcome: applied,
            retry: passing && applied == Outcome::NotApplied,
            avoid,
        },
        Class::Steps => {
            let begun = matches!(ending, Ending::Answered(meaning) if meaning.midway);
            let outcome = match begun {
                true => Outcome::Unknown,
                false => applied,
            };
            Verdict {
                outcome,
                retry: passing && outcome == Outcome::NotApplied,
                avoid,
            }
        }
        Class::Idempotent => Verdict {
            outcome: applied,
            retry: passing,
            avoid,
        },
        // A read has no effect, so it can always be repeated.
        Class::Read | Class::Local | Class::Login => Verdict {
            outcome: Outcome::NotApplied,
            retry: passing,
            avoid,
        },
        Class::Probe => {
            let retry = passing && !matches!(ending, Ending::Answered(_));
            Verdict {
                outcome: Outcome::NotApplied,
                retry,
                avoid,
            }
        }
    }
}

/// Whether a request that was answered like this may have been applied.
fn applied(kind: ErrorKind, code: Code) -> Outcome {
    use ErrorKind as Kind;
    match kind {
        Kind::ServerTimeout
        | Kind::TimeoutDueToLeaderFail
        | Kind::TimeoutDueToConnectionLost
        | Kind::TimeoutLeaderTransfer
        | Kind::Stopped
        | Kind::NoSpace
        | Kind::RequestCanceled
        | Kind::ServerDeadlineExceeded => Outcome::Unknown,
        Kind::Server | Kind::Unimplemented => match code {
            Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::ResourceExhausted
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Unauthenticated => Outcome::NotApplied,
            _ => Outcome::Unknown,
        },
        // Every other text of etcd is a refusal.
        _ => Outcome::NotApplied,
    }
}

/// Whether the same request may well succeed a little later or elsewhere.
pub(crate) fn is_passing(kind: ErrorKind, code: Code) -> bool {
    use ErrorKind as Kind;
    match kind {
        Kind::NoLeader
        | Kind::LeaderChanged
        | Kind::Stopped
        | Kind::ServerTimeout
        | Kind::TimeoutDueToLeaderFail
        | Kind::TimeoutDueToConnectionLost
        | Kind::TimeoutWaitAppliedIndex
        | Kind::TooManyRequests
        | Kind::ProposalDropped
        | Kind::NotPrimaryLessor
        | Kind::NotSupportedForLearner => true,
        Kind::Server => code == Code::Unavailable,
        _ => false,
    }
}

/// Whether a service that takes several steps may answer like this after the first of them. What it
/// is refused before (no leader, a learner) or at (a missing lease, a permission) its first step, or
/// says of its own accord, is certain.
fn may_come_midway(kind: ErrorKind) -> bool {
    use ErrorKind as Kind;
    matches!(
        kind,
        Kind::LeaderChanged
            | Kind::TimeoutWaitAppliedIndex
            | Kind::TooManyRequests
            | Kind::ProposalDropped
            | Kind::NotPrimaryLessor
            | Kind::Compacted
            | Kind::FutureRevision
            | Kind::WatchCanceled
            | Kind::InvalidAuthToken
            | Kind::AuthOldRevision
            | Kind::Corrupt
    )
}

/// Whether the answer is the member's own trouble rather than the cluster's or the caller's.
fn is_endpoints_fault(kind: ErrorKind, code: Code) -> bool {
    use ErrorKind as Kind;
    match kind {
        Kind::NoLeader
        | Kind::Stopped
        | Kind::TimeoutDueToConnectionLost
        | Kind::TimeoutWaitAppliedIndex
        | Kind::TooManyRequests
        | Kind::NotSupportedForLearner => true,
        Kind::Server => code == Code::Unavailable,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use etcdkit_proto::EtcdError;

    use super::*;

    fn answered(error: EtcdError) -> Ending {
        Ending::Answered(Meaning::of(error.into(), error.wire_code()))
    }

    #[test]
    fn a_request_never_processed_is_sent_again() {
        for class in [Class::Write, Class::Read, Class::Local, Class::Probe] {
            for ending in [Ending::NotSent, Ending::Refused] {
                let verdict = judge(ending, class);
                assert_eq!(
                    (verdict.outcome, verdict.retry),
                    (Outcome::NotApplied, true)
                );
            }
        }
    }

    #[test]
    fn a_probe_takes_every_answer() {
        assert!(!judge(answered(EtcdError::NotSupportedForLearner), Class::Probe).retry);
        assert!(!judge(answered(EtcdError::NoLeader), Class::Probe).retry);
        assert!(judge(Ending::Lost, Class::Probe).retry);
    }

    #[test]
    fn a_write_of_unknown_outcome_is_never_sent_again() {
        let unknown = [
            EtcdError::ServerTimeout,
            EtcdError::TimeoutDueToLeaderFail,
            EtcdError::TimeoutDueToConnectionLost,
            EtcdError::TimeoutLeaderTransfer,
            EtcdError::Stopped,
            EtcdError::NoSpace,
            EtcdError::RequestCanceled,
            EtcdError::ServerDeadlineExceeded,
        ];
        for error in EtcdError::ALL {
            let verdict = judge(answered(*error), Class::Write);
            let expected = match unknown.contains(error) {
                true => Outcome::Unknown,
                false => Outcome::NotApplied,
            };
            assert_eq!(verdict.outcome, expected, "{error}");
            assert!(
                !(verdict.retry && verdict.outcome == Outcome::Unknown),
                "{error}"
            );
        }
        for ending in [Ending::Lost, Ending::Unusable] {
            let verdict = judge(ending, Class::Write);
            assert_eq!((verdict.outcome, verdict.retry), (Outcome::Unknown, false));
        }
    }

    #[test]
    fn several_steps_are_begun_once() {
        for ending in [Ending::NotSent, Ending::Refused] {
            assert!(judge(ending, Class::Steps).retry);
        }
        let verdict = judge(answered(EtcdError::NoLeader), Class::Steps);
        assert_eq!(
            (verdict.outcome, verdict.retry),
            (Outcome::NotApplied, true),
            "members refuse it before they begin"
        );
        let verdict = judge(answered(EtcdError::ElectionNotLeader), Class::Steps);
        assert_eq!(
            (verdict.outcome, verdict.retry),
            (Outcome::NotApplied, false)
        );
        for error in [
            EtcdError::LeaderChanged,
            EtcdError::TooManyRequests,
            EtcdError::ServerTimeout,
            EtcdError::Compacted,
        ] {
            let verdict = judge(answered(error), Class::Steps);
            assert_eq!(
                (verdict.outcome, verdict.retry),
                (Outcome::Unknown, false),
                "{error}"
            );
        }
        let verdict = judge(Ending::Lost, Class::Steps);
        assert_eq!((verdict.outcome, verdict.retry), (Outcome::Unknown, false));
    }

    #[test]
    fn writes_refused_for_a_passing_reason_are_sent_again() {
        for error in [
            EtcdError::NoLeader,
            EtcdError::TooManyRequests,
            EtcdError::ProposalDropped,
            EtcdError::NotSupportedForLearner,
        ] {
            assert!(judge(answered(error), Class::Write).retry, "{error}");
        }
        for error in [
            EtcdError::NoSpace,
            EtcdError::EmptyKey,
            EtcdError::PermissionDenied,
        ] {
            assert!(!judge(answered(error), Class::Write).retry, "{error}");
        }
    }

    #[test]
    fn reads_survive_whatever_passes() {
        for error in [
            EtcdError::NoLeader,
            EtcdError::LeaderChanged,
            EtcdError::ServerTimeout,
            EtcdError::Stopped,
            EtcdError::TimeoutWaitAppliedIndex,
        ] {
            let verdict = judge(answered(error), Class::Read);
            assert_eq!(
                (verdict.outcome, verdict.retry),
                (Outcome::NotApplied, true),
                "{error}"
            );
        }
        assert!(judge(Ending::Lost, Class::Read).retry);
        assert!(!judge(Ending::Unusable, Class::Read).retry);
        for error in [
            EtcdError::Compacted,
            EtcdError::FutureRevision,
            EtcdError::Corrupt,
        ] {
            assert!(!judge(answered(error), Class::Read).retry, "{error}");
        }
    }

    #[test]
    fn what_may_be_applied_twice_is_sent_again_and_its_outcome_is_kept() {
        for ending in [Ending::Lost, answered(EtcdError::ServerTimeout)] {
            let verdict = judge(ending, Class::Idempotent);
            assert_eq!((verdict.outcome, verdict.retry), (Outcome::Unknown, true));
        }
        let verdict = judge(answered(EtcdError::LeaseExists), Class::Idempotent);
        assert_eq!(
            (verdict.outcome, verdict.retry),
            (Outcome::NotApplied, false)
        );
    }

    #[test]
    fn texts_nobody_knows_are_judged_by_their_code() {
        let ending = |code| Ending::Answered(Meaning::of(ErrorKind::Server, code));
        assert_eq!(
            judge(ending(Code::Unavailable), Class::Write).outcome,
            Outcome::Unknown
        );
        assert_eq!(
            judge(ending(Code::Unknown), Class::Write).outcome,
            Outcome::Unknown
        );
        assert_eq!(
            judge(ending(Code::NotFound), Class::Write).outcome,
            Outcome::NotApplied
        );
        assert!(judge(ending(Code::Unavailable), Class::Read).retry);
        assert!(!judge(ending(Code::Unknown), Class::Read).retry);
    }
}
