//! The deliberate differences between the embedded server's v2 API and that of real etcds.

use super::{answer::Answer, step::Step};
use crate::{
    differential::{Difference, Versions},
    etcd::Version,
};

const V3_5: Version = Version::new(3, 5, 0);

/// The list.
pub(super) const DIFFERENCES: &[Difference<Step, Answer>] = &[Difference {
    name: "update of a directory",
    reason: "3.5 cannot do it (etcd issue 13589): it fails after its checks, as no other version does",
    versions: Versions::Since(V3_5),
    excuses: |_, real, _| {
        let error = real.shown().first().and_then(|shown| shown.keys_error());
        error.is_some_and(|(code, cause)| code == 300 && cause.contains("Not a file"))
    },
}];

/// Whether servers that answered so have different states now, so that nothing more can be compared.
pub(super) fn have_parted(real: &Answer, embedded: &Answer) -> bool {
    let indexes = |answer: &Answer| -> Vec<Option<String>> {
        let shown = answer.shown().iter();
        shown
            .map(|shown| shown.header("x-etcd-index").map(str::to_owned))
            .collect()
    };
    indexes(real) != indexes(embedded)
}
