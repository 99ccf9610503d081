//! The project's chores, run as `cargo xtask <chore>`.

mod codegen;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let result = match args.next().as_deref() {
        Some("codegen") => codegen::run(args.next().as_deref() == Some("--check")),
        other => Err(format!("unknown chore {other:?}; known: codegen [--check]").into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
