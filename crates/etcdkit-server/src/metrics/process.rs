//! What the system knows of this process. Only Linux tells it by files; elsewhere these metrics are left out, as
//! Prometheus' own libraries do.

use std::fs;

/// What `/proc` says; what it does not say is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Process {
    pub(super) cpu_seconds: Option<f64>,
    pub(super) start_time_seconds: Option<f64>,
    pub(super) resident_bytes: Option<u64>,
    pub(super) virtual_bytes: Option<u64>,
    pub(super) open_fds: Option<u64>,
    pub(super) max_fds: Option<u64>,
}

/// Linux counts times of processes for users in hundredths of a second, whatever its own ticks are.
const TICKS_PER_SECOND: f64 = 100.0;

impl Process {
    pub(super) fn now() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self {
            open_fds: fs::read_dir("/proc/self/fd").ok().map(|files| {
                // Reading the folder takes one by itself.
                (files.count() as u64).saturating_sub(1)
            }),
            ..Self::parse(
                &read("/proc/self/stat"),
                &read("/proc/self/status"),
                &read("/proc/self/limits"),
                &read("/proc/stat"),
            )
        }
    }

    fn parse(stat: &str, status: &str, limits: &str, system: &str) -> Self {
        // The name of the program, in brackets, may contain anything. The third field follows it.
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .map_or("", |(_, fields)| fields)
            .split_ascii_whitespace()
            .collect();
        let ticks = |number: usize| -> Option<f64> {
            let ticks: f64 = fields.get(number - 3)?.parse().ok()?;
            Some(ticks / TICKS_PER_SECOND)
        };
        let boot: Option<f64> = value(system, "btime ").and_then(|time| time.parse().ok());
        Self {
            cpu_seconds: ticks(14).zip(ticks(15)).map(|(user, system)| user + system),
            start_time_seconds: boot.zip(ticks(22)).map(|(boot, after)| boot + after),
            resident_bytes: kilobytes(status, "VmRSS:"),
            virtual_bytes: kilobytes(status, "VmSize:"),
            open_fds: None,
            max_fds: value(limits, "Max open files").and_then(|limit| limit.parse().ok()),
        }
    }
}

fn kilobytes(status: &str, name: &str) -> Option<u64> {
    let kilobytes: u64 = value(status, name)?.parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// The first word behind `name`, which begins a line.
fn value<'a>(lines: &'a str, name: &str) -> Option<&'a str> {
    let rest = lines.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_ascii_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_understood() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 99 0 0 0 250 50 0 0 20 0 3 0 1200 226000 900 1";
        let status = "Name:\ta) b\nVmSize:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
                      Max open files            1024                 524288               files\n";
        let system = "cpu  1 2 3\nbtime 1700000000\n";
        let expected = Process {
            cpu_seconds: Some(3.0),
            start_time_seconds: Some(1_700_000_012.0),
            resident_bytes: Some(1024 * 1024),
            virtual_bytes: Some(2048 * 1024),
            open_fds: None,
            max_fds: Some(1024),
        };
        assert_eq!(Process::parse(stat, status, limits, system), expected);
    }

    #[test]
    fn what_is_not_said_is_left_out() {
        for text in ["", ")", "7 (a) S", "VmRSS:", "btime x"] {
            let process = Process::parse(text, text, text, text);
            assert_eq!(process, Process::default(), "{text:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_memory_and_files() {
        let process = Process::now();
        assert!(process.resident_bytes > Some(100_000), "{process:?}");
        assert!(process.open_fds > Some(2), "{process:?}");
        assert!(process.start_time_seconds > Some(1e9), "{process:?}");
    }
}
