use super::*;

#[test]
fn a_set_replaces_whatever_key_is_there() {
    let mut world = World::new();
    let set = world.set("/a", value("1"));
    assert!(set.as_ref().unwrap().is_created);
    assert_eq!(
        shown(set),
        r#"{"action":"set","node":{"key":"/a","value":"1","modifiedIndex":4,"createdIndex":4}}"#
    );
    let set = world.set("/a", value(""));
    assert!(!set.as_ref().unwrap().is_created);
    assert_eq!(
        shown(set),
        concat!(
            r#"{"action":"set","node":{"key":"/a","value":"","modifiedIndex":5,"createdIndex":5},"#,
            r#""prevNode":{"key":"/a","value":"1","modifiedIndex":4,"createdIndex":4}}"#
        )
    );
}

#[test]
fn directories_on_the_way_are_made_by_the_write_that_needs_them() {
    let mut world = World::new();
    world.set("/a/b/c", value("1")).unwrap();
    assert_eq!(
        shown(world.get("/", true)),
        concat!(
            r#"{"action":"get","node":{"dir":true,"nodes":[{"key":"/a","dir":true,"nodes":["#,
            r#"{"key":"/a/b","dir":true,"nodes":["#,
            r#"{"key":"/a/b/c","value":"1","modifiedIndex":4,"createdIndex":4}],"#,
            r#""modifiedIndex":4,"createdIndex":4}],"modifiedIndex":4,"createdIndex":4}]}}"#
        )
    );
    assert_eq!(refused(world.set("/a/b/c/d", value(""))), "104 /a/b/c @4");
    assert_eq!(refused(world.post("/a/b/c", value(""))), "104 /a/b/c @4");
}

#[test]
fn a_directory_takes_the_place_of_a_key_but_not_of_a_directory() {
    let mut world = World::new();
    world.set("/a", value("1")).unwrap();
    assert_eq!(
        shown(world.set("/a", Content::directory())),
        concat!(
            r#"{"action":"set","node":{"key":"/a","dir":true,"modifiedIndex":5,"createdIndex":5},"#,
            r#""prevNode":{"key":"/a","value":"1","modifiedIndex":4,"createdIndex":4}}"#
        )
    );
    assert_eq!(refused(world.set("/a", Content::directory())), "102 /a @5");
    assert_eq!(refused(world.set("/a", value("1"))), "102 /a @5");
}

#[test]
fn a_create_wants_nothing_to_be_there() {
    let mut world = World::new();
    assert_eq!(
        shown(world.create("/a", value("1"))),
        r#"{"action":"create","node":{"key":"/a","value":"1","modifiedIndex":4,"createdIndex":4}}"#
    );
    assert_eq!(refused(world.create("/a", value("1"))), "105 /a @4");
    assert!(world.create("/d", Content::directory()).unwrap().is_created);
    assert_eq!(
        refused(world.create("/d", Content::directory())),
        "105 /d @5"
    );
}

#[test]
fn in_order_keys_are_named_after_their_index() {
    let mut world = World::new();
    assert_eq!(
        shown(world.post("/q", value("1"))),
        concat!(
            r#"{"action":"create","node":{"key":"/q/00000000000000000004","value":"1","#,
            r#""modifiedIndex":4,"createdIndex":4}}"#
        )
    );
    let posted = world.post("/", Content::directory()).unwrap();
    assert_eq!(posted.event.node.unwrap().key, "/00000000000000000005");
    world.set("/q/00000000000000000007", value("")).unwrap();
    assert_eq!(
        refused(world.post("/q", value("1"))),
        "105 /q/00000000000000000007 @6"
    );
}

#[test]
fn an_update_keeps_when_a_key_was_created() {
    let mut world = World::new();
    assert_eq!(refused(world.update("/a/b", value("1"))), "100 /a @3");
    world.set("/a", value("1")).unwrap();
    assert_eq!(
        shown(world.update("/a", value("2"))),
        concat!(
            r#"{"action":"update","node":{"key":"/a","value":"2","modifiedIndex":5,"createdIndex":4},"#,
            r#""prevNode":{"key":"/a","value":"1","modifiedIndex":4,"createdIndex":4}}"#
        )
    );
    let emptied = world.update("/a", value("")).unwrap();
    assert_eq!(emptied.event.node.unwrap().value.as_deref(), Some(""));
}

#[test]
fn the_end_of_a_directory_can_be_changed() {
    let mut world = World::new();
    world.set("/d", Content::directory()).unwrap();
    let updated = world.update("/d", value("").until(world.ttl(9)));
    assert_eq!(
        shown(updated),
        concat!(
            r#"{"action":"update","node":{"key":"/d","dir":true,"expiration":"2027-01-15T08:00:09Z","ttl":9,"#,
            r#""modifiedIndex":5,"createdIndex":4},"#,
            r#""prevNode":{"key":"/d","dir":true,"modifiedIndex":4,"createdIndex":4}}"#
        )
    );
    let read = world.get("/d", false).unwrap().event.node.unwrap();
    assert_eq!((read.modified_index, read.ttl), (4, 9), "as in etcd 3.4");
    assert_eq!(refused(world.update("/d", value("1"))), "102 /d @5");
    let refresh = Content {
        refresh: true,
        ..value("").until(world.ttl(5))
    };
    assert_eq!(
        world.update("/d", refresh).unwrap().event.node.unwrap().ttl,
        5
    );
}

#[test]
fn a_swap_says_what_differs() {
    let mut world = World::new();
    world.set("/a", value("1")).unwrap();
    let both = Condition {
        value: b"2",
        index: 9,
    };
    let two = || value("2");
    assert_eq!(
        refused(world.swap("/a", if_value("2"), two())),
        "101 [2 != 1] @4"
    );
    assert_eq!(
        refused(world.swap("/a", if_index(9), two())),
        "101 [9 != 4] @4"
    );
    assert_eq!(
        refused(world.swap("/a", both, two())),
        "101 [2 != 1] [9 != 4] @4"
    );
    assert_eq!(refused(world.swap("/b", both, two())), "100 /b @4");
    assert_eq!(
        shown(world.swap("/a", if_value("1"), two())),
        concat!(
            r#"{"action":"compareAndSwap","#,
            r#""node":{"key":"/a","value":"2","modifiedIndex":5,"createdIndex":4},"#,
            r#""prevNode":{"key":"/a","value":"1","modifiedIndex":4,"createdIndex":4}}"#
        )
    );
    world.set("/d", Content::directory()).unwrap();
    assert_eq!(refused(world.swap("/d", if_index(6), two())), "102 /d @6");
}

#[test]
fn a_delete_of_a_directory_has_to_say_so() {
    let mut world = World::new();
    world.set("/d/a", value("1")).unwrap();
    assert_eq!(refused(world.delete("/d", "")), "102 /d @4");
    assert_eq!(refused(world.delete("/d", "dir")), "108 /d @4");
    assert_eq!(refused(world.delete("/d/a/b", "dir")), "104 /d/a @4");
    assert_eq!(
        shown(world.delete("/d/a", "dir")),
        concat!(
            r#"{"action":"delete","node":{"key":"/d/a","modifiedIndex":5,"createdIndex":4},"#,
            r#""prevNode":{"key":"/d/a","value":"1","modifiedIndex":4,"createdIndex":4}}"#
        )
    );
    assert_eq!(
        shown(world.delete("/d", "dir")),
        concat!(
            r#"{"action":"delete","node":{"key":"/d","dir":true,"modifiedIndex":6,"createdIndex":4},"#,
            r#""prevNode":{"key":"/d","dir":true,"modifiedIndex":4,"createdIndex":4}}"#
        )
    );
    assert_eq!(refused(world.delete("/d", "dir")), "100 /d @6");
    world.set("/e/f/g", value("1")).unwrap();
    world.delete("/e", "recursive").unwrap();
    assert_eq!(refused(world.get("/e/f/g", false)), "100 /e @8");
}

#[test]
fn a_conditional_delete_takes_keys_only() {
    let mut world = World::new();
    world.set("/d/a", value("1")).unwrap();
    assert_eq!(refused(world.delete_if("/d", if_index(4))), "102 /d @4");
    assert_eq!(
        refused(world.delete_if("/d/a", if_value("2"))),
        "101 [2 != 1] @4"
    );
    assert_eq!(
        shown(world.delete_if("/d/a", if_index(4))),
        concat!(
            r#"{"action":"compareAndDelete","node":{"key":"/d/a","modifiedIndex":5,"createdIndex":4},"#,
            r#""prevNode":{"key":"/d/a","value":"1","modifiedIndex":4,"createdIndex":4}}"#
        )
    );
}

#[test]
fn the_root_is_read_only() {
    let mut world = World::new();
    for answer in [
        world.set("/", value("1")),
        world.create("/", Content::directory()),
        world.update("/", value("")),
        world.swap("/", if_index(1), value("")),
        world.delete("/", "recursive"),
    ] {
        assert_eq!(refused(answer), "107 / @3");
    }
    assert_eq!(refused(world.delete_if("/", if_index(1))), "102  @3");
}

#[test]
fn a_refresh_keeps_the_value_and_needs_a_key() {
    let mut world = World::new();
    let refresh = |world: &World| Content {
        refresh: true,
        ..value("").until(world.ttl(9))
    };
    let content = refresh(&world);
    assert_eq!(refused(world.set("/a", content)), "100 /a @3");
    world.set("/a", value("1")).unwrap();
    let set = world.set("/a", content).unwrap().event.node.unwrap();
    assert_eq!((set.value.as_deref(), set.ttl), (Some("1"), 9));
    assert_eq!((set.modified_index, set.created_index), (5, 5));
    let swapped = world.swap("/a", if_index(5), content).unwrap();
    let swapped = swapped.event.node.unwrap();
    assert_eq!(swapped.value.as_deref(), Some("1"));
    assert_eq!((swapped.modified_index, swapped.created_index), (6, 5));
    world.set("/d", Content::directory()).unwrap();
    assert_eq!(refused(world.set("/d", content)), "102 /d @7");
}

#[test]
fn bytes_that_are_no_text_are_compared_as_they_are() {
    let mut world = World::new();
    world.set("/a", Content::value(b"\xff")).unwrap();
    let read = world.get("/a", false).unwrap().event.node.unwrap();
    assert_eq!(read.value.as_deref(), Some("\u{fffd}"));
    assert_eq!(
        refused(world.swap("/a", if_value("\u{fffd}"), value("2"))),
        "101 [\u{fffd} != \u{fffd}] @4"
    );
    let condition = Condition {
        value: b"\xff",
        index: 0,
    };
    world.swap("/a", condition, value("2")).unwrap();
}

#[test]
fn paths_are_only_so_deep() {
    let mut world = World::new();
    let deepest = "/a".repeat(etcdkit_store::v2::MAX_DEPTH);
    world.set(&deepest, Content::directory()).unwrap();
    world.get("/", true).unwrap();
    let deeper = format!("{deepest}/a");
    for answer in [
        world.set(&deeper, value("")),
        world.create(&deeper, value("")),
        world.post(&deepest, value("")),
    ] {
        assert_eq!(answer.unwrap_err().error_code, 209);
    }
}

#[test]
fn what_is_counted_is_what_etcd_counts() {
    let mut world = World::new();
    world.set("/a", value("1")).unwrap();
    let before = world.tree().stats();
    assert_eq!((before.sets_success, before.create_success), (3, 1));
    // Refusals that etcd counts as successes, and one that it counts twice.
    world.delete("/", "recursive").unwrap_err();
    world.delete_if("/a", if_value("2")).unwrap_err();
    world.update("/", value("")).unwrap_err();
    world.create("/a/b", value("")).unwrap_err();
    world.swap("/a", if_index(1), value("")).unwrap_err();
    world.get("/", false).unwrap();
    world.get("/b", false).unwrap_err();
    let stats = world.tree().stats();
    assert_eq!((stats.delete_success, stats.delete_fail), (1, 0));
    assert_eq!(stats.compare_and_delete_success, 1);
    assert_eq!(stats.update_success, 1);
    assert_eq!((stats.create_fail, stats.sets_fail), (1, 1));
    assert_eq!(stats.compare_and_swap_fail, 1);
    assert_eq!((stats.gets_success, stats.gets_fail), (1, 1));
}
