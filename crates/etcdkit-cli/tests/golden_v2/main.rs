//! `etcdkit v2` next to `ETCDCTL_API=2 etcdctl`, byte for byte: standard output, standard error and exit
//! codes.
//!
//! A script of commands is run by etcdctl and by etcdkit, on every real etcd that has the v2 API and on the
//! embedded server, each time from an empty server. What the etcdctl that came with an etcd does on it is
//! what all others have to do.

#![allow(clippy::unwrap_used)]

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

use etcdkit_testkit::etcd::Version;

use crate::{
    mask::Masked,
    script::{Step, directories, script},
    stage::{Place, Program, etcds},
};

/// Etcd 3.5 cannot change the time to live of directories; those before it can, and so does the embedded
/// server.
const NO_UPDATES_OF_DIRECTORIES: Version = Version::new(3, 5, 0);

#[test]
fn commands_do_and_print_what_etcdctl_does_and_prints() {
    let mut wrong = Vec::new();
    for etcd in etcds() {
        let steps = || {
            let directories = match etcd.version() < NO_UPDATES_OF_DIRECTORIES {
                true => directories(),
                false => Vec::new(),
            };
            [script(), directories].concat()
        };
        let etcdctl = Program::etcdctl_of(&etcd);
        let expected = run(&etcdctl, &Place::real(&etcd), &steps());
        let compared = [
            (&Program::Etcdkit, Place::real(&etcd)),
            (&etcdctl, Place::embedded()),
            (&Program::Etcdkit, Place::embedded()),
        ];
        for (program, place) in compared {
            let found = run(program, &place, &steps());
            for ((step, expected), found) in steps().iter().zip(&expected).zip(&found) {
                if !step.is_same(program, expected, found) {
                    wrong.push(format!(
                        "{}: {program:?} on {place:?} is not like {etcdctl:?} on {etcd}\n  \
                             expected {expected:?}\n  found    {found:?}",
                        step.title(),
                    ));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

fn run(program: &Program, place: &Place, steps: &[Step]) -> Vec<Masked> {
    let mask = place.mask();
    let steps = steps.iter();
    steps
        .map(|step| mask.apply(&step.run(program, place.endpoint())))
        .collect()
}
