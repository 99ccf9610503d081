//! The conditions of a transaction.

use std::{fmt, marker::PhantomData};

use etcdkit_proto::etcdserverpb::{
    self as pb,
    compare::{CompareResult, CompareTarget, TargetUnion},
};

use super::{Blob, Invalid, KeyRange, LeaseId, Revision};

/// A condition of a [transaction](crate::Client::txn): something about a key compared with a
/// value.
///
/// A condition on a range of keys (since etcd 3.3) holds if it holds for each key of the range. A
/// key that does not exist compares as version 0, create revision 0, mod revision 0 and lease 0,
/// and so does a range without keys; a condition on the *value* of a missing key never holds.
///
/// # Examples
///
/// ```
/// use etcdkit::{Compare, KeyRange};
///
/// let conditions = [
///     Compare::missing("lock"),
///     Compare::value("mode").ne("off"),
///     Compare::mod_revision(KeyRange::prefix("config/")).lt(100),
/// ];
/// ```
#[derive(Clone, Debug)]
pub struct Compare(Result<pb::Compare, Invalid>);

impl Compare {
    /// Compares the value.
    pub fn value<'a>(keys: impl Into<KeyRange<'a>>) -> Comparing<'a, ByValue> {
        Comparing::new(keys.into(), CompareTarget::Value)
    }

    /// Compares the version: the number of puts since the key was created, 0 if it is missing.
    pub fn version<'a>(keys: impl Into<KeyRange<'a>>) -> Comparing<'a, i64> {
        Comparing::new(keys.into(), CompareTarget::Version)
    }

    /// Compares the revision that created the key, 0 if it is missing.
    pub fn create_revision<'a>(keys: impl Into<KeyRange<'a>>) -> Comparing<'a, Revision> {
        Comparing::new(keys.into(), CompareTarget::Create)
    }

    /// Compares the revision that last changed the key, 0 if it is missing.
    pub fn mod_revision<'a>(keys: impl Into<KeyRange<'a>>) -> Comparing<'a, Revision> {
        Comparing::new(keys.into(), CompareTarget::Mod)
    }

    /// Compares the lease the key is attached to, 0 if there is none. Since etcd 3.3.
    pub fn lease<'a>(keys: impl Into<KeyRange<'a>>) -> Comparing<'a, LeaseId> {
        Comparing::new(keys.into(), CompareTarget::Lease)
    }

    /// Holds if the key exists.
    pub fn exists<'a>(key: impl Into<Blob<'a>>) -> Self {
        Self::version(KeyRange::key(key)).gt(0)
    }

    /// Holds if the key does not exist.
    pub fn missing<'a>(key: impl Into<Blob<'a>>) -> Self {
        Self::version(KeyRange::key(key)).eq(0)
    }

    pub(crate) fn into_wire(self) -> Result<pb::Compare, Invalid> {
        self.0
    }
}

/// Half a [condition](Compare): what is compared, but not yet with what.
///
/// `T` is what it is compared with: a number, a [`LeaseId`] or a [value](ByValue).
#[must_use = "a condition says how to compare: eq, ne, gt or lt"]
pub struct Comparing<'a, T> {
    keys: KeyRange<'a>,
    target: CompareTarget,
    operand: PhantomData<fn(T)>,
}

/// Marks a [condition](Comparing) that compares bytes.
#[derive(Clone, Copy, Debug)]
pub enum ByValue {}

impl<T> fmt::Debug for Comparing<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Comparing")
            .field("keys", &self.keys)
            .field("target", &self.target)
            .finish()
    }
}

impl<'a, T> Comparing<'a, T> {
    fn new(keys: KeyRange<'a>, target: CompareTarget) -> Self {
        Self {
            keys,
            target,
            operand: PhantomData,
        }
    }

    fn with(self, result: CompareResult, operand: TargetUnion) -> Compare {
        Compare(self.keys.check().map(|()| {
            let (key, range_end) = self.keys.into_wire();
            pb::Compare {
                result: result.into(),
                target: self.target.into(),
                key,
                range_end,
                target_union: Some(operand),
            }
        }))
    }
}

macro_rules! operators {
    ($($operand:ty, [$($generics:tt)*] $argument:ty => |$target:pat_param, $it:ident| $union:expr;)*) => {
        $(impl Comparing<'_, $operand> {
            /// Holds if it is equal to the operand.
            pub fn eq<$($generics)*>(self, operand: $argument) -> Compare {
                self.compare(CompareResult::Equal, operand)
            }

            /// Holds if it is not equal to the operand.
            pub fn ne<$($generics)*>(self, operand: $argument) -> Compare {
                self.compare(CompareResult::NotEqual, operand)
            }

            /// Holds if it is greater than the operand.
            pub fn gt<$($generics)*>(self, operand: $argument) -> Compare {
                self.compare(CompareResult::Greater, operand)
            }

            /// Holds if it is less than the operand.
            pub fn lt<$($generics)*>(self, operand: $argument) -> Compare {
                self.compare(CompareResult::Less, operand)
            }

            fn compare<$($generics)*>(self, result: CompareResult, $it: $argument) -> Compare {
                let $target = self.target;
                self.with(result, $union)
            }
        })*
    };
}

operators! {
    ByValue, ['v] impl Into<Blob<'v>> => |_, it| TargetUnion::Value(it.into().into_bytes());
    LeaseId, [] impl Into<LeaseId> => |_, it| TargetUnion::Lease(it.into().0);
    i64, [] i64 => |target, it| match target {
        CompareTarget::Create => TargetUnion::CreateRevision(it),
        CompareTarget::Mod => TargetUnion::ModRevision(it),
        _ => TargetUnion::Version(it),
    };
}
