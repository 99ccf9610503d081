//! Which keys a user may read and write.

use etcdkit_proto::authpb::Permission;
use etcdkit_proto::authpb::permission::Type;

use crate::span::Span;

/// What the roles of one user allow, taken together.
#[derive(Debug, Default)]
pub(super) struct Permissions {
    read: Union,
    write: Union,
}

/// What is done with keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

impl Permissions {
    pub(super) fn of<'a>(granted: impl Iterator<Item = &'a Permission>) -> Self {
        let (mut read, mut write) = (Vec::new(), Vec::new());
        for permission in granted {
            let interval = Interval::of(Span::new(&permission.key, &permission.range_end));
            match Type::try_from(permission.perm_type) {
                Ok(Type::Read) => read.push(interval),
                Ok(Type::Write) => write.push(interval),
                Ok(Type::Readwrite) => {
                    read.push(interval.clone());
                    write.push(interval);
                }
                Err(_) => {}
            }
        }
        Self {
            read: Union::of(read),
            write: Union::of(write),
        }
    }

    pub(super) fn allow(&self, access: Access, span: Span<'_>) -> bool {
        match access {
            Access::Read => self.read.covers(span),
            Access::Write => self.write.covers(span),
        }
    }
}

/// Keys from `start` up to `end`, exclusively.
#[derive(Clone, Debug)]
struct Interval {
    start: Vec<u8>,
    end: End,
}

/// The open end is above all others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Before(Vec<u8>),
    Open,
}

impl Interval {
    fn of(span: Span<'_>) -> Self {
        Self {
            start: span.start.to_vec(),
            end: End::of(span),
        }
    }
}

impl End {
    fn of(span: Span<'_>) -> Self {
        match (span.single_key(), span.end()) {
            // There is no key between a key and the same with a zero byte behind it.
            (Some(key), _) => Self::Before([key, &[0]].concat()),
            (None, Some(end)) => Self::Before(end.to_vec()),
            (None, None) => Self::Open,
        }
    }
}

/// Intervals in order, that neither overlap nor touch.
#[derive(Debug, Default)]
struct Union(Vec<Interval>);

impl Union {
    fn of(mut intervals: Vec<Interval>) -> Self {
        intervals.sort_by(|a, b| a.start.cmp(&b.start));
        let mut union: Vec<Interval> = Vec::with_capacity(intervals.len());
        for interval in intervals {
            match union.last_mut() {
                Some(last) if last.end >= End::Before(interval.start.clone()) => {
                    last.end = interval.end.max(last.end.clone());
                }
                _ => union.push(interval),
            }
        }
        Self(union)
    }

    /// Whether one interval has the whole span; it may have been granted in pieces. Of a span that
    /// ends before it starts, which has no keys, only the start matters.
    fn covers(&self, span: Span<'_>) -> bool {
        let after = self
            .0
            .partition_point(|interval| interval.start.as_slice() <= span.start);
        let Some(interval) = after.checked_sub(1).and_then(|at| self.0.get(at)) else {
            return false;
        };
        let holds_start = match &interval.end {
            End::Before(end) => end.as_slice() > span.start,
            End::Open => true,
        };
        holds_start && interval.end >= End::of(span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(permissions: &[(Type, &'static [u8], &'static [u8])]) -> Permissions {
        let permissions: Vec<Permission> = permissions
            .iter()
            .map(|(kind, key, range_end)| Permission {
                perm_type: (*kind).into(),
                key: (*key).into(),
                range_end: (*range_end).into(),
            })
            .collect();
        Permissions::of(permissions.iter())
    }

    fn read(permissions: &Permissions, key: &[u8], range_end: &[u8]) -> bool {
        permissions.allow(Access::Read, Span::new(key, range_end))
    }

    #[test]
    fn a_range_may_be_granted_in_pieces() {
        let permissions = granted(&[
            (Type::Read, b"c", b"e"),
            (Type::Readwrite, b"a", b"c"),
            (Type::Read, b"x", b""),
        ]);
        assert!(read(&permissions, b"a", b"e"));
        assert!(read(&permissions, b"b", b"d"));
        assert!(read(&permissions, b"x", b""));
        assert!(read(&permissions, b"x", b"x\0"));
        for (key, end) in [("a", "f"), ("A", "b"), ("e", ""), ("x", "y"), ("w", "x\0")] {
            assert!(!read(&permissions, key.as_bytes(), end.as_bytes()), "{key}");
        }
        assert!(!permissions.allow(Access::Write, Span::new(b"b", b"d")));
        assert!(permissions.allow(Access::Write, Span::new(b"b", b"c")));
    }

    #[test]
    fn an_open_range_needs_an_open_grant() {
        let permissions = granted(&[(Type::Read, b"a", b"z")]);
        assert!(!read(&permissions, b"a", b"\0"));
        let permissions = granted(&[(Type::Read, b"a", b"m"), (Type::Read, b"k", b"\0")]);
        assert!(read(&permissions, b"a", b"\0"));
        assert!(read(&permissions, b"zzz", b""));
        assert!(!read(&permissions, b"\0", b"\0"));
    }

    #[test]
    fn of_a_range_that_ends_before_it_starts_only_the_start_matters() {
        let permissions = granted(&[(Type::Read, b"b", b"\0")]);
        assert!(read(&permissions, b"c", b"a"));
        assert!(!read(&permissions, b"a", b"A"));
    }

    #[test]
    fn a_key_and_what_follows_it_at_once_is_a_range() {
        let permissions = granted(&[(Type::Read, b"a", b""), (Type::Read, b"a\0", b"c")]);
        assert!(read(&permissions, b"a", b"c"));
        assert!(!granted(&[]).allow(Access::Read, Span::new(b"a", b"")));
    }
}
