//! Instructions per call in user mode, the figure that does not depend on what else the machine does.
//!
//! A program is run twice with different numbers of calls and the counts are subtracted, so that
//! starting and connecting drop out. The count comes from the CPU through `perf stat`; where that is
//! not to be had, as in most virtual machines, from valgrind's callgrind, which simulates the CPU and
//! runs one thread at a time.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

use etcdkit_bench_load::{Failure, Job};

use crate::programs;

/// Calls of the shorter run, which has all that happens once.
const FEW: u64 = 2_000;
/// Calls of the longer run.
const MANY: u64 = 12_000;

/// What counts instructions on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counter {
    Perf,
    Callgrind,
}

impl Counter {
    /// The one that works here, tried out on a small program.
    pub(crate) fn find() -> Option<Self> {
        [Self::Perf, Self::Callgrind].into_iter().find(|counter| {
            let output = counter.command().arg("true").stdin(Stdio::null()).output();
            output.is_ok_and(|output| counter.count(&output).is_some())
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Perf => "perf stat -e instructions:u",
            Self::Callgrind => "valgrind --tool=callgrind (perf has no instruction counter here)",
        }
    }

    fn command(self) -> Command {
        match self {
            Self::Perf => {
                let mut command = Command::new("perf");
                command.args([
                    "stat",
                    "--field-separator=,",
                    "--event=instructions:u",
                    "--",
                ]);
                command
            }
            Self::Callgrind => {
                let mut command = Command::new("valgrind");
                command.args([
                    "--tool=callgrind",
                    "--callgrind-out-file=/dev/null",
                    // Otherwise a thread that just ran mostly runs again, and starves the others.
                    "--fair-sched=try",
                ]);
                command
            }
        }
    }

    /// Finds the count in what the tool printed.
    fn count(self, output: &Output) -> Option<u64> {
        let text = String::from_utf8_lossy(&output.stderr);
        text.lines().find_map(|line| match self {
            // 12345,,instructions:u,…
            Self::Perf => line
                .contains("instructions:u")
                .then(|| line.split(',').next()?.parse().ok())?,
            // ==12== Collected : 12345
            Self::Callgrind => line.split_once("Collected : ")?.1.trim().parse().ok(),
        })
    }

    fn run(self, program: &Path, job: &Job, total: u64) -> Result<u64, Failure> {
        let job = Job {
            total,
            warmup: 0,
            rate: 0,
            ..job.clone()
        };
        let (_, output) = programs::run(program, &job, Some(self.command()))?;
        self.count(&output)
            .ok_or_else(|| format!("{} printed no count", self.name()).into())
    }

    /// Counts the instructions of one call of this job.
    pub(crate) fn per_call(self, program: &Path, job: &Job) -> Result<f64, Failure> {
        let few = self.run(program, job, FEW)?;
        let many = self.run(program, job, MANY)?;
        Ok((many as f64 - few as f64) / (MANY - FEW) as f64)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    fn printed(text: &str) -> Output {
        Output {
            status: std::process::ExitStatus::from_raw(0),
            stdout: Vec::new(),
            stderr: text.into(),
        }
    }

    #[test]
    fn counts_are_found_in_what_the_tools_print() {
        let perf = printed("\n81234,,instructions:u,1200000,100.00,,\n");
        assert_eq!(Counter::Perf.count(&perf), Some(81_234));
        let unsupported = printed("<not supported>,,instructions:u,0,100.00,,\n");
        assert_eq!(Counter::Perf.count(&unsupported), None);
        let callgrind = printed("==7== Events    : Ir\n==7== Collected : 123456\n");
        assert_eq!(Counter::Callgrind.count(&callgrind), Some(123_456));
    }
}
