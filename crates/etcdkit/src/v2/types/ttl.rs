//! How long keys and directories live.

use std::time::Duration;

/// A time to live: whole seconds, from a number or a [`Duration`], which is rounded up.
///
/// The member that receives a request adds it to its clock, and the cluster's leader lets the key or
/// directory expire by its own, on a tick of half a second. Zero is a time that is over already.
///
/// Negative times, and those above 9223372036 seconds (292 years), of which etcd would make no limit at
/// all, are refused before anything is sent, with
/// [`InvalidRequest`](crate::v2::ErrorKind::InvalidRequest).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use etcdkit::v2::Ttl;
///
/// assert_eq!(Ttl::from(60), Ttl::from(Duration::from_secs(60)));
/// assert_eq!(Ttl::from(Duration::from_millis(1500)), Ttl::from(2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ttl {
    /// Any number at all, until it is looked at.
    seconds: i128,
}

/// etcd counts nanoseconds in 64 bits.
const MOST: i128 = i64::MAX as i128 / 1_000_000_000;

impl Ttl {
    /// The seconds, if a server can do what they say; otherwise what is wrong.
    pub(crate) fn seconds(self) -> Result<u64, String> {
        let seconds = self.seconds;
        match u64::try_from(seconds) {
            Ok(valid) if seconds <= MOST => Ok(valid),
            _ if seconds < 0 => Err(format!(
                "a time to live cannot be negative, as {seconds} is: leave it out to keep the key for ever"
            )),
            _ => Err(format!(
                "a time to live of {seconds} seconds is more than the {MOST} that etcd can count: leave \
                 it out to keep the key for ever"
            )),
        }
    }
}

macro_rules! from_numbers {
    ($($number:ident)*) => {
        $(impl From<$number> for Ttl {
            fn from(seconds: $number) -> Self {
                Self { seconds: seconds.into() }
            }
        })*
    };
}

from_numbers!(u8 u16 i32 u32 i64 u64);

impl From<Duration> for Ttl {
    fn from(time: Duration) -> Self {
        let more = u64::from(time.subsec_nanos() > 0);
        Self {
            seconds: i128::from(time.as_secs()) + i128::from(more),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_whole_seconds() {
        assert_eq!(Ttl::from(60).seconds(), Ok(60));
        assert_eq!(Ttl::from(0).seconds(), Ok(0));
        assert_eq!(Ttl::from(Duration::from_nanos(1)).seconds(), Ok(1));
        assert_eq!(Ttl::from(Duration::from_secs(7)).seconds(), Ok(7));
    }

    #[test]
    fn what_etcd_cannot_do_is_refused() {
        assert!(Ttl::from(-1).seconds().unwrap_err().contains("negative"));
        assert_eq!(Ttl::from(9_223_372_036_u64).seconds(), Ok(9_223_372_036));
        for ttl in [Ttl::from(9_223_372_037_u64), Ttl::from(Duration::MAX)] {
            assert!(ttl.seconds().unwrap_err().contains("can count"), "{ttl:?}");
        }
    }
}
