//! Both clients in turns.

use std::{env, process::Command};

use crate::{
    Failure,
    load::{Figures, NAMES},
    server::Server,
};

/// How often each load is run with each client.
const ROUNDS: usize = 3;

/// Runs and prints the comparison against an etcd binary.
pub(crate) fn run(etcd: &str) -> Result<(), Failure> {
    let server = Server::start(etcd)?;
    println!("| load | figure | etcdkit | etcd 0.9 | ratio |");
    println!("|---|---|---|---|---|");
    for operation in ["put", "get"] {
        for callers in ["1", "16", "64"] {
            let mut figures = [Vec::new(), Vec::new()];
            for round in 0..ROUNDS {
                // Who comes first changes, so that neither has the fresher machine.
                let mut turns = [(0, "etcdkit"), (1, "etcd")];
                if round % 2 == 1 {
                    turns.reverse();
                }
                for (index, client) in turns {
                    figures[index].push(once(client, operation, callers, &server.endpoint)?);
                }
            }
            let [ours, theirs] = figures.map(medians);
            for (index, name) in NAMES.iter().enumerate() {
                let (ours, theirs) = (ours[index], theirs[index]);
                println!(
                    "| {operation}, {callers} callers | {name} | {ours:.1} | {theirs:.1} | {:.2} |",
                    ours / theirs
                );
            }
        }
    }
    Ok(())
}

/// One run, in a process of its own.
fn once(client: &str, operation: &str, callers: &str, endpoint: &str) -> Result<Figures, Failure> {
    let output = Command::new(env::current_exe()?)
        .args(["run", client, operation, callers, endpoint])
        .output()?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{client}, {operation}, {callers} callers: {why}").into());
    }
    let text = String::from_utf8(output.stdout)?;
    let mut figures = [0.0; 4];
    let mut words = text.split_whitespace();
    for figure in &mut figures {
        *figure = words.next().ok_or("a figure is missing")?.parse()?;
    }
    Ok(Figures(figures))
}

fn medians(runs: Vec<Figures>) -> [f64; 4] {
    let mut medians = [0.0; 4];
    for (index, median) in medians.iter_mut().enumerate() {
        let mut values: Vec<f64> = runs.iter().map(|run| run.0[index]).collect();
        values.sort_by(f64::total_cmp);
        *median = values.get(values.len() / 2).copied().unwrap_or_default();
    }
    medians
}
