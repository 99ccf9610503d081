//! Who stands for an election, and what observers are to be told of it. Pure.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use super::leader::{Leader, Observation};
use crate::{Event, Header, KeyValue, Revision};

/// All candidates of an election as of one revision, and who of them was last told to lead.
///
/// They are all known, so that who leads next is known at the very revision at which a leader goes.
/// etcd's Go client only follows the leader's key and then reads again, so it may pass over leaders, and
/// never tells that there is none.
#[derive(Debug)]
pub(super) struct Candidates {
    /// From the oldest, who leads, to the newest. Of candidates that one transaction created, the first
    /// by key is the oldest.
    queue: BTreeMap<(Revision, Bytes), KeyValue>,
    /// When each candidate's key was created.
    ages: HashMap<Bytes, Revision>,
    /// The last change of the leader that was told of; `None` if nobody led.
    told: Option<(Revision, Bytes)>,
}

impl Candidates {
    /// Begins with all candidates there are, and tells who of them leads.
    pub(super) fn listed(
        candidates: Vec<KeyValue>,
        revision: Revision,
        header: Header,
    ) -> (Self, Observation) {
        let mut known = Self {
            queue: BTreeMap::new(),
            ages: HashMap::new(),
            told: None,
        };
        for kv in candidates {
            known.put(&kv);
        }
        let observation = known.tell(revision, header);
        (known, observation)
    }

    /// Takes changes, by ascending revision, and tells what became of the leader at each revision.
    pub(super) fn follow(&mut self, events: &[Event], header: Header) -> Vec<Observation> {
        let mut told = Vec::new();
        for of_one_revision in events.chunk_by(|one, next| one.revision() == next.revision()) {
            let Some(event) = of_one_revision.first() else {
                continue;
            };
            told.extend(self.follow_at_once(of_one_revision, event.revision(), header));
        }
        told
    }

    /// Takes changes that lead to a revision in any order, one of each key, and tells what became of the
    /// leader in the end.
    pub(super) fn follow_at_once(
        &mut self,
        events: &[Event],
        revision: Revision,
        header: Header,
    ) -> Option<Observation> {
        for event in events {
            match event {
                Event::Put { kv, .. } => self.put(kv),
                Event::Delete { kv, .. } => self.remove(&kv.key),
            }
        }
        let now = self.leader().map(|kv| (kv.mod_revision, kv.key.clone()));
        (now != self.told).then(|| self.tell(revision, header))
    }

    fn leader(&self) -> Option<&KeyValue> {
        self.queue.values().next()
    }

    fn tell(&mut self, revision: Revision, header: Header) -> Observation {
        let leader = self.leader().cloned();
        self.told = leader.as_ref().map(|kv| (kv.mod_revision, kv.key.clone()));
        Observation {
            leader: leader.map(Leader::new),
            revision,
            header,
        }
    }

    fn put(&mut self, kv: &KeyValue) {
        // A key that was deleted and created again unseen is another candidate.
        self.remove(&kv.key);
        // In memory of its own: it outlives the answer it came with.
        let kv = kv.detach();
        self.ages.insert(kv.key.clone(), kv.create_revision);
        self.queue.insert((kv.create_revision, kv.key.clone()), kv);
    }

    fn remove(&mut self, key: &Bytes) {
        if let Some((key, created)) = self.ages.remove_entry(key) {
            self.queue.remove(&(created, key));
        }
    }
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;

    fn kv(key: &str, created: Revision, changed: Revision) -> KeyValue {
        KeyValue {
            key: key.to_owned().into(),
            value: format!("{key}@{changed}").into(),
            create_revision: created,
            mod_revision: changed,
            ..KeyValue::default()
        }
    }

    fn put(key: &str, created: Revision, changed: Revision) -> Event {
        Event::Put {
            kv: kv(key, created, changed),
            prev_kv: None,
        }
    }

    fn gone(key: &str, revision: Revision) -> Event {
        Event::Delete {
            kv: KeyValue {
                key: key.to_owned().into(),
                mod_revision: revision,
                ..KeyValue::default()
            },
            prev_kv: None,
        }
    }

    fn text(observation: &Observation) -> String {
        let revision = observation.revision;
        match &observation.leader {
            Some(leader) => format!("{revision}: {}", leader.value_str().expect("text")),
            None => format!("{revision}: nobody"),
        }
    }

    fn listed(candidates: Vec<KeyValue>, revision: Revision) -> (Candidates, String) {
        let (known, first) = Candidates::listed(candidates, revision, Header::default());
        (known, text(&first))
    }

    fn follow(known: &mut Candidates, events: &[Event]) -> Vec<String> {
        let told = known.follow(events, Header::default());
        told.iter().map(text).collect()
    }

    #[test]
    fn the_oldest_candidate_leads_and_the_next_follows() {
        let (mut known, first) = listed(vec![kv("a", 5, 5), kv("b", 3, 3)], 7);
        assert_eq!(first, "7: b@3");
        let events = [put("c", 8, 8), put("a", 5, 9), gone("b", 10), gone("a", 11)];
        assert_eq!(follow(&mut known, &events), ["10: a@9", "11: c@8"]);
    }

    #[test]
    fn it_is_told_when_nobody_leads() {
        let (mut known, first) = listed(vec![], 1);
        assert_eq!(first, "1: nobody");
        assert_eq!(
            follow(&mut known, &[put("a", 2, 2), gone("a", 3)]),
            ["2: a@2", "3: nobody"]
        );
        assert_eq!(follow(&mut known, &[gone("b", 4)]), [""; 0]);
    }

    #[test]
    fn what_leaders_proclaim_is_told_and_what_others_change_is_not() {
        let (mut known, _) = listed(vec![kv("a", 2, 2), kv("b", 3, 3)], 3);
        let events = [put("a", 2, 4), put("b", 3, 5), put("a", 2, 6)];
        assert_eq!(follow(&mut known, &events), ["4: a@4", "6: a@6"]);
    }

    #[test]
    fn all_changes_of_a_revision_are_one() {
        let (mut known, _) = listed(vec![kv("a", 2, 2), kv("b", 3, 3)], 3);
        // A lease ends that both are attached to, and a transaction brings others.
        let events = [gone("a", 4), gone("b", 4), put("d", 5, 5), put("c", 5, 5)];
        assert_eq!(follow(&mut known, &events), ["4: nobody", "5: c@5"]);
    }

    #[test]
    fn a_leader_that_came_back_unseen_is_at_the_end_of_the_queue() {
        let (mut known, _) = listed(vec![kv("a", 2, 2), kv("b", 3, 3)], 3);
        let relisted = [put("a", 9, 9)];
        let told = known.follow_at_once(&relisted, 12, Header::default());
        assert_eq!(told.as_ref().map(text), Some("12: b@3".to_owned()));
        assert_eq!(follow(&mut known, &[gone("b", 13)]), ["13: a@9"]);
    }

    /// The store as a list, searched anew each time.
    #[derive(Default)]
    struct Model {
        keys: Vec<KeyValue>,
        revision: Revision,
    }

    impl Model {
        /// A transaction of random puts and deletions.
        fn step(&mut self, rng: &mut Rng) -> Vec<Event> {
            self.revision += 1;
            let mut names = ["a", "b", "c", "d"];
            rng.shuffle(&mut names);
            let mut events = Vec::new();
            for name in &names[..rng.usize(1..=2)] {
                let place = self.keys.iter().position(|kv| kv.key == *name);
                match place {
                    Some(place) if rng.bool() => {
                        self.keys.remove(place);
                        events.push(gone(name, self.revision));
                    }
                    Some(place) => {
                        let created = self.keys[place].create_revision;
                        self.keys[place] = kv(name, created, self.revision);
                        events.push(put(name, created, self.revision));
                    }
                    None if rng.u8(..4) > 0 => {
                        self.keys.push(kv(name, self.revision, self.revision));
                        events.push(put(name, self.revision, self.revision));
                    }
                    None => {}
                }
            }
            events
        }

        fn leader(&self) -> Option<KeyValue> {
            let oldest = |kv: &&KeyValue| (kv.create_revision, kv.key.clone());
            self.keys.iter().min_by_key(oldest).cloned()
        }

        /// The changes since another state of the store as a list made anew tells them.
        fn difference(&self, before: &[KeyValue]) -> Vec<Event> {
            let is_gone = |kv: &&KeyValue| !self.keys.iter().any(|now| now.key == kv.key);
            let lost = before.iter().filter(is_gone);
            let lost = lost.map(|kv| gone(kv.key_str().expect("text"), self.revision));
            let mut changed: Vec<_> = self.keys.iter().filter(|kv| !before.contains(kv)).collect();
            changed.sort_by_key(|kv| kv.mod_revision);
            let changed = changed.into_iter().map(|kv| Event::Put {
                kv: kv.clone(),
                prev_kv: None,
            });
            lost.chain(changed).collect()
        }
    }

    #[test]
    fn observers_are_told_the_leader_of_every_revision() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut rng = Rng::with_seed(seed);
        for _ in 0..200 {
            let mut model = Model::default();
            for _ in 0..rng.usize(..6) {
                model.step(&mut rng);
            }
            let (mut known, first) =
                Candidates::listed(model.keys.clone(), model.revision, Header::default());
            let mut told = vec![first];
            let mut expected = vec![(model.revision, model.leader())];
            for _ in 0..20 {
                let before = model.keys.clone();
                let is_relist = rng.u8(..4) == 0;
                let mut events = Vec::new();
                for _ in 0..rng.usize(1..5) {
                    events.extend(model.step(&mut rng));
                    if !is_relist {
                        expected.push((model.revision, model.leader()));
                    }
                }
                if is_relist {
                    expected.push((model.revision, model.leader()));
                    let events = model.difference(&before);
                    told.extend(known.follow_at_once(&events, model.revision, Header::default()));
                } else {
                    told.extend(known.follow(&events, Header::default()));
                }
            }
            expected.dedup_by(|next, last| next.1 == last.1);
            let told: Vec<_> = told
                .into_iter()
                .map(|it| (it.revision, it.leader.map(Leader::into_kv)))
                .collect();
            assert_eq!(told, expected, "seed {seed}");
        }
    }
}
