use super::*;
use etcdkit_store::v2::Namespace;

#[test]
fn a_listing_is_one_level_deep_unless_asked_otherwise() {
    let mut world = World::new();
    world.set("/d/b/c", value("1")).unwrap();
    world.set("/d/a", value("2")).unwrap();
    assert_eq!(
        shown(world.get("/d", false)),
        concat!(
            r#"{"action":"get","node":{"key":"/d","dir":true,"nodes":["#,
            r#"{"key":"/d/a","value":"2","modifiedIndex":5,"createdIndex":5},"#,
            r#"{"key":"/d/b","dir":true,"modifiedIndex":4,"createdIndex":4}],"#,
            r#""modifiedIndex":4,"createdIndex":4}}"#
        )
    );
    let all = world.get("/d", true).unwrap().event.node.unwrap();
    assert_eq!(all.nodes[1].nodes[0].key, "/d/b/c");
}

#[test]
fn the_root_has_neither_key_nor_index() {
    let world = World::new();
    let root = world.get("/", false);
    assert_eq!(root.as_ref().unwrap().etcd_index, 3);
    assert_eq!(shown(root), r#"{"action":"get","node":{"dir":true}}"#);
}

#[test]
fn hidden_names_are_shown_to_who_asks_for_them() {
    let mut world = World::new();
    world.set("/d/_h/_i", value("1")).unwrap();
    world.set("/d/_h/j", value("1")).unwrap();
    let keys = |path| {
        let node = world.get(path, true).unwrap().event.node.unwrap();
        node.nodes
            .into_iter()
            .map(|node| node.key)
            .collect::<Vec<_>>()
    };
    assert!(keys("/d").is_empty());
    assert_eq!(keys("/d/_h"), ["/d/_h/j"]);
    assert!(world.get("/d/_h/_i", false).is_ok());
}

#[test]
fn the_first_missing_or_wrong_component_is_named() {
    let mut world = World::new();
    world.set("/a", value("1")).unwrap();
    assert_eq!(refused(world.get("/nope/deep/er", false)), "100 /nope @4");
    assert_eq!(refused(world.get("/a/b/c", false)), "104 /a @4");
}

#[test]
fn keys_are_sorted_by_bytes() {
    let mut world = World::new();
    for key in ["/c", "/B", "/a", "/a-b", "/a/x"] {
        let _ = world.set(key, value(""));
    }
    let node = world.get("/", true).unwrap().event.node.unwrap();
    let keys: Vec<_> = node.nodes.iter().map(|node| &*node.key).collect();
    assert_eq!(keys, ["/B", "/a", "/a-b", "/c"]);
}

#[test]
fn the_member_notes_itself_where_no_user_comes() {
    let world = World::new();
    let path = Path::new(Namespace::Cluster, "/members/8e9e05c52164694d");
    let member = world.tree().get(&path, true, NOW).unwrap();
    assert_eq!(
        json_of(&member.event),
        concat!(
            r#"{"action":"get","node":{"key":"/members/8e9e05c52164694d","dir":true,"nodes":["#,
            r#"{"key":"/members/8e9e05c52164694d/attributes","#,
            r#""value":"{\"name\":\"default\",\"clientURLs\":[\"http://localhost:2379\"]}","#,
            r#""modifiedIndex":2,"createdIndex":2},"#,
            r#"{"key":"/members/8e9e05c52164694d/raftAttributes","#,
            r#""value":"{\"peerURLs\":[\"http://localhost:2380\"]}","modifiedIndex":1,"createdIndex":1}],"#,
            r#""modifiedIndex":1,"createdIndex":1}}"#
        )
    );
    assert_eq!(refused(world.get("/../0/members", false)), "100 /0 @3");
}

#[test]
fn every_later_start_takes_one_index() {
    let mut world = World::new();
    world.start();
    assert_eq!(world.tree().index(), 4);
    let now = world.now;
    let urls = ["http://a:1".to_owned()];
    world
        .change(|tree| tree.set_peer_urls(0x8e9e_05c5_2164_694d, &urls, now))
        .unwrap();
    assert_eq!(world.tree().index(), 5);
}

#[test]
fn the_directory_of_users_is_made_like_any_other() {
    let mut world = World::new();
    let root = Path::new(Namespace::Auth, "/");
    let now = world.now;
    assert_eq!(refused(world.tree().get(&root, false, now)), "100  @3");
    world
        .change(|tree| tree.create(&root, Content::directory(), now))
        .unwrap();
    let users = Path::new(Namespace::Auth, "/users/ann");
    let created = world
        .change(|tree| tree.create(&users, value("hunter2"), now))
        .unwrap();
    let debug = format!("{:?} {created:?}", world.store);
    assert!(!debug.contains("hunter2"), "it is secret");
    assert_eq!(
        shown(world.get("/", true)),
        r#"{"action":"get","node":{"dir":true}}"#
    );
}
