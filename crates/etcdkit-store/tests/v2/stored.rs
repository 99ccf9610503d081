//! What the tree gives a backend is enough to make the same tree again.

use std::collections::BTreeMap;

use super::*;
use bytes::Bytes;
use etcdkit_store::{Bucket, Change, Recovery};

/// The entries of the tree in a file.
type File = BTreeMap<Bytes, Bytes>;

/// What is said of a file after something was done to it.
type Damage<'a> = (&'static str, &'a dyn Fn(&mut File));

fn recovered(file: &File) -> Result<Store, String> {
    let mut recovery = Recovery::new();
    for (key, value) in file {
        recovery
            .take(Bucket::V2, key, value)
            .map_err(|error| error.to_string())?;
    }
    recovery.finish(NOW).map_err(|error| error.to_string())
}

/// Makes everything durable that is staged.
fn commit(world: &mut World, file: &mut File) {
    let batch = world.store.take_changes();
    for change in batch.changes() {
        assert_eq!(change.bucket(), Bucket::V2);
        match change {
            Change::Put(entry) => drop(file.insert(entry.key.clone(), entry.value.clone())),
            Change::Delete(_, key) => drop(file.remove(key)),
        }
    }
    assert!(!world.store.has_changes());
    world.publish();
}

fn journalled() -> World {
    let mut store = Store::new();
    store.keep_journal();
    let mut world = World {
        store,
        watchers: Watchers::default(),
        now: NOW,
    };
    world.start();
    world
}

/// Everything that can be seen of a tree.
fn seen(world: &mut World) -> (String, Vec<String>, u64, String) {
    let all = world.get("/", true).unwrap();
    let first = world.tree().index().saturating_sub(999).max(1);
    let options = WatchOptions {
        recursive: true,
        stream: true,
        since: first,
    };
    let watch = world.watch("/", options).unwrap();
    let mut events = Vec::new();
    while let Some(event) = crate::watch::next(world, watch) {
        events.push(event);
    }
    world.watchers.close(watch);
    let mut stats = world.tree().stats();
    (stats.gets_success, stats.gets_fail) = (0, 0);
    let stats = format!("{stats:?} {:?}", world.tree().next_deadline());
    (json_of(&all.event), events, world.tree().index(), stats)
}

/// Does something, refused or not.
fn step(world: &mut World, random: &mut fastrand::Rng) {
    let mut path = String::new();
    for _ in 0..random.usize(1..4) {
        path.push('/');
        path.push_str(["a", "b", "_c", "a-"][random.usize(..4)]);
    }
    let content = Content {
        directory: random.u8(..4) == 0,
        value: b"\xffv",
        deadline: world.ttl(random.u64(..20)).filter(|_| random.bool()),
        refresh: random.u8(..8) == 0,
    };
    let tried = match random.u8(..10) {
        0..=2 => world.set(&path, content),
        3 => world.create(&path, content),
        4 => world.post(&path, content),
        5 => world.update(&path, content),
        6 => world.swap(&path, if_index(random.u64(..world.tree().index())), content),
        7 => world.delete(&path, ["", "dir", "recursive"][random.usize(..3)]),
        8 => world.delete_if(&path, if_value("x")),
        _ => {
            world.pass(random.u64(..3));
            return;
        }
    };
    drop(tried);
}

#[test]
fn a_recovered_tree_is_the_same() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..10 {
        let mut world = journalled();
        let mut file = File::new();
        for _ in 0..random.usize(1..40) {
            // Now and then more than the history holds in one batch.
            let most = if random.u8(..10) == 0 { 4_000 } else { 40 };
            for _ in 0..random.usize(..most) {
                step(&mut world, &mut random);
            }
            commit(&mut world, &mut file);
        }
        let store = recovered(&file).unwrap();
        let mut other = World {
            store,
            watchers: Watchers::default(),
            now: world.now,
        };
        assert_eq!(seen(&mut other), seen(&mut world));
        let events = file.keys().filter(|key| key.starts_with(b"e")).count();
        assert_eq!(events as u64, world.tree().index().min(1_000));
        // It goes on where the other stopped.
        for world in [&mut world, &mut other] {
            world.set("/z", value("")).unwrap();
        }
        assert_eq!(seen(&mut other), seen(&mut world));
        commit(&mut other, &mut file);
        assert!(recovered(&file).is_ok());
    }
}

#[test]
fn a_tree_that_nobody_uses_leaves_no_entry() {
    let mut store = Store::new();
    store.keep_journal();
    assert!(!store.has_changes());
    assert!(store.take_changes().changes().is_empty());
    assert_eq!(recovered(&File::new()).unwrap().v2().index(), 0);
}

#[test]
fn refused_writes_are_counted_in_the_file_too() {
    let mut world = journalled();
    let mut file = File::new();
    world.delete("/a", "").unwrap_err();
    commit(&mut world, &mut file);
    let store = recovered(&file).unwrap();
    assert_eq!(store.v2().stats().delete_fail, 1);
}

#[test]
fn what_was_not_written_so_is_refused() {
    let mut world = journalled();
    let mut file = File::new();
    world.set("/a/b", value("1")).unwrap();
    commit(&mut world, &mut file);
    recovered(&file).unwrap();
    let event = |index: u64| Bytes::from([b"e", &index.to_be_bytes()[..]].concat());
    let damage: [Damage<'_>; 9] = [
        ("is in a directory that is missing", &|file| {
            file.remove(&b"n/1/a"[..]);
        }),
        ("does not follow the event before it", &|file| {
            file.remove(&event(2));
        }),
        ("do not belong together", &|file| {
            file.remove(&event(1));
        }),
        ("do not belong together", &|file| {
            file.remove(&event(4));
        }),
        ("do not belong together", &|file| {
            file.remove(&b"state"[..]);
        }),
        ("does not hold the event of its index", &|file| {
            let other = file[&event(3)].clone();
            file.insert(event(4), other);
        }),
        ("is neither a node nor an event", &|file| {
            file.insert("x".into(), Bytes::new());
        }),
        ("is not the path of a node", &|file| {
            file.insert("n/1/a/".into(), Bytes::new());
        }),
        ("does not hold a node", &|file| {
            file.insert("n/1/a/c".into(), Bytes::new());
        }),
    ];
    for (reason, damage) in damage {
        let mut file = file.clone();
        damage(&mut file);
        let error = recovered(&file).map(drop).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
}
