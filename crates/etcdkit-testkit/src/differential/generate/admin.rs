//! The member and its cluster: status, alarms, refusals.

use etcdkit_proto::etcdserverpb::{
    alarm_request::AlarmAction, downgrade_request::DowngradeAction, *,
};

use super::{Generator, Theme};
use crate::differential::{
    calls::Call,
    operation::Operation,
    position::{THIS_MEMBER, THIS_PEER_URL},
};
use crate::etcd::Version;

const ENABLES_DOWNGRADES: Version = Version::new(3, 6, 0);

const ALARMS: [i32; 2] = [AlarmType::Nospace as i32, AlarmType::Corrupt as i32];

/// A kind that does not exist. 3.5 crashes on it.
const UNKNOWN_ALARM: i32 = 9;

impl Generator {
    pub(super) fn admin_call(&mut self) -> Call {
        match self.random.u32(..100) {
            0..18 => Call::Status(StatusRequest {}),
            18..50 => self.alarm(),
            50..54 => Call::Defragment(DefragmentRequest {}),
            54..58 => Call::Hash(HashRequest {}),
            58..63 => Call::MoveLeader(MoveLeaderRequest {
                target_id: self.member(),
            }),
            63..75 => self.downgrade(),
            75..82 => Call::MemberList(MemberListRequest {
                linearizable: self.random.bool(),
            }),
            82..87 => Call::MemberAdd(MemberAddRequest {
                peer_ur_ls: self.refused_urls(),
                is_learner: self.random.bool(),
            }),
            87..91 => Call::MemberRemove(MemberRemoveRequest { id: self.member() }),
            91..96 => Call::MemberUpdate(MemberUpdateRequest {
                id: self.member(),
                peer_ur_ls: self.urls(),
            }),
            _ => Call::MemberPromote(MemberPromoteRequest { id: self.member() }),
        }
    }

    fn member(&mut self) -> u64 {
        self.pick(&[THIS_MEMBER, THIS_MEMBER, 0, 7, u64::MAX])
    }

    fn alarm(&mut self) -> Call {
        // Before 3.6 a raised alarm turns off the checks of tokens.
        let may_raise = self.theme != Theme::Users || self.version >= Version::new(3, 6, 0);
        let action = match self.random.u32(..10) {
            0..3 => AlarmAction::Get,
            3..6 if may_raise => AlarmAction::Activate,
            _ => AlarmAction::Deactivate,
        };
        let raises = action == AlarmAction::Activate;
        let kind = match self.chance(15) {
            // 3.4 raises an alarm of no kind.
            true if !raises || self.version >= Version::new(3, 5, 0) => AlarmType::None.into(),
            _ if self.version >= Version::new(3, 6, 0) && self.chance(15) => UNKNOWN_ALARM,
            _ => self.pick(&ALARMS),
        };
        Call::Alarm(AlarmRequest {
            action: action.into(),
            member_id: self.pick(&[THIS_MEMBER, THIS_MEMBER, 0, 7]),
            alarm: kind,
        })
    }

    /// No alarm is left.
    pub(super) fn all_clear() -> impl Iterator<Item = Call> {
        let members = [THIS_MEMBER, 0, 7].into_iter();
        members.flat_map(|member_id| {
            ALARMS.map(|alarm| {
                Call::Alarm(AlarmRequest {
                    action: AlarmAction::Deactivate.into(),
                    member_id,
                    alarm,
                })
            })
        })
    }

    /// A downgrade that is enabled is cancelled soon: a real server begins with it after seconds.
    fn downgrade(&mut self) -> Call {
        let version = self.pick(&[
            "", "3", "x.y", "3.3", "3.3.0", "3.4", "3.5", "3.5.0", "3.5.9", "3.6", "3.6.0", "3.7",
            "3.8.0", "4.0.0",
        ]);
        let request = |action: DowngradeAction| {
            Call::Downgrade(DowngradeRequest {
                action: action.into(),
                version: version.to_owned(),
            })
        };
        match self.random.u32(..10) {
            0..5 => request(DowngradeAction::Validate),
            // Only where everybody may cancel it. 3.5 is not done with it within its own time limit.
            5..8 if self.theme != Theme::Users && self.version >= ENABLES_DOWNGRADES => {
                let then = [
                    Call::Status(StatusRequest {}),
                    request(DowngradeAction::Validate),
                    request(DowngradeAction::Cancel),
                ];
                self.queued.extend(then.map(Operation::from));
                request(DowngradeAction::Enable)
            }
            _ => request(DowngradeAction::Cancel),
        }
    }

    /// URLs that no server takes: a member more would end a real cluster of one.
    fn refused_urls(&mut self) -> Vec<String> {
        let urls: &[&str] = match self.random.u32(..8) {
            0 => &[],
            1 => &[""],
            2 => &["http://a"],
            3 => &["ftp://a:1"],
            4 => &["http://a:1/b"],
            5 => &["a:1"],
            6 => &["http://a:1", "http://b"],
            _ => &[THIS_PEER_URL],
        };
        urls.iter().map(|url| (*url).to_owned()).collect()
    }

    fn urls(&mut self) -> Vec<String> {
        if self.chance(40) {
            return self.refused_urls();
        }
        let urls: &[&str] = match self.random.u32(..3) {
            0 => &["http://127.0.0.1:1"],
            1 => &["http://b:2", "http://a:1"],
            _ => &["https://[::1]:3"],
        };
        urls.iter().map(|url| (*url).to_owned()).collect()
    }
}
