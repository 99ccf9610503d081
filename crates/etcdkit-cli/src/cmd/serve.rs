//! `serve`: the embedded server as a program.

mod security;

use std::io::{self, Write};

use etcdkit_server::{Server, StartError};
use tokio::runtime::Builder;

use super::{no_arguments, runtime, signal::Signals};
use crate::{
    args::ServeArgs,
    error::{Exit, Failure, Result},
};

pub(crate) fn run(args: &ServeArgs) -> Result {
    no_arguments(&args.args, "serve")?;
    if let Some((flag, reason)) = args.other.refused.first() {
        return Err(Failure::unsupported(format!("--{flag}: {reason}")));
    }
    args.log.begin()?;
    runtime(&mut Builder::new_multi_thread())?.block_on(serve(args))
}

async fn serve(args: &ServeArgs) -> Result {
    let mut builder = Server::builder()
        .name(&args.network.name)
        .advertise_client_urls(&args.network.advertise_client_urls)
        .advertise_peer_urls(&args.network.initial_advertise_peer_urls)
        .max_txn_ops(args.limits.max_txn_ops)
        .max_request_bytes(args.limits.max_request_bytes)
        .quota_backend_bytes(args.storage.quota_backend_bytes)
        .auto_compaction(args.storage.auto_compaction()?)
        .lease_checkpoints(args.storage.lease_checkpoints()?)
        .enable_v2(args.v2.enable_v2)
        .v2_modules(args.v2.enable_v2_modules)
        .watch_progress_notify_interval(args.limits.watch_progress_notify_interval);
    for address in args.network.addresses() {
        builder = builder.listen(address);
    }
    if let Some(directory) = args.storage.data_dir() {
        builder = builder.data_dir(directory);
    }
    if let Some(snapshot) = &args.storage.restore {
        builder = builder.from_snapshot(snapshot);
    }
    builder = security::add(builder, args)?;
    let mut signals = Signals::listen()?;
    let server = builder.start().await.map_err(refused)?;
    introduce(args, &server);
    // Standard output carries the endpoints and nothing else, for scripts that let port 0 choose.
    let mut out = io::stdout();
    for endpoint in server.endpoints() {
        writeln!(out, "{endpoint}")?;
    }
    out.flush()?;

    signals.next().await;
    let ended = server.shutdown().await;
    ended.map_err(|error| Failure::new(Exit::Io, error.to_string()))?;
    match args.storage.data_dir() {
        None => eprintln!("Ended; the data is gone."),
        Some(directory) => eprintln!("Ended; the data is in {}.", directory.display()),
    }
    Ok(())
}

/// What a newcomer must know before relying on this.
fn introduce(args: &ServeArgs, server: &Server) {
    let place = args.storage.data_dir().map_or_else(
        || "in memory: when it ends its data is gone (--data-dir keeps it)".to_owned(),
        |directory| format!("with its data in {}", directory.display()),
    );
    eprintln!(
        "This is one etcd node without failover, {place}.\n\
         Beyond one machine: take a snapshot (etcdkit snapshot save) to a cluster of etcd\n\
         (etcdutl snapshot restore, https://etcd.io/docs); clients change only their endpoints.\n\
         Try: etcdkit --endpoints {}{} put greeting hello",
        server.endpoint(),
        security::client_flags(args)
    );
    let ignored = [&args.other.ignored[..], &security::without_effect(args)].concat();
    if !ignored.is_empty() {
        eprintln!("Without effect here: --{}", ignored.join(", --"));
    }
    if !args.unknown_keys.is_empty() {
        let keys = args.unknown_keys.join(", ");
        eprintln!("Unknown in the configuration file, and not looked at: {keys}");
    }
    for warning in security::warnings(args) {
        eprintln!("{warning}");
    }
}

fn refused(error: StartError) -> Failure {
    let text = error.to_string();
    match error {
        StartError::Config { .. } => Failure::bad_args(text),
        StartError::Listen { .. } => Failure::new(Exit::Error, text)
            .hint("choose another port with --listen-client-urls, or 0 for any free one"),
        StartError::Data { .. } | StartError::Restore { .. } => Failure::new(Exit::Io, text),
        _ => Failure::new(Exit::Error, text),
    }
}
