//! The `etcd-client` crate under load.

use std::process::ExitCode;

fn main() -> ExitCode {
    etcdkit_bench_load::main::<peer_etcd_client::EtcdClient>()
}
