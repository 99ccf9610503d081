//! What happened to a key or directory.

use std::fmt;

use etcdkit_proto::v2 as wire;

use super::Node;

/// What a request did, or what a watch saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// It was read.
    Get,
    /// It was written, whatever was there before.
    Set,
    /// It was written where nothing was before.
    Create,
    /// It was written over what was there.
    Update,
    /// It was written over what a condition describes.
    CompareAndSwap,
    /// It was removed.
    Delete,
    /// What a condition describes was removed.
    CompareAndDelete,
    /// It was removed because its time was over.
    Expire,
}

impl Action {
    /// The word that etcd has for it, such as `compareAndSwap`.
    pub fn as_str(self) -> &'static str {
        wire::Action::from(self).as_str()
    }

    /// Whether it leaves nothing behind: a delete, a compare-and-delete or an expiry.
    pub fn is_removal(self) -> bool {
        match self {
            Self::Delete | Self::CompareAndDelete | Self::Expire => true,
            Self::Get | Self::Set | Self::Create | Self::Update | Self::CompareAndSwap => false,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<wire::Action> for Action {
    fn from(action: wire::Action) -> Self {
        match action {
            wire::Action::Get => Self::Get,
            wire::Action::Set => Self::Set,
            wire::Action::Create => Self::Create,
            wire::Action::Update => Self::Update,
            wire::Action::CompareAndSwap => Self::CompareAndSwap,
            wire::Action::Delete => Self::Delete,
            wire::Action::CompareAndDelete => Self::CompareAndDelete,
            wire::Action::Expire => Self::Expire,
        }
    }
}

impl From<Action> for wire::Action {
    fn from(action: Action) -> Self {
        match action {
            Action::Get => Self::Get,
            Action::Set => Self::Set,
            Action::Create => Self::Create,
            Action::Update => Self::Update,
            Action::CompareAndSwap => Self::CompareAndSwap,
            Action::Delete => Self::Delete,
            Action::CompareAndDelete => Self::CompareAndDelete,
            Action::Expire => Self::Expire,
        }
    }
}

/// A change of a key or directory, as a watch delivers it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// What happened.
    pub action: Action,
    /// The key or directory as it is since then. What was removed has neither value nor content.
    ///
    /// When a directory is removed with everything in it, this is the directory, in a watch of a key
    /// below it, too.
    pub node: Node,
    /// What was there before, if something was.
    pub prev_node: Option<Node>,
}

impl Event {
    /// The index of the change. A watch from this index plus one goes on after it.
    pub fn index(&self) -> u64 {
        self.node.modified_index
    }

    /// The path of what changed.
    pub fn key(&self) -> &str {
        &self.node.key
    }

    /// The value that the key has since then: `None` for a directory, and for what was removed.
    pub fn value(&self) -> Option<&str> {
        self.node.value.as_deref()
    }
}

impl From<wire::Event> for Event {
    /// An event without a node, which no etcd sends, is one of an empty node.
    fn from(event: wire::Event) -> Self {
        Self {
            action: event.action.into(),
            node: event.node.unwrap_or_default().into(),
            prev_node: event.prev_node.map(Node::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_keep_their_words() {
        for action in [
            wire::Action::Get,
            wire::Action::Set,
            wire::Action::Create,
            wire::Action::Update,
            wire::Action::CompareAndSwap,
            wire::Action::Delete,
            wire::Action::CompareAndDelete,
            wire::Action::Expire,
        ] {
            assert_eq!(Action::from(action).to_string(), action.as_str());
            let word = action.as_str();
            let removes = matches!(word, "delete" | "compareAndDelete" | "expire");
            assert_eq!(Action::from(action).is_removal(), removes, "{word}");
        }
    }

    #[test]
    fn an_event_shows_what_was_before() {
        let event: wire::Event = serde_json::from_str(concat!(
            r#"{"action":"delete","node":{"key":"/a","modifiedIndex":9,"createdIndex":8},"#,
            r#""prevNode":{"key":"/a","value":"x","modifiedIndex":8,"createdIndex":8}}"#
        ))
        .unwrap();
        let event = Event::from(event);
        assert_eq!((event.key(), event.value(), event.index()), ("/a", None, 9));
        assert_eq!(event.prev_node.unwrap().value.as_deref(), Some("x"));
    }
}
