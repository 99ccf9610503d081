//! Random requests on the tree and on a model that shares no code with it.
//!
//! The model is a flat map of paths. What is in a directory is what begins like it.

use std::collections::BTreeMap;

use super::*;
use etcdkit_proto::v2::{Action, Node};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Set(String, bool, u8),
    Create(String, bool),
    Post(String),
    Update(String, u8),
    Swap(String, u8, u64),
    Delete(String, bool, bool),
    DeleteIf(String, u64),
}

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    /// `None` for a directory.
    value: Option<String>,
    created: u64,
    modified: u64,
}

#[derive(Default)]
struct Model {
    entries: BTreeMap<String, Entry>,
    index: u64,
}

/// The errors, by number.
type Refusal = u32;

impl Model {
    fn parents(path: &str) -> impl Iterator<Item = &str> {
        path.match_indices('/')
            .map(|(at, _)| &path[..at])
            .filter(|parent| !parent.is_empty())
    }

    fn find(&self, path: &str) -> Result<&Entry, Refusal> {
        for parent in Self::parents(path) {
            match self.entries.get(parent) {
                None => return Err(100),
                Some(entry) if entry.value.is_some() => return Err(104),
                Some(_) => {}
            }
        }
        self.entries.get(path).ok_or(100)
    }

    fn has_children(&self, path: &str) -> bool {
        let prefix = format!("{path}/");
        self.entries.keys().any(|key| key.starts_with(&prefix))
    }

    fn insert(&mut self, path: &str, value: Option<String>) {
        self.index += 1;
        let index = self.index;
        let entry = |value| Entry {
            value,
            created: index,
            modified: index,
        };
        for parent in Self::parents(path) {
            self.entries
                .entry(parent.to_owned())
                .or_insert_with(|| entry(None));
        }
        self.entries.insert(path.to_owned(), entry(value));
    }

    fn change(&mut self, path: &str, value: &str) {
        self.index += 1;
        let entry = self.entries.get_mut(path).unwrap();
        if entry.value.is_some() {
            entry.value = Some(value.to_owned());
            entry.modified = self.index;
        }
    }

    fn remove(&mut self, path: &str) {
        self.index += 1;
        let prefix = format!("{path}/");
        self.entries
            .retain(|key, _| key != path && !key.starts_with(&prefix));
    }

    fn file(&self, path: &str) -> Result<Entry, Refusal> {
        let entry = self.find(path)?.clone();
        if entry.value.is_none() {
            return Err(102);
        }
        Ok(entry)
    }

    fn apply(&mut self, step: &Step) -> Result<(), Refusal> {
        match step {
            Step::Set(path, directory, value) => {
                match self.find(path) {
                    Ok(entry) if entry.value.is_none() => return Err(102),
                    Err(104) => return Err(104),
                    _ => {}
                }
                self.insert(path, (!directory).then(|| value.to_string()));
            }
            Step::Create(path, directory) => {
                match self.find(path) {
                    Ok(_) => return Err(105),
                    Err(104) => return Err(104),
                    Err(_) => {}
                }
                self.insert(path, (!directory).then(String::new));
            }
            Step::Post(path) => {
                let path = format!("{path}/{:020}", self.index + 1);
                return self.apply(&Step::Create(path, false));
            }
            Step::Update(path, value) => {
                let entry = self.find(path)?;
                if entry.value.is_none() {
                    return Err(102);
                }
                self.change(path, &value.to_string());
            }
            Step::Swap(path, value, back) => {
                let index = self.index - back.min(&self.index);
                let entry = self.file(path)?;
                if index != 0 && entry.modified != index {
                    return Err(101);
                }
                self.change(path, &value.to_string());
            }
            Step::Delete(path, directory, recursive) => {
                let is_directory = self.find(path)?.value.is_none();
                if is_directory && !directory && !recursive {
                    return Err(102);
                }
                if self.has_children(path) && !recursive {
                    return Err(108);
                }
                self.remove(path);
            }
            Step::DeleteIf(path, back) => {
                let index = self.index - back.min(&self.index);
                let entry = self.file(path)?;
                if index != 0 && entry.modified != index {
                    return Err(101);
                }
                self.remove(path);
            }
        }
        Ok(())
    }
}

fn apply(world: &mut World, step: &Step) -> Result<(), Refusal> {
    let index = |back: &u64, world: &World| if_index(world.tree().index().saturating_sub(*back));
    let answer = match step {
        Step::Set(path, true, _) => world.set(path, Content::directory()),
        Step::Set(path, false, number) => world.set(path, value(&number.to_string())),
        Step::Create(path, true) => world.create(path, Content::directory()),
        Step::Create(path, false) => world.create(path, value("")),
        Step::Post(path) => world.post(path, value("")),
        Step::Update(path, number) => world.update(path, value(&number.to_string())),
        Step::Swap(path, number, back) => {
            world.swap(path, index(back, world), value(&number.to_string()))
        }
        Step::Delete(path, directory, recursive) => {
            let now = world.now;
            let path = Path::of_key(path);
            world.change(|tree| tree.delete(&path, *directory, *recursive, now))
        }
        Step::DeleteIf(path, back) => world.delete_if(path, index(back, world)),
    };
    answer.map(drop).map_err(|error| error.error_code)
}

/// Everything in a listing, hidden names included, which are asked for one by one.
fn listed(world: &World) -> BTreeMap<String, Entry> {
    let mut found = BTreeMap::new();
    let mut open = vec![String::new()];
    while let Some(directory) = open.pop() {
        let names = ["a", "b", "_c", "a-b"].map(|name| format!("{directory}/{name}"));
        let node = world.get(&directory, false).unwrap().event.node.unwrap();
        let shown: Vec<String> = node.nodes.into_iter().map(|node| node.key).collect();
        for path in names.into_iter().chain(shown) {
            let Ok(answer) = world.get(&path, false) else {
                continue;
            };
            let Node {
                value,
                dir,
                modified_index,
                created_index,
                ..
            } = answer.event.node.unwrap();
            assert_eq!(dir, value.is_none());
            let entry = Entry {
                value,
                created: created_index,
                modified: modified_index,
            };
            if found.insert(path.clone(), entry).is_none() && dir {
                open.push(path);
            }
        }
    }
    found
}

fn path() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["a", "b", "_c", "a-b"]);
    prop::collection::vec(name, 1..4).prop_map(|names| format!("/{}", names.join("/")))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (path(), any::<bool>(), 1_u8..9).prop_map(|(path, directory, value)| Step::Set(path, directory, value)),
        2 => (path(), any::<bool>()).prop_map(|(path, directory)| Step::Create(path, directory)),
        1 => path().prop_map(Step::Post),
        2 => (path(), 1_u8..9).prop_map(|(path, value)| Step::Update(path, value)),
        2 => (path(), 1_u8..9, 0_u64..6).prop_map(|(path, value, back)| Step::Swap(path, value, back)),
        2 => (path(), any::<bool>(), any::<bool>())
            .prop_map(|(path, directory, recursive)| Step::Delete(path, directory, recursive)),
        1 => (path(), 0_u64..6).prop_map(|(path, back)| Step::DeleteIf(path, back)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_tree_is_as_the_model(steps in prop::collection::vec(step(), 1..80)) {
        let mut world = World::new();
        let mut model = Model { index: 3, ..Model::default() };
        for step in &steps {
            let before = model.index;
            prop_assert_eq!(apply(&mut world, step), model.apply(step), "{:?}", step);
            prop_assert_eq!(world.tree().index(), model.index);
            prop_assert!(model.index == before || model.index == before + 1);
        }
        prop_assert_eq!(listed(&world), model.entries);
        // Every index has its event, and who removes something shows what it was.
        let watch = world
            .watch("/", WatchOptions { recursive: true, stream: true, since: 1 })
            .unwrap();
        let mut index = 3;
        while let etcdkit_store::v2::Next::Event(event) = world.watchers.next(watch) {
            index += 1;
            prop_assert_eq!(event.node.as_ref().unwrap().modified_index, index);
            match event.action {
                Action::Create => prop_assert!(event.prev_node.is_none()),
                Action::Set => {}
                _ => prop_assert!(event.prev_node.is_some()),
            }
        }
        prop_assert_eq!(index, model.index);
    }
}
