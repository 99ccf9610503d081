//! The binary `etcdkit`: etcdctl's commands, an embedded server, and a guided tour.

mod app;
mod args;
mod cmd;
mod connect;
mod error;
mod golang;
mod log;
mod print;
mod style;
mod tour;
mod txn_script;
mod words;

fn main() -> std::process::ExitCode {
    app::run(std::env::args_os().collect())
}
