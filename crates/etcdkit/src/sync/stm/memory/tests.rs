//! Transactions on a store that is a map of histories: random programs, interleaved at random step by step,
//! have effects as if they had run one after the other, or what their isolation allows.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

const KEYS: [&str; 4] = ["a", "b", "c", "d"];

/// A store that remembers everything.
#[derive(Clone, Default)]
struct Store {
    revision: Revision,
    /// All that a key ever was, and since when.
    history: BTreeMap<Bytes, Vec<(Revision, Option<Bytes>)>>,
}

type State = BTreeMap<Bytes, Bytes>;

impl Store {
    fn at(&self, revision: Revision, key: &[u8]) -> Found {
        let changes = self.history.get(key)?.iter().rev();
        let (mod_revision, value) = changes.clone().find(|(since, _)| *since <= revision)?;
        Some(KeyValue {
            key: Bytes::copy_from_slice(key),
            value: value.clone()?,
            mod_revision: *mod_revision,
            ..KeyValue::default()
        })
    }

    fn state(&self, revision: Revision) -> State {
        let keys = self.history.keys();
        let found = keys.filter_map(|key| Some((key.clone(), self.at(revision, key)?.value)));
        found.collect()
    }

    fn holds(&self, condition: &Condition) -> bool {
        let now = |key| self.at(self.revision, key).map_or(0, |kv| kv.mod_revision);
        match condition {
            Condition::Unchanged { key, since } => now(key) == *since,
            Condition::NotPutAfter { key, revision } => now(key) < *revision + 1,
        }
    }

    fn write(&mut self, writes: impl IntoIterator<Item = (Bytes, Option<Bytes>)>) {
        self.revision += 1;
        for (key, value) in writes {
            let changes = self.history.entry(key).or_default();
            changes.push((self.revision, value));
        }
    }

    /// What the plan's reads and marks find if it cannot be done.
    fn commit(&mut self, plan: &Plan) -> Result<(), Vec<Found>> {
        if !plan
            .conditions
            .iter()
            .all(|condition| self.holds(condition))
        {
            let asked = plan.reads.iter().chain(&plan.marks);
            return Err(asked.map(|key| self.at(self.revision, key)).collect());
        }
        if !plan.writes.is_empty() {
            self.write(plan.writes.iter().map(|(key, write)| {
                let value = match write {
                    Write::Put { value, .. } => Some(value.clone()),
                    Write::Delete => None,
                };
                (key.clone(), value)
            }));
        }
        Ok(())
    }
}

/// What a closure does next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Read(&'static str),
    /// Writes everything that was read so far.
    Put(&'static str),
    Delete(&'static str),
}

/// A closure, run as far as it has come.
#[derive(Clone, Default)]
struct Closure {
    steps: Vec<Step>,
    done: usize,
    seen: Vec<Option<Bytes>>,
}

impl Closure {
    fn random(random: &mut fastrand::Rng) -> Self {
        let steps = (0..random.usize(1..6)).map(|_| {
            let key = KEYS[random.usize(..KEYS.len())];
            match random.u8(..10) {
                0..6 => Step::Read(key),
                6..9 => Step::Put(key),
                _ => Step::Delete(key),
            }
        });
        Self {
            steps: steps.collect(),
            ..Self::default()
        }
    }

    fn next(&self) -> Option<Step> {
        self.steps.get(self.done).copied()
    }

    fn saw(&mut self, value: Option<Bytes>) {
        self.seen.push(value);
        self.done += 1;
    }

    fn value(&self) -> Bytes {
        // Long values of values would grow without end.
        let text = format!("{:?}", self.seen);
        let sum = text.bytes().fold(7_u32, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(byte.into())
        });
        format!("{sum:x}").into()
    }

    /// Runs from the beginning to the end as if alone.
    fn alone(&self, state: &State) -> (Vec<Option<Bytes>>, State) {
        let mut state = state.clone();
        let mut again = Self {
            steps: self.steps.clone(),
            ..Self::default()
        };
        while let Some(step) = again.next() {
            match step {
                Step::Read(key) => {
                    again.saw(state.get(key.as_bytes()).cloned());
                    continue;
                }
                Step::Put(key) => drop(state.insert(key.into(), again.value())),
                Step::Delete(key) => drop(state.remove(key.as_bytes())),
            }
            again.done += 1;
        }
        (again.seen, state)
    }
}

/// A transaction under way.
struct Running {
    isolation: Isolation,
    closure: Closure,
    memory: Memory,
    attempts: u32,
    /// After its end: what was committed when, and at which revision it was read.
    end: Option<(Revision, Option<Revision>, bool)>,
}

impl Running {
    fn new(isolation: Isolation, closure: Closure) -> Self {
        Self {
            isolation,
            closure,
            memory: Memory::new(isolation, false, Start::default()),
            attempts: 1,
            end: None,
        }
    }

    fn again(&mut self, start: Start) {
        self.attempts += 1;
        assert!(
            self.attempts < 1000,
            "others must come in between each time"
        );
        self.memory = Memory::new(self.isolation, true, start);
        self.closure = Closure {
            steps: std::mem::take(&mut self.closure.steps),
            ..Closure::default()
        };
    }

    /// One step, as far as possible without others in between.
    fn step(&mut self, store: &mut Store, compacted: Revision, random: &mut fastrand::Rng) {
        let Some(step) = self.closure.next() else {
            return self.commit(store, random);
        };
        match step {
            Step::Read(key) => match self.memory.look(key.as_bytes()) {
                Look::Written(value) => self.closure.saw(value),
                Look::Found(found) => self.closure.saw(found.map(|kv| kv.value)),
                // The answer is looked at with the next step: others may act in between.
                Look::Unknown => self.ask(key, store, compacted, random),
            },
            Step::Put(key) => {
                let (value, lease) = (self.closure.value(), None);
                self.memory.write(key.into(), Write::Put { value, lease });
                self.closure.done += 1;
            }
            Step::Delete(key) => {
                self.memory.write(key.into(), Write::Delete);
                self.closure.done += 1;
            }
        }
    }

    fn ask(
        &mut self,
        key: &'static str,
        store: &Store,
        compacted: Revision,
        random: &mut fastrand::Rng,
    ) {
        let (revision, header) = match self.memory.source() {
            Source::Newest => (store.revision, store.revision),
            Source::At(revision) if revision < compacted => return self.again(Start::default()),
            // The header of an answer is about the member, not about what was asked for.
            Source::At(revision) => (revision, random.i64(revision..=store.revision)),
            Source::AnyMember => {
                let behind = random.i64(0..3).min(store.revision);
                (store.revision - behind, store.revision - behind)
            }
        };
        // Some more than is needed, as a prefetch does.
        let more = KEYS.iter().filter(|_| random.u8(..4) == 0);
        let keys: BTreeSet<_> = more.copied().chain([key]).collect();
        let found = keys.into_iter().map(|key| {
            let key = Bytes::from(key);
            let found = store.at(revision, &key);
            (key, found)
        });
        self.memory.learn(header, found);
    }

    fn commit(&mut self, store: &mut Store, random: &mut fastrand::Rng) {
        let plan = self.memory.commit(100).map(Option::unwrap_or_default);
        let plan = plan.unwrap_or_else(|_| unreachable!("there are but four keys"));
        match store.commit(&plan) {
            Ok(()) => {
                let has_written = !plan.writes.is_empty();
                self.end = Some((store.revision, self.memory.snapshot(), has_written));
            }
            Err(found) => {
                let culprit = plan.culprit(&found).expect("some condition does not hold");
                let is_broken = plan
                    .conditions
                    .iter()
                    .any(|condition| condition.key() == culprit && !store.holds(condition));
                assert!(is_broken, "{culprit:?} is as it should be");
                self.again(match random.bool() {
                    true => plan.start(store.revision, found),
                    false => Start::default(),
                });
            }
        }
    }

    /// What is wrong with how it ended.
    fn fault(&self, store: &Store) -> Option<String> {
        let (committed, snapshot, has_written) = self.end?;
        let (before, after) = match (has_written, snapshot) {
            (true, _) => (committed - 1, committed),
            (false, Some(snapshot)) => (snapshot, snapshot),
            (false, None) => (committed, committed),
        };
        let (seen, state) = self.closure.alone(&store.state(before));
        if seen != self.closure.seen {
            return Some(format!("saw {:?} and not {seen:?}", self.closure.seen));
        }
        if state != store.state(after) {
            return Some("did not do what it would have done alone".to_owned());
        }
        None
    }
}

/// Runs some transactions to their ends.
fn run(isolations: &[Isolation], random: &mut fastrand::Rng) -> (Store, Vec<Running>) {
    let mut store = Store::default();
    for key in KEYS {
        if random.bool() {
            store.write([(key.into(), Some(key.into()))]);
        }
    }
    let mut all: Vec<_> = isolations
        .iter()
        .map(|isolation| Running::new(*isolation, Closure::random(random)))
        .collect();
    let mut compacted = 0;
    loop {
        let mut left: Vec<_> = all.iter_mut().filter(|it| it.end.is_none()).collect();
        if left.is_empty() {
            return (store, all);
        }
        if random.u8(..50) == 0 {
            compacted = random.i64(0..=store.revision);
        }
        let next = random.usize(..left.len());
        left[next].step(&mut store, compacted, random);
    }
}

fn seeded() -> fastrand::Rng {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    fastrand::Rng::with_seed(seed)
}

const CHECKED: [Isolation; 3] = [
    Isolation::SerializableSnapshot,
    Isolation::Serializable,
    Isolation::RepeatableReads,
];

#[test]
fn transactions_that_check_their_reads_are_as_if_each_had_run_alone() {
    let mut random = seeded();
    let mut repeated = 0;
    for _ in 0..20_000 {
        let isolations: Vec<_> = (0..random.usize(2..5))
            .map(|_| CHECKED[random.usize(..3)])
            .collect();
        let (store, all) = run(&isolations, &mut random);
        for ran in &all {
            let fault = ran.fault(&store);
            assert_eq!(fault, None, "{:?}: {:?}", ran.isolation, ran.closure.steps);
            repeated += ran.attempts - 1;
        }
    }
    assert!(repeated > 1000, "there were conflicts: {repeated}");
}

#[test]
fn without_checks_updates_are_lost_but_nothing_is_read_that_never_was() {
    let mut random = seeded();
    let mut faults = 0;
    for _ in 0..20_000 {
        let (store, all) = run(&[Isolation::ReadCommitted; 3], &mut random);
        let written: BTreeSet<_> = store
            .history
            .values()
            .flatten()
            .map(|(_, value)| value.clone())
            .collect();
        for ran in &all {
            faults += u32::from(ran.fault(&store).is_some());
            assert_eq!(ran.attempts, 1);
            let writes = |step: &Step| matches!(step, Step::Put(_));
            let own = ran.closure.steps.iter().any(writes);
            let seen = ran.closure.seen.iter().flatten();
            for value in seen.filter(|_| !own) {
                assert!(written.contains(&Some(value.clone())));
            }
        }
    }
    assert!(faults > 100, "the judgement can find something: {faults}");
}

#[test]
fn a_snapshot_overwrites_nothing_that_was_put_since_its_first_read() {
    let mut random = seeded();
    let mut overwritten = BTreeMap::new();
    for _ in 0..20_000 {
        let isolation = CHECKED[random.usize(..2)];
        let (store, all) = run(&[isolation; 3], &mut random);
        for ran in &all {
            let Some((committed, Some(snapshot), true)) = ran.end else {
                continue;
            };
            for changes in store.history.values() {
                let puts = changes.iter().filter(|(_, value)| value.is_some());
                let others = puts.map(|(revision, _)| *revision);
                let others = others.filter(|it| (snapshot + 1..committed).contains(it));
                let own = changes.iter().any(|(revision, _)| *revision == committed);
                // One that was deleted again leaves no trace.
                let last = others.max().filter(|it| {
                    let later = *it + 1..committed;
                    !changes
                        .iter()
                        .any(|(at, value)| later.contains(at) && value.is_none())
                });
                if own && last.is_some() {
                    *overwritten.entry(format!("{isolation:?}")).or_insert(0) += 1;
                }
            }
        }
    }
    assert_eq!(overwritten.get("SerializableSnapshot"), None);
    assert!(overwritten["Serializable"] > 10, "{overwritten:?}");
}

fn known(memory: &mut Memory, key: &'static str, mod_revision: Revision) {
    let found = (mod_revision > 0).then(|| KeyValue {
        mod_revision,
        ..KeyValue::default()
    });
    memory.learn(9, [(key.into(), found)]);
}

#[test]
fn a_commit_compares_what_was_read_and_not_what_was_merely_fetched() {
    let mut memory = Memory::new(Isolation::SerializableSnapshot, false, Start::default());
    known(&mut memory, "read", 5);
    known(&mut memory, "missing", 0);
    known(&mut memory, "fetched", 6);
    memory.look(b"read");
    memory.look(b"missing");
    assert!(matches!(memory.commit(3), Ok(None)), "nothing was written");
    memory.write("read".into(), Write::Delete);
    memory.write("blind".into(), Write::Delete);
    let plan = memory.commit(4).ok().flatten().unwrap();
    let unchanged = |key: &'static str, since| Condition::Unchanged {
        key: key.into(),
        since,
    };
    let blind = Condition::NotPutAfter {
        key: "blind".into(),
        revision: 9,
    };
    assert_eq!(
        plan.conditions,
        [unchanged("missing", 0), unchanged("read", 5), blind]
    );
    assert_eq!(plan.reads, ["missing", "read", "fetched"]);
    assert_eq!(plan.marks, ["blind"]);
    // With less room, what was merely fetched is not fetched again.
    assert_eq!(memory.commit(3).ok().flatten().unwrap().reads.len(), 2);
    let too_large = memory.commit(2).err().unwrap();
    let TooLarge {
        conditions, writes, ..
    } = too_large;
    assert_eq!((conditions, writes), (3, 2));
}

#[test]
fn where_reads_come_from_depends_on_the_isolation() {
    let source = |isolation, is_retry, learned| {
        let mut memory = Memory::new(isolation, is_retry, Start::default());
        if learned {
            known(&mut memory, "k", 5);
        }
        memory.source()
    };
    for isolation in [Isolation::SerializableSnapshot, Isolation::Serializable] {
        assert_eq!(source(isolation, false, false), Source::Newest);
        assert_eq!(source(isolation, false, true), Source::At(9));
        assert_eq!(source(isolation, true, false), Source::Newest);
    }
    let repeatable = Isolation::RepeatableReads;
    assert_eq!(source(repeatable, false, true), Source::AnyMember);
    assert_eq!(source(repeatable, true, true), Source::Newest);
    let committed = Isolation::ReadCommitted;
    assert_eq!(source(committed, true, true), Source::AnyMember);
}
