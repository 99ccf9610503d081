//! `etcdkit v2` next to `ETCDCTL_API=2 etcdctl`, byte for byte: standard output, standard error and exit
//! codes.
//!
//! A script of commands is run by etcdctl and by etcdkit, on every real etcd that has the v2 API and on the
//! embedded server, each time from an empty server. What the etcdctl that came with an etcd does on it is
//! what all others have to do.

#![allow(clippy::unwrap_used)]

#[path = "../common/beside.rs"]
mod beside;
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/running.rs"]
#[allow(dead_code, reason = "nothing is said to the programs here")]
mod running;

mod cluster;
mod departures;
mod mask;
mod script;
mod stage;
mod streaming;

use etcdkit_testkit::etcd::{Binary, Version};

use crate::{
    beside::beside_each_other,
    mask::Masked,
    script::{Step, directories, script},
    stage::{Pair, Place, Program, etcds},
};

/// Etcd 3.5 cannot change the time to live of directories; those before it can, and so does the embedded
/// server.
const NO_UPDATES_OF_DIRECTORIES: Version = Version::new(3, 5, 0);

#[test]
fn commands_do_and_print_what_etcdctl_does_and_prints() {
    let etcds = etcds();
    let wrong = beside_each_other(etcds.iter().map(|etcd| || unlike_etcdctl(etcd))).concat();
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// What is not as the etcdctl that came with an etcd has it there.
fn unlike_etcdctl(etcd: &Binary) -> Vec<String> {
    let directories = match etcd.version() < NO_UPDATES_OF_DIRECTORIES {
        true => directories(),
        false => Vec::new(),
    };
    let steps = [script(), directories].concat();
    let pairs = Pair::all(etcd);
    let seen = beside_each_other(pairs.iter().map(|pair| {
        let steps = &steps;
        move || run(&pair.program, &pair.place(etcd), steps)
    }));
    let mut wrong = Vec::new();
    let (expected, found) = seen.split_first().unwrap();
    for (pair, found) in pairs.iter().skip(1).zip(found) {
        for ((step, expected), found) in steps.iter().zip(expected).zip(found) {
            if !step.is_same(&pair.program, expected, found) {
                wrong.push(format!(
                    "{}: {pair:?} is not like etcdctl on {etcd}\n  \
                     expected {expected:?}\n  found    {found:?}",
                    step.title(),
                ));
            }
        }
    }
    wrong
}

fn run(program: &Program, place: &Place, steps: &[Step]) -> Vec<Masked> {
    let mask = place.mask();
    let steps = steps.iter();
    steps
        .map(|step| mask.apply(&step.run(program, place.endpoint())))
        .collect()
}
