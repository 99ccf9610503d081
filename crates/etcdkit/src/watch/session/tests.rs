//! Sessions against a model of a server that answers late, in pieces and from behind.

use std::{
    collections::BTreeMap,
    task::{Context, Poll, Waker},
};

use etcdkit_proto::{
    etcdserverpb::{ResponseHeader, WatchCreateRequest},
    mvccpb,
};
use prost::Message;

use super::*;
use crate::watch::{Event, Overflow, WatchUpdate, feed::Next, seat::Load};

const CLUSTER: u64 = 7;

fn spec(key: &str) -> Spec {
    Spec {
        key: key.to_owned().into(),
        range_end: Default::default(),
        prev_kv: false,
        no_puts: false,
        no_deletes: false,
        progress_notify: false,
        overflow: Overflow::Pause,
        prefix: 0,
    }
}

fn header(revision: Revision) -> Option<ResponseHeader> {
    Some(ResponseHeader {
        cluster_id: CLUSTER,
        revision,
        ..Default::default()
    })
}

fn put(key: &[u8], revision: Revision) -> mvccpb::Event {
    let kv = mvccpb::KeyValue {
        key: key.to_vec().into(),
        mod_revision: revision,
        create_revision: revision,
        ..Default::default()
    };
    mvccpb::Event {
        kv: Some(kv),
        ..Default::default()
    }
}

/// The requests in what a session wants to be sent.
fn requests(out: &mut BytesMut) -> Vec<RequestUnion> {
    let mut bytes = out.split();
    let mut requests = Vec::new();
    while !bytes.is_empty() {
        let prefix = bytes.split_to(wire::PREFIX);
        let length = u32::from_be_bytes(prefix[1..].try_into().expect("four bytes"));
        let request = WatchRequest::decode(bytes.split_to(length as usize)).expect("a request");
        requests.push(request.request_union.expect("a request"));
    }
    requests
}

fn creates(out: &mut BytesMut) -> Vec<WatchCreateRequest> {
    let create = |request| match request {
        RequestUnion::CreateRequest(create) => create,
        other => panic!("{other:?}"),
    };
    requests(out).into_iter().map(create).collect()
}

fn poll(feed: &Feed) -> Option<Next> {
    match feed.poll_next(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(next) => Some(next),
        Poll::Pending => None,
    }
}

fn end_of(feed: &Feed) -> WatchEnd {
    match poll(feed) {
        Some(Next::End(error)) => error.end().clone(),
        other => panic!("{other:?}"),
    }
}

/// A session with one stream, and the messages it wants to be sent.
#[derive(Default)]
struct Bench {
    session: Session,
    out: BytesMut,
    load: Load,
}

impl Bench {
    fn open(&mut self, key: Key, spec: Spec, start: Revision, queue: usize) -> Arc<Feed> {
        let feed = Arc::new(Feed::new(queue));
        let seat = self.load.take();
        let out = &mut self.out;
        self.session
            .open(key, spec, start, Arc::clone(&feed), seat, out);
        feed
    }

    fn receive(&mut self, response: WatchResponse) -> Duty {
        let bytes = response.encoded_len();
        self.session.receive(response, bytes, &mut self.out)
    }

    fn created(&mut self, id: i64, revision: Revision) -> Duty {
        self.receive(WatchResponse {
            header: header(revision),
            watch_id: id,
            created: true,
            ..Default::default()
        })
    }

    fn events(&mut self, id: i64, events: Vec<mvccpb::Event>) {
        let duty = self.receive(WatchResponse {
            header: header(1),
            watch_id: id,
            events,
            ..Default::default()
        });
        assert!(matches!(duty, Duty::None), "{duty:?}");
    }
}

fn refused(id: i64, reason: &str) -> WatchResponse {
    WatchResponse {
        header: header(1),
        watch_id: id,
        created: true,
        canceled: true,
        cancel_reason: reason.to_owned(),
        ..Default::default()
    }
}

#[test]
fn all_watches_are_asked_for_at_once_when_the_stream_opens() {
    let mut bench = Bench::default();
    for key in 1..=3 {
        bench.open(key, spec("k"), 5, 100);
    }
    assert!(bench.out.is_empty());
    bench.session.connected(&mut bench.out);
    let creates = creates(&mut bench.out);
    assert_eq!(creates.len(), 3);
    assert!(
        creates
            .iter()
            .all(|create| create.start_revision == 5 && create.fragment)
    );
    let mut ids: Vec<_> = creates.iter().map(|create| create.watch_id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

#[test]
fn a_refusal_without_an_id_is_for_the_first_that_waits() {
    let mut bench = Bench::default();
    bench.session.connected(&mut bench.out);
    let feeds: Vec<_> = (1..=3)
        .map(|key| bench.open(key, spec("k"), 5, 100))
        .collect();
    let creates = creates(&mut bench.out);
    bench.created(creates[0].watch_id, 4);
    bench.receive(refused(NO_ID, "mvcc: watcher range is empty"));
    bench.created(creates[2].watch_id, 4);
    assert!(feeds[0].is_confirmed() && feeds[2].is_confirmed());
    let reason = "mvcc: watcher range is empty".to_owned();
    assert_eq!(end_of(&feeds[1]), WatchEnd::Cancelled { reason });
    assert_eq!(bench.session.len(), 2);
}

#[test]
fn refusals_by_the_auth_of_any_version_are_understood() {
    for reason in [
        "rpc error: code = PermissionDenied desc = etcdserver: permission denied",
        "etcdserver: permission denied",
        "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token",
        "rpc error: code = InvalidArgument desc = etcdserver: revision of auth store is old",
    ] {
        let mut bench = Bench::default();
        bench.session.connected(&mut bench.out);
        bench.open(1, spec("k"), 5, 100);
        let id = creates(&mut bench.out)[0].watch_id;
        let duty = bench.receive(refused(id, reason));
        let is_blamed = matches!(
            &duty,
            Duty::BlameToken { key: 1, end, .. } if *end == WatchEnd::PermissionDenied
        );
        assert!(is_blamed, "{reason}: {duty:?}");
    }
}

#[test]
fn a_compacted_start_ends_the_watch_alone() {
    let mut bench = Bench::default();
    bench.session.connected(&mut bench.out);
    let feeds = [
        bench.open(1, spec("a"), 2, 100),
        bench.open(2, spec("b"), 9, 100),
    ];
    let creates = creates(&mut bench.out);
    for create in &creates {
        bench.created(create.watch_id, 9);
    }
    bench.receive(WatchResponse {
        header: header(0),
        watch_id: creates[0].watch_id,
        canceled: true,
        compact_revision: 6,
        ..Default::default()
    });
    let compacted = WatchEnd::Compacted {
        compact_revision: 6,
    };
    assert_eq!(end_of(&feeds[0]), compacted);
    assert!(poll(&feeds[1]).is_none());
    // The server would answer no question for progress otherwise.
    let watch_id = creates[0].watch_id;
    let cancel = RequestUnion::CancelRequest(WatchCancelRequest { watch_id });
    assert_eq!(requests(&mut bench.out), [cancel]);
}

#[test]
fn parts_are_joined_and_forgotten_with_their_stream() {
    let mut bench = Bench::default();
    bench.session.connected(&mut bench.out);
    let feed = bench.open(1, spec("k"), 2, 1 << 20);
    let part = |id, more, revision| WatchResponse {
        header: header(3),
        watch_id: id,
        fragment: more,
        events: vec![put(b"k", revision)],
        ..Default::default()
    };
    for is_cut in [true, false] {
        let id = creates(&mut bench.out)[0].watch_id;
        bench.created(id, 1);
        bench.receive(part(id, true, 2));
        bench.receive(part(id, true, 2));
        assert!(poll(&feed).is_none());
        if is_cut {
            bench.session.disconnected();
            bench.session.connected(&mut bench.out);
            continue;
        }
        bench.receive(part(id, false, 3));
    }
    let Some(Next::Update { update, .. }) = poll(&feed) else {
        panic!()
    };
    let revisions: Vec<_> = update.events().iter().map(Event::revision).collect();
    assert_eq!(revisions, [2, 2, 3]);
}

#[test]
fn progress_moves_the_start_and_is_told_to_those_who_asked() {
    let mut bench = Bench::default();
    bench.session.connected(&mut bench.out);
    let feeds = [
        bench.open(1, spec("a"), 2, 100),
        bench.open(2, spec("b"), 2, 100),
    ];
    for create in creates(&mut bench.out) {
        bench.created(create.watch_id, 1);
    }
    bench.session.want_progress(1);
    assert!(bench.session.wants_progress());
    bench.receive(WatchResponse {
        header: header(9),
        watch_id: NO_ID,
        ..Default::default()
    });
    assert!(!bench.session.wants_progress());
    let told = |feed: &Feed| match poll(feed) {
        Some(Next::Update { update, .. }) => Some((update.is_progress(), update.revision())),
        _ => None,
    };
    assert_eq!(told(&feeds[0]), Some((true, 9)));
    assert_eq!(told(&feeds[1]), None);
    bench.session.disconnected();
    bench.session.connected(&mut bench.out);
    let starts: Vec<_> = creates(&mut bench.out)
        .iter()
        .map(|create| create.start_revision)
        .collect();
    assert_eq!(starts, [10, 10]);
}

#[test]
fn a_promise_made_before_a_watch_began_is_not_for_it() {
    let mut bench = Bench::default();
    bench.session.connected(&mut bench.out);
    bench.open(1, spec("a"), 2, 100);
    let first = creates(&mut bench.out)[0].watch_id;
    bench.created(first, 20);
    bench.session.ask_for_progress(&mut bench.out);
    assert_eq!(requests(&mut bench.out).len(), 1);
    // A watch from the past begins; its confirmation overtakes the answer.
    let past = bench.open(2, spec("b"), 5, 100);
    let id = creates(&mut bench.out)[0].watch_id;
    bench.created(id, 20);
    let promise = |revision| WatchResponse {
        header: header(revision),
        watch_id: NO_ID,
        ..Default::default()
    };
    bench.receive(promise(20));
    bench.events(id, vec![put(b"b", 7)]);
    let Some(Next::Update { update, .. }) = poll(&past) else {
        panic!("the event is lost")
    };
    assert_eq!(update.revision(), 7);
    // The answer to a question that was asked of both.
    bench.session.want_progress(2);
    bench.session.ask_for_progress(&mut bench.out);
    bench.receive(promise(20));
    let Some(Next::Update { update, .. }) = poll(&past) else {
        panic!("no progress")
    };
    assert!(update.is_progress());
    assert_eq!(update.revision(), 20);
}

#[test]
fn a_promise_of_more_than_there_was_when_a_watch_began_is_for_it() {
    let mut bench = Bench::default();
    bench.session.connected(&mut bench.out);
    for _ in 0..3 {
        // The server answers none of them.
        bench.session.ask_for_progress(&mut bench.out);
    }
    requests(&mut bench.out);
    let feed = bench.open(1, spec("a"), 5, 100);
    let id = creates(&mut bench.out)[0].watch_id;
    bench.created(id, 20);
    bench.session.want_progress(1);
    bench.session.ask_for_progress(&mut bench.out);
    bench.receive(WatchResponse {
        header: header(21),
        watch_id: NO_ID,
        ..Default::default()
    });
    assert!(matches!(poll(&feed), Some(Next::Update { update, .. }) if update.revision() == 21));
}

#[test]
fn a_member_that_is_behind_is_checked_and_believed_only_then() {
    let mut bench = Bench::default();
    bench.session.connected(&mut bench.out);
    let feed = bench.open(1, spec("k"), 8, 100);
    let id = creates(&mut bench.out)[0].watch_id;
    assert!(matches!(bench.created(id, 7), Duty::None));
    bench.session.disconnected();
    bench.session.connected(&mut bench.out);
    let id = creates(&mut bench.out)[0].watch_id;
    assert!(matches!(
        bench.created(id, 3),
        Duty::CheckRevision { seen: 7 }
    ));
    bench.session.store_is_at(7, 7);
    // Nothing from before the start, though the member sends it (etcd issue 20221).
    bench.events(id, vec![put(b"k", 5), put(b"k", 8)]);
    let Some(Next::Update { update, .. }) = poll(&feed) else {
        panic!()
    };
    assert_eq!((update.events().len(), update.revision()), (1, 8));
    // What came while the question was under way is no reason to doubt the answer to it.
    bench.events(id, vec![put(b"k", 9)]);
    bench.session.store_is_at(7, 7);
    assert!(matches!(poll(&feed), Some(Next::Update { .. })));
    bench.session.store_is_at(4, 7);
    assert_eq!(end_of(&feed), WatchEnd::WentBackwards { seen: 7, now: 4 });
}

#[test]
fn another_cluster_ends_everything() {
    let mut bench = Bench::default();
    bench.session.connected(&mut bench.out);
    let feed = bench.open(1, spec("k"), 2, 100);
    let id = creates(&mut bench.out)[0].watch_id;
    bench.created(id, 1);
    bench.receive(WatchResponse {
        header: Some(ResponseHeader {
            cluster_id: 8,
            revision: 1,
            ..Default::default()
        }),
        watch_id: id,
        ..Default::default()
    });
    let (expected, found) = (CLUSTER, 8);
    assert_eq!(end_of(&feed), WatchEnd::OtherCluster { expected, found });
    assert!(bench.session.is_empty());
}

#[test]
fn a_cancelled_watch_stays_until_the_server_says_so() {
    let mut bench = Bench::default();
    bench.session.connected(&mut bench.out);
    let feed = bench.open(1, spec("k"), 2, 100);
    let id = creates(&mut bench.out)[0].watch_id;
    bench.session.cancel(1, &mut bench.out);
    let cancel = WatchCancelRequest { watch_id: id };
    assert_eq!(
        requests(&mut bench.out),
        [RequestUnion::CancelRequest(cancel)]
    );
    bench.created(id, 1);
    bench.events(id, vec![put(b"k", 2)]);
    assert_eq!(bench.load.taken(), 1);
    bench.receive(WatchResponse {
        header: header(1),
        watch_id: id,
        canceled: true,
        ..Default::default()
    });
    assert_eq!(end_of(&feed), WatchEnd::Closed);
    assert_eq!(bench.load.taken(), 0);
}

#[test]
fn a_session_that_is_dropped_leaves_nobody_waiting() {
    let mut bench = Bench::default();
    let feed = bench.open(1, spec("k"), 2, 100);
    drop(bench);
    assert_eq!(end_of(&feed), WatchEnd::Closed);
}

/// A server with a history of puts, one watch stream, and responses that are on their way.
#[derive(Default)]
struct Model {
    /// The keys of the revisions from 2 on.
    history: Vec<u8>,
    watchers: BTreeMap<i64, (u8, Revision)>,
    sent: VecDeque<WatchResponse>,
}

impl Model {
    fn revision(&self) -> Revision {
        self.history.len() as Revision + 1
    }

    fn take(&mut self, request: RequestUnion) {
        let mut response = WatchResponse {
            header: header(self.revision()),
            ..Default::default()
        };
        match request {
            RequestUnion::CreateRequest(create) => {
                let id = create.watch_id;
                // Some events from before the start, as by a member that lags.
                let early = create.start_revision - fastrand::i64(0..2);
                let known = self.watchers.insert(id, (create.key[0], early.max(2)));
                assert_eq!(known, None, "the id {id} was used before");
                (response.watch_id, response.created) = (id, true);
            }
            RequestUnion::CancelRequest(cancel) => {
                // The watcher stays in the map, so that a second use of its id is noticed.
                if let Some(watcher) = self.watchers.get_mut(&cancel.watch_id) {
                    watcher.1 = Revision::MAX;
                }
                (response.watch_id, response.canceled) = (cancel.watch_id, true);
            }
            RequestUnion::ProgressRequest(_) => return,
        }
        self.sent.push_back(response);
    }

    /// Lets some watcher catch up, perhaps in parts.
    fn work(&mut self) {
        let newest = self.revision();
        let lagging: Vec<_> = self
            .watchers
            .iter()
            .filter(|(_, (_, next))| *next <= newest)
            .collect();
        let Some((&id, &(key, next))) = fastrand::choice(lagging) else {
            return;
        };
        let upto = fastrand::i64(next..=newest);
        let is_its = |revision: &Revision| self.history[*revision as usize - 2] == key;
        let events: Vec<_> = (next..=upto)
            .filter(is_its)
            .map(|revision| put(&[key], revision))
            .collect();
        self.watchers.insert(id, (key, upto + 1));
        let cut = fastrand::usize(0..=events.len());
        let mut parts = vec![events];
        if cut > 0 && cut < parts[0].len() {
            let rest = parts[0].split_off(cut);
            parts.push(rest);
        }
        let last = parts.len() - 1;
        for (part, events) in parts.into_iter().enumerate() {
            if !events.is_empty() {
                self.sent.push_back(WatchResponse {
                    header: header(newest),
                    watch_id: id,
                    fragment: part < last,
                    events,
                    ..Default::default()
                });
            }
        }
    }
}

/// One watch of the program, and what it has been given.
struct Program {
    key: u8,
    start: Revision,
    feed: Arc<Feed>,
    seen: Vec<Revision>,
}

impl Program {
    fn take(&mut self, update: &WatchUpdate) {
        for event in update.events() {
            assert_eq!(event.key()[..], [self.key]);
            self.seen.push(event.revision());
        }
    }
}

#[test]
fn every_watch_sees_every_event_once_and_in_order_whatever_happens() {
    for seed in 0..400 {
        fastrand::seed(seed);
        println!("seed {seed}");
        let mut bench = Bench::default();
        let mut model = Model::default();
        let mut programs: BTreeMap<Key, Program> = BTreeMap::new();
        let (mut is_connected, mut last_key) = (false, 0);
        for step in 0..400 {
            // At the end there are no new troubles, and everything arrives.
            let is_calm = step >= 300;
            match fastrand::u8(0..if is_calm { 60 } else { 70 }) {
                0..10 if !is_calm => model.history.push(b'a' + fastrand::u8(0..3)),
                0..25 => model.work(),
                25..45 => {
                    if let Some(response) = model.sent.pop_front() {
                        let duty = bench.receive(response);
                        assert!(matches!(duty, Duty::None), "{duty:?}");
                    }
                }
                45..60 => {
                    let keys: Vec<_> = programs.keys().copied().collect();
                    if let Some(key) = fastrand::choice(keys) {
                        let program = programs.get_mut(&key).expect("there");
                        if let Some(Next::Update { update, drained }) = poll(&program.feed) {
                            program.take(&update);
                            if drained {
                                bench.session.resume(key, &mut bench.out);
                            }
                        }
                    }
                }
                60..63 => {
                    last_key += 1;
                    let key = last_key;
                    let name = b'a' + fastrand::u8(0..3);
                    let start = fastrand::i64(2..=model.revision() + 2);
                    let spec = spec(&char::from(name).to_string());
                    let feed = bench.open(key, spec, start, fastrand::usize(1..300));
                    let seen = Vec::new();
                    programs.insert(
                        key,
                        Program {
                            key: name,
                            start,
                            feed,
                            seen,
                        },
                    );
                }
                63 => {
                    let keys: Vec<_> = programs.keys().copied().collect();
                    if let Some(key) = fastrand::choice(keys) {
                        bench.session.cancel(key, &mut bench.out);
                        programs.remove(&key);
                    }
                }
                _ => {
                    bench.session.disconnected();
                    (model.watchers, model.sent) = Default::default();
                    bench.out.clear();
                    is_connected = false;
                }
            }
            if !is_connected {
                is_connected = true;
                bench.session.connected(&mut bench.out);
            }
            for request in requests(&mut bench.out) {
                model.take(request);
            }
        }
        // Whatever is left.
        for _ in 0..1000 {
            model.work();
            while let Some(response) = model.sent.pop_front() {
                bench.receive(response);
            }
            for (key, program) in &mut programs {
                while let Some(Next::Update { update, drained }) = poll(&program.feed) {
                    program.take(&update);
                    if drained {
                        bench.session.resume(*key, &mut bench.out);
                    }
                }
            }
            for request in requests(&mut bench.out) {
                model.take(request);
            }
        }
        for program in programs.values() {
            let history = (2..).zip(&model.history);
            let expected: Vec<Revision> = history
                .filter(|(revision, key)| *revision >= program.start && **key == program.key)
                .map(|(revision, _)| revision)
                .collect();
            assert_eq!(program.seen, expected, "from {}", program.start);
        }
    }
}
