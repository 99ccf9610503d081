//! Watches.

use std::time::Duration;

use etcdkit::{
    Client, ErrorKind, Event, KeyRange, Op, OpenWatch, Revision, Watch, WatchEnd, WatchUpdate,
};

use super::keys::{Keys, kind};

/// What certainly comes does so within this.
const SOON: Duration = Duration::from_secs(20);

async fn open(watch: OpenWatch<'_>) -> Watch {
    watch.await.expect("a watch")
}

async fn next(watch: &mut Watch) -> WatchUpdate {
    let next = tokio::time::timeout(SOON, watch.try_next()).await;
    let next = next.expect("an update in time");
    next.expect("no end").expect("no end")
}

/// So many events, and no more with them.
async fn events(watch: &mut Watch, count: usize) -> Vec<Event> {
    let mut events = Vec::new();
    while events.len() < count {
        events.extend(next(watch).await.into_events());
    }
    assert_eq!(events.len(), count, "{events:?}");
    events
}

/// Events as `+name=value` and `-name`.
fn texts(keys: &Keys, events: &[Event]) -> Vec<String> {
    let text = |event: &Event| {
        let name = keys.name(event.key());
        match event.is_delete() {
            true => format!("-{name}"),
            false => format!("+{name}={}", event.kv().value_str().expect("text")),
        }
    };
    events.iter().map(text).collect()
}

async fn put(client: &Client, key: &str, value: &str) -> Revision {
    client.put(key, value).await.expect("a put").header.revision
}

async fn delete(client: &Client, key: &str) -> Revision {
    let deleted = client.delete(key).await.expect("a delete");
    deleted.header.revision
}

pub(super) async fn only_what_comes_after_the_opening_is_shown(client: &Client) {
    let keys = Keys::new();
    let key = keys.key("a");
    put(client, &key, "before").await;
    let mut watch = open(client.watch(&key)).await;
    let revision = put(client, &key, "after").await;
    let events = events(&mut watch, 1).await;
    assert_eq!(texts(&keys, &events), ["+a=after"]);
    assert_eq!(events[0].revision(), revision);
    assert!(watch.revision() >= revision);
    assert!(watch.header().revision < revision);
}

pub(super) async fn the_past_is_shown_from_a_revision_on(client: &Client) {
    let keys = Keys::new();
    let revisions = keys.fill(client, &["a", "b", "c"]).await;
    let deleted = delete(client, &keys.key("b")).await;
    let mut watch = open(client.watch(keys.all()).from_revision(revisions[1])).await;
    let events = events(&mut watch, 3).await;
    assert_eq!(texts(&keys, &events), ["+b=b", "+c=c", "-b"]);
    let seen: Vec<Revision> = events.iter().map(Event::revision).collect();
    assert_eq!(seen, [revisions[1], revisions[2], deleted]);
}

pub(super) async fn the_future_is_waited_for(client: &Client) {
    let keys = Keys::new();
    let now = keys.fill(client, &["a"]).await[0];
    let mut watch = open(client.watch(keys.all()).from_revision(now + 3)).await;
    let revisions = keys.fill(client, &["b", "c", "d", "e"]).await;
    assert_eq!(revisions[2], now + 3, "nobody else writes");
    let events = events(&mut watch, 2).await;
    assert_eq!(texts(&keys, &events), ["+d=d", "+e=e"]);
}

pub(super) async fn keys_and_ranges_are_told_from_their_neighbours(client: &Client) {
    let keys = Keys::new();
    let first = keys.fill(client, &["before"]).await[0] + 1;
    keys.fill(client, &["a", "ab", "b", "b/1", "b/2", "b0", "c"])
        .await;
    let last = keys.fill(client, &["z"]).await[0];
    let names = async |range: KeyRange<'_>| {
        let mut watch = open(client.watch(range).from_revision(first)).await;
        let mut names = Vec::new();
        // The last key is in no range but those without an end, so it is asked for by its own.
        while watch.revision() < last {
            let update = tokio::time::timeout(Duration::from_millis(300), watch.try_next()).await;
            let Ok(update) = update else { break };
            let update = update.expect("no end").expect("no end");
            let events = update.events().iter();
            names.extend(events.map(|event| keys.name(event.key()).to_owned()));
        }
        names
    };
    let key = |name| keys.key(name);
    assert_eq!(names(KeyRange::key(key("a"))).await, ["a"]);
    assert_eq!(names(KeyRange::prefix(key("b/"))).await, ["b/1", "b/2"]);
    let range = KeyRange::range(key("ab"), key("b/2"));
    assert_eq!(names(range).await, ["ab", "b", "b/1"]);
    let open_range = KeyRange::from_key(key("b0"));
    assert_eq!(names(open_range).await, ["b0", "c", "z"]);
}

pub(super) async fn events_tell_creations_changes_and_deletions(client: &Client) {
    let keys = Keys::new();
    let key = keys.key("a");
    let mut watch = open(client.watch(&key).prev_kv()).await;
    let first = put(client, &key, "1").await;
    let second = put(client, &key, "2").await;
    let third = delete(client, &key).await;
    let fourth = put(client, &key, "3").await;
    let events = events(&mut watch, 4).await;

    let [created, changed, deleted, again] = &events[..] else {
        panic!("four events");
    };
    assert!(created.is_create() && !created.is_modify() && !created.is_delete());
    assert_eq!(created.prev_kv(), None);
    let kv = created.kv();
    assert_eq!(
        (kv.create_revision, kv.mod_revision, kv.version),
        (first, first, 1)
    );

    assert!(changed.is_modify() && !changed.is_create());
    let kv = changed.kv();
    assert_eq!(
        (kv.create_revision, kv.mod_revision, kv.version),
        (first, second, 2)
    );
    assert_eq!(changed.prev_kv(), Some(created.kv()));

    assert!(deleted.is_delete());
    assert_eq!(deleted.prev_kv(), Some(changed.kv()));
    let kv = deleted.kv();
    assert_eq!((&kv.key[..], kv.mod_revision), (key.as_bytes(), third));
    assert!(kv.value.is_empty());
    assert_eq!((kv.create_revision, kv.version, kv.lease), (0, 0, None));

    assert!(again.is_create());
    assert_eq!(again.prev_kv(), None);
    assert_eq!(
        (again.kv().create_revision, again.kv().version),
        (fourth, 1)
    );
}

pub(super) async fn the_pair_before_comes_only_if_asked_for(client: &Client) {
    let keys = Keys::new();
    let key = keys.key("a");
    put(client, &key, "1").await;
    let mut without = open(client.watch(&key)).await;
    let mut with = open(client.watch(&key).prev_kv()).await;
    put(client, &key, "2").await;
    delete(client, &key).await;
    let seen = events(&mut without, 2).await;
    assert!(seen.iter().all(|event| event.prev_kv().is_none()));
    let seen = events(&mut with, 2).await;
    let values: Vec<&[u8]> = seen
        .iter()
        .map(|event| &event.prev_kv().expect("the pair before").value[..])
        .collect();
    assert_eq!(values, [b"1", b"2"]);
}

pub(super) async fn filters_leave_out_what_they_name(client: &Client) {
    let keys = Keys::new();
    let mut puts = open(client.watch(keys.all()).filter_deletes()).await;
    let mut deletes = open(client.watch(keys.all()).filter_puts().prev_kv()).await;
    keys.fill(client, &["a", "b"]).await;
    client.delete(keys.key("a")).await.expect("a delete");
    keys.fill(client, &["a"]).await;
    client.delete(keys.all()).await.expect("a delete");
    let seen = events(&mut puts, 3).await;
    assert_eq!(texts(&keys, &seen), ["+a=a", "+b=b", "+a=a"]);
    let seen = events(&mut deletes, 3).await;
    assert_eq!(texts(&keys, &seen), ["-a", "-a", "-b"]);
    assert!(seen.iter().all(|event| event.prev_kv().is_some()));
    let both = client.watch(keys.all()).filter_puts().filter_deletes();
    let error = both.await.expect_err("nothing is left");
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
}

pub(super) async fn the_changes_of_a_transaction_come_together(client: &Client) {
    let keys = Keys::new();
    let names: Vec<String> = (0..128).map(|number| format!("{number:03}")).collect();
    let mut watch = open(client.watch(keys.all()).prev_kv()).await;
    for round in ["1", "2"] {
        let puts = names.iter().map(|name| Op::put(keys.key(name), round));
        let done = client.txn().then(puts).await.expect("a transaction");
        let update = next(&mut watch).await;
        assert_eq!(update.events().len(), 128);
        assert!(
            update
                .events()
                .iter()
                .all(|event| event.revision() == done.header.revision)
        );
        let seen = update.events().iter().map(|event| keys.name(event.key()));
        assert!(seen.eq(&names), "in the order of the operations");
        assert_eq!(update.revision(), done.header.revision);
    }
    let deleted = client.delete(keys.all()).await.expect("a delete");
    let update = next(&mut watch).await;
    assert_eq!(update.events().len(), 128);
    assert_eq!(update.revision(), deleted.header.revision);
}

pub(super) async fn an_update_larger_than_a_message_comes_whole(client: &Client) {
    const KEYS: usize = 14;
    let keys = Keys::new();
    let mut watch = open(client.watch(keys.all()).prev_kv()).await;
    for round in 0..2_u8 {
        let value = vec![b'0' + round; 100_000];
        let puts = (0..KEYS).map(|number| Op::put(keys.key(&number.to_string()), &value));
        client.txn().then(puts).await.expect("a transaction");
        let update = next(&mut watch).await;
        assert_eq!(update.events().len(), KEYS);
        for event in update.events() {
            assert!(event.kv().value == value);
            assert_eq!(event.prev_kv().is_some(), round == 1);
        }
    }
    // Sent with the pairs before, this is more than etcd puts into one message.
    client.delete(keys.all()).await.expect("a delete");
    assert_eq!(next(&mut watch).await.events().len(), KEYS);
}

pub(super) async fn a_long_history_comes_in_order(client: &Client) {
    const PUTS: usize = 2_500;
    let keys = Keys::new();
    let key = keys.key("a");
    let first = put(client, &key, "0").await;
    let mut written = 1;
    while written < PUTS {
        let puts = (written..PUTS.min(written + 25)).map(|number| {
            let (client, key) = (client.clone(), key.clone());
            tokio::spawn(async move { client.put(key, number.to_string()).await })
        });
        let puts: Vec<_> = puts.collect();
        written += puts.len();
        for put in puts {
            put.await.expect("a task").expect("a put");
        }
    }
    let mut watch = open(client.watch(&key).from_revision(first)).await;
    let events = events(&mut watch, PUTS).await;
    let versions = events.iter().map(|event| event.kv().version);
    assert!(versions.eq(1..=PUTS as i64), "each put once and in order");
    assert!(events.is_sorted_by(|one, next| one.revision() < next.revision()));
}

pub(super) async fn many_watches_of_one_key_see_the_same(client: &Client) {
    let keys = Keys::new();
    let key = keys.key("a");
    let mut watches = Vec::new();
    for _ in 0..100 {
        watches.push(open(client.watch(&key)).await);
    }
    for value in ["1", "2", "3"] {
        put(client, &key, value).await;
    }
    for watch in &mut watches {
        let events = events(watch, 3).await;
        assert_eq!(texts(&keys, &events), ["+a=1", "+a=2", "+a=3"]);
    }
    let mut ids: Vec<i64> = watches.iter().map(Watch::id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), watches.len(), "each has an id of its own");
}

pub(super) async fn a_watch_that_ends_disturbs_no_other(client: &Client) {
    let keys = Keys::new();
    let key = keys.key("a");
    let mut kept = open(client.watch(&key)).await;
    for number in 0..20 {
        let ended = open(client.watch(&key)).await;
        match number % 2 {
            0 => drop(ended),
            _ => ended.cancel().await,
        }
        put(client, &key, &number.to_string()).await;
    }
    let events = events(&mut kept, 20).await;
    let versions = events.iter().map(|event| event.kv().version);
    assert!(versions.eq(1..=20));
}

pub(super) async fn what_is_kept_is_shown(client: &Client) {
    let keys = Keys::new();
    let key = keys.key("a");
    put(client, &key, "kept").await;
    let mut watch = open(client.watch(&key).prev_kv()).await;
    let same = client.put(&key, "").ignore_value().await;
    same.expect("a put");
    let events = events(&mut watch, 1).await;
    assert_eq!(texts(&keys, &events), ["+a=kept"]);
    assert_eq!(events[0].kv().version, 2);
}

pub(super) async fn what_changes_nothing_is_not_shown(client: &Client) {
    let keys = Keys::new();
    let mut watch = open(client.watch(keys.all())).await;
    client.delete(keys.key("a")).await.expect("a delete");
    client.get(keys.key("a")).await.expect("a get");
    let empty = client.txn().then([Op::get(keys.key("a"))]).await;
    empty.expect("a transaction");
    keys.fill(client, &["b"]).await;
    let events = events(&mut watch, 1).await;
    assert_eq!(texts(&keys, &events), ["+b=b"]);
}

pub(super) async fn the_keys_of_a_lease_go_together(client: &Client) {
    let keys = Keys::new();
    let lease = client.leases().grant(Duration::from_secs(60)).await;
    let lease = lease.expect("a lease").id;
    let mut watch = open(client.watch(keys.all()).prev_kv()).await;
    for name in ["b", "a", "c"] {
        let put = client.put(keys.key(name), "").lease(lease).await;
        put.expect("a put");
    }
    let seen = events(&mut watch, 3).await;
    assert!(seen.iter().all(|event| event.kv().lease == Some(lease)));
    client.leases().revoke(lease).await.expect("a revocation");
    let update = next(&mut watch).await;
    assert_eq!(texts(&keys, update.events()), ["-a", "-b", "-c"]);
    let lost = update.events().iter().filter_map(Event::prev_kv);
    assert!(lost.into_iter().all(|kv| kv.lease == Some(lease)));
}

pub(super) async fn a_compacted_start_ends_with_the_oldest_revision(client: &Client) {
    let keys = Keys::new();
    let revisions = keys.fill(client, &["a", "b", "c"]).await;
    client.compact(revisions[2]).await.expect("a compaction");
    let watch = client.watch(keys.all()).from_revision(revisions[1]).await;
    let error = match watch {
        Err(error) => return assert_eq!(error.kind(), ErrorKind::Compacted),
        Ok(mut watch) => tokio::time::timeout(SOON, watch.try_next()).await,
    };
    let error = error.expect("an end in time").expect_err("an end");
    let compacted = WatchEnd::Compacted {
        compact_revision: revisions[2],
    };
    assert_eq!(*error.end(), compacted);
    assert_eq!(error.revision(), revisions[1] - 1);
    // The compacted revision itself is still there to be watched.
    let mut watch = open(client.watch(keys.all()).from_revision(revisions[2])).await;
    assert_eq!(texts(&keys, &events(&mut watch, 1).await), ["+c=c"]);
}

pub(super) async fn a_compaction_ends_no_watch_that_is_ahead_of_it(client: &Client) {
    let keys = Keys::new();
    let mut watch = open(client.watch(keys.all())).await;
    for round in 0..5 {
        let revision = keys.fill(client, &["a", "b"]).await[1];
        client.compact(revision).await.expect("a compaction");
        let events = events(&mut watch, 2).await;
        assert_eq!(events[1].revision(), revision, "round {round}");
    }
}

pub(super) async fn impossible_watches_are_refused(client: &Client) {
    let keys = Keys::new();
    let reversed = KeyRange::range(keys.key("b"), keys.key("a"));
    let refused = client.watch(reversed).await;
    assert_eq!(kind(refused), ErrorKind::InvalidRequest);
    for revision in [0, -1] {
        let refused = client.watch(keys.all()).from_revision(revision).await;
        assert_eq!(kind(refused), ErrorKind::InvalidRequest);
    }
    let refused = client.watch("").await;
    assert_eq!(kind(refused), ErrorKind::EmptyKey);
}

pub(super) async fn a_list_and_its_watch_fit_together(client: &Client) {
    let keys = Keys::new();
    keys.fill(client, &["a", "b"]).await;
    let mut watch = client.list_then_watch(keys.all()).await.expect("a list");
    assert_eq!(keys.names(watch.snapshot()), ["a", "b"]);
    let listed = watch.revision();
    let revision = keys.fill(client, &["c"]).await[0];
    assert!(listed < revision);
    let update = tokio::time::timeout(SOON, watch.try_next()).await;
    let update = update.expect("in time").expect("no end").expect("no end");
    assert_eq!(texts(&keys, update.events()), ["+c=c"]);
    assert_eq!(update.revision(), revision);
}
