use super::*;

#[test]
fn a_key_ends_with_an_event_that_shows_it_overdue() {
    let mut world = World::new();
    let content = value("1").until(world.ttl(2));
    assert_eq!(
        shown(world.set("/a", content)),
        concat!(
            r#"{"action":"set","node":{"key":"/a","value":"1","expiration":"2027-01-15T08:00:02Z","ttl":2,"#,
            r#""modifiedIndex":4,"createdIndex":4}}"#
        )
    );
    assert_eq!(world.pass(1), 0);
    assert_eq!(world.get("/a", false).unwrap().event.node.unwrap().ttl, 1);
    let watch = world.watch("/a", WatchOptions::default()).unwrap();
    assert_eq!(world.pass(2), 1);
    assert_eq!(
        crate::watch::next(&mut world, watch).unwrap(),
        concat!(
            r#"{"action":"expire","node":{"key":"/a","modifiedIndex":5,"createdIndex":4},"#,
            r#""prevNode":{"key":"/a","value":"1","expiration":"2027-01-15T08:00:02Z","ttl":-1,"#,
            r#""modifiedIndex":4,"createdIndex":4}}"#
        )
    );
    assert_eq!(world.tree().stats().expire_count, 1);
    assert_eq!(world.tree().next_deadline(), None);
}

#[test]
fn what_is_in_a_directory_ends_with_it_without_an_event_of_its_own() {
    let mut world = World::new();
    world
        .set("/d", Content::directory().until(world.ttl(5)))
        .unwrap();
    world.set("/d/a", value("").until(world.ttl(9))).unwrap();
    world.set("/d/b", value("").until(world.ttl(1))).unwrap();
    world.set("/c", value("").until(world.ttl(3))).unwrap();
    assert_eq!(world.pass(10), 3);
    let told: Vec<_> = crate::watch::history(&mut world, 8);
    let keys: Vec<_> = told.iter().map(|node| &*node.key).collect();
    assert_eq!(keys, ["/d/b", "/c", "/d"]);
    assert!(told[2].dir);
    assert_eq!(world.tree().next_deadline(), None);
}

#[test]
fn writes_without_an_end_take_it_away() {
    let mut world = World::new();
    let short = |world: &World| value("").until(world.ttl(1));
    let content = short(&world);
    for key in ["/set", "/update", "/swap", "/delete", "/replace"] {
        world.set(key, content).unwrap();
    }
    world.set("/set", value("")).unwrap();
    world.update("/update", value("")).unwrap();
    world.swap("/swap", if_index(6), value("")).unwrap();
    world.delete("/delete", "").unwrap();
    world.set("/replace", Content::directory()).unwrap();
    assert_eq!(world.tree().next_deadline(), None);
    assert_eq!(world.pass(2), 0);
    world.update("/set", content).unwrap();
    assert_eq!(world.pass(1), 1, "an end that has come already");
}

#[test]
fn a_ttl_of_nothing_is_over_at_once_but_not_at_the_write() {
    let mut world = World::new();
    world.set("/a", value("").until(world.ttl(0))).unwrap();
    assert!(world.get("/a", false).is_ok());
    assert_eq!(world.pass(0), 1);
}

#[test]
fn a_ttl_that_overflows_is_none_for_who_creates_and_over_for_who_updates() {
    let mut world = World::new();
    let content = value("").until(world.ttl(9_223_372_037));
    let set = world.set("/a", content).unwrap().event.node.unwrap();
    assert_eq!((set.expiration, set.ttl), (None, 0));
    let updated = world.update("/a", content).unwrap().event.node.unwrap();
    assert!(updated.ttl < 0);
    assert_eq!(world.pass(0), 1);
}

#[test]
fn nothing_of_a_failed_request_stays() {
    let mut world = World::new();
    world.set("/a", value("")).unwrap();
    let content = value("1").until(world.ttl(1));
    world.create("/a", content).unwrap_err();
    world.swap("/a", if_index(9), content).unwrap_err();
    world.set("/a/b", content).unwrap_err();
    assert_eq!(world.tree().next_deadline(), None);
    assert_eq!(world.tree().index(), 4);
}
