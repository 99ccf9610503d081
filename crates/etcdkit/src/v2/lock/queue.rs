//! Who holds a lock and who waits for it, read from a listing: pure.

use super::stamp::value_of;
use crate::v2::{Node, WatchEvent};

/// A place in a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    /// The index of the store when the place was taken, which the key is named after. It grows from
    /// holder to holder.
    pub(crate) index: u64,
    /// As it is stored.
    pub(crate) text: String,
    pub(crate) ttl: Option<i64>,
}

impl Entry {
    fn of(node: Node) -> Option<Self> {
        // `parse` would take a sign, too.
        let is_number = node.name().bytes().all(|byte| byte.is_ascii_digit());
        let index = node.name().parse().ok();
        Some(Self {
            index: index.filter(|_| is_number && !node.is_dir)?,
            key: node.key,
            text: node.value.unwrap_or_default(),
            ttl: node.ttl,
        })
    }

    /// What the program that is in this place has to say.
    pub(crate) fn value(&self) -> &str {
        value_of(&self.text)
    }
}

/// A queue as it was at one moment, the holder first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Queue {
    entries: Vec<Entry>,
}

/// Where somebody stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    First,
    /// Behind others, of whom this is the last.
    Behind(&'a Entry),
    Absent,
}

impl Queue {
    /// Reads a listing, in whatever order: servers before 2.2 name in-order keys by numbers without
    /// leading zeros, which do not sort as text. What is not named by a number is nobody's place.
    pub(crate) fn read(listing: impl IntoIterator<Item = Node>) -> Self {
        let entries = listing.into_iter().filter_map(Entry::of);
        let mut entries: Vec<_> = entries.collect();
        entries.sort_by_key(|entry| entry.index);
        Self { entries }
    }

    /// Follows what a recursive watch of the directory tells.
    pub(crate) fn follow(&mut self, directory: &str, told: WatchEvent) {
        let event = match told {
            WatchEvent::Resync(resync) => {
                *self = Self::read(resync.node.map(|node| node.nodes).unwrap_or_default());
                return;
            }
            WatchEvent::Change(event) => event,
        };
        let key = event.key();
        if event.action.is_removal() {
            // The directory, or one above it, takes all along.
            let is_above = key == directory || is_below(directory, key);
            self.entries.retain(|entry| entry.key != key && !is_above);
        } else if let Some((parent, _)) = key.rsplit_once('/')
            && parent == directory
            && let Some(new) = Entry::of(event.node)
        {
            let at = self
                .entries
                .binary_search_by_key(&new.index, |entry| entry.index);
            match at {
                Ok(at) => self.entries[at] = new,
                Err(at) => self.entries.insert(at, new),
            }
        }
    }

    /// Who holds what is queued for.
    pub(crate) fn holder(&self) -> Option<&Entry> {
        self.entries.first()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Where a key stands.
    pub(crate) fn place(&self, key: &str) -> Place<'_> {
        let mine = self.entries.iter().position(|entry| entry.key == key);
        let Some(position) = mine else {
            return Place::Absent;
        };
        match self.entries[..position].last() {
            None => Place::First,
            Some(predecessor) => Place::Behind(predecessor),
        }
    }

    /// All keys with this text: more than one if a request that seemed lost was carried out later.
    pub(crate) fn all_of<'a>(&'a self, text: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(move |entry| entry.text == text)
    }

    /// The first place whose program says this.
    pub(crate) fn by_value(&self, value: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.value() == value)
    }

    /// The place that was taken at this index.
    pub(crate) fn by_index(&self, index: u64) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.index == index)
    }
}

fn is_below(key: &str, directory: &str) -> bool {
    let rest = key.strip_prefix(directory.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.starts_with('/') && rest.len() > 1)
}

#[cfg(test)]
mod tests {
    use etcdkit_proto::v2 as wire;

    use super::*;

    fn listed(name: &str, value: &str) -> Node {
        let node = wire::Node {
            key: format!("/_locks/l/{name}"),
            value: Some(value.to_owned()),
            ..wire::Node::default()
        };
        node.into()
    }

    fn queue(entries: &[(&str, &str)]) -> Queue {
        let listing = entries.iter().map(|(name, value)| listed(name, value));
        Queue::read(listing)
    }

    #[test]
    fn places_are_in_order_of_their_numbers() {
        let queue = queue(&[("10", "b"), ("9", "a"), ("00000000000000000011", "c")]);
        assert_eq!(queue.holder().map(|entry| entry.index), Some(9));
        assert_eq!(queue.place("/_locks/l/9"), Place::First);
        let Place::Behind(predecessor) = queue.place("/_locks/l/00000000000000000011") else {
            panic!()
        };
        assert_eq!(predecessor.key, "/_locks/l/10");
        assert_eq!(queue.place("/_locks/l/11"), Place::Absent);
    }

    #[test]
    fn what_is_not_numbered_is_nobodys_place() {
        let mut directory = listed("3", "");
        directory.is_dir = true;
        let more = ["x", "", "+4", "-4", "99999999999999999999999"].map(|name| listed(name, "a"));
        let queue = Queue::read(more.into_iter().chain([directory]));
        assert!(queue.is_empty());
        assert_eq!(queue.place("/_locks/l/x"), Place::Absent);
    }

    #[test]
    fn a_place_taken_twice_is_found_twice() {
        let queue = queue(&[("5", "a"), ("7", "b"), ("9", "a")]);
        let all: Vec<_> = queue.all_of("a").map(|entry| entry.index).collect();
        assert_eq!(all, [5, 9]);
    }

    fn change(action: wire::Action, key: &str, value: Option<&str>) -> WatchEvent {
        let node = wire::Node {
            key: key.to_owned(),
            value: value.map(str::to_owned),
            ..wire::Node::default()
        };
        let event = wire::Event {
            action,
            node: Some(node),
            prev_node: None,
        };
        WatchEvent::Change(event.into())
    }

    #[test]
    fn a_queue_follows_its_watch() {
        use wire::Action;

        let mut queue = queue(&[("5", "a")]);
        let mut holder_after = |action, key: &str, value: Option<&str>| {
            queue.follow("/_locks/l", change(action, key, value));
            queue.holder().map(|entry| entry.index)
        };
        let key = |name| format!("/_locks/l/{name}");
        assert_eq!(holder_after(Action::Create, &key("7"), Some("b")), Some(5));
        assert_eq!(holder_after(Action::Create, &key("x"), Some("b")), Some(5));
        assert_eq!(
            holder_after(Action::Create, &key("3/2"), Some("b")),
            Some(5)
        );
        assert_eq!(
            holder_after(Action::Create, "/_locks/l2/1", Some("b")),
            Some(5)
        );
        assert_eq!(holder_after(Action::Expire, &key("5"), None), Some(7));
        assert_eq!(
            holder_after(Action::CompareAndSwap, &key("7"), Some("c")),
            Some(7)
        );
        assert_eq!(holder_after(Action::Delete, "/_locks/l2", None), Some(7));
        assert_eq!(holder_after(Action::Delete, "/_locks", None), None);
        assert_eq!(holder_after(Action::Create, &key("9"), Some("c")), Some(9));
    }

    #[test]
    fn places_are_found_by_what_they_say() {
        let stamp = crate::v2::lock::stamp::Stamp::new("host-7");
        let queue = queue(&[("5", "x"), ("7", stamp.as_str())]);
        assert_eq!(queue.by_value("host-7").map(|entry| entry.index), Some(7));
        assert_eq!(queue.by_index(5).map(Entry::value), Some("x"));
        assert_eq!(queue.by_value("other"), None);
    }
}
