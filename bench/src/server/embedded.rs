//! Servers inside of a process: how soon they serve, and what a thousand of them cost.

use std::time::Instant;

use etcdkit::Client;
use etcdkit_bench_load::Failure;
use etcdkit_server::Server;

use super::{Bench, process::rss_mib};
use crate::compare::median;

/// How many servers are started one after the other.
const STARTS: u64 = 200;
/// How many run at the same time.
const SERVERS: u64 = 1_000;

pub(super) fn run(bench: &Bench<'_>) -> Result<String, Failure> {
    bench.runtime.block_on(async {
        let mut with_port = Vec::new();
        let mut without = Vec::new();
        for _ in 0..STARTS / bench.share.min(10) {
            let start = Instant::now();
            let server = Server::builder().start().await?;
            let client = Client::connect(server.endpoint()).await?;
            client.put("first", "put").await?;
            with_port.push(start.elapsed().as_secs_f64() * 1e3);
            drop(client);
            server.shutdown().await?;

            let start = Instant::now();
            let server = Server::builder().without_listener().start().await?;
            connect(&server).await?.put("first", "put").await?;
            without.push(start.elapsed().as_secs_f64() * 1e3);
        }
        with_port.sort_by(f64::total_cmp);
        without.sort_by(f64::total_cmp);

        let pid = std::process::id();
        let count = SERVERS / bench.share.min(10);
        let before = rss_mib(pid)?;
        let start = Instant::now();
        let mut servers = Vec::new();
        for _ in 0..count {
            servers.push(Server::builder().without_listener().start().await?);
        }
        let millis = start.elapsed().as_secs_f64() * 1e3 / count as f64;
        let idle = (rss_mib(pid)? - before) * 1024.0 / count as f64;
        let start = Instant::now();
        let mut clients = Vec::new();
        for server in &servers {
            let client = connect(server).await?;
            client.put("first", "put").await?;
            clients.push(client);
        }
        let put = start.elapsed().as_secs_f64() * 1e3 / count as f64;
        let used = (rss_mib(pid)? - before) * 1024.0 / count as f64;
        Ok(format!(
            "### Inside of a process\n\n\
             | | |\n|---|--:|\n\
             | start, connect and first put over TCP, ms | {:.2} |\n\
             | the same by the connector, ms | {:.2} |\n\
             | each of {count} servers: start, ms | {millis:.3} |\n\
             | each: memory, KiB | {idle:.0} |\n\
             | each: connect and first put, ms | {put:.2} |\n\
             | each, with its client: memory, KiB | {used:.0} |\n",
            median(&with_port),
            median(&without),
        ))
    })
}

async fn connect(server: &Server) -> Result<Client, Failure> {
    let builder = Client::builder().connector(server.connector());
    Ok(builder.endpoint(server.endpoint()).connect().await?)
}
