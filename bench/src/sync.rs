//! Locks and transactions in memory: alone, in a queue, and under contention.

mod hand_over;
mod increments;
mod uncontended;

use std::{path::Path, time::Duration};

use etcdkit_bench_load::{Failure, Scene, SceneJob};
use tokio::runtime::Runtime;

use crate::{
    actor::Actor,
    cli::{Arguments, SyncOptions, SyncPart},
    figures::Line,
    noise,
    programs::Programs,
    stage::{self, Stage},
};

/// Everything a part needs.
struct Bench<'a> {
    arguments: &'a Arguments,
    programs: &'a Programs,
    runtime: &'a Runtime,
    rounds: usize,
    smoke: bool,
}

/// Runs the parts that are asked for and prints their tables.
pub(crate) fn run(
    arguments: &Arguments,
    options: &SyncOptions,
    programs: &Programs,
    runtime: &Runtime,
) -> Result<(), Failure> {
    let smoke = options.smoke;
    let bench = Bench {
        arguments,
        programs,
        runtime,
        rounds: if smoke { 1 } else { arguments.rounds },
        smoke,
    };
    for part in options.parts() {
        match part {
            SyncPart::Lock => uncontended::run(&bench)?,
            SyncPart::HandOver => {
                println!("server: {}\n", stage::description()?);
                println!("{}", hand_over::run(&bench)?);
            }
            SyncPart::Stm => {
                println!("server: {}\n", stage::description()?);
                increments::run(&bench)?;
            }
        }
    }
    Ok(())
}

impl Bench<'_> {
    /// Takes turns: calls `once` with the index of each of so many that are compared, once per round.
    fn rounds(
        &self,
        count: usize,
        mut once: impl FnMut(usize) -> Result<Line, Failure>,
        mut found: impl FnMut(usize, Line),
    ) -> Result<(), Failure> {
        for round in 0..self.rounds {
            for turn in 0..count {
                // Each round another one begins.
                let index = (round + turn) % count;
                noise::wait_for_quiet(Duration::from_secs(self.arguments.patience))?;
                found(index, once(index)?);
            }
        }
        Ok(())
    }

    /// Starts a program in a scene, on a server of its own.
    fn start(&self, program: &Path, scene: Scene) -> Result<(Stage, Actor), Failure> {
        let stage = self.runtime.block_on(Stage::set(1))?;
        let job = SceneJob {
            endpoints: stage.cluster.endpoints(),
            runtime: self.arguments.runtime(),
            scene,
        };
        let actor = Actor::start(program, &job)?;
        Ok((stage, actor))
    }
}
