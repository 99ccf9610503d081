//! Durations, by buckets.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Counter;

/// The upper bounds of etcd's buckets for commits: one millisecond, and each twice the one before, up to
/// about eight seconds.
pub(super) const BOUNDS: [f64; 14] = [
    0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096,
    8.192,
];

/// A Prometheus histogram of durations.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    /// How many were at most as long as the bound, and longer than the one before.
    buckets: [Counter; BOUNDS.len()],
    longer: Counter,
    sum_nanos: AtomicU64,
}

impl Histogram {
    /// Counts one duration.
    pub(crate) fn observe(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = BOUNDS.iter().zip(&self.buckets);
        let bucket = bucket.into_iter().find(|(bound, _)| seconds <= **bound);
        bucket.map_or(&self.longer, |(_, bucket)| bucket).add(1);
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.sum_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// How many were at most as long as each bound, and how many there were.
    pub(super) fn cumulative(&self) -> ([u64; BOUNDS.len()], u64) {
        let mut sum = 0;
        let counts = self.buckets.each_ref().map(|bucket| {
            sum += bucket.get();
            sum
        });
        (counts, sum + self.longer.get())
    }

    pub(super) fn sum_seconds(&self) -> f64 {
        Duration::from_nanos(self.sum_nanos.load(Ordering::Relaxed)).as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_in_every_bucket_that_it_fits() {
        let histogram = Histogram::default();
        for millis in [1, 3, 3, 60_000] {
            histogram.observe(Duration::from_millis(millis));
        }
        let (buckets, count) = histogram.cumulative();
        assert_eq!(buckets[..4], [1, 1, 3, 3]);
        assert_eq!((buckets[13], count), (3, 4));
        assert!((histogram.sum_seconds() - 60.007).abs() < 1e-9);
    }
}
