//! How much of the machine others use: a timed run among busy neighbours says little.

use std::{
    fs, process,
    thread::sleep,
    time::{Duration, Instant},
};

use etcdkit_bench_load::Failure;

/// CPU time since some moment in the past, in clock ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticks {
    /// Of all CPUs, whether they worked or not.
    total: u64,
    /// Spent working, for anyone.
    busy: u64,
    /// Spent by this process, its children and those of its ended children.
    ours: u64,
}

impl Ticks {
    pub(crate) fn now() -> Result<Self, Failure> {
        let (total, busy) = machine(&fs::read_to_string("/proc/stat")?)
            .ok_or("/proc/stat has no line about all CPUs")?;
        Ok(Self {
            total,
            busy,
            ours: ours()?,
        })
    }

    /// The share of the machine that others used since `earlier`, from 0 to 1.
    pub(crate) fn others_since(self, earlier: Self) -> f64 {
        let busy = self.busy.saturating_sub(earlier.busy);
        let ours = self.ours.saturating_sub(earlier.ours);
        let total = self.total.saturating_sub(earlier.total).max(1);
        busy.saturating_sub(ours) as f64 / total as f64
    }
}

/// Waits until others use less than a seventh of the machine, or patience ends.
pub(crate) fn wait_for_quiet(patience: Duration) -> Result<(), Failure> {
    const LOOK: Duration = Duration::from_millis(300);
    let start = Instant::now();
    let mut before = Ticks::now()?;
    while start.elapsed() < patience {
        sleep(LOOK);
        let now = Ticks::now()?;
        if now.others_since(before) < 0.15 {
            break;
        }
        before = now;
    }
    Ok(())
}

/// Total and busy ticks of the line `cpu user nice system idle iowait irq softirq steal …`.
fn machine(stat: &str) -> Option<(u64, u64)> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    // What follows steal, time of guests, is part of the others.
    let ticks: Vec<u64> = line
        .split_whitespace()
        .take(8)
        .map_while(|field| field.parse().ok())
        .collect();
    let total: u64 = ticks.iter().sum();
    let idle = ticks.get(3)? + ticks.get(4)?;
    Some((total, total - idle))
}

fn ours() -> Result<u64, Failure> {
    let id = process::id();
    let mut ticks = process_ticks(id).ok_or("/proc/self/stat cannot be read")?;
    for thread in fs::read_dir("/proc/self/task")? {
        // A thread may have ended meanwhile; children then count as those of another thread.
        let children = fs::read_to_string(thread?.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|id| id.parse().ok()) {
            ticks += process_ticks(child).unwrap_or_default();
        }
    }
    Ok(ticks)
}

/// User and system time of a process and of its children that have ended.
fn process_ticks(id: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    sum_of_times(&stat, 4)
}

/// User and system time of a process without its children, from its `/proc/…/stat`.
pub(crate) fn own_ticks(stat: &str) -> Option<u64> {
    sum_of_times(stat, 2)
}

fn sum_of_times(stat: &str, count: usize) -> Option<u64> {
    // The name in brackets may hold anything; the fields after it are numbered from 3.
    let (_, fields) = stat.rsplit_once(") ")?;
    let times = fields.split_whitespace().skip(14 - 3).take(count);
    Some(times.filter_map(|field| field.parse::<u64>().ok()).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_about_all_cpus_is_summed() {
        let stat = "cpu  10 1 20 300 5 2 3 4 7 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        assert_eq!(machine(stat), Some((345, 40)));
        assert_eq!(machine("intr 1"), None);
    }

    #[test]
    fn our_own_work_is_not_others() -> Result<(), Failure> {
        let before = Ticks::now()?;
        let start = Instant::now();
        let mut sum = 0_u64;
        while start.elapsed() < Duration::from_millis(200) {
            sum = std::hint::black_box(sum + 1);
        }
        let after = Ticks::now()?;
        assert!(after.ours > before.ours, "{before:?} {after:?}");
        assert!((0.0..=1.0).contains(&after.others_since(before)));
        Ok(())
    }
}
