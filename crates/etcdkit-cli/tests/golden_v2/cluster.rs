//! Members: etcdctl and etcdkit on one cluster, one after the other.

use std::time::{Duration, Instant};

use etcdkit_testkit::etcd::Cluster;
use tokio::runtime::Runtime;

use crate::{
    beside::beside_each_other,
    common::{Ran, run},
    script::words,
    stage::{Program, etcds},
};

/// The longest time to wait for what must happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// A cluster of three, and the programs to compare.
fn each(play: impl Fn(Cluster, [Program; 2]) + Sync) {
    let etcds = etcds();
    beside_each_other(etcds.iter().map(|etcd| {
        let play = &play;
        move || {
            let runtime = Runtime::new().unwrap();
            let builder = Cluster::builder(etcd).members(3).flag("--enable-v2=true");
            let cluster = runtime.block_on(builder.start()).unwrap();
            play(cluster, [Program::etcdctl_of(etcd), Program::Etcdkit]);
        }
    }));
}

fn on(cluster: &Cluster, program: &Program, line: &str) -> Ran {
    let mut command = program.command();
    command.args(["--endpoints", &cluster.endpoints().join(",")]);
    run(command, words(line), b"")
}

#[test]
fn the_health_of_members_is_told_alike() {
    each(|mut cluster, programs| {
        let both = |cluster: &Cluster, line: &str| {
            programs
                .each_ref()
                .map(|program| on(cluster, program, line))
        };
        for line in ["cluster-health", "member list"] {
            let [theirs, ours] = both(&cluster, line);
            assert_eq!((&ours, ours.code), (&theirs, Some(0)), "{line}");
        }
        cluster.member(2).kill().unwrap();
        // It may have been the leader, without which nobody is healthy for a moment.
        let mut asked = 0;
        while on(&cluster, &Program::Etcdkit, "cluster-health")
            .stdout()
            .contains(" is unhealthy")
        {
            asked += 1;
            assert!(asked < 1_000, "there is never a leader");
        }
        let [theirs, ours] = both(&cluster, "cluster-health").map(|ran| {
            // Each has its own words for why there is no connection.
            let stdout = ran.stdout();
            let (failed, rest): (Vec<_>, Vec<_>) = stdout
                .lines()
                .map(str::to_owned)
                .partition(|line| line.starts_with("failed to check the health of member "));
            (failed.len(), rest, ran.code)
        });
        assert_eq!(ours, theirs);
        assert_eq!((ours.0, ours.2), (1, Some(5)), "{ours:?}");
    });
}

#[test]
fn members_are_added_changed_and_removed_alike() {
    each(|cluster, programs| {
        let newcomer = cluster.newcomer().peer_url();
        let other = "http://127.0.0.1:9";
        let [theirs, ours] = programs.map(|program| {
            let add = format!("member add new {newcomer}");
            let mut added = on(&cluster, &program, &add);
            // Members that have only just met are not yet well enough to each other.
            let begin = Instant::now();
            while added.code != Some(0) && begin.elapsed() < PATIENCE {
                added = on(&cluster, &program, &add);
            }
            let stdout = added.stdout();
            let id = stdout
                .split("with ID ")
                .nth(1)
                .and_then(|rest| rest.split(' ').next());
            let id = id.unwrap_or_else(|| panic!("{added:?}")).to_owned();
            let more = [
                "member list".to_owned(),
                format!("member add again {newcomer}"),
                format!("member update {id} {other}"),
                "member list".to_owned(),
                "member remove new".to_owned(),
                format!("member remove {id}"),
                format!("member remove {id}"),
                format!("member update {id} {other}"),
                "member list".to_owned(),
            ];
            let mut seen = vec![added];
            seen.extend(more.iter().map(|line| on(&cluster, &program, line)));
            let hide = |ran: Ran| {
                // The new member stands where its id sorts, in lists of any kind.
                let stdout = ran.stdout().replace(&id, "<id>");
                let mut words: Vec<_> = stdout.split([',', '"', '\n']).map(str::to_owned).collect();
                words.sort_unstable();
                let stderr = ran.stderr.replace(&id, "<id>");
                // Neither repeats the server's own words for an error of its own, which are none.
                let stderr =
                    match stderr.starts_with("client: ") || stderr.contains("Internal Server") {
                        true => "<status 500>".to_owned(),
                        false => stderr,
                    };
                (words, stderr, ran.code)
            };
            seen.into_iter().map(hide).collect::<Vec<_>>()
        });
        assert_eq!(ours, theirs);
    });
}
