//! A program's part where callers are in each other's way: a lock that many want, numbers that many
//! increment.

use std::time::Instant;

use crate::{
    Failure, HandedOver, Increment, Incremented, Peer, Queueing,
    measure::{nanos_since, percentile},
    play::{Meter, cue, tell},
};

/// Lets a lock go through a queue, so many times.
pub(crate) async fn hand_over<P: Peer>(
    peer: &P,
    name: &str,
    waiters: usize,
    rounds: usize,
) -> Result<(), Failure> {
    let mut holder = peer.clone();
    let session = holder.session().await?;
    let mut queue = Vec::new();
    for _ in 0..waiters {
        let mut peer = peer.clone();
        let session = peer.session().await?;
        queue.push((peer, session));
    }
    for _ in 0..rounds {
        let held = holder.lock(Some(&session), name).await?;
        let waiting: Vec<_> = queue
            .drain(..)
            .map(|(mut peer, session)| {
                let name = name.to_owned();
                tokio::spawn(async move {
                    let held = peer.lock(Some(&session), &name).await?;
                    let acquired = Instant::now();
                    peer.unlock(held).await?;
                    Ok::<_, Failure>((acquired, peer, session))
                })
            })
            .collect();
        tell(&Queueing {})?;
        cue().await?;
        let meter = Meter::start()?;
        let mut given_back = Instant::now();
        holder.unlock(held).await?;
        let mut acquisitions = Vec::new();
        for waiter in waiting {
            let (acquired, peer, session) = waiter.await??;
            acquisitions.push(acquired);
            queue.push((peer, session));
        }
        let (seconds, cpu_seconds) = (meter.seconds(), meter.cpu_seconds());
        acquisitions.sort_unstable();
        let mut micros = Vec::new();
        for acquired in acquisitions {
            micros.push((acquired - given_back).as_secs_f64() * 1e6);
            // Each gives it back at once.
            given_back = acquired;
        }
        tell(&HandedOver {
            micros,
            seconds,
            cpu_seconds,
        })?;
        cue().await?;
    }
    Ok(())
}

/// Increments numbers until this moment.
pub(crate) async fn increment<P: Peer>(
    peer: &P,
    prefix: &str,
    keys: u64,
    writers: u64,
    until: Instant,
    how: Increment,
) -> Result<Incremented, Failure> {
    let meter = Meter::start()?;
    let tasks = (0..writers).map(|writer| {
        let mut peer = peer.clone();
        let mut random = fastrand::Rng::with_seed(writer);
        let prefix = prefix.to_owned();
        tokio::spawn(async move {
            let (mut attempts, mut nanos) = (0, Vec::new());
            while Instant::now() < until {
                let key = format!("{prefix}{}", random.u64(..keys.max(1)));
                let start = Instant::now();
                attempts += match how {
                    Increment::Memory => peer.increment(&key).await?,
                    Increment::Swap => swap(&mut peer, &key).await?,
                };
                nanos.push(nanos_since(start));
            }
            Ok::<_, Failure>((attempts, nanos))
        })
    });
    let mut all = Incremented::default();
    let (mut nanos, mut least) = (Vec::new(), u64::MAX);
    for task in tasks.collect::<Vec<_>>() {
        let (attempts, times) = task.await??;
        all.attempts += attempts;
        least = least.min(times.len() as u64);
        nanos.extend(times);
    }
    nanos.sort_unstable();
    Ok(Incremented {
        increments: nanos.len() as u64,
        seconds: meter.seconds(),
        cpu_seconds: meter.cpu_seconds(),
        p50_micros: percentile(&nanos, 0.50) / 1000.0,
        p99_micros: percentile(&nanos, 0.99) / 1000.0,
        least_share: (least * writers) as f64 / nanos.len() as f64,
        ..all
    })
}

/// The loop that one writes without anything better; says how often it went round.
async fn swap<P: Peer>(peer: &mut P, key: &str) -> Result<u64, Failure> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let (number, revision) = peer.number(key).await?;
        if peer.swap(key, revision, number + 1).await? {
            return Ok(attempts);
        }
    }
}
