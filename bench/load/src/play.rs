//! A program's part in a scene.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, TryStreamExt, future::try_join_all, stream};
use serde::Serialize;

use crate::{
    Failure, Followed, Kept, Miss, Opened, Peer, Received, Scene, SceneJob, Started, Survived,
    Watching, contend,
    measure::{Memory, cpu_time},
};

/// How many leases are granted at a time, and how many keys put.
const AT_A_TIME: usize = 64;

/// How long a watch may lag behind the writers in the end.
const LAG: Duration = Duration::from_secs(15);

/// What the process has used so far.
pub(crate) struct Meter {
    start: Instant,
    cpu: Duration,
    rss: u64,
}

impl Meter {
    pub(crate) fn start() -> Result<Self, Failure> {
        Ok(Self {
            rss: Memory::of_this_process()?.now,
            cpu: cpu_time(),
            start: Instant::now(),
        })
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    pub(crate) fn cpu_seconds(&self) -> f64 {
        (cpu_time() - self.cpu).as_secs_f64()
    }

    fn opened(&self) -> Result<Opened, Failure> {
        Ok(Opened {
            seconds: self.seconds(),
            cpu_seconds: self.cpu_seconds(),
            rss_added: Memory::of_this_process()?.now.saturating_sub(self.rss),
        })
    }
}

pub(crate) async fn play<P: Peer>(job: &SceneJob) -> Result<(), Failure> {
    let mut peer = P::connect(&job.endpoints).await?;
    // What a first call costs is no part of any scene.
    peer.put(b"warm", b"up").await?;
    match &job.scene {
        Scene::WatchOpen { prefix, watches } => watch_open(&peer, prefix, *watches).await,
        Scene::WatchEvents { prefix, events } => watch_events(&peer, prefix, *events).await,
        Scene::Leases {
            leases,
            ttl_seconds,
            seconds,
        } => keep_leases(&peer, *leases, *ttl_seconds, *seconds).await,
        Scene::Calls {
            seconds,
            callers,
            reads,
            limit_seconds,
        } => {
            cue().await?;
            let until = Instant::now() + Duration::from_secs_f64(*seconds);
            let limit = Duration::from_secs_f64(*limit_seconds);
            tell(&call(&peer, until, *callers, *reads, limit).await?)
        }
        Scene::HandOver {
            name,
            waiters,
            rounds,
        } => contend::hand_over(&peer, name, *waiters, *rounds).await,
        Scene::Increment {
            prefix,
            keys,
            writers,
            seconds,
            how,
        } => {
            let until = Instant::now() + Duration::from_secs_f64(*seconds);
            tell(&contend::increment(&peer, prefix, *keys, *writers, until, *how).await?)
        }
        Scene::Follow { prefix } => follow(&peer, prefix).await,
    }
}

/// Says something to the driver.
pub(crate) fn tell(what: &impl Serialize) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, what)?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

/// Waits for the driver to say something.
pub(crate) async fn cue() -> Result<String, Failure> {
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    Ok(read.await??.trim().to_owned())
}

async fn watch_open<P: Peer>(peer: &P, prefix: &str, watches: u64) -> Result<(), Failure> {
    let key = |number: u64| format!("{prefix}{number:08}").into_bytes();
    let meter = Meter::start()?;
    let open = (0..watches).map(|number| {
        let mut peer = peer.clone();
        async move { peer.watch(key(number), false).await }
    });
    let mut open = try_join_all(open).await?;
    tell(&meter.opened()?)?;
    cue().await?;

    let meter = Meter::start()?;
    let puts = (0..watches).map(|number| {
        let mut peer = peer.clone();
        async move { peer.put(&key(number), b"value").await }
    });
    let putting = stream::iter(puts)
        .buffer_unordered(AT_A_TIME)
        .try_collect::<Vec<()>>();
    let receiving = async {
        let mut received = Received::default();
        for watch in &mut open {
            let revisions = watch.next().await?.ok_or("a watch has ended")?;
            received.events += revisions.len() as u64;
            received.updates += 1;
        }
        Ok(received)
    };
    let (_, received) = tokio::try_join!(putting, receiving)?;
    tell(&Received {
        seconds: meter.seconds(),
        cpu_seconds: meter.cpu_seconds(),
        peak_rss: Memory::of_this_process()?.peak,
        ..received
    })
}

async fn watch_events<P: Peer>(peer: &P, prefix: &str, events: u64) -> Result<(), Failure> {
    let mut watch = peer.clone().watch(prefix.into(), true).await?;
    tell(&Started {
        member: watch.member(),
    })?;
    cue().await?;
    // The first update starts the clock.
    let first = watch.next().await?.ok_or("the watch has ended")?.len() as u64;
    let meter = Meter::start()?;
    let mut received = Received::default();
    while first + received.events < events {
        let revisions = watch.next().await?.ok_or("the watch has ended")?;
        received.events += revisions.len() as u64;
        received.updates += 1;
    }
    tell(&Received {
        seconds: meter.seconds(),
        cpu_seconds: meter.cpu_seconds(),
        peak_rss: Memory::of_this_process()?.peak,
        ..received
    })
}

async fn keep_leases<P: Peer>(
    peer: &P,
    leases: u64,
    ttl_seconds: i64,
    seconds: u64,
) -> Result<(), Failure> {
    let meter = Meter::start()?;
    let grants = (0..leases).map(|_| {
        let mut peer = peer.clone();
        async move { peer.lease(ttl_seconds).await }
    });
    let held: Vec<P::Lease> = stream::iter(grants)
        .buffer_unordered(AT_A_TIME)
        .try_collect()
        .await?;
    tell(&meter.opened()?)?;
    cue().await?;
    let meter = Meter::start()?;
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let lost = held.iter().filter(|lease| P::is_lost(lease)).count();
    tell(&Kept {
        cpu_seconds: meter.cpu_seconds(),
        lost: lost as u64,
    })?;
    // They are held until the driver has asked the server about them.
    cue().await?;
    Ok(())
}

async fn call<P: Peer>(
    peer: &P,
    until: Instant,
    callers: usize,
    reads: bool,
    limit: Duration,
) -> Result<Survived, Failure> {
    let start = Instant::now();
    let callers = (0..callers).map(|caller| {
        let mut peer = peer.clone();
        let key = format!("calls/{caller}").into_bytes();
        tokio::spawn(async move {
            let mut survived = Survived::default();
            let mut successes = vec![start];
            while Instant::now() < until {
                let begun = Instant::now();
                let result = match reads {
                    true => peer.get_within(&key, limit).await,
                    false => peer.put_within(&key, b"value", limit).await,
                };
                let ended = Instant::now();
                let took = (ended - begun).as_secs_f64();
                survived.longest_call_seconds = survived.longest_call_seconds.max(took);
                match result {
                    Ok(()) => {
                        survived.succeeded += 1;
                        successes.push(ended);
                    }
                    Err(Miss::NotApplied) => survived.not_applied += 1,
                    Err(Miss::Unknown) => survived.unknown += 1,
                    Err(Miss::Unsaid) => survived.unsaid += 1,
                }
            }
            (survived, successes)
        })
    });
    let mut all = Survived::default();
    let mut successes = Vec::new();
    for caller in callers.collect::<Vec<_>>() {
        let (survived, moments) = caller.await?;
        all.succeeded += survived.succeeded;
        all.not_applied += survived.not_applied;
        all.unknown += survived.unknown;
        all.unsaid += survived.unsaid;
        all.longest_call_seconds = all.longest_call_seconds.max(survived.longest_call_seconds);
        successes.extend(moments);
    }
    successes.sort_unstable();
    all.longest_gap_seconds = longest_gap(&successes);
    Ok(all)
}

async fn follow<P: Peer>(peer: &P, prefix: &str) -> Result<(), Failure> {
    let mut watch = peer.clone().watch(prefix.into(), true).await?;
    tell(&Started {
        member: watch.member(),
    })?;
    let mut followed = Followed::default();
    let mut arrivals = Vec::new();
    let mut cue = std::pin::pin!(cue());
    let mut last = None;
    let mut deadline = None;
    while last.is_none_or(|last| followed.revisions.iter().max() < Some(&last)) {
        tokio::select! {
            update = watch.next(), if followed.died.is_none() => match update {
                Ok(Some(revisions)) => {
                    arrivals.push(Instant::now());
                    followed.revisions.extend(revisions);
                }
                Ok(None) => followed.died = Some("it ended".to_owned()),
                Err(error) => followed.died = Some(error.to_string()),
            },
            cue = &mut cue, if last.is_none() => {
                last = Some(cue?.parse::<i64>()?);
                deadline = Some(tokio::time::Instant::now() + LAG);
                if followed.died.is_some() {
                    break;
                }
            }
            () = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            } => break,
        }
        if followed.died.is_some() && last.is_some() {
            break;
        }
    }
    followed.longest_gap_seconds = longest_gap(&arrivals);
    tell(&followed)
}

fn longest_gap(moments: &[Instant]) -> f64 {
    let gaps = moments.windows(2).map(|pair| pair[1] - pair[0]);
    gaps.max().unwrap_or_default().as_secs_f64()
}
