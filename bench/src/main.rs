//! Compares clients on one server: the verbs of etcd's own benchmark, one table for all clients. And
//! servers under one client.
//!
//! Each measurement runs in a process of its own, and the clients take turns within each round, so
//! that whatever else the machine does meets all of them alike.

mod actor;
mod cli;
mod compare;
mod figures;
mod instructions;
mod noise;
mod programs;
mod scenes;
mod server;
mod servers;
mod stage;
mod suite;
mod sync;
mod table;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("etcdkit-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &cli::Arguments) -> Result<(), etcdkit_bench_load::Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    if let cli::Command::Server(options) = &arguments.command {
        return server::run(arguments, options, &runtime);
    }
    let programs = programs::Programs::find(&arguments.peers)?;
    if let cli::Command::Sync(options) = &arguments.command {
        return sync::run(arguments, options, &programs, &runtime);
    }
    let plays = match &arguments.command {
        cli::Command::Scenes(options) => scenes::Play::all(options.smoke),
        command => scenes::Play::of(command).into_iter().collect(),
    };
    if !plays.is_empty() {
        let rounds = match &arguments.command {
            cli::Command::Scenes(options) if options.smoke => 1,
            _ => arguments.rounds,
        };
        println!("server: {}\n", stage::description()?);
        for play in plays {
            println!(
                "{}",
                scenes::run(play, rounds, arguments, &programs, &runtime)?
            );
        }
        return Ok(());
    }
    let server = runtime.block_on(servers::Server::start(arguments))?;
    println!("server: {}\n", server.name());
    let bench = compare::Bench::new(arguments, &programs, &server, &runtime);
    match &arguments.command {
        cli::Command::Suite(options) => suite::run(&bench, options)?,
        command @ cli::Command::Scan(_) => println!("{}", table::scans(&bench.verb(command)?)),
        command => println!("{}", table::measured(&bench.verb(command)?)),
    }
    println!("{}", bench.remarks());
    Ok(())
}
