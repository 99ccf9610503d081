//! Watches, leases and failing members: each client on a fresh cluster, in turns.

use std::{
    collections::HashSet,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use etcdkit::Client;
use etcdkit_bench_load::{
    Failure, Followed, Kept, Opened, Received, Scene, SceneJob, Started, Survived,
};
use tokio::runtime::Runtime;

use crate::{
    actor::Actor,
    cli::{Arguments, Command},
    figures::{Figures, Line},
    noise,
    programs::Programs,
    stage::Stage,
};

/// What everything is below.
const PREFIX: &str = "scene/";

/// How many callers write the events that a watch receives at full speed.
const WRITERS: usize = 16;

const MIB: f64 = (1 << 20) as f64;

/// A scene of the command line.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Play {
    WatchOpen {
        watches: u64,
    },
    WatchEvents {
        events: u64,
        val_size: usize,
    },
    Leases {
        leases: u64,
        ttl_seconds: i64,
        seconds: u64,
    },
    Failover {
        seconds: f64,
        callers: usize,
        reads: bool,
    },
    WatchFailover {
        freeze: bool,
        seconds: u64,
    },
}

impl Play {
    /// The scene that a command asks for, if it does.
    pub(crate) fn of(command: &Command) -> Option<Self> {
        Some(match command {
            Command::WatchOpen(options) => Self::WatchOpen {
                watches: options.total,
            },
            Command::WatchEvents(options) => Self::WatchEvents {
                events: options.total,
                val_size: options.val_size,
            },
            Command::Leases(options) => Self::Leases {
                leases: options.total,
                ttl_seconds: options.ttl,
                seconds: options.seconds,
            },
            Command::Failover(options) => Self::Failover {
                seconds: options.seconds,
                callers: options.callers,
                reads: options.reads,
            },
            Command::WatchFailover(options) => Self::WatchFailover {
                freeze: options.freeze,
                seconds: options.seconds,
            },
            _ => return None,
        })
    }

    /// Everything that BENCHMARKS.md reports, or a quick look whether it works.
    pub(crate) fn all(smoke: bool) -> Vec<Self> {
        let less = |count: u64| if smoke { count / 50 } else { count };
        let leases = Self::Leases {
            leases: less(5_000),
            ttl_seconds: if smoke { 3 } else { 15 },
            seconds: if smoke { 4 } else { 20 },
        };
        let mut all = vec![
            Self::WatchOpen {
                watches: less(5_000),
            },
            Self::WatchEvents {
                events: less(100_000),
                val_size: 128,
            },
            leases,
        ];
        for (callers, reads) in [(1, false), (16, false), (16, true)] {
            let seconds = if smoke { 3.0 } else { 9.0 };
            all.push(Self::Failover {
                seconds,
                callers,
                reads,
            });
        }
        let seconds = if smoke { 4 } else { 9 };
        all.extend([false, true].map(|freeze| Self::WatchFailover { freeze, seconds }));
        all
    }

    fn title(self) -> String {
        match self {
            Self::WatchOpen { watches } => format!("{watches} watches opened"),
            Self::WatchEvents { events, .. } => format!("one watch, {events} events at full speed"),
            Self::Leases {
                leases, seconds, ..
            } => format!("{leases} leases kept for {seconds} s"),
            Self::Failover { callers, reads, .. } => format!(
                "three members under {callers} × {}, a follower killed",
                if reads { "get" } else { "put" }
            ),
            Self::WatchFailover { freeze, .. } => format!(
                "three members, the one under a watch {}",
                if freeze { "frozen for 6 s" } else { "killed" }
            ),
        }
    }

    fn scene(self) -> Scene {
        let prefix = PREFIX.to_owned();
        match self {
            Self::WatchOpen { watches } => Scene::WatchOpen { prefix, watches },
            Self::WatchEvents { events, .. } => Scene::WatchEvents { prefix, events },
            Self::Leases {
                leases,
                ttl_seconds,
                seconds,
            } => Scene::Leases {
                leases,
                ttl_seconds,
                seconds,
            },
            Self::Failover {
                seconds,
                callers,
                reads,
            } => Scene::Calls {
                seconds,
                callers,
                reads,
                limit_seconds: 2.0,
            },
            Self::WatchFailover { .. } => Scene::Follow { prefix },
        }
    }

    fn members(self) -> usize {
        match self {
            Self::Failover { .. } | Self::WatchFailover { .. } => 3,
            _ => 1,
        }
    }
}

/// Plays with all clients in turns; answers the table.
pub(crate) fn run(
    play: Play,
    rounds: usize,
    arguments: &Arguments,
    programs: &Programs,
    runtime: &Runtime,
) -> Result<String, Failure> {
    let mut figures = Figures::new(
        "client",
        programs.0.iter().map(|program| program.name.clone()),
    );
    let count = programs.0.len();
    for round in 0..rounds {
        for turn in 0..count {
            // Each round another client begins.
            let index = (round + turn) % count;
            let Some(program) = programs.0.get(index) else {
                continue;
            };
            noise::wait_for_quiet(Duration::from_secs(arguments.patience))?;
            let line = once(play, &program.plain, arguments, runtime)
                .map_err(|error| format!("{}, {}: {error}", play.title(), program.name))?;
            figures.add(index, line);
        }
    }
    Ok(format!("### {}\n\n{figures}", play.title()))
}

fn once(
    play: Play,
    program: &Path,
    arguments: &Arguments,
    runtime: &Runtime,
) -> Result<Line, Failure> {
    let mut stage = runtime.block_on(Stage::set(play.members()))?;
    let job = SceneJob {
        endpoints: stage.cluster.endpoints(),
        runtime: arguments.runtime(),
        scene: play.scene(),
    };
    let connections = stage.connections()?;
    let rss = stage.rss()?;
    let mut actor = Actor::start(program, &job)?;
    let seen = |stage: &mut Stage, method| -> Result<[f64; 3], Failure> {
        Ok([
            stage.streams(method)?,
            stage.connections()?.saturating_sub(connections) as f64,
            stage.rss()?.saturating_sub(rss) as f64 / MIB,
        ])
    };
    match play {
        Play::WatchOpen { watches } => {
            let opened: Opened = actor.hear()?;
            let [streams, connections, server] = seen(&mut stage, "Watch")?;
            actor.cue("put")?;
            let received: Received = actor.hear()?;
            Ok(vec![
                ("open s", 4, opened.seconds),
                ("open CPU s", 4, opened.cpu_seconds),
                ("RSS added MiB", 1, opened.rss_added as f64 / MIB),
                ("streams", 0, streams),
                ("connections", 0, connections),
                ("server RSS added MiB", 1, server),
                ("put and receive s", 3, received.seconds),
                ("events missing", 0, watches as f64 - received.events as f64),
            ])
        }
        Play::WatchEvents { events, val_size } => {
            let Started { .. } = actor.hear()?;
            actor.cue("go")?;
            runtime.block_on(write(&stage.client, events, val_size))?;
            let received: Received = actor.hear()?;
            let each = received.events as f64;
            Ok(vec![
                ("events/s", 0, each / received.seconds),
                ("CPU µs/event", 2, received.cpu_seconds * 1e6 / each),
                ("events/update", 1, each / received.updates as f64),
                ("peak RSS MiB", 1, received.peak_rss as f64 / MIB),
            ])
        }
        Play::Leases { leases, .. } => {
            let opened: Opened = actor.hear()?;
            actor.cue("keep")?;
            let kept: Kept = actor.hear()?;
            let [streams, connections, server] = seen(&mut stage, "LeaseKeepAlive")?;
            let list = runtime.block_on(async { stage.client.leases().list().await })?;
            Ok(vec![
                ("open s", 3, opened.seconds),
                ("RSS added MiB", 1, opened.rss_added as f64 / MIB),
                ("streams", 0, streams),
                ("connections", 0, connections),
                ("server RSS added MiB", 1, server),
                ("CPU s", 3, kept.cpu_seconds),
                ("lost, says the client", 0, kept.lost as f64),
                (
                    "lost, says the server",
                    0,
                    leases as f64 - list.leases.len() as f64,
                ),
            ])
        }
        Play::Failover { seconds, .. } => {
            let follower = runtime.block_on(stage.follower())?;
            actor.cue("go")?;
            std::thread::sleep(Duration::from_secs_f64(seconds / 3.0));
            stage.cluster.member(follower).kill()?;
            let survived: Survived = actor.hear()?;
            let failed = survived.not_applied + survived.unknown + survived.unsaid;
            let all = (failed + survived.succeeded) as f64;
            Ok(vec![
                ("calls", 0, all),
                ("failed", 0, failed as f64),
                ("failed %", 2, failed as f64 / all * 100.0),
                ("of those: not applied", 0, survived.not_applied as f64),
                ("unknown", 0, survived.unknown as f64),
                ("not said", 0, survived.unsaid as f64),
                ("longest gap s", 3, survived.longest_gap_seconds),
                ("longest call s", 3, survived.longest_call_seconds),
            ])
        }
        Play::WatchFailover { freeze, seconds } => {
            let started: Started = actor.hear()?;
            let member = runtime.block_on(stage.make_follower(started.member))?;
            let written = fail_under_watch(&mut stage, member, freeze, seconds, runtime)?;
            actor.cue(&written.last().copied().unwrap_or_default().to_string())?;
            let followed: Followed = actor.hear()?;
            let seen: HashSet<i64> = followed.revisions.iter().copied().collect();
            let lost = written.iter().filter(|revision| !seen.contains(revision));
            Ok(vec![
                ("written", 0, written.len() as f64),
                ("received", 0, seen.len() as f64),
                ("lost", 0, lost.count() as f64),
                ("twice", 0, (followed.revisions.len() - seen.len()) as f64),
                ("died", 0, f64::from(u8::from(followed.died.is_some()))),
                ("longest gap s", 3, followed.longest_gap_seconds),
            ])
        }
    }
}

/// Puts so many keys as fast as the server takes them.
async fn write(client: &Client, events: u64, val_size: usize) -> Result<(), Failure> {
    let value: Arc<[u8]> = vec![b'v'; val_size].into();
    let next = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let writers = (0..WRITERS).map(|_| {
        let (client, value, next) = (client.clone(), Arc::clone(&value), Arc::clone(&next));
        tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= events {
                    return Ok(());
                }
                let key = format!("{PREFIX}{:08}", number % 10_000);
                client.put(key, &value[..]).await?;
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        let done: Result<(), etcdkit::Error> = writer.await?;
        done?;
    }
    Ok(())
}

/// Writes all the time through the other members, hurts this one after a third of the time, and
/// answers the revisions of what was written, in order.
fn fail_under_watch(
    stage: &mut Stage,
    member: usize,
    freeze: bool,
    seconds: u64,
    runtime: &Runtime,
) -> Result<Vec<i64>, Failure> {
    const FROZEN: Duration = Duration::from_secs(6);
    let mut others = stage.cluster.endpoints();
    others.remove(member);
    let done = Arc::new(AtomicBool::new(false));
    let writing = runtime.spawn({
        let done = Arc::clone(&done);
        async move {
            let client = Client::builder()
                .endpoints(others)
                .request_timeout(Duration::from_secs(1))
                .connect()
                .await?;
            let mut written = Vec::new();
            while !done.load(Ordering::Relaxed) {
                // What fails may be there all the same; it is no part of what is asked for.
                let put = client.put(format!("{PREFIX}key"), "value").await;
                written.extend(put.map(|put| put.header.revision).ok());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Ok::<_, Failure>(written)
        }
    });
    let part = Duration::from_secs(seconds) / 3;
    std::thread::sleep(part);
    if freeze {
        stage.cluster.member(member).pause()?;
        std::thread::sleep(FROZEN);
        stage.cluster.member(member).resume()?;
        std::thread::sleep(part);
    } else {
        stage.cluster.member(member).kill()?;
        std::thread::sleep(part * 2);
    }
    done.store(true, Ordering::Relaxed);
    runtime.block_on(writing)?
}
