//! The `etcdkit` crate under load, with its allocations counted.

use std::process::ExitCode;

etcdkit_bench_load::count_allocations!();

fn main() -> ExitCode {
    etcdkit_bench_load::main::<peer_etcdkit::Etcdkit>()
}
