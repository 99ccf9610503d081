//! Compares etcdkit's v2 client with the `etcd` crate, against one real etcd.
//!
//! `etcdkit-bench-v2 ETCD` starts that binary with its v2 API and lets both clients put and get with 1, 16
//! and 64 callers, each run in a process of its own and in turns. Printed are the medians, and the medians of
//! etcdkit's figures as multiples of the other's in the same round.

mod clients;
mod compare;
mod load;
mod server;

use std::{error::Error, process::ExitCode};

use crate::load::Load;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        ["run", rest @ ..] => Load::parse(rest).and_then(|load| {
            println!("{}", load.run()?);
            Ok(())
        }),
        [etcd] => compare::run(etcd),
        _ => Err("usage: etcdkit-bench-v2 ETCD".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("etcdkit-bench-v2: {error}");
            ExitCode::FAILURE
        }
    }
}
