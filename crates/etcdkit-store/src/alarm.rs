//! Alarms: what keeps a store from being written.

use std::collections::BTreeSet;

use bytes::Bytes;
use etcdkit_proto::EtcdError;
use etcdkit_proto::etcdserverpb::{AlarmMember, AlarmType};
use prost::{DecodeError, Message};

use crate::backend::{Bucket, Change, Entry};
use crate::journal::Dirty;
use crate::store::Store;

/// The alarms that are raised, each for a member.
#[derive(Debug, Default)]
pub struct Alarms {
    raised: BTreeSet<(i32, u64)>,
    pub(crate) dirty: Dirty<(i32, u64)>,
}

impl Alarms {
    /// Raises an alarm. Returns it, raised before or not; `None` for the alarm `NONE`.
    pub fn activate(&mut self, member_id: u64, alarm: i32) -> Option<AlarmMember> {
        if alarm == AlarmType::None as i32 {
            return None;
        }
        self.raised.insert((alarm, member_id));
        self.dirty.mark(&(alarm, member_id));
        Some(AlarmMember { member_id, alarm })
    }

    /// Raises an alarm of which the backend is not told, because it has no room for it.
    pub fn activate_in_memory(&mut self, member_id: u64, alarm: AlarmType) {
        self.raised.insert((alarm.into(), member_id));
    }

    /// Takes an alarm back. Returns it if it was raised.
    pub fn deactivate(&mut self, member_id: u64, alarm: i32) -> Option<AlarmMember> {
        let was_raised = self.raised.remove(&(alarm, member_id));
        self.dirty.mark(&(alarm, member_id));
        was_raised.then_some(AlarmMember { member_id, alarm })
    }

    /// The raised alarms of a kind; those of every kind for `NONE`.
    pub fn list(&self, alarm: i32) -> Vec<AlarmMember> {
        self.raised
            .iter()
            .filter(|(kind, _)| alarm == AlarmType::None as i32 || *kind == alarm)
            .map(|(alarm, member_id)| AlarmMember {
                member_id: *member_id,
                alarm: *alarm,
            })
            .collect()
    }

    /// Refuses what etcd refuses once a member found the data damaged: all writes and compactions.
    ///
    /// # Errors
    ///
    /// `Corrupt`.
    pub fn check_intact(&self) -> Result<(), EtcdError> {
        if self.is_raised(AlarmType::Corrupt) {
            return Err(EtcdError::Corrupt);
        }
        Ok(())
    }

    /// Refuses what takes space as well: puts, transactions that may put, and grants of leases.
    ///
    /// # Errors
    ///
    /// `Corrupt`; `NoSpace`.
    pub fn check_space(&self) -> Result<(), EtcdError> {
        self.check_intact()?;
        if self.is_raised(AlarmType::Nospace) {
            return Err(EtcdError::NoSpace);
        }
        Ok(())
    }

    pub(crate) fn take_changes(&mut self, changes: &mut Vec<Change>) {
        for alarm in self.dirty.take() {
            let key = stored_key(alarm);
            changes.push(if self.raised.contains(&alarm) {
                Change::put(Bucket::Alarm, key, Bytes::new())
            } else {
                Change::Delete(Bucket::Alarm, key)
            });
        }
    }

    pub(crate) fn entries(&self, entries: &mut Vec<Entry>) {
        entries.extend(self.raised.iter().map(|alarm| Entry {
            bucket: Bucket::Alarm,
            key: stored_key(*alarm),
            value: Bytes::new(),
        }));
    }

    /// Takes an alarm back from its stored form, which has it in its key.
    pub(crate) fn recover(&mut self, key: &[u8]) -> Result<(), DecodeError> {
        let AlarmMember { member_id, alarm } = AlarmMember::decode(key)?;
        self.raised.insert((alarm, member_id));
        Ok(())
    }

    fn is_raised(&self, alarm: AlarmType) -> bool {
        let kind = alarm as i32;
        self.raised
            .range((kind, 0)..=(kind, u64::MAX))
            .next()
            .is_some()
    }
}

fn stored_key((alarm, member_id): (i32, u64)) -> Bytes {
    AlarmMember { member_id, alarm }.encode_to_vec().into()
}

impl Store {
    /// The alarms that are raised.
    pub fn alarms(&self) -> &Alarms {
        &self.alarms
    }

    /// The same, to change them.
    pub fn alarms_mut(&mut self) -> &mut Alarms {
        &mut self.alarms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOSPACE: i32 = AlarmType::Nospace as i32;
    const CORRUPT: i32 = AlarmType::Corrupt as i32;

    #[test]
    fn alarms_are_raised_listed_and_taken_back() {
        let mut alarms = Alarms::default();
        assert_eq!(alarms.activate(1, 0), None);
        assert_eq!(alarms.deactivate(1, NOSPACE), None);
        let of = |member_id, alarm| AlarmMember { member_id, alarm };
        for _ in 0..2 {
            assert_eq!(alarms.activate(1, NOSPACE), Some(of(1, NOSPACE)));
        }
        alarms.activate(2, CORRUPT);
        assert_eq!(alarms.list(0), [of(1, NOSPACE), of(2, CORRUPT)]);
        assert_eq!(alarms.list(CORRUPT), [of(2, CORRUPT)]);
        assert_eq!(alarms.deactivate(1, NOSPACE), Some(of(1, NOSPACE)));
        assert_eq!(alarms.list(NOSPACE), []);
    }

    #[test]
    fn what_is_refused_depends_on_the_alarm() {
        let mut alarms = Alarms::default();
        assert_eq!(alarms.check_space(), Ok(()));
        alarms.activate(0, NOSPACE);
        assert_eq!(alarms.check_space(), Err(EtcdError::NoSpace));
        assert_eq!(alarms.check_intact(), Ok(()));
        alarms.activate(9, CORRUPT);
        assert_eq!(alarms.check_space(), Err(EtcdError::Corrupt));
        assert_eq!(alarms.check_intact(), Err(EtcdError::Corrupt));
    }
}
