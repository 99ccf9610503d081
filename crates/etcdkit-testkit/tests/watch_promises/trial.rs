//! One run: a random plan of what the peers do, and the judgement.

use std::time::Duration;

use etcdkit::{Client, KeyRange, Revision};
use etcdkit_testkit::{
    scenario::replay,
    watch_checker::{Asked, Event, History},
};

use crate::{
    peer::{Followed, Peer, until},
    writers::{KEYS, LARGE_KEYS, LEASED_KEYS, SMALL_KEYS, Writers},
};

/// How many streams there are.
const PEERS: usize = 5;

/// How many watches of one stream follow all the small keys, so that its queue overflows when it is
/// not read.
const FOLLOWERS: usize = 12;

/// How many writes go by while a peer does not read.
const STILL: usize = 900;

/// The server on trial.
pub(crate) struct Trialed<'a> {
    pub(crate) name: String,
    pub(crate) endpoint: String,
    /// Of the leases of the writers.
    pub(crate) time_to_live: Duration,
    /// Lets time go by; without it leases expire by themselves.
    pub(crate) advance: Option<&'a (dyn Fn(Duration) + Sync)>,
    /// Whether it answers rightly when asked for progress.
    pub(crate) promises_when_asked: bool,
    /// Whether its promises and its confirmations come in one order.
    pub(crate) promises_in_order: bool,
}

pub(crate) struct Trial<'a> {
    on: Trialed<'a>,
    seed: u64,
    random: fastrand::Rng,
    client: Client,
    prefix: String,
    first: Revision,
    writers: Writers,
    peers: Vec<Peer>,
    /// What was read before it was compacted away.
    early: Vec<Event>,
    compacted: Revision,
}

impl<'a> Trial<'a> {
    pub(crate) async fn new(on: Trialed<'a>, seed: u64) -> Self {
        println!("{}: seed {seed}", on.name);
        let client = Client::builder()
            .endpoints([&on.endpoint])
            .request_timeout(Duration::from_secs(60))
            .connect();
        let client = client.await.expect("a client");
        let prefix = format!("trial/{:016x}/", fastrand::u64(..));
        let writers = Writers::new(client.clone(), &prefix, on.time_to_live);
        let first = newest(&client).await;
        writers.mark().await;
        let in_order = on.promises_in_order;
        let peers = (0..PEERS).map(|_| Peer::connect(&on.endpoint, in_order));
        let peers = peers.collect();
        Self {
            on,
            seed,
            random: fastrand::Rng::with_seed(seed),
            client,
            prefix,
            first,
            writers,
            peers,
            early: Vec::new(),
            compacted: 0,
        }
    }

    pub(crate) async fn run(mut self, rounds: u64) {
        self.watch();
        let tasks = self.writers.start(self.seed);
        for round in 0..rounds {
            self.round(round).await;
        }
        for peer in &self.peers {
            peer.set_reading(true);
        }
        self.writers.stop(tasks).await;
        self.expire_leases();
        // A marker of the writers' own is not leased.
        while self.writers.leased().await > 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.writers.mark().await;
        let until = self.writers.mark().await;
        self.read_history(until).await;
        self.judge().await;
    }

    fn all(&self, folder: &str) -> Asked {
        let keys = KeyRange::prefix(format!("{}{folder}", self.prefix));
        Asked::all(keys, self.first + 1)
    }

    /// Starts watches of every kind on every stream.
    fn watch(&self) {
        let small = || self.all(SMALL_KEYS);
        for (number, peer) in self.peers.iter().enumerate() {
            let one_key = format!("{}{SMALL_KEYS}{}", self.prefix, KEYS[number]);
            let one_key = Asked {
                keys: KeyRange::key(one_key),
                ..small()
            };
            let few = Asked {
                keys: KeyRange::prefix(format!("{}{SMALL_KEYS}d/", self.prefix)),
                ..small()
            };
            let puts = Asked {
                deletes: false,
                prev_kv: false,
                ..small()
            };
            let deletes = Asked {
                puts: false,
                ..few.clone()
            };
            let future = Asked {
                start: self.first + 150,
                ..small()
            };
            for (asked, fragment, progress_notify) in [
                (one_key, false, true),
                (few, true, true),
                (puts, false, false),
                (deletes, false, true),
                (future, false, true),
                (self.all(LEASED_KEYS), false, true),
            ] {
                peer.watch(Followed::new(asked, fragment, progress_notify));
            }
        }
        self.peers[0].watch(Followed::new(self.all(LARGE_KEYS), true, true));
        self.peers[1].watch(Followed::new(self.all(LARGE_KEYS), false, false));
        self.peers[2].watch(Followed::new(self.all(""), true, false));
        for _ in 0..FOLLOWERS {
            let asked = Asked {
                prev_kv: self.random.clone().bool(),
                ..small()
            };
            self.peers[3].watch(Followed::new(asked, false, false));
        }
    }

    async fn round(&mut self, round: u64) {
        self.peers.iter_mut().for_each(Peer::mend);
        let peer = self.random.usize(..PEERS);
        let mut writes = self.random.usize(20..120);
        match round % 10 {
            // A peer that does not read while more happens than is queued for it.
            0 => {
                self.peers[3].set_reading(false);
                writes = STILL;
            }
            1 => self.writers.put_large().await,
            2 | 6 => self.peers[peer].reset(),
            3 | 8 => {
                let newest = newest(&self.client).await;
                let oldest = self.compacted.max(self.first) + 1;
                let start = self.random.i64(oldest..=newest);
                self.peers[peer].restart_one(&mut self.random, start);
            }
            4 => self.peers[peer].set_reading(false),
            5 => self.expire_leases(),
            // Not every time, so that what does not read is sometimes overtaken and sometimes not.
            7 if self.random.bool() => self.compact().await,
            9 => self.peers.iter().for_each(|peer| peer.set_reading(true)),
            _ => {}
        }
        if self.on.promises_when_asked {
            for peer in &self.peers {
                peer.ask_progress();
            }
        }
        let until_written = self.writers.written() + writes;
        until("the writers", || self.writers.written() >= until_written).await;
    }

    fn expire_leases(&self) {
        if let Some(advance) = self.on.advance {
            advance(2 * self.on.time_to_live);
        }
    }

    /// Compacts somewhere in the past, after it has been read.
    async fn compact(&mut self) {
        let newest = newest(&self.client).await;
        let oldest = self.compacted.max(self.first) + 1;
        if newest <= oldest {
            return;
        }
        let marker = self.writers.mark().await;
        self.read_history(marker).await;
        let revision = self.random.i64(oldest..newest);
        self.client.compact(revision).await.expect("a compaction");
        self.compacted = revision;
    }

    /// Reads on up to a revision at which something changed.
    async fn read_history(&mut self, until: Revision) {
        let from = self
            .early
            .last()
            .map_or(self.first + 1, |last| last.revision() + 1);
        let keys = KeyRange::prefix(self.prefix.as_str());
        let endpoints = [self.on.endpoint.clone()];
        let read = replay(&endpoints, &keys, from, until).await;
        self.early.extend(read.expect("the history"));
    }

    async fn judge(mut self) {
        let name = &self.on.name;
        let history =
            History::new(std::mem::take(&mut self.early)).unwrap_or_else(|contradictions| {
                panic!("{name}: the server's history is impossible: {contradictions:#?}")
            });
        let history = history.compacted_at(self.compacted);
        let writes = self.writers.writes();
        let contradictions = history.contradictions(&writes);
        assert!(
            contradictions.is_empty(),
            "{name}: the server's history is not what was written: {contradictions:#?}"
        );
        let mut report = Report::default();
        for peer in &mut self.peers {
            until("a watch to come to its end", || {
                peer.mend();
                let state = peer.state();
                assert_eq!(state.failure, None, "{name}");
                let mut live = state.live.values();
                live.all(|followed| followed.watched.reached() >= last_of(followed, &history))
            })
            .await;
            let state = peer.state();
            for followed in state.live.values() {
                let last = last_of(followed, &history);
                report.add(name, followed, &history, last);
            }
            for followed in &state.ended {
                report.add(name, followed, &history, followed.watched.reached());
            }
            report.fragments += state.fragments;
            report.promises += state.promises;
        }
        println!("{name}: {} writes; {report:?}", writes.applied());
        assert!(report.events > 10_000 && report.fragments > 0, "{report:?}");
        assert!(report.promises > 0, "{report:?}");
    }
}

/// What was judged.
#[derive(Debug, Default)]
struct Report {
    watches: usize,
    events: usize,
    /// How many parts of events were followed by others.
    fragments: usize,
    /// How often progress was promised, by stream or by watch.
    promises: usize,
    /// How many watches were overtaken by compactions.
    overtaken: usize,
}

impl Report {
    fn add(&mut self, name: &str, followed: &Followed, history: &History, until: Revision) {
        let watched = &followed.watched;
        let violations = history.check(watched, until);
        let shown: Vec<String> = violations
            .iter()
            .take(10)
            .map(ToString::to_string)
            .collect();
        assert!(
            violations.is_empty(),
            "{name}: {:?} has broken {} promises:\n{}",
            watched.asked,
            violations.len(),
            shown.join("\n")
        );
        if let Some(compacted) = followed.compacted {
            let last = watched.events().last().map_or(0, Event::revision);
            let needed = watched.asked.start.max(last + 1);
            assert!(
                needed < compacted,
                "{name}: the watch needed {needed} and was ended at {compacted}"
            );
            self.overtaken += 1;
        }
        self.watches += 1;
        self.events += watched.events().count();
    }
}

/// The revision of the last event that a watch has to deliver.
fn last_of(followed: &Followed, history: &History) -> Revision {
    let asked = &followed.watched.asked;
    let wanted = |event: &&Event| event.revision() >= asked.start && asked.wants(event);
    let last = history.events().filter(wanted).last();
    last.map_or(asked.start - 1, Event::revision)
}

async fn newest(client: &Client) -> Revision {
    let range = client.range("none").count_only().await;
    range.expect("a read").header.revision
}
