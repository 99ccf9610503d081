//! Both clients in turns.

use std::{env, process::Command};

use crate::{
    Failure,
    load::{Figures, NAMES},
    server::Server,
};

/// How often each load is run with each client. One run differs from the next by more than the clients do,
/// so there must be some for the median to say anything.
const ROUNDS: usize = 7;

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
            let [ours, theirs] = figures;
            for (index, name) in NAMES.iter().enumerate() {
                let of = |runs: &[Figures]| runs.iter().map(|run| run.0[index]).collect();
                let (ours, theirs): (Vec<f64>, Vec<f64>) = (of(&ours), of(&theirs));
                let pairs = ours.iter().zip(&theirs);
                let ratios = pairs.map(|(ours, theirs)| ours / theirs).collect();
                println!(
                    "| {operation}, {callers} callers | {name} | {:.1} | {:.1} | {:.2} |",
                    median(ours),
                    median(theirs),
                    median(ratios)
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

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
