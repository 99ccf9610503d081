//! One run of one client.

use std::{fmt, fs, time::Duration};

use crate::{Failure, clients};

/// How long a run is.
const LENGTH: Duration = Duration::from_secs(3);

/// As many keys as there are callers times this.
const KEYS_PER_CALLER: usize = 50;

/// What is asked for.
#[derive(Clone, Copy)]
pub(crate) enum Operation {
    Put,
    Get,
}

/// One client, one operation, so many callers.
pub(crate) struct Load<'a> {
    is_etcdkit: bool,
    operation: Operation,
    callers: usize,
    endpoint: &'a str,
}

/// The key of a caller's request, without a slash at its start.
pub(crate) fn key(caller: usize, turn: usize) -> String {
    format!("bench/{caller}-{}", turn % KEYS_PER_CALLER)
}

/// A hundred bytes.
pub(crate) fn value() -> String {
    "x".repeat(100)
}

impl<'a> Load<'a> {
    /// Reads `CLIENT OPERATION CALLERS ENDPOINT`.
    pub(crate) fn parse(arguments: &[&'a str]) -> Result<Self, Failure> {
        let &[client, operation, callers, endpoint] = arguments else {
            return Err("usage: run CLIENT OPERATION CALLERS ENDPOINT".into());
        };
        Ok(Self {
            is_etcdkit: match client {
                "etcdkit" => true,
                "etcd" => false,
                _ => return Err(format!("no client is called {client}").into()),
            },
            operation: match operation {
                "put" => Operation::Put,
                "get" => Operation::Get,
                _ => return Err(format!("no operation is called {operation}").into()),
            },
            callers: callers.parse()?,
            endpoint,
        })
    }

    pub(crate) fn run(&self) -> Result<Figures, Failure> {
        let run = match self.is_etcdkit {
            true => clients::etcdkit,
            false => clients::etcd,
        };
        let before = cpu_time()?;
        let mut times = run(self.endpoint, self.operation, self.callers, LENGTH)?;
        let cpu = cpu_time()?.saturating_sub(before);
        times.sort_unstable();
        let at = |part: f64| {
            let index = (times.len() as f64 * part) as usize;
            times
                .get(index)
                .map_or(0.0, |time| time.as_secs_f64() * 1e6)
        };
        let requests = times.len() as f64;
        Ok(Figures([
            requests / LENGTH.as_secs_f64(),
            at(0.5),
            at(0.99),
            cpu.as_secs_f64() * 1e6 / requests,
        ]))
    }
}

/// What one run measured, in the order of [`NAMES`].
#[derive(Clone, Copy)]
pub(crate) struct Figures(pub(crate) [f64; 4]);

pub(crate) const NAMES: [&str; 4] = ["requests/s", "p50 µs", "p99 µs", "CPU µs/request"];

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figures = self.0.map(|figure| format!("{figure:.1}"));
        f.write_str(&figures.join(" "))
    }
}

/// How long this process has computed: the first number that Linux tells of its only busy thread.
fn cpu_time() -> Result<Duration, Failure> {
    let told = fs::read_to_string("/proc/thread-self/schedstat")?;
    let first = told.split(' ').next().unwrap_or_default();
    Ok(Duration::from_nanos(first.parse()?))
}
