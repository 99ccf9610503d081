//! Watches over the wire. What the engine decides is tested in `etcdkit-store`; here are streams,
//! flow control, timers and ends.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{WAYS, Way, channel, is, kv, put, start};
use etcdkit_proto::etcdserverpb::watch_client::WatchClient;
use etcdkit_proto::etcdserverpb::watch_request::RequestUnion;
use etcdkit_proto::etcdserverpb::{
    CompactionRequest, DeleteRangeRequest, LeaseGrantRequest, PutRequest, WatchCancelRequest,
    WatchCreateRequest, WatchProgressRequest, WatchRequest, WatchResponse,
    lease_client::LeaseClient,
};
use etcdkit_server::Server;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Streaming};

struct Watch {
    requests: mpsc::Sender<WatchRequest>,
    responses: Streaming<WatchResponse>,
    created: WatchResponse,
}

impl Watch {
    /// Opens a stream with its first watch, since servers are silent before.
    async fn open(server: &Server, way: Way, first: WatchCreateRequest) -> Self {
        let mut client =
            WatchClient::new(channel(server, way).await).max_decoding_message_size(usize::MAX);
        let (requests, receiver) = mpsc::channel(16);
        requests.send(create(first)).await.unwrap();
        let responses = client.watch(ReceiverStream::new(receiver)).await.unwrap();
        let mut responses = responses.into_inner();
        let created = responses.message().await.unwrap().unwrap();
        assert!(created.created && !created.canceled, "{created:?}");
        Self {
            requests,
            responses,
            created,
        }
    }

    async fn send(&self, request: RequestUnion) {
        let request_union = Some(request);
        self.requests
            .send(WatchRequest { request_union })
            .await
            .unwrap();
    }

    async fn next(&mut self) -> WatchResponse {
        self.responses.message().await.unwrap().unwrap()
    }
}

fn create(request: WatchCreateRequest) -> WatchRequest {
    WatchRequest {
        request_union: Some(RequestUnion::CreateRequest(request)),
    }
}

fn prefix(prefix: &str) -> WatchCreateRequest {
    let mut end = prefix.as_bytes().to_vec();
    *end.last_mut().unwrap() += 1;
    WatchCreateRequest {
        key: prefix.to_owned().into(),
        range_end: end.into(),
        ..Default::default()
    }
}

fn revisions(response: &WatchResponse) -> Vec<i64> {
    let events = response.events.iter();
    events
        .map(|event| event.kv.as_ref().unwrap().mod_revision)
        .collect()
}

#[tokio::test]
async fn a_watch_sees_what_happens_after_it() {
    for way in WAYS {
        let server = start().await;
        let mut kv = kv(&server, way).await;
        kv.put(put("a/1", "before")).await.unwrap();
        let mut watch = Watch::open(
            &server,
            way,
            WatchCreateRequest {
                prev_kv: true,
                ..prefix("a/")
            },
        )
        .await;
        let created = watch.created.clone();
        let header = created.header.unwrap();
        assert_eq!(
            (created.watch_id, header.revision, header.raft_term),
            (0, 2, 2)
        );
        assert_ne!((header.cluster_id, header.member_id), (0, 0));

        kv.put(put("a/1", "after")).await.unwrap();
        kv.put(put("b", "")).await.unwrap();
        kv.delete_range(DeleteRangeRequest {
            key: "a/1".into(),
            ..Default::default()
        })
        .await
        .unwrap();
        let mut events = Vec::new();
        while events.len() < 2 {
            events.extend(watch.next().await.events);
        }
        let prev = |at: usize| events[at].prev_kv.as_ref().unwrap().value.clone();
        assert_eq!((prev(0), prev(1)), ("before".into(), "after".into()));
        assert_eq!((events[0].r#type, events[1].r#type), (0, 1));
        let deleted = events[1].kv.as_ref().unwrap();
        assert_eq!((deleted.mod_revision, deleted.version), (5, 0));

        watch
            .send(RequestUnion::CancelRequest(WatchCancelRequest {
                watch_id: 0,
            }))
            .await;
        let canceled = watch.next().await;
        assert!(canceled.canceled && !canceled.created);
        assert_eq!(canceled.header.unwrap().revision, 5);
    }
}

#[tokio::test]
async fn events_go_on_after_the_peer_has_sent_its_last_request() {
    let server = start().await;
    let mut kv = kv(&server, Way::Tcp).await;
    let watch = Watch::open(&server, Way::Tcp, prefix("a")).await;
    let Watch {
        requests,
        mut responses,
        ..
    } = watch;
    drop(requests);
    for revision in 2..10 {
        kv.put(put("a", "v")).await.unwrap();
        let response = responses.message().await.unwrap().unwrap();
        assert_eq!(revisions(&response), [revision]);
    }
}

#[tokio::test]
async fn history_is_replayed_and_compacted_history_is_not() {
    let server = start().await;
    let mut kv = kv(&server, Way::Tcp).await;
    for _ in 0..10 {
        kv.put(put("a", "v")).await.unwrap();
    }
    kv.compact(CompactionRequest {
        revision: 5,
        physical: true,
    })
    .await
    .unwrap();
    let from = |start_revision| WatchCreateRequest {
        start_revision,
        ..prefix("a")
    };
    let mut watch = Watch::open(&server, Way::Tcp, from(5)).await;
    let replayed = watch.next().await;
    assert_eq!(revisions(&replayed), (5..=11).collect::<Vec<_>>());
    assert_eq!(replayed.header.unwrap().revision, 11);

    watch.send(RequestUnion::CreateRequest(from(4))).await;
    assert!(watch.next().await.created);
    let ended = watch.next().await;
    assert!(ended.canceled);
    assert_eq!((ended.watch_id, ended.compact_revision), (1, 5));
    let header = ended.header.unwrap();
    assert_eq!((header.revision, header.raft_term), (0, 2));
}

#[tokio::test]
async fn expiry_of_a_lease_is_seen_as_one_revision() {
    let server = start().await;
    let mut kv = kv(&server, Way::Tcp).await;
    let mut leases = LeaseClient::new(channel(&server, Way::Tcp).await);
    let mut watch = Watch::open(&server, Way::Tcp, prefix("k")).await;
    leases
        .lease_grant(LeaseGrantRequest { id: 7, ttl: 10 })
        .await
        .unwrap();
    for key in ["k2", "k1"] {
        let request = PutRequest {
            lease: 7,
            ..put(key, "v")
        };
        kv.put(request).await.unwrap();
        watch.next().await;
    }
    server.advance_time(Duration::from_secs(11));
    let deleted = watch.next().await;
    assert_eq!(revisions(&deleted), [4, 4]);
    let keys = deleted
        .events
        .iter()
        .map(|event| event.kv.as_ref().unwrap());
    let keys: Vec<_> = keys.map(|kv| kv.key.clone()).collect();
    assert_eq!(keys, ["k1", "k2"]);
}

#[tokio::test]
async fn progress_is_answered_for_the_whole_stream() {
    let server = start().await;
    let mut kv = kv(&server, Way::Tcp).await;
    let mut watch = Watch::open(&server, Way::Tcp, prefix("a")).await;
    kv.put(put("elsewhere", "v")).await.unwrap();
    watch
        .send(RequestUnion::ProgressRequest(WatchProgressRequest {}))
        .await;
    let progress = watch.next().await;
    assert_eq!(
        (progress.watch_id, progress.header.unwrap().revision),
        (-1, 2)
    );
    assert!(progress.events.is_empty() && !progress.canceled && !progress.created);
}

#[tokio::test(start_paused = true)]
async fn idle_watches_are_told_of_progress_at_the_interval() {
    let server = Server::builder()
        .without_listener()
        .watch_progress_notify_interval(Duration::from_secs(10))
        .start()
        .await
        .unwrap();
    let mut kv = kv(&server, Way::Pipe).await;
    let mut watch = Watch::open(
        &server,
        Way::Pipe,
        WatchCreateRequest {
            progress_notify: true,
            ..prefix("a")
        },
    )
    .await;
    let opened = tokio::time::Instant::now();
    for revision in 1..4 {
        let progress = watch.next().await;
        assert!(progress.events.is_empty());
        assert_eq!(
            (progress.watch_id, progress.header.unwrap().revision),
            (0, revision)
        );
        kv.put(put("elsewhere", "v")).await.unwrap();
    }
    let waited = opened.elapsed();
    assert!((30..=34).contains(&waited.as_secs()), "{waited:?}");
}

/// The numbers are etcd 3.5.30's: four events fit below 2 MiB.
#[tokio::test]
async fn large_responses_are_split_for_those_who_want_it() {
    let server = start().await;
    let mut kv = kv(&server, Way::Tcp).await;
    for _ in 0..5 {
        kv.put(put("a", vec![b'v'; 500_000])).await.unwrap();
    }
    for (fragment, expected) in [
        (true, vec![(4, true), (1, false)]),
        (false, vec![(5, false)]),
    ] {
        let mut watch = Watch::open(
            &server,
            Way::Tcp,
            WatchCreateRequest {
                start_revision: 2,
                fragment,
                ..prefix("a")
            },
        )
        .await;
        for (events, more) in expected {
            let part = watch.next().await;
            assert_eq!((part.events.len(), part.fragment), (events, more));
            assert_eq!(part.header.unwrap().revision, 6);
        }
    }
}

#[tokio::test]
async fn a_peer_that_does_not_read_gets_everything_later() {
    const PUTS: i64 = 10_000;
    let server = start().await;
    let mut kv = kv(&server, Way::Pipe).await;
    let mut watch = Watch::open(&server, Way::Tcp, prefix("k")).await;
    for n in 0..PUTS {
        kv.put(put(&format!("k{}", n % 7), vec![b'v'; 100]))
            .await
            .unwrap();
    }
    let mut next = 2;
    while next < PUTS + 2 {
        for revision in revisions(&watch.next().await) {
            assert_eq!(revision, next);
            next += 1;
        }
    }
}

#[tokio::test]
async fn five_thousand_watches_share_a_stream() {
    const WATCHES: usize = 5_000;
    let server = start().await;
    let mut kv = kv(&server, Way::Pipe).await;
    let mut watch = Watch::open(&server, Way::Tcp, prefix("0000/")).await;
    let requests = watch.requests.clone();
    let creating = tokio::spawn(async move {
        for n in 1..WATCHES {
            let request = create(prefix(&format!("{n:04}/")));
            requests.send(request).await.unwrap();
        }
    });
    for id in 1..WATCHES as i64 {
        let created = watch.next().await;
        assert_eq!((created.created, created.watch_id), (true, id));
    }
    creating.await.unwrap();
    for n in [0, 77, 4_999] {
        kv.put(put(&format!("{n:04}/x"), "v")).await.unwrap();
        let response = watch.next().await;
        assert_eq!((response.watch_id, response.events.len()), (n, 1));
    }
}

#[tokio::test]
async fn a_stop_ends_watches_at_once() {
    let server = start().await;
    let mut watch = Watch::open(&server, Way::Tcp, prefix("a")).await;
    let (stopped, ended) = tokio::join!(server.shutdown(), watch.responses.message());
    stopped.unwrap();
    is(
        &ended.unwrap_err(),
        Code::Unavailable,
        "etcdserver: server stopped",
    );
}

#[tokio::test]
async fn writers_and_watchers_agree_on_every_event() {
    const WRITERS: usize = 4;
    const PUTS: usize = 200;
    let server = start().await;
    let mut watches = Vec::new();
    for way in WAYS {
        let watch = Watch::open(&server, way, prefix("k")).await;
        watches.push(watch);
    }
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let mut kv = kv(&server, WAYS[writer % 2]).await;
        writers.spawn(async move {
            for n in 0..PUTS {
                kv.put(put(&format!("k{writer}"), n.to_string()))
                    .await
                    .unwrap();
            }
        });
    }
    let last = (WRITERS * PUTS) as i64 + 1;
    for mut watch in watches {
        let mut seen = Vec::new();
        while seen.last() != Some(&last) {
            seen.extend(revisions(&watch.next().await));
        }
        assert!(seen.into_iter().eq(2..=last));
    }
    writers.join_all().await;
}
