//! Which call gets which fault: pure, so that a test of it needs no server.

use std::time::Duration;

use tokio::sync::watch;

use super::failure::Failure;
use super::select::Rpcs;
use crate::rpc::Rpc;

/// What is done to a call.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    Delay(Duration),
    End(End),
}

/// How a call ends that is not let through.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum End {
    Fail(Failure),
    /// The caller is never answered.
    Hang,
    /// The connection ends, and all its calls with it.
    Disconnect,
}

/// Which of the calls that a rule is for get the fault.
#[derive(Clone, Debug, Default)]
pub(super) struct Schedule {
    /// How many calls are let through first.
    pub(super) skip: u64,
    /// How many get it then; all if not said.
    pub(super) times: Option<u64>,
    /// The share of calls that get it, and what draws them.
    pub(super) chance: Option<(f64, fastrand::Rng)>,
}

impl Schedule {
    /// Whether the next call gets the fault.
    fn strikes(&mut self) -> bool {
        if self.times == Some(0) {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        if let Some((share, rng)) = &mut self.chance
            && rng.f64() >= *share
        {
            return false;
        }
        if let Some(times) = &mut self.times {
            *times -= 1;
        }
        true
    }
}

/// A fault that was asked for.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) rpcs: Rpcs,
    pub(super) schedule: Schedule,
    /// Whether the call is carried out first.
    pub(super) once_applied: bool,
    pub(super) action: Action,
    /// How many calls got it.
    pub(super) hits: watch::Sender<u64>,
}

/// Names a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RuleId(u64);

/// What is to be done to one call.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Plan {
    pub(crate) before: Step,
    pub(crate) once_applied: Step,
}

/// First the delay, then the end, if any.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Step {
    pub(crate) delay: Duration,
    pub(crate) end: Option<End>,
}

impl Step {
    pub(crate) fn is_nothing(&self) -> bool {
        self.delay.is_zero() && self.end.is_none()
    }
}

/// All that was asked for, in this order.
#[derive(Debug, Default)]
pub(super) struct Rules {
    rules: Vec<(RuleId, Rule)>,
    next: u64,
}

impl Rules {
    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    pub(super) fn add(&mut self, rule: Rule) -> RuleId {
        let id = RuleId(self.next);
        self.next += 1;
        self.rules.push((id, rule));
        id
    }

    pub(super) fn remove(&mut self, id: RuleId) {
        self.rules.retain(|(other, _)| *other != id);
    }

    pub(super) fn clear(&mut self) {
        self.rules.clear();
    }

    /// What the next call of an RPC gets. Delays add up, and the first end counts: rules behind it do
    /// not see a call that has ended before.
    pub(super) fn plan(&mut self, rpc: Rpc) -> Plan {
        let mut plan = Plan::default();
        // A call that is not carried out gets nothing afterwards.
        for once_applied in [false, true] {
            for (_, rule) in &mut self.rules {
                let step = match once_applied {
                    false => &mut plan.before,
                    true => &mut plan.once_applied,
                };
                if rule.once_applied != once_applied || !rule.rpcs.contains(rpc) {
                    continue;
                }
                if !rule.schedule.strikes() {
                    continue;
                }
                rule.hits.send_modify(|hits| *hits += 1);
                match &rule.action {
                    Action::Delay(delay) => step.delay = step.delay.saturating_add(*delay),
                    Action::End(end) => {
                        step.end = Some(end.clone());
                        break;
                    }
                }
            }
            if plan.before.end.is_some() {
                break;
            }
        }
        plan
    }
}

#[cfg(test)]
mod tests {
    use etcdkit_proto::EtcdError;

    use super::*;

    fn rule(rpcs: impl Into<Rpcs>, schedule: Schedule, action: Action) -> Rule {
        Rule {
            rpcs: rpcs.into(),
            schedule,
            once_applied: false,
            action,
            hits: watch::Sender::new(0),
        }
    }

    fn fail(error: EtcdError) -> Action {
        Action::End(End::Fail(error.into()))
    }

    fn ends(rules: &mut Rules, calls: usize) -> Vec<bool> {
        let plans = (0..calls).map(|_| rules.plan(Rpc::KvPut));
        plans.map(|plan| plan.before.end.is_some()).collect()
    }

    #[test]
    fn the_schedule_says_which_calls() {
        let schedule = |skip, times| Schedule {
            skip,
            times,
            chance: None,
        };
        for (schedule, expected) in [
            (schedule(0, None), [true, true, true, true]),
            (schedule(0, Some(2)), [true, true, false, false]),
            (schedule(2, Some(1)), [false, false, true, false]),
            (schedule(3, None), [false, false, false, true]),
            (schedule(0, Some(0)), [false; 4]),
        ] {
            let mut rules = Rules::default();
            let action = fail(EtcdError::NoLeader);
            rules.add(rule(Rpc::KvPut, schedule.clone(), action));
            assert_eq!(ends(&mut rules, 4), expected, "{schedule:?}");
        }
    }

    #[test]
    fn a_share_of_calls_is_drawn_from_the_seed() {
        let drawn = |seed| {
            let mut rules = Rules::default();
            let schedule = Schedule {
                chance: Some((0.3, fastrand::Rng::with_seed(seed))),
                ..Schedule::default()
            };
            rules.add(rule(Rpcs::ALL, schedule, Action::End(End::Hang)));
            ends(&mut rules, 1_000)
        };
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
        let hit = drawn(1).into_iter().filter(|hit| *hit).count();
        assert!((200..400).contains(&hit), "{hit}");
    }

    #[test]
    fn other_rpcs_are_let_through_and_not_counted() {
        let mut rules = Rules::default();
        let schedule = Schedule {
            skip: 1,
            ..Schedule::default()
        };
        let action = fail(EtcdError::NoLeader);
        rules.add(rule([Rpc::KvPut, Rpc::KvTxn], schedule, action));
        assert_eq!(rules.plan(Rpc::KvRange), Plan::default());
        assert_eq!(rules.plan(Rpc::KvTxn), Plan::default());
        assert!(rules.plan(Rpc::KvPut).before.end.is_some());
    }

    #[test]
    fn delays_add_up_and_the_first_end_counts() {
        let mut rules = Rules::default();
        let always = Schedule::default;
        let millis = Duration::from_millis;
        rules.add(rule(Rpcs::ALL, always(), Action::Delay(millis(1))));
        rules.add(rule(Rpcs::ALL, always(), Action::Delay(millis(2))));
        rules.add(rule(Rpcs::ALL, always(), Action::End(End::Hang)));
        let unseen = rule(Rpcs::ALL, always(), fail(EtcdError::NoLeader));
        let hits = unseen.hits.subscribe();
        rules.add(unseen);
        let step = rules.plan(Rpc::KvPut).before;
        assert_eq!((step.delay, step.end), (millis(3), Some(End::Hang)));
        assert_eq!(*hits.borrow(), 0);
    }

    #[test]
    fn a_call_that_is_not_carried_out_gets_nothing_afterwards() {
        let mut rules = Rules::default();
        let once = || Schedule {
            times: Some(1),
            ..Schedule::default()
        };
        let afterwards = Rule {
            once_applied: true,
            ..rule(Rpcs::ALL, once(), Action::End(End::Disconnect))
        };
        rules.add(afterwards);
        rules.add(rule(Rpcs::ALL, once(), fail(EtcdError::NoLeader)));
        let first = rules.plan(Rpc::KvPut);
        assert!(first.before.end.is_some() && first.once_applied.is_nothing());
        let second = rules.plan(Rpc::KvPut);
        assert!(second.before.is_nothing());
        assert_eq!(second.once_applied.end, Some(End::Disconnect));
        assert_eq!(rules.plan(Rpc::KvPut), Plan::default());
    }

    #[test]
    fn a_removed_rule_does_nothing() {
        let mut rules = Rules::default();
        let gone = rules.add(rule(Rpcs::ALL, Schedule::default(), Action::End(End::Hang)));
        rules.remove(gone);
        assert!(rules.is_empty());
        assert_eq!(rules.plan(Rpc::KvPut), Plan::default());
    }
}
