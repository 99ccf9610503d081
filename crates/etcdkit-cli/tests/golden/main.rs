//! etcdkit's output next to etcdctl's, byte for byte.
//!
//! * Live: the same commands by every etcdctl and by etcdkit, on every real etcd of this machine.
//!   etcdctl is looked for on `PATH`, beside each etcd, and in `ETCDKIT_TEST_ETCDCTL`, a list of
//!   files separated by colons.
//! * Recorded: the same commands on the embedded server, next to what etcdctl 3.7 printed on etcd
//!   3.6. `ETCDKIT_RECORD_GOLDEN=1` makes the live test write the recording anew.

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod administration;
#[path = "../common/beside.rs"]
mod beside;
mod cases;
mod departures;
mod drives;
mod etcdctl;
mod ids;
mod mask;
mod recording;
#[path = "../common/running.rs"]
mod running;
mod streaming;

use std::env;

use common::{Ran, clean, etcdkit, run};
use etcdkit_testkit::etcd::{Binary, Cluster, Version};
use tokio::runtime::Runtime;

use crate::{
    beside::beside_each_other,
    cases::{Case, all},
    departures::ON_PURPOSE,
    etcdctl::Etcdctl,
    ids::Ids,
    mask::Mask,
    recording::Recording,
};

#[test]
fn output_and_exit_codes_are_those_of_etcdctl() {
    let etcds = Binary::all().unwrap_or_else(|error| panic!("{error}"));
    let etcdctls = Etcdctl::all(&etcds);
    let pairs = etcds
        .iter()
        .flat_map(|etcd| etcdctls.iter().map(move |etcdctl| (etcd, etcdctl)));
    let wrong = beside_each_other(pairs.map(|(etcd, etcdctl)| move || departures(etcd, etcdctl)));
    let wrong = wrong.concat();
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Where etcdkit does not do and print on an etcd what an etcdctl does.
fn departures(etcd: &Binary, etcdctl: &Etcdctl) -> Vec<String> {
    let runtime = Runtime::new().unwrap();
    let start = || runtime.block_on(Cluster::builder(etcd).start()).unwrap();
    // Writes go to a server each, so that both begin with the same state; reads to one, so that nothing
    // at all may differ.
    let (theirs, ours) = (start(), start());
    let their_mask = Mask::of(theirs.endpoint());
    let our_mask = Mask::of(ours.endpoint());
    let (mut our_ids, mut their_ids) = (Ids::default(), Ids::default());
    let mut recording = Recording::default();
    let mut wrong = Vec::new();
    for case in all() {
        if !is_at_least(etcd, case.server) {
            continue;
        }
        let run_ours = |endpoint: &str, ids: &Ids| {
            run(etcdkit(), case.args(endpoint, ids), case.stdin.as_bytes())
        };
        let our_run = run_ours(ours.endpoint(), &our_ids);
        our_ids.learn(&our_run.stdout());
        if etcdctl.version() < case.since {
            let instead = run_ours(theirs.endpoint(), &their_ids);
            their_ids.learn(&instead.stdout());
            continue;
        }
        let (their_run, masked) = match case.reads {
            true => {
                let their_run = etcdctl.run(&case, ours.endpoint(), &our_ids);
                let masked = our_mask.apply(&their_run, &case, &our_ids);
                (their_run, masked)
            }
            false => {
                let their_run = etcdctl.run(&case, theirs.endpoint(), &their_ids);
                their_ids.learn(&their_run.stdout());
                let masked = their_mask.apply(&their_run, &case, &their_ids);
                (their_run, masked)
            }
        };
        let same = match case.reads && !case.varies {
            true => same_bytes(&our_run, &their_run),
            false => our_mask.apply(&our_run, &case, &our_ids) == masked,
        };
        if !same {
            wrong.push(format!(
                "{} (etcdctl {:?}, etcd {})\n  etcdctl {their_run:?}\n  etcdkit {our_run:?}",
                case.title(),
                etcdctl.version(),
                etcd.version(),
            ));
        }
        // Ids cannot be masked in binary output.
        if !case.is_binary() {
            recording.push(&case, masked);
        }
    }
    let recorded = etcdctl.version() >= (3, 7) && is(etcd, 3, 6);
    if recorded && env::var_os("ETCDKIT_RECORD_GOLDEN").is_some() {
        recording.save();
    }
    wrong
}

fn same_bytes(ours: &Ran, theirs: &Ran) -> bool {
    (&ours.stdout, ours.code, mask::server_error(ours))
        == (&theirs.stdout, theirs.code, mask::server_error(theirs))
}

fn is_at_least(etcd: &Binary, (major, minor): (u64, u64)) -> bool {
    let version = etcd.version();
    (u64::from(version.major), u64::from(version.minor)) >= (major, minor)
}

fn is(etcd: &Binary, major: u64, minor: u64) -> bool {
    let Version {
        major: a, minor: b, ..
    } = etcd.version();
    (u64::from(a), u64::from(b)) == (major, minor)
}

#[tokio::test]
async fn the_embedded_server_gives_what_etcdctl_printed() {
    let server = etcdkit_server::Server::builder()
        .listen("127.0.0.1:0")
        .start()
        .await
        .unwrap();
    let recording = Recording::load();
    let endpoint = server.endpoint();
    let wrong = tokio::task::spawn_blocking(move || {
        let mask = Mask::of(&endpoint);
        let mut ids = Ids::default();
        let mut wrong = Vec::new();
        for case in all().into_iter().filter(|case| !case.real_only) {
            let args = case.args(&endpoint, &ids);
            let ran = run(etcdkit(), args, case.stdin.as_bytes());
            ids.learn(&ran.stdout());
            if case.is_binary() {
                continue;
            }
            let ours = mask.apply(&ran, &case, &ids);
            let theirs = recording.of(&case);
            if ours != *theirs {
                wrong.push(format!(
                    "{}\n  etcdctl {theirs:?}\n  etcdkit {ours:?}",
                    case.title()
                ));
            }
        }
        wrong
    })
    .await
    .unwrap();
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Where etcdkit departs from etcdctl, both sides are as the list of reasons says.
#[tokio::test]
async fn departures_are_the_listed_ones() {
    let etcds = Binary::all().unwrap_or_else(|error| panic!("{error}"));
    let etcd = etcds.last().unwrap();
    let server = Cluster::builder(etcd).start().await.unwrap();
    let etcdctls = Etcdctl::all(&etcds);
    let mut wrong = Vec::new();
    for departure in ON_PURPOSE {
        let case = Case::new(departure.args, departure.stdin);
        let mut ours = etcdkit();
        ours.envs(departure.env.iter().copied());
        let ours = run(
            ours,
            case.args(server.endpoint(), &Ids::default()),
            case.stdin.as_bytes(),
        );
        if ours.code != Some(departure.etcdkit) {
            wrong.push(format!("etcdkit {}: {ours:?}", case.title()));
        }
        for etcdctl in &etcdctls {
            let mut theirs = clean(etcdctl.path());
            theirs
                .env("ETCDCTL_API", "3")
                .envs(departure.env.iter().copied());
            let theirs = run(
                theirs,
                case.args(server.endpoint(), &Ids::default()),
                case.stdin.as_bytes(),
            );
            if theirs.code != Some(departure.etcdctl) {
                let version = etcdctl.version();
                wrong.push(format!("etcdctl {version:?} {}: {theirs:?}", case.title()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
