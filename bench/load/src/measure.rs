//! What a process can say about itself.

use std::{
    fs,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::Failure;

/// Allocations of the whole process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocations {
    /// How many blocks were allocated or moved to another size.
    pub count: u64,
    /// How many bytes they had together; a block that grows counts by what it grows.
    pub bytes: u64,
}

impl Allocations {
    /// Those since the start of the process, when it counts.
    pub(crate) fn so_far() -> Self {
        let stats = stats_alloc::INSTRUMENTED_SYSTEM.stats();
        Self {
            count: (stats.allocations + stats.reallocations) as u64,
            bytes: stats.bytes_allocated as u64,
        }
    }

    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            count: self.count - earlier.count,
            bytes: self.bytes - earlier.bytes,
        }
    }
}

/// CPU time of all threads of the process, user and kernel: the sum that getrusage reports, without
/// its rounding.
pub(crate) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Resident memory, in bytes.
pub(crate) struct Memory {
    pub(crate) now: u64,
    pub(crate) peak: u64,
}

impl Memory {
    pub(crate) fn of_this_process() -> Result<Self, Failure> {
        let status = fs::read_to_string("/proc/self/status")?;
        let bytes = |name: &str| -> Result<u64, Failure> {
            let kib = status
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_suffix("kB"))
                .ok_or_else(|| format!("/proc/self/status has no {name}"))?;
            Ok(kib.trim().parse::<u64>()? * 1024)
        };
        Ok(Self {
            now: bytes("VmRSS:")?,
            peak: bytes("VmHWM:")?,
        })
    }
}

/// Nanoseconds since a moment, or the most that can be said: four seconds.
pub(crate) fn nanos_since(start: Instant) -> u32 {
    u32::try_from(start.elapsed().as_nanos()).unwrap_or(u32::MAX)
}

/// The value below which this share of the sorted `values` lies.
pub(crate) fn percentile(sorted: &[u32], share: f64) -> f64 {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    let value = sorted.get(rank.saturating_sub(1)).or(sorted.last());
    value.copied().map_or(0.0, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_take_the_nearest_rank() {
        let values: Vec<u32> = (1..=100).collect();
        assert_eq!(percentile(&values, 0.5), 50.0);
        assert_eq!(percentile(&values, 0.99), 99.0);
        assert_eq!(percentile(&[7], 0.99), 7.0);
        assert_eq!(percentile(&[], 0.5), 0.0);
    }

    #[test]
    fn the_process_knows_its_memory() -> Result<(), Failure> {
        let memory = Memory::of_this_process()?;
        assert!(memory.now > 0 && memory.peak >= memory.now);
        Ok(())
    }
}
