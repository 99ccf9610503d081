use super::*;
use etcdkit_proto::v2::Node;
use etcdkit_store::v2::Next;

/// What a watch is told next, in JSON.
pub(crate) fn next(world: &mut World, watch: WatchId) -> Option<String> {
    match world.watchers.next(watch) {
        Next::Event(event) => Some(json_of(&event)),
        Next::Idle | Next::End => None,
    }
}

/// The nodes of all events of users' keys from an index on.
pub(crate) fn history(world: &mut World, since: u64) -> Vec<Node> {
    let watch = world.watch("/", stream(since)).unwrap();
    let mut nodes = Vec::new();
    while let Next::Event(event) = world.watchers.next(watch) {
        nodes.push(event.node.unwrap());
    }
    world.watchers.close(watch);
    nodes
}

fn once() -> WatchOptions {
    WatchOptions::default()
}

fn below() -> WatchOptions {
    WatchOptions {
        recursive: true,
        ..once()
    }
}

fn since(since: u64) -> WatchOptions {
    WatchOptions { since, ..below() }
}

fn stream(since: u64) -> WatchOptions {
    WatchOptions {
        stream: true,
        ..self::since(since)
    }
}

/// The key that a watch is told of, `-` for nothing yet and `.` for the end.
fn told(world: &mut World, watch: WatchId) -> String {
    match world.watchers.next(watch) {
        Next::Event(event) => event.node.unwrap().key,
        Next::Idle => "-".to_owned(),
        Next::End => ".".to_owned(),
    }
}

#[test]
fn a_watch_is_told_of_one_event() {
    let mut world = World::new();
    let key = world.watch("/a", once()).unwrap();
    let tree = world.watch("/", below()).unwrap();
    let level = world.watch("/", once()).unwrap();
    assert_eq!(world.watchers.count(), 3);
    world.set("/a/b", value("1")).unwrap();
    assert_eq!(told(&mut world, key), "-", "it is below the watched one");
    assert_eq!(told(&mut world, tree), "/a/b");
    assert_eq!(told(&mut world, tree), ".");
    assert_eq!(told(&mut world, level), "-");
    assert_eq!(world.watchers.count(), 2);
    world.delete("/a", "recursive").unwrap();
    assert_eq!(told(&mut world, key), "/a");
}

#[test]
fn a_directory_takes_along_who_watches_what_is_in_it() {
    let mut world = World::new();
    world.set("/d/a/b", value("1")).unwrap();
    let there = world.watch("/d/a/b", once()).unwrap();
    let missing = world.watch("/d/a/c", once()).unwrap();
    let other = world.watch("/d-a", below()).unwrap();
    let hidden = world.watch("/d/a", below()).unwrap();
    world.delete("/d", "recursive").unwrap();
    assert_eq!(told(&mut world, there), "/d");
    assert_eq!(told(&mut world, missing), "-");
    assert_eq!(told(&mut world, other), "-");
    assert_eq!(told(&mut world, hidden), "/d");
    // Nobody knows afterwards what was in it.
    let later = WatchOptions { since: 5, ..once() };
    let missing = world.watch("/d/a/c", later).unwrap();
    assert_eq!(told(&mut world, missing), "/d");
    let other = world.watch("/delicious", later).unwrap();
    assert_eq!(told(&mut world, other), "-", "etcd takes it to be in /d");
}

#[test]
fn the_past_is_told_from_the_history() {
    let mut world = World::new();
    for number in 4..8 {
        world.set(&format!("/a{number}"), value("")).unwrap();
    }
    let watch = world.watch("/", since(5)).unwrap();
    assert_eq!(world.watchers.count(), 0, "nobody waits");
    assert_eq!(told(&mut world, watch), "/a5");
    assert_eq!(told(&mut world, watch), ".");
    let exact = WatchOptions { since: 4, ..once() };
    let watch = world.watch("/a6", exact).unwrap();
    assert_eq!(told(&mut world, watch), "/a6");
    // The future is waited for, also a far one.
    let watch = world.watch("/", since(9)).unwrap();
    world.set("/a8", value("")).unwrap();
    assert_eq!(told(&mut world, watch), "-");
    world.set("/a9", value("")).unwrap();
    assert_eq!(told(&mut world, watch), "/a9");
}

#[test]
fn a_stream_goes_on_from_the_past() {
    let mut world = World::new();
    world.set("/a", value("")).unwrap();
    world.set("/b", value("")).unwrap();
    let watch = world.watch("/", stream(4)).unwrap();
    world.set("/c", value("")).unwrap();
    let told: Vec<_> = (0..4).map(|_| told(&mut world, watch)).collect();
    assert_eq!(
        told,
        ["/a", "/b", "/c", "-"],
        "etcd 3.5 stops after the first"
    );
    world.watchers.close(watch);
    assert_eq!(world.watchers.count(), 0);
}

#[test]
fn a_stream_on_what_is_removed_is_told_twice_as_in_etcd() {
    let mut world = World::new();
    world.set("/a/b", value("")).unwrap();
    let itself = world.watch("/a/b", stream(0)).unwrap();
    let above = world.watch("/a", stream(0)).unwrap();
    world.delete("/a/b", "").unwrap();
    let mut all = |watch| -> Vec<_> { (0..3).map(|_| told(&mut world, watch)).collect() };
    assert_eq!(all(itself), ["/a/b", "/a/b", "-"]);
    assert_eq!(all(above), ["/a/b", "-", "-"]);
}

#[test]
fn who_does_not_read_a_stream_is_cut_off() {
    let mut world = World::new();
    let watch = world.watch("/", stream(0)).unwrap();
    for number in 0..101 {
        world.set(&format!("/{number}"), value("")).unwrap();
    }
    assert_eq!(world.watchers.count(), 0);
    let read = (0..).find(|_| told(&mut world, watch) == ".").unwrap();
    assert_eq!(read, 100);
}

#[test]
fn hidden_names_are_not_told_to_who_watches_from_above() {
    let mut world = World::new();
    let above = world.watch("/", below()).unwrap();
    let inside = world.watch("/d/_h", below()).unwrap();
    let itself = world.watch("/d/_h/a", once()).unwrap();
    world.set("/d/_h/a", value("")).unwrap();
    assert_eq!(told(&mut world, above), "-");
    assert_eq!(told(&mut world, inside), "/d/_h/a");
    assert_eq!(told(&mut world, itself), "/d/_h/a");
    let past = world.watch("/", since(4)).unwrap();
    assert_eq!(
        told(&mut world, past),
        "/d/_h/a",
        "from the history they are"
    );
}

#[test]
fn a_refresh_is_told_to_nobody() {
    let mut world = World::new();
    world.set("/a", value("1")).unwrap();
    let live = world.watch("/a", once()).unwrap();
    let refresh = Content {
        refresh: true,
        ..value("").until(world.ttl(9))
    };
    world.update("/a", refresh).unwrap();
    assert_eq!(told(&mut world, live), "-");
    let past = world.watch("/a", since(5)).unwrap();
    assert_eq!(told(&mut world, past), "-");
    world.update("/a", value("2")).unwrap();
    assert_eq!(told(&mut world, past), "/a");
}

#[test]
fn a_thousand_events_are_kept() {
    let mut world = World::new();
    for _ in 4..=1_003 {
        world.set("/a", value("")).unwrap();
    }
    assert_eq!(
        refused(world.watch("/a", since(3))),
        "401 the requested history has been cleared [4/3] @1003"
    );
    let watch = world.watch("/a", since(4)).unwrap();
    assert_eq!(told(&mut world, watch), "/a");
    assert!(world.watch("/a", since(0)).is_ok());
    assert_eq!(history(&mut world, 4).len(), 1_000);
}

#[test]
fn what_is_staged_is_told_when_it_is_published() {
    let mut world = World::new();
    let now = world.now;
    let live = world.watch("/a", once()).unwrap();
    let set = world
        .store
        .v2_mut()
        .set(&Path::of_key("/a"), value("1"), now);
    assert_eq!(set.unwrap().etcd_index, 4, "the write itself knows");
    assert_eq!(world.tree().published_index(), 3);
    let past = world.watch("/a", since(4)).unwrap();
    assert_eq!(told(&mut world, live), "-");
    assert_eq!(told(&mut world, past), "-");
    world.publish();
    assert_eq!(told(&mut world, live), "/a");
    assert_eq!(told(&mut world, past), "/a");
    assert_eq!(world.tree().published_index(), 4);
}

#[test]
fn a_tree_that_takes_the_place_of_another_tells_what_is_new() {
    let mut world = World::new();
    world.set("/d/a", value("1")).unwrap();
    let watch = world.watch("/d/a", once()).unwrap();
    let other = world.watch("/e", once()).unwrap();
    let before = world.tree().published_index();
    let now = world.now;
    let deleted = world
        .store
        .v2_mut()
        .delete(&Path::of_key("/d"), true, true, now);
    assert!(deleted.is_ok());
    world.store.publish();
    let events = world.tree().published_after(before);
    world.watchers.published(&events, |_| {});
    assert_eq!(told(&mut world, watch), "/d");
    assert_eq!(told(&mut world, other), "-");
}
