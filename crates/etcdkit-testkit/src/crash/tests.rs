//! Every loss is found: what a right server shows is made wrong in every way.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use etcdkit::{KeyValue, LeaseId, Revision};

use super::*;
use crate::watch_checker::{Change, Event, Outcome};

const LEASE: i64 = 77;
const TTL: Duration = Duration::from_secs(1_000);

/// A server in a few lines, and what its clients know.
#[derive(Clone, Debug, Default)]
struct World {
    events: Vec<Event>,
    compacted: Revision,
    ledger: Ledger,
}

impl World {
    fn revision(&self) -> Revision {
        self.events.last().map_or(1, Event::revision)
    }

    /// Applies changes at one revision, without telling the ledger.
    fn apply(&mut self, changes: &[Change], lease: Option<LeaseId>) -> Revision {
        let revision = self.revision() + 1;
        for change in changes {
            let last = self.events.iter().rfind(|event| event.kv.key == change.key);
            let before = last.filter(|event| !event.is_delete);
            let before = before.map(|event| event.kv.clone());
            let mut kv = KeyValue::default();
            kv.key = change.key.clone();
            kv.mod_revision = revision;
            if let Some(value) = &change.value {
                kv.value = value.clone();
                kv.version = before.as_ref().map_or(1, |kv| kv.version + 1);
                kv.create_revision = before.as_ref().map_or(revision, |kv| kv.create_revision);
                kv.lease = lease;
            }
            self.events.push(Event {
                is_delete: change.value.is_none(),
                kv,
                prev_kv: None,
            });
        }
        revision
    }

    fn write(&mut self, changes: &[Change]) {
        let revision = self.apply(changes, None);
        self.ledger
            .writes
            .add(changes.to_vec(), Outcome::Applied(revision));
        self.ledger.saw(revision);
    }

    fn write_unheard(&mut self, changes: &[Change], is_applied: bool) {
        if is_applied {
            self.apply(changes, None);
        }
        self.ledger.writes.add(changes.to_vec(), Outcome::Unknown);
    }

    fn compact(&mut self, revision: Revision) {
        self.compacted = revision;
        self.ledger.compacted = revision;
        self.ledger.compacting = revision;
    }

    fn found(&self) -> Found {
        let model = HashModel::new(&self.events);
        let from = self.compacted.max(1);
        let hashes = (from..=self.revision()).map(|revision| FoundHash {
            revision,
            compacted: self.compacted,
            hash: model.at(revision, self.compacted),
        });
        let events = self.events.iter().filter(|event| event.revision() >= from);
        let names = |known: &std::collections::BTreeMap<String, Existence>| -> BTreeSet<String> {
            let there = known.iter().filter(|(_, known)| known.must_be());
            there.map(|(name, _)| name.clone()).collect()
        };
        let lease = FoundLease {
            ttl: TTL,
            keys: BTreeSet::from([Bytes::from("leased")]),
        };
        Found {
            revision: self.revision(),
            compacted: self.compacted,
            events: events.cloned().collect(),
            hashes: hashes.collect(),
            leases: [(LEASE, lease)].into(),
            users: names(&self.ledger.users),
            roles: names(&self.ledger.roles),
        }
    }
}

fn made() -> Existence {
    Existence {
        made: Fate::Yes,
        removed: Fate::No,
    }
}

/// A world with some of everything.
fn world(random: &mut fastrand::Rng) -> World {
    let mut world = World::default();
    world.ledger.leases.insert(LEASE, (TTL, made()));
    world.ledger.users.insert("alice".to_owned(), made());
    world.ledger.roles.insert("reader".to_owned(), made());
    let leased = [Change::put("leased", "value")];
    let revision = world.apply(&leased, Some(LeaseId(LEASE)));
    world.ledger.writes.add(leased, Outcome::Applied(revision));
    for number in 0..random.usize(20..40) {
        let value = number.to_string();
        let put = |key: &str| Change::put(key.to_owned(), value.clone());
        match random.u8(..8) {
            0..4 => world.write(&[put("a")]),
            4 => world.write(&[put("a"), put("b"), put("c")]),
            5 => {
                world.write(&[put("d")]);
                world.write(&[Change::delete("d")]);
            }
            _ => world.write_unheard(&[put("e"), put("f")], random.bool()),
        }
    }
    world.write(&[Change::put("last", "value")]);
    world
}

/// What the checker says about a wrong server, of which the first crash showed nothing.
fn losses(world: &World, spoil: impl FnOnce(&mut Found)) -> Vec<Loss> {
    let mut found = world.found();
    spoil(&mut found);
    Checker::new().check(&mut world.ledger.clone(), &found)
}

fn random() -> fastrand::Rng {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    fastrand::Rng::with_seed(seed)
}

#[test]
fn a_right_server_has_lost_nothing_crash_by_crash() {
    let mut random = random();
    for _ in 0..100 {
        let mut world = world(&mut random);
        let mut checker = Checker::new();
        for _ in 0..5 {
            let found = world.found();
            let losses = checker.check(&mut world.ledger, &found);
            assert!(losses.is_empty(), "{losses:#?}");
            if random.bool() {
                let oldest = world.compacted + 1;
                world.compact(random.i64(oldest..=checker.revision()));
            }
            for number in 0..5 {
                let change = Change::put("more", format!("{}-{number}", world.revision()));
                world.write(&[change]);
            }
        }
    }
}

#[test]
fn acknowledged_writes_are_missed() {
    let world = world(&mut random());
    let lost = losses(&world, |found| {
        found.events.pop();
        found.revision -= 1;
    });
    assert!(
        lost.iter()
            .any(|loss| matches!(loss, Loss::RevisionWentBack { .. }))
    );
    assert!(
        lost.iter()
            .any(|loss| matches!(loss, Loss::Contradiction(_)))
    );
}

#[test]
fn half_a_transaction_is_noticed() {
    let mut world = World::default();
    let both = [Change::put("a", "1"), Change::put("b", "1")];
    world.write_unheard(&both, true);
    world.ledger.leases.insert(LEASE, (TTL, made()));
    let lost = losses(&world, |found| {
        found.leases.clear();
        found.leases.insert(
            LEASE,
            FoundLease {
                ttl: TTL,
                ..FoundLease::default()
            },
        );
    });
    assert!(lost.is_empty(), "{lost:?}");
    let lost = losses(&world, |found| {
        found.events.pop();
        found.hashes.clear();
        found.leases.insert(
            LEASE,
            FoundLease {
                ttl: TTL,
                ..FoundLease::default()
            },
        );
    });
    assert!(matches!(lost[..], [Loss::Contradiction(_)]), "{lost:?}");
}

#[test]
fn an_unheard_write_that_comes_after_all_is_noticed() {
    let mut world = World::default();
    let late = [Change::put("late", "1")];
    world.write(&[Change::put("a", "1")]);
    world.write_unheard(&late, false);
    let mut checker = Checker::new();
    let no_lease = |world: &World| Found {
        leases: Default::default(),
        ..world.found()
    };
    let found = no_lease(&world);
    assert!(checker.check(&mut world.ledger, &found).is_empty());
    world.apply(&late, None);
    let found = no_lease(&world);
    let lost = checker.check(&mut world.ledger, &found);
    assert!(matches!(lost[..], [Loss::Contradiction(_)]), "{lost:?}");
}

#[test]
fn a_changed_past_is_noticed() {
    let mut world = world(&mut random());
    let mut checker = Checker::new();
    let found = world.found();
    assert!(checker.check(&mut world.ledger, &found).is_empty());
    let mut changed = world.found();
    let middle = changed.events.len() / 2;
    changed.events[middle].kv.value = Bytes::from("another");
    let lost = checker.check(&mut world.ledger.clone(), &changed);
    assert!(matches!(lost[0], Loss::HistoryChanged { .. }), "{lost:?}");
    let mut shorter = world.found();
    shorter.events.remove(middle);
    let lost = checker.check(&mut world.ledger, &shorter);
    assert!(matches!(lost[0], Loss::HistoryChanged { .. }), "{lost:?}");
}

#[test]
fn a_revision_of_nothing_is_noticed() {
    let world = world(&mut random());
    let lost = losses(&world, |found| found.revision += 1);
    assert!(matches!(lost[..], [Loss::EmptyRevision(_)]), "{lost:?}");
}

#[test]
fn a_wrong_hash_is_noticed() {
    let world = world(&mut random());
    for spoil in [
        |hash: &mut FoundHash| hash.hash ^= 1,
        |hash: &mut FoundHash| hash.compacted = 2,
    ] {
        let lost = losses(&world, |found| spoil(&mut found.hashes[3]));
        assert!(matches!(lost[..], [Loss::Hash { .. }]), "{lost:?}");
    }
}

#[test]
fn compactions_undone_or_invented_are_noticed() {
    let mut world = world(&mut random());
    let mut checker = Checker::new();
    let found = world.found();
    assert!(checker.check(&mut world.ledger, &found).is_empty());
    let before = world.compacted;
    world.compact(5);
    for (found_at, acknowledged) in [(before, 5), (5, 3)] {
        let mut wrong = world.clone();
        wrong.compacted = found_at;
        wrong.ledger.compacted = acknowledged;
        wrong.ledger.compacting = acknowledged;
        let found = wrong.found();
        let lost = checker.check(&mut wrong.ledger, &found);
        assert!(matches!(lost[..], [Loss::Compaction { .. }]), "{lost:?}");
    }
    // One that nobody heard of may have happened or not.
    world.ledger.compacted = 3;
    let found = world.found();
    assert!(checker.check(&mut world.ledger, &found).is_empty());
}

#[test]
fn lost_and_invented_leases_users_and_roles_are_noticed() {
    let world = world(&mut random());
    let spoils: [fn(&mut Found); 9] = [
        |found| found.users.clear(),
        |found| found.roles.clear(),
        |found| {
            found.users.insert("mallory".to_owned());
        },
        |found| {
            found.roles.insert("writer".to_owned());
        },
        |found| {
            found.leases.insert(78, FoundLease::default());
        },
        // Its keys have outlived it, too.
        |found| found.leases.clear(),
        |found| {
            found
                .leases
                .values_mut()
                .for_each(|lease| lease.keys.clear())
        },
        |found| found.leases.values_mut().for_each(|lease| lease.ttl *= 2),
        |found| {
            let key = Bytes::from("a");
            let mut leases = found.leases.values_mut();
            leases.all(|lease| lease.keys.insert(key.clone()));
        },
    ];
    for (number, spoil) in spoils.into_iter().enumerate() {
        let lost = losses(&world, spoil);
        let known = |loss: &Loss| matches!(loss, Loss::Existence { .. } | Loss::Lease(_));
        assert!(
            !lost.is_empty() && lost.iter().all(known),
            "{number}: {lost:?}"
        );
    }
}

/// As etcd 3.6.14 hashed the same history, the compacted one after a restart.
#[test]
fn hashes_are_those_of_etcd() {
    let mut world = World::default();
    world.apply(&[Change::put("a", "1")], None);
    world.apply(&[Change::put("a", "2"), Change::put("b", "x")], None);
    world.apply(&[Change::delete("a")], None);
    world.apply(&[Change::put("b", "y")], Some(LeaseId(LEASE)));
    let model = HashModel::new(&world.events);
    let hashes: Vec<u32> = (1..=5).map(|revision| model.at(revision, 0)).collect();
    assert_eq!(
        hashes,
        [1084519789, 2587454935, 2274636671, 1640732524, 1186267030]
    );
    assert_eq!([model.at(4, 4), model.at(5, 4)], [825069910, 1344328705]);
}
