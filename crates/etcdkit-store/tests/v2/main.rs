//! The rules of etcd's v2 API, one by one, as a real etcd 3.5.30 showed them.

#![allow(clippy::unwrap_used)]

mod expiry;
mod model;
mod read;
mod stored;
mod watch;
mod write;

use std::time::Duration;

use etcdkit_proto::json;
use etcdkit_proto::v2::{Event, KeysError};
use etcdkit_store::Store;
use etcdkit_store::v2::{
    Answer, Condition, Content, Deadline, Member, Path, Tree, WatchId, WatchOptions, Watchers,
};

const NOW: Duration = Duration::from_secs(1_800_000_000);

/// A tree of a member that has just started, so that the first write has the index 4.
struct World {
    store: Store,
    watchers: Watchers,
    now: Duration,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            store: Store::new(),
            watchers: Watchers::default(),
            now: NOW,
        };
        world.start();
        world
    }

    fn start(&mut self) {
        let member = Member {
            id: 0x8e9e_05c5_2164_694d,
            name: "default",
            peer_urls: &["http://localhost:2380".to_owned()],
            client_urls: &["http://localhost:2379".to_owned()],
        };
        let now = self.now;
        self.change(|tree| tree.begin(member, "3.5.0", now))
            .unwrap();
    }

    fn tree(&self) -> &Tree {
        self.store.v2()
    }

    /// Changes the tree and publishes that.
    fn change<T>(&mut self, change: impl FnOnce(&mut Tree) -> T) -> T {
        let answer = change(self.store.v2_mut());
        self.publish();
        answer
    }

    fn publish(&mut self) {
        let position = self.store.staged_position();
        let watchers = &mut self.watchers;
        self.store
            .publish_up_to(position, |_, events| watchers.published(events, |_| {}));
    }

    fn set(&mut self, path: &str, content: Content<'_>) -> Result<Answer, KeysError> {
        let now = self.now;
        self.change(|tree| tree.set(&Path::of_key(path), content, now))
    }

    fn create(&mut self, path: &str, content: Content<'_>) -> Result<Answer, KeysError> {
        let now = self.now;
        self.change(|tree| tree.create(&Path::of_key(path), content, now))
    }

    fn post(&mut self, path: &str, content: Content<'_>) -> Result<Answer, KeysError> {
        let now = self.now;
        self.change(|tree| tree.create_in_order(&Path::of_key(path), content, now))
    }

    fn update(&mut self, path: &str, content: Content<'_>) -> Result<Answer, KeysError> {
        let now = self.now;
        self.change(|tree| tree.update(&Path::of_key(path), content, now))
    }

    fn swap(
        &mut self,
        path: &str,
        condition: Condition<'_>,
        content: Content<'_>,
    ) -> Result<Answer, KeysError> {
        let now = self.now;
        self.change(|tree| tree.compare_and_swap(&Path::of_key(path), condition, content, now))
    }

    /// With `dir=true`, `recursive=true`, or neither.
    fn delete(&mut self, path: &str, how: &str) -> Result<Answer, KeysError> {
        let now = self.now;
        let (directory, recursive) = (how == "dir", how == "recursive");
        self.change(|tree| tree.delete(&Path::of_key(path), directory, recursive, now))
    }

    fn delete_if(&mut self, path: &str, condition: Condition<'_>) -> Result<Answer, KeysError> {
        let now = self.now;
        self.change(|tree| tree.compare_and_delete(&Path::of_key(path), condition, now))
    }

    fn get(&self, path: &str, recursive: bool) -> Result<Answer, KeysError> {
        self.tree().get(&Path::of_key(path), recursive, self.now)
    }

    fn ttl(&self, seconds: u64) -> Option<Deadline> {
        Deadline::after(seconds, self.now)
    }

    fn pass(&mut self, seconds: u64) -> usize {
        self.now += Duration::from_secs(seconds);
        let now = self.now;
        self.change(|tree| tree.expire_due(now))
    }

    fn watch(&mut self, path: &str, options: WatchOptions) -> Result<WatchId, KeysError> {
        let path = Path::of_key(path);
        self.store.v2().watch(&mut self.watchers, &path, options)
    }
}

/// An answer's event in JSON.
#[track_caller]
fn shown(answer: Result<Answer, KeysError>) -> String {
    let answer = answer.unwrap();
    let index = answer.event.node.as_ref().unwrap().modified_index;
    if answer.event.prev_node.is_some() || answer.is_created {
        assert_eq!(
            answer.etcd_index, index,
            "a write's index is that of the store"
        );
    }
    json_of(&answer.event)
}

fn json_of(event: &Event) -> String {
    let mut json = Vec::new();
    json::to_writer(&mut json, event).unwrap();
    String::from_utf8(json).unwrap()
}

/// An error's number, cause and index.
#[track_caller]
fn refused(answer: Result<impl std::fmt::Debug, KeysError>) -> String {
    let error = answer.unwrap_err();
    format!("{} {} @{}", error.error_code, error.cause, error.index)
}

fn value(value: &str) -> Content<'_> {
    Content::value(value)
}

fn if_value(value: &str) -> Condition<'_> {
    Condition {
        value: value.as_bytes(),
        index: 0,
    }
}

fn if_index(index: u64) -> Condition<'static> {
    Condition { value: b"", index }
}
