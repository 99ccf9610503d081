//! What a deliberate difference is.

use crate::etcd::Version;

/// A way in which the embedded server is meant to answer differently.
#[derive(Debug)]
pub struct Difference<Step, Answer> {
    /// A short name for reports.
    pub name: &'static str,
    /// Why it is right.
    pub reason: &'static str,
    /// The versions of etcd that show it.
    pub versions: Versions,
    /// Whether it explains what both answer to a step.
    pub(crate) excuses: fn(&Step, real: &Answer, embedded: &Answer) -> bool,
}

/// Which versions of etcd.
#[derive(Clone, Copy, Debug)]
pub enum Versions {
    /// Every version.
    All,
    /// Those before this one, which answers as the embedded server does.
    Before(Version),
    /// This one and those after it.
    Since(Version),
}

impl Versions {
    fn contain(self, version: Version) -> bool {
        match self {
            Self::All => true,
            Self::Before(first) => version < first,
            Self::Since(first) => version >= first,
        }
    }
}

/// The deliberate difference that explains these two answers, if there is one.
pub(crate) fn explain<'a, Step, Answer>(
    differences: &'a [Difference<Step, Answer>],
    version: Version,
    step: &Step,
    real: &Answer,
    embedded: &Answer,
) -> Option<&'a Difference<Step, Answer>> {
    differences.iter().find(|difference| {
        difference.versions.contain(version) && (difference.excuses)(step, real, embedded)
    })
}
