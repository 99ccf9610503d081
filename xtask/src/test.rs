//! `cargo xtask test`: all tests of the workspace, against every real etcd that can be had.

use std::{
    error::Error,
    io::{self, BufRead, BufReader, Write},
    process::{Command, ExitStatus},
};

use crate::{cargo, etcd, failures};

/// Fetches missing etcds, runs `cargo test` with these further arguments, and says what was tested.
/// The error says what failed, and how to run it again.
pub(crate) fn run(arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    let etcds = etcd::provide()?;
    let tested = etcds
        .iter()
        .map(|etcd| format!("  etcd {} ({})", etcd.version, etcd.path.display()))
        .collect::<Vec<_>>()
        .join("\n");
    println!("real servers under test:\n{tested}");

    let binaries = std::env::join_paths(etcds.iter().map(|etcd| &etcd.path))?;
    let mut command = cargo(&["test", "--all-features", "--no-fail-fast"]);
    if !names_a_package(arguments) {
        command.arg("--workspace");
    }
    command.args(arguments).env(etcd::VARIABLE, binaries);
    let (status, output) = shown(command)?;
    println!("real servers tested:\n{tested}");
    match status.success() {
        true => Ok(()),
        false => Err(format!(
            "cargo test failed ({status})\n{}",
            failures::summary(&output)
        )
        .into()),
    }
}

fn names_a_package(arguments: &[&str]) -> bool {
    let of_cargo = arguments.iter().take_while(|argument| **argument != "--");
    of_cargo
        .into_iter()
        .any(|argument| argument.starts_with("-p") || argument.starts_with("--package"))
}

/// Runs a command, shows all that it prints while it does, and keeps it.
fn shown(mut command: Command) -> Result<(ExitStatus, String), Box<dyn Error>> {
    let (reader, writer) = io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let mut child = command
        .spawn()
        .map_err(|error| format!("cannot run {command:?}: {error}"))?;
    // It holds the writing ends, without which the output would not end.
    drop(command);
    let mut output = Vec::new();
    let mut reader = BufReader::new(reader);
    loop {
        let shown = output.len();
        if reader.read_until(b'\n', &mut output)? == 0 {
            break;
        }
        io::stdout().write_all(&output[shown..])?;
    }
    let status = child.wait()?;
    Ok((status, String::from_utf8_lossy(&output).into_owned()))
}
