//! Users and roles as values in the tree, at the paths where etcd has them.

use std::time::Duration;

use etcdkit_proto::json;
use etcdkit_proto::v2::{ErrorCode, KeysError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::AuthError;
use crate::v2::{Content, Namespace, Path, Tree};

const DIRECTORIES: [&str; 3] = ["/", "/users", "/roles"];

const ENABLED: &str = "/enabled";

/// No record ends by itself, so when it is read does not matter.
const ANY_TIME: Duration = Duration::ZERO;

/// What is stored.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    User,
    Role,
}

impl Kind {
    const fn directory(self) -> &'static str {
        match self {
            Self::User => "/users",
            Self::Role => "/roles",
        }
    }

    /// The path of a name that a request can create. Others can be asked for: a certificate may say
    /// anything, and so may a list of roles. etcd follows them to wherever they lead.
    fn path(self, name: &str) -> Option<Path> {
        let is_name = !matches!(name, "" | "." | "..") && !name.contains('/');
        is_name.then(|| at(&format!("{}/{name}", self.directory())))
    }
}

fn at(path: &str) -> Path {
    Path::new(Namespace::Auth, path)
}

pub(super) fn is_enabled(tree: &Tree) -> bool {
    value(tree, &at(ENABLED)).is_ok_and(|value| value == "true")
}

pub(super) fn set_enabled(tree: &mut Tree, on: bool, now: Duration) -> Result<(), AuthError> {
    make_directories(tree, now)?;
    let value = if on { "true" } else { "false" };
    tree.update(&at(ENABLED), Content::value(value), now)?;
    Ok(())
}

pub(super) fn read<T: DeserializeOwned>(
    tree: &Tree,
    kind: Kind,
    name: &str,
) -> Result<Option<T>, AuthError> {
    let Some(path) = kind.path(name) else {
        return Ok(None);
    };
    match value(tree, &path) {
        Ok(value) => serde_json::from_str(&value)
            .map(Some)
            .map_err(|_| AuthError::Internal),
        Err(error) if error.code() == Some(ErrorCode::KeyNotFound) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The names that there are, sorted.
pub(super) fn names(tree: &Tree, kind: Kind) -> Result<Vec<String>, AuthError> {
    let listed = match tree.get(&at(kind.directory()), false, ANY_TIME) {
        Ok(answer) => answer.event.node.map(|node| node.nodes),
        Err(error) if error.code() == Some(ErrorCode::KeyNotFound) => None,
        Err(error) => return Err(error.into()),
    };
    let mut names: Vec<String> = listed
        .unwrap_or_default()
        .into_iter()
        .filter_map(|node| Some(node.key.rsplit_once('/')?.1.to_owned()))
        .collect();
    names.sort_unstable();
    Ok(names)
}

/// Says whether there was none of this name before.
pub(super) fn create(
    tree: &mut Tree,
    kind: Kind,
    name: &str,
    record: &impl Serialize,
    now: Duration,
) -> Result<bool, AuthError> {
    let path = kind.path(name).ok_or(AuthError::Internal)?;
    let value = encode(record)?;
    make_directories(tree, now)?;
    match tree.create(&path, Content::value(&value), now) {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some(ErrorCode::KeyExists) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn update(
    tree: &mut Tree,
    kind: Kind,
    name: &str,
    record: &impl Serialize,
    now: Duration,
) -> Result<(), AuthError> {
    let path = kind.path(name).ok_or(AuthError::Internal)?;
    let value = encode(record)?;
    make_directories(tree, now)?;
    tree.update(&path, Content::value(&value), now)?;
    Ok(())
}

/// Says whether there was one of this name.
pub(super) fn delete(
    tree: &mut Tree,
    kind: Kind,
    name: &str,
    now: Duration,
) -> Result<bool, AuthError> {
    let Some(path) = kind.path(name) else {
        return Ok(false);
    };
    make_directories(tree, now)?;
    match tree.delete(&path, false, false, now) {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some(ErrorCode::KeyNotFound) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The first change makes what all of them need, each with an index of its own, as in etcd.
fn make_directories(tree: &mut Tree, now: Duration) -> Result<(), AuthError> {
    if tree.find(at(ENABLED).full()).is_ok() {
        return Ok(());
    }
    for directory in DIRECTORIES {
        tree.create(&at(directory), Content::directory(), now)?;
    }
    tree.create(&at(ENABLED), Content::value("false"), now)?;
    Ok(())
}

fn value(tree: &Tree, path: &Path) -> Result<String, KeysError> {
    let answer = tree.get(path, false, ANY_TIME)?;
    Ok(answer
        .event
        .node
        .and_then(|node| node.value)
        .unwrap_or_default())
}

fn encode(record: &impl Serialize) -> Result<Vec<u8>, AuthError> {
    let mut encoded = Vec::new();
    json::to_writer(&mut encoded, record).map_err(|_| AuthError::Internal)?;
    Ok(encoded)
}
