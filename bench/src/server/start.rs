//! From the start of a process to the first put that it has answered, and what it holds then.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use etcdkit::Client;
use etcdkit_bench_load::Failure;

use super::{
    Bench,
    process::{Kind, Process},
};
use crate::figures::Figures;

/// After which a server that nobody calls is at rest.
const REST: Duration = Duration::from_secs(1);

pub(super) fn run(bench: &Bench<'_>) -> Result<String, Failure> {
    let mut figures = Figures::new("server", Kind::ALL.map(|kind| kind.to_string()));
    for _ in 0..bench.rounds {
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            let start = Instant::now();
            let server = Process::start(bench, kind)?;
            bench.runtime.block_on(async {
                let client = Client::connect(&*server.endpoint).await?;
                client.put("first", "put").await
            })?;
            let millis = start.elapsed().as_secs_f64() * 1e3;
            sleep(REST);
            let line = vec![
                ("ms to the first put", 1, millis),
                ("RSS idle MiB", 1, server.rss_mib()?),
            ];
            figures.add(index, line);
        }
    }
    Ok(format!("### Start of a process\n\n{figures}"))
}
