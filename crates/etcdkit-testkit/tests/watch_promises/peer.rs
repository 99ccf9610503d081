//! One stream of watches, by a peer that reads when it is told to.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use etcdkit::Revision;
use etcdkit_proto::etcdserverpb::{
    WatchCancelRequest, WatchCreateRequest, WatchProgressRequest, WatchRequest, WatchResponse,
    watch_client::WatchClient, watch_create_request::FilterType, watch_request::RequestUnion,
};
use etcdkit_testkit::watch_checker::{Asked, Delivery, Event, Watched};
use futures_util::stream;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tonic::transport::{Channel, Endpoint};

/// How many bytes a peer takes in without being read, so that the server notices soon.
const WINDOW: u32 = 65_535;

/// A watch, and what it delivered.
#[derive(Clone, Debug)]
pub(crate) struct Followed {
    pub(crate) watched: Watched,
    fragment: bool,
    progress_notify: bool,
    /// The revision of the store when the server confirmed it.
    created: Option<Revision>,
    /// The events of fragments whose last one has not come yet.
    partial: Vec<Event>,
    /// Why it ended, if the server ended it: the compacted revision.
    pub(crate) compacted: Option<Revision>,
}

impl Followed {
    pub(crate) fn new(asked: Asked, fragment: bool, progress_notify: bool) -> Self {
        Self {
            watched: Watched::new(asked),
            fragment,
            progress_notify,
            created: None,
            partial: Vec::new(),
            compacted: None,
        }
    }

    fn request(&self, watch_id: i64, start_revision: Revision) -> WatchCreateRequest {
        let asked = &self.watched.asked;
        let mut filters = Vec::new();
        if !asked.puts {
            filters.push(FilterType::Noput.into());
        }
        if !asked.deletes {
            filters.push(FilterType::Nodelete.into());
        }
        WatchCreateRequest {
            key: asked.keys.start().to_vec().into(),
            range_end: asked.keys.range_end(),
            start_revision,
            progress_notify: self.progress_notify,
            filters,
            prev_kv: asked.prev_kv,
            watch_id,
            fragment: self.fragment,
        }
    }

    fn promise(&mut self, revision: Revision) {
        self.watched.deliveries.push(Delivery {
            events: Vec::new(),
            promised: Some(revision),
        });
    }
}

/// What a peer has seen.
#[derive(Debug)]
pub(crate) struct State {
    requests: mpsc::UnboundedSender<WatchRequest>,
    next_id: i64,
    pub(crate) live: BTreeMap<i64, Followed>,
    pub(crate) ended: Vec<Followed>,
    pub(crate) fragments: usize,
    pub(crate) promises: usize,
    /// Whether a promise for the whole stream comes before the confirmation of a watch that it does not
    /// concern. An etcd sends the two through different queues, so that what it promised before a
    /// watch began may come after the confirmation; only the revision tells.
    promises_in_order: bool,
    /// Whether the peer's own library has hung up, which it does on too many messages that nobody
    /// reads.
    hung_up: bool,
    /// How the stream ended by itself, which it must not.
    pub(crate) failure: Option<String>,
}

/// A stream of watches.
#[derive(Debug)]
pub(crate) struct Peer {
    channel: Channel,
    state: Arc<Mutex<State>>,
    reading: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Peer {
    pub(crate) fn connect(endpoint: &str, promises_in_order: bool) -> Self {
        let channel = Endpoint::from_shared(endpoint.to_owned())
            .expect("an endpoint")
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .connect_lazy();
        let (requests, receiver) = mpsc::unbounded_channel();
        let state = Arc::new(Mutex::new(State {
            requests,
            next_id: 1,
            live: BTreeMap::new(),
            ended: Vec::new(),
            fragments: 0,
            promises: 0,
            promises_in_order,
            hung_up: false,
            failure: None,
        }));
        let (reading, is_reading) = watch::channel(true);
        let task = follow(channel.clone(), receiver, is_reading, Arc::clone(&state));
        let task = tokio::spawn(task);
        Self {
            channel,
            state,
            reading,
            task,
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(crate) fn watch(&self, followed: Followed) {
        self.state().create(followed);
    }

    pub(crate) fn set_reading(&self, reading: bool) {
        self.reading.send_replace(reading);
    }

    pub(crate) fn ask_progress(&self) {
        let ask = RequestUnion::ProgressRequest(WatchProgressRequest {});
        self.state().send(ask);
    }

    /// Cancels one of the watches, and starts another like it at a revision of its own.
    pub(crate) fn restart_one(&self, random: &mut fastrand::Rng, start: Revision) {
        let mut state = self.state();
        let ids: Vec<i64> = state.live.keys().copied().collect();
        let Some(id) = random.choice(ids) else { return };
        state.cancel(id);
        // What still comes of it is not looked at any more: its id is known to nobody.
        if let Some(followed) = state.live.remove(&id) {
            let mut asked = followed.watched.asked.clone();
            asked.start = start;
            let next = Followed::new(asked, followed.fragment, followed.progress_notify);
            state.ended.push(followed);
            state.create(next);
        }
    }

    /// Goes on after the peer's own library has hung up.
    pub(crate) fn mend(&mut self) {
        let hung_up = std::mem::take(&mut self.state().hung_up);
        if hung_up {
            self.reset();
        }
    }

    /// Ends the stream without a word and opens another one, on which every watch goes on after
    /// what it has seen.
    pub(crate) fn reset(&mut self) {
        self.task.abort();
        let (requests, receiver) = mpsc::unbounded_channel();
        {
            let mut state = self.state();
            state.requests = requests;
            let live = std::mem::take(&mut state.live);
            for mut followed in live.into_values() {
                followed.partial.clear();
                followed.created = None;
                state.create(followed);
            }
        }
        let is_reading = self.reading.subscribe();
        let state = Arc::clone(&self.state);
        let channel = self.channel.clone();
        self.task = tokio::spawn(follow(channel, receiver, is_reading, state));
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    fn send(&self, request: RequestUnion) {
        // A stream that has failed is told of elsewhere.
        let _ = self.requests.send(WatchRequest {
            request_union: Some(request),
        });
    }

    fn create(&mut self, followed: Followed) {
        let id = self.next_id;
        self.next_id += 1;
        let start = followed.watched.reached() + 1;
        self.send(RequestUnion::CreateRequest(followed.request(id, start)));
        self.live.insert(id, followed);
    }

    fn cancel(&self, watch_id: i64) {
        self.send(RequestUnion::CancelRequest(WatchCancelRequest { watch_id }));
    }

    fn take(&mut self, response: WatchResponse) {
        let revision = response.header.map_or(0, |header| header.revision);
        let is_promise = !response.created && !response.canceled && response.events.is_empty();
        if response.watch_id == -1 && is_promise {
            self.promises += 1;
            let in_order = self.promises_in_order;
            let concerned = |watch: &&mut Followed| {
                let created = watch.created;
                created.is_some_and(|created| in_order || revision > created)
            };
            let concerned = self.live.values_mut().filter(concerned);
            concerned.for_each(|watch| watch.promise(revision));
            return;
        }
        assert!(response.watch_id != -1, "refused: {response:?}");
        let Some(followed) = self.live.get_mut(&response.watch_id) else {
            return;
        };
        if response.created {
            followed.created = Some(revision);
        } else if response.canceled {
            self.overtaken(response.watch_id, response.compact_revision);
        } else if is_promise {
            self.promises += 1;
            followed.promise(revision);
        } else {
            followed
                .partial
                .extend(response.events.into_iter().map(Event::from));
            if response.fragment {
                self.fragments += 1;
            } else {
                let events = std::mem::take(&mut followed.partial);
                let promised = None;
                followed
                    .watched
                    .deliveries
                    .push(Delivery { events, promised });
            }
        }
    }

    /// A compaction has overtaken a watch: another one starts where history does now.
    fn overtaken(&mut self, id: i64, compacted: Revision) {
        assert!(compacted > 0, "nobody has cancelled the watch {id}");
        let Some(mut followed) = self.live.remove(&id) else {
            return;
        };
        followed.compacted = Some(compacted);
        let mut asked = followed.watched.asked.clone();
        asked.start = compacted;
        let next = Followed::new(asked, followed.fragment, followed.progress_notify);
        self.ended.push(followed);
        // Its id stays in use until it is cancelled, too, and keeps the stream from promising anything.
        self.cancel(id);
        self.create(next);
    }
}

async fn follow(
    channel: Channel,
    requests: mpsc::UnboundedReceiver<WatchRequest>,
    mut reading: watch::Receiver<bool>,
    state: Arc<Mutex<State>>,
) {
    let requests = stream::unfold(requests, |mut requests| async move {
        Some((requests.recv().await?, requests))
    });
    let mut client = WatchClient::new(channel).max_decoding_message_size(usize::MAX);
    let end = async {
        let mut responses = client.watch(requests).await?.into_inner();
        loop {
            // The peer that says whether to read ends this task when it goes.
            let _ = reading.wait_for(|reading| *reading).await;
            match responses.message().await? {
                Some(response) => lock(&state).take(response),
                None => return Ok::<(), tonic::Status>(()),
            }
        }
    };
    let end = format!("the stream ended: {:?}", end.await);
    let mut state = lock(&state);
    if end.contains("too_many_data_frames") {
        state.hung_up = true;
    } else {
        state.failure = Some(end);
    }
}

/// Waits until a condition holds that certainly comes to hold.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let waiting = tokio::time::timeout(Duration::from_secs(120), waiting).await;
    assert!(waiting.is_ok(), "waited too long for {what}");
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
