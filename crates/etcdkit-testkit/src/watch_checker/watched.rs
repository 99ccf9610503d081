//! What one watch asked for and delivered.

use etcdkit::{KeyRange, Revision, WatchUpdate};

use super::Event;

/// What a watch asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The keys.
    pub keys: KeyRange<'static>,
    /// The first revision it is to show.
    pub start: Revision,
    /// Whether it wants the pairs before changes.
    pub prev_kv: bool,
    /// Whether it wants puts.
    pub puts: bool,
    /// Whether it wants deletions.
    pub deletes: bool,
}

impl Asked {
    /// All events of these keys from a revision on, with the pairs before.
    pub fn all(keys: impl Into<KeyRange<'static>>, start: Revision) -> Self {
        Self {
            keys: keys.into(),
            start,
            prev_kv: true,
            puts: true,
            deletes: true,
        }
    }

    /// Whether an event, whenever it happened, passes the filters.
    pub fn wants(&self, event: &Event) -> bool {
        let wanted = match event.is_delete {
            true => self.deletes,
            false => self.puts,
        };
        wanted && self.keys.contains(&event.kv.key)
    }
}

/// What came at a time.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The events; none in a bookmark.
    pub events: Vec<Event>,
    /// The revision up to which, as the delivery says, everything has been delivered.
    pub promised: Option<Revision>,
}

impl From<&WatchUpdate> for Delivery {
    /// Each update of the client's says how far the watch has come.
    fn from(update: &WatchUpdate) -> Self {
        Self {
            events: update.events().iter().map(Event::from).collect(),
            promised: Some(update.revision()),
        }
    }
}

/// What one watch asked for and delivered.
#[derive(Clone, Debug)]
pub struct Watched {
    /// What it asked for.
    pub asked: Asked,
    /// What came, in its order.
    pub deliveries: Vec<Delivery>,
}

impl Watched {
    /// A watch that has delivered nothing yet.
    pub fn new(asked: Asked) -> Self {
        Self {
            asked,
            deliveries: Vec::new(),
        }
    }

    /// All events in their order.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.deliveries.iter().flat_map(|delivery| &delivery.events)
    }

    /// How far it came: the newest revision of an event or a promise.
    pub fn reached(&self) -> Revision {
        let promised = self
            .deliveries
            .iter()
            .filter_map(|delivery| delivery.promised);
        let seen = self.events().map(Event::revision);
        promised.chain(seen).max().unwrap_or(self.asked.start - 1)
    }
}
