//! A lock that nobody else wants, taken and given back.

use etcdkit_bench_load::{Failure, Verb, Workload};

use super::Bench;
use crate::{
    compare::{self, Load},
    servers::Server,
    table,
};

/// Callers at the same time, each with a lock of its own, and so many calls that a run takes seconds.
const BY_SESSION: [(usize, u64); 2] = [(1, 5_000), (16, 30_000)];
/// Fewer: a server that is granted and revokes leases without a pause falls behind.
const A_LEASE_EACH: [(usize, u64); 2] = [(1, 1_000), (16, 4_000)];

pub(super) fn run(bench: &Bench<'_>) -> Result<(), Failure> {
    let server = bench.runtime.block_on(Server::start(bench.arguments))?;
    println!("server: {}\n", server.name());
    let compared = compare::Bench::new(bench.arguments, bench.programs, &server, bench.runtime);
    let mut measured = Vec::new();
    for (name, by_session, levels) in [
        ("lock and unlock, by one session", true, BY_SESSION),
        ("lock and unlock, a lease each", false, A_LEASE_EACH),
    ] {
        for (clients, total) in levels {
            let load = Load {
                name: name.to_owned(),
                verb: Verb::Lock { by_session },
                workload: NO_KEYS,
                total: total / if bench.smoke { 50 } else { 1 },
                rate: 0,
                clients,
                rounds: bench.rounds,
            };
            // What is counted for each call does not depend on how many make it, and takes its time.
            measured.push(match by_session && clients == 1 && !bench.smoke {
                true => compared.measure(&load)?,
                false => compared.timed(&load)?,
            });
        }
    }
    println!(
        "### A lock that nobody else wants\n\n{}",
        table::measured(&measured)
    );
    println!("{}\n", compared.remarks());
    Ok(())
}

/// Locks make their own.
const NO_KEYS: Workload = Workload {
    key_size: 0,
    val_size: 0,
    key_space_size: 0,
    sequential_keys: false,
    limit: 0,
    serializable: false,
};
