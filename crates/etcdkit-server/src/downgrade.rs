//! A downgrade of the cluster that was asked for.

use std::sync::{Mutex, MutexGuard, PoisonError};

use etcdkit_proto::EtcdError;
use etcdkit_proto::etcdserverpb::DowngradeInfo;

use crate::version::Version;

/// The version to downgrade to, if a downgrade is under way.
#[derive(Debug, Default)]
pub(crate) struct Downgrade {
    target: Mutex<Option<Version>>,
}

impl Downgrade {
    /// What `Status` says about it.
    pub(crate) fn info(&self) -> DowngradeInfo {
        match *self.target() {
            Some(target) => DowngradeInfo {
                enabled: true,
                target_version: target.to_string(),
            },
            None => DowngradeInfo::default(),
        }
    }

    /// Whether a cluster may be downgraded to a version: one minor version at a time, and one
    /// downgrade at a time.
    pub(crate) fn validate(&self, cluster: Version, target: &str) -> Result<Version, EtcdError> {
        let target = Version::parse(target)
            .or_else(|| Version::parse(&format!("{target}.0")))
            .ok_or(EtcdError::WrongDowngradeVersionFormat)?
            .of_cluster();
        if cluster.one_minor_below() != Some(target) {
            return Err(EtcdError::InvalidDowngradeTargetVersion);
        }
        if self.target().is_some() {
            return Err(EtcdError::DowngradeInProcess);
        }
        Ok(target)
    }

    pub(crate) fn enable(&self, cluster: Version, target: &str) -> Result<(), EtcdError> {
        let target = self.validate(cluster, target)?;
        *self.target() = Some(target);
        Ok(())
    }

    /// No downgrade to cancel is no error since 3.6.
    pub(crate) fn cancel(&self) {
        *self.target() = None;
    }

    fn target(&self) -> MutexGuard<'_, Option<Version>> {
        self.target.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_downgrade_is_one_minor_version_at_a_time() {
        let downgrade = Downgrade::default();
        let cluster = Version::parse("3.6.0").unwrap();
        for (target, error) in [
            ("", EtcdError::WrongDowngradeVersionFormat),
            ("3", EtcdError::WrongDowngradeVersionFormat),
            ("x.y.z", EtcdError::WrongDowngradeVersionFormat),
            ("3.6", EtcdError::InvalidDowngradeTargetVersion),
            ("3.4.0", EtcdError::InvalidDowngradeTargetVersion),
            ("2.5.0", EtcdError::InvalidDowngradeTargetVersion),
        ] {
            assert_eq!(downgrade.enable(cluster, target), Err(error), "{target}");
        }
        assert!(!downgrade.info().enabled);
        assert!(downgrade.validate(cluster, "3.5").is_ok());
        assert_eq!(downgrade.enable(cluster, "3.5.9"), Ok(()));
        assert_eq!(downgrade.info().target_version, "3.5.0");
        let again = downgrade.enable(cluster, "3.5");
        assert_eq!(again, Err(EtcdError::DowngradeInProcess));
        downgrade.cancel();
        downgrade.cancel();
        assert!(!downgrade.info().enabled);
    }
}
