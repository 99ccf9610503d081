//! An ordered map that counts fast.
//!
//! Sorted pieces of a few hundred keys, each with the number of its keys that exist. To count a span is
//! to look at the keys of its first and its last piece, and at one number of each piece between.

use std::cmp::Ordering;
use std::ops::Bound;

use etcdkit_proto::mvccpb::KeyValue;

use super::history::{Change, History};
use crate::span::Bounds;

/// The most keys in a piece. Adding a key moves those behind it in its piece, counting passes all
/// pieces; with this, either is a matter of microseconds for millions of keys.
const MOST: usize = 256;

/// From keys to their histories.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    /// In order, and none is empty.
    pieces: Vec<Piece>,
}

#[derive(Debug, Default)]
struct Piece {
    entries: Vec<Entry>,
    /// How many bytes all keys begin with alike.
    shared: usize,
    /// Of each key the next bytes, as a number that orders alike: most comparisons need not look
    /// at the key itself, which is somewhere else in memory.
    heads: Vec<u64>,
    /// How many of the keys exist after all changes.
    live: usize,
}

#[derive(Debug)]
pub(super) struct Entry {
    key: Box<[u8]>,
    pub(super) history: Box<History>,
}

/// Where a key is, or would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    piece: usize,
    entry: usize,
}

impl Pieces {
    pub(super) fn get(&self, key: &[u8]) -> Option<&History> {
        let place = self.find(key).ok()?;
        let entry = self.pieces.get(place.piece)?.entries.get(place.entry)?;
        Some(&entry.history)
    }

    /// Appends the change that `make` derives from the key's newest state. Returns what `make` adds.
    pub(super) fn update<T>(
        &mut self,
        key: &[u8],
        make: impl FnOnce(Option<&KeyValue>) -> (Change, T),
    ) -> T {
        let found = self.find(key);
        if let Ok(place) = found
            && let Some(piece) = self.pieces.get_mut(place.piece)
            && let Some(Entry { history, .. }) = piece.entries.get_mut(place.entry)
        {
            let (change, extra) = make(history.newest().kv.as_ref());
            piece.live -= usize::from(history.is_live());
            history.push(change);
            piece.live += usize::from(history.is_live());
            return extra;
        }
        let (Ok(place) | Err(place)) = found;
        let (first, extra) = make(None);
        let entry = Entry {
            key: key.into(),
            history: Box::new(History::new(first)),
        };
        self.insert(place, entry);
        extra
    }

    fn insert(&mut self, mut place: Place, entry: Entry) {
        let is_last = place.piece + 1 >= self.pieces.len();
        match self.pieces.get_mut(place.piece) {
            None => {
                self.pieces.push(Piece::default());
                place = Place {
                    piece: self.pieces.len() - 1,
                    entry: 0,
                };
            }
            Some(piece) if piece.entries.len() < MOST => {}
            // Keys that come in order leave full pieces behind.
            Some(_) if is_last && place.entry == MOST => {
                self.pieces.push(Piece::default());
                place = Place {
                    piece: place.piece + 1,
                    entry: 0,
                };
            }
            Some(piece) => {
                let upper = piece.split();
                let lower = piece.entries.len();
                self.pieces.insert(place.piece + 1, upper);
                if place.entry > lower {
                    place = Place {
                        piece: place.piece + 1,
                        entry: place.entry - lower,
                    };
                }
            }
        }
        if let Some(piece) = self.pieces.get_mut(place.piece) {
            piece.insert(place.entry, entry);
        }
    }

    /// Everything, in key order.
    pub(super) fn all(&self) -> impl Iterator<Item = &History> {
        let entries = self.pieces.iter().flat_map(|piece| &piece.entries);
        entries.map(|entry| &*entry.history)
    }

    /// The histories of a span, in key order.
    pub(super) fn range<'a>(
        &'a self,
        bounds: Bounds<'_>,
    ) -> impl Iterator<Item = &'a History> + use<'a> {
        let (from, to) = self.places(bounds);
        let pieces = self.pieces.get(from.piece..=to.piece).unwrap_or_default();
        let entries = pieces
            .iter()
            .zip(from.piece..)
            .flat_map(move |(piece, at)| {
                let first = if at == from.piece { from.entry } else { 0 };
                let end = if at == to.piece { to.entry } else { MOST };
                let end = end.min(piece.entries.len());
                piece.entries.get(first..end).unwrap_or_default()
            });
        entries.map(|entry| &*entry.history)
    }

    /// How many keys of a span exist after all changes.
    pub(super) fn count_live(&self, bounds: Bounds<'_>) -> usize {
        let (from, to) = self.places(bounds);
        if from.piece == to.piece {
            return self.live_in(from.piece, from.entry, to.entry);
        }
        let whole = self.pieces.get(from.piece + 1..to.piece);
        let whole = whole.unwrap_or_default().iter().map(|piece| piece.live);
        self.live_in(from.piece, from.entry, MOST)
            + whole.sum::<usize>()
            + self.live_in(to.piece, 0, to.entry)
    }

    fn live_in(&self, piece: usize, first: usize, end: usize) -> usize {
        let Some(piece) = self.pieces.get(piece) else {
            return 0;
        };
        let entries = piece.entries.iter().take(end).skip(first);
        entries.filter(|entry| entry.history.is_live()).count()
    }

    /// Drops the histories that `keep` does not want, whose keys do not exist. `keep` may change the others,
    /// but for their newest changes.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&mut History) -> bool) {
        let mut joined: Vec<Piece> = Vec::with_capacity(self.pieces.len());
        for mut piece in std::mem::take(&mut self.pieces) {
            let before = piece.entries.len();
            piece.entries.retain_mut(|entry| keep(&mut entry.history));
            match joined.last_mut() {
                Some(last) if last.entries.len() + piece.entries.len() <= MOST / 2 => {
                    last.entries.append(&mut piece.entries);
                    last.live += piece.live;
                    last.take_heads();
                }
                _ if piece.entries.is_empty() => {}
                _ => {
                    if piece.entries.len() < before {
                        piece.take_heads();
                    }
                    joined.push(piece);
                }
            }
        }
        self.pieces = joined;
    }

    /// Where the entries of a span begin, and where those behind it do.
    fn places(&self, (start, end): Bounds<'_>) -> (Place, Place) {
        let at = |key| match self.find(key) {
            Ok(place) | Err(place) => place,
        };
        let after = |key| match self.find(key) {
            Ok(Place { piece, entry }) => Place {
                piece,
                entry: entry + 1,
            },
            Err(place) => place,
        };
        let from = match start {
            Bound::Included(key) => at(key),
            Bound::Excluded(key) => after(key),
            Bound::Unbounded => Place { piece: 0, entry: 0 },
        };
        let to = match end {
            Bound::Included(key) => after(key),
            Bound::Excluded(key) => at(key),
            Bound::Unbounded => Place {
                piece: self.pieces.len().saturating_sub(1),
                entry: MOST,
            },
        };
        (from, to)
    }

    /// Where a key is, or in which piece it belongs.
    fn find(&self, key: &[u8]) -> Result<Place, Place> {
        let begins_before = |piece: &Piece| match piece.entries.first() {
            Some(first) => &*first.key <= key,
            None => true,
        };
        let piece = self.pieces.partition_point(begins_before).saturating_sub(1);
        let found = match self.pieces.get(piece) {
            Some(piece) => piece.find(key),
            None => Err(0),
        };
        let place = |entry| Place { piece, entry };
        found.map(place).map_err(place)
    }
}

impl Piece {
    fn find(&self, key: &[u8]) -> Result<usize, usize> {
        let Some(first) = self.entries.first() else {
            return Err(0);
        };
        let known = key.len().min(self.shared);
        match key.get(..known).cmp(&first.key.get(..known)) {
            Ordering::Less => return Err(0),
            Ordering::Greater => return Err(self.entries.len()),
            Ordering::Equal if known < self.shared => return Err(0),
            Ordering::Equal => {}
        }
        let head = head(key, self.shared);
        let start = self.heads.partition_point(|other| *other < head);
        let alike = self.heads.get(start..).unwrap_or_default();
        let alike = alike.partition_point(|other| *other == head);
        let alike = self.entries.get(start..start + alike).unwrap_or_default();
        let found = alike.binary_search_by(|entry| (*entry.key).cmp(key));
        found
            .map(|place| start + place)
            .map_err(|place| start + place)
    }

    fn insert(&mut self, place: usize, entry: Entry) {
        let shared = match self.entries.first() {
            Some(first) => alike(&first.key, &entry.key).min(self.shared),
            // A single key is all alike, but for what its head needs.
            None => entry.key.len().saturating_sub(HEAD),
        };
        self.live += usize::from(entry.history.is_live());
        self.heads.insert(place, head(&entry.key, self.shared));
        self.entries.insert(place, entry);
        if shared != self.shared {
            self.take_heads();
        }
    }

    /// Splits off the upper half.
    fn split(&mut self) -> Self {
        let entries = self.entries.split_off(self.entries.len() / 2);
        let live = entries.iter().filter(|entry| entry.history.is_live());
        let live = live.count();
        self.live -= live;
        let mut upper = Self {
            entries,
            live,
            ..Self::default()
        };
        upper.take_heads();
        self.take_heads();
        upper
    }

    /// Finds out what the keys have alike, and takes their heads from behind that.
    fn take_heads(&mut self) {
        if let (Some(first), Some(last)) = (self.entries.first(), self.entries.last()) {
            // What is between them in order has as much alike with them.
            self.shared = match self.entries.len() {
                1 => first.key.len().saturating_sub(HEAD),
                _ => alike(&first.key, &last.key),
            };
        }
        let shared = self.shared;
        let heads = self.entries.iter().map(|entry| head(&entry.key, shared));
        self.heads.clear();
        self.heads.extend(heads);
    }
}

/// How many bytes a head has.
const HEAD: usize = size_of::<u64>();

/// The bytes of a key from a place on, as a number. Of two keys that are alike before it, the lesser has
/// no greater one.
fn head(key: &[u8], from: usize) -> u64 {
    let rest = key.get(from..).unwrap_or_default();
    if let Some(head) = rest.first_chunk() {
        return u64::from_be_bytes(*head);
    }
    let mut head = [0; HEAD];
    head.iter_mut().zip(rest).for_each(|(to, byte)| *to = *byte);
    u64::from_be_bytes(head)
}

/// How many bytes two keys begin with alike.
fn alike(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::revision::Revision;
    use crate::span::Span;

    fn change(main: i64, live: bool) -> Change {
        Change {
            revision: Revision { main, sub: 0 },
            kv: live.then(KeyValue::default),
        }
    }

    /// Of all lengths, with much, little and nothing alike.
    fn key(number: u32) -> Vec<u8> {
        let prefix = ["", "/registry/pods/", "/registry/pods/default/", "a"][number as usize % 4];
        let mut key = prefix.as_bytes().to_vec();
        match number % 3 {
            0 => key.extend(number.to_be_bytes()),
            1 => key.extend(format!("{number}").bytes()),
            _ => key.extend(vec![0; (number % 20) as usize]),
        }
        key.push(1 + (number % 7) as u8);
        key
    }

    /// As many keys as some pieces hold.
    const KEYS: u32 = 5 * MOST as u32;

    #[test]
    fn counts_and_ranges_are_those_of_a_plain_map() {
        for seed in [1, 2, 3, 4] {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut pieces = Pieces::default();
            let mut model = BTreeMap::new();
            for main in 1..20_000 {
                // Many in order, as they often come.
                let number = match seed {
                    1 => main as u32 % KEYS,
                    _ => random.u32(..KEYS),
                };
                let live = random.u8(..4) > 0;
                pieces.update(&key(number), |_| (change(main, live), ()));
                model.insert(key(number), (main, live));
                if main % 5_000 == 0 {
                    pieces.retain(|history| !history.is_over(main - 2_000));
                    model.retain(|_, (changed, live)| *live || *changed >= main - 2_000);
                }
                if main % 97 == 0 {
                    compare(&pieces, &model, &mut random, seed);
                }
            }
            let sizes = pieces.pieces.iter().map(|piece| piece.entries.len());
            assert!(sizes.clone().all(|size| (1..=MOST).contains(&size)));
        }
    }

    fn compare(
        pieces: &Pieces,
        model: &BTreeMap<Vec<u8>, (i64, bool)>,
        random: &mut fastrand::Rng,
        seed: u64,
    ) {
        let (start, end) = (key(random.u32(..KEYS)), key(random.u32(..KEYS)));
        let open = b"\0".to_vec();
        for (start, end) in [
            (&start, &end),
            (&start, &open),
            (&open, &end),
            (&open, &open),
        ] {
            let Some(bounds) = Span::new(start, end).bounds() else {
                continue;
            };
            let expected: Vec<_> = model.range::<[u8], _>(bounds).map(|(_, v)| *v).collect();
            let found: Vec<_> = pieces
                .range(bounds)
                .map(|history| (history.newest().revision.main, history.is_live()))
                .collect();
            assert_eq!(found, expected, "seed {seed}");
            let live = expected.iter().filter(|(_, live)| *live).count();
            assert_eq!(pieces.count_live(bounds), live, "seed {seed}");
        }
    }

    #[test]
    fn keys_in_order_fill_pieces() {
        let mut pieces = Pieces::default();
        for number in 0..KEYS {
            pieces.update(&number.to_be_bytes(), |_| (change(1, true), ()));
        }
        assert_eq!(pieces.pieces.len(), 5);
        assert_eq!(pieces.all().count(), KEYS as usize);
        assert!(pieces.get(&KEYS.to_be_bytes()).is_none());
        assert!(pieces.get(&(KEYS - 1).to_be_bytes()).is_some());
    }
}
