//! What the client's metrics tell when members fail.

use std::{collections::BTreeMap, time::Duration};

use etcdkit::{Client, ErrorKind};
use etcdkit_proto::etcdserverpb::{RangeResponse, ResponseHeader};
use etcdkit_testkit::{
    etcd::{Binary, Cluster},
    fake::{FakeServer, Reply},
};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

/// Counters and gauges as `name{value,…}`, with the values of their labels.
struct Seen(BTreeMap<String, f64>);

impl Seen {
    /// Looks once; that empties the recorder.
    fn by(snapshotter: &Snapshotter) -> Self {
        let all = snapshotter.snapshot().into_vec().into_iter();
        Self(
            all.filter_map(|(key, _, _, value)| {
                let value = match value {
                    DebugValue::Counter(count) => count as f64,
                    DebugValue::Gauge(level) => level.into_inner(),
                    DebugValue::Histogram(_) => return None,
                };
                let labels = key.key().labels().map(|label| label.value().to_owned());
                let labels = labels.collect::<Vec<_>>().join(",");
                Some((format!("{}{{{labels}}}", key.key().name()), value))
            })
            .collect(),
        )
    }

    fn get(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or_default()
    }
}

#[tokio::test]
async fn retries_and_doubts_show() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let refusing = FakeServer::start(|_, _| Reply::Status(14, "etcdserver: no leader"));
    let refusing = refusing.await.expect("a fake server");
    let serving = FakeServer::start(|_, _| {
        Reply::message(&RangeResponse {
            header: Some(ResponseHeader::default()),
            ..Default::default()
        })
    });
    let serving = serving.await.expect("a fake server");
    let client = Client::builder()
        .endpoints([refusing.endpoint(), serving.endpoint()])
        .connect()
        .await
        .expect("a client");
    // Which endpoint is asked first is a matter of turns.
    while refusing.counts().requests == 0 {
        client.get("k").await.expect("the other endpoint serves");
    }

    let seen = Seen::by(&snapshotter);
    let retries = seen.get("etcdkit_retries_total{get,no_leader}");
    assert_eq!(retries, refusing.counts().requests as f64, "{:#?}", seen.0);
    let attempts = |endpoint: &str| seen.get(&format!("etcdkit_attempts_total{{get,{endpoint}}}"));
    assert_eq!(attempts(&refusing.endpoint()), retries);
    assert_eq!(
        attempts(&serving.endpoint()),
        seen.get("etcdkit_calls_total{get,ok}")
    );
    let suspect = |endpoint: &str| seen.get(&format!("etcdkit_endpoint_suspect{{{endpoint}}}"));
    assert_eq!(suspect(&refusing.endpoint()), 1.0);
    assert_eq!(suspect(&serving.endpoint()), 0.0);
}

#[tokio::test]
async fn a_watch_that_goes_on_elsewhere_shows() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let etcd = Binary::newest().expect("a real etcd");
    let mut cluster = Cluster::builder(&etcd).start().await.expect("a cluster");
    let client = Client::connect(cluster.endpoint()).await.expect("a client");
    let mut watch = client.watch("k").await.expect("a watch");
    client.put("k", "1").await.expect("a put");
    watch.try_next().await.expect("an update");

    cluster.member(0).kill().expect("a kill");
    let put = client.put("k", "2").timeout(Duration::from_millis(200));
    let error = put.await.expect_err("nobody is there");
    assert!(
        matches!(
            error.kind(),
            ErrorKind::Connect | ErrorKind::Disconnected | ErrorKind::Timeout
        ),
        "{error}"
    );
    cluster.member(0).restart().await.expect("a restart");
    client.put("k", "3").await.expect("a put");
    let update = watch.try_next().await.expect("an update").expect("more");
    assert_eq!(update.events()[0].kv().value, "3");

    let seen = Seen::by(&snapshotter);
    assert!(
        seen.get("etcdkit_watch_resumed_total{}") >= 1.0,
        "{:#?}",
        seen.0
    );
    assert_eq!(seen.get("etcdkit_watch_events_total{}"), 2.0);
    assert_eq!(seen.get("etcdkit_watches{}"), 1.0);
    assert_eq!(seen.get("etcdkit_streams{watch}"), 1.0);
    let connections = format!("etcdkit_connections{{{}}}", cluster.endpoint());
    assert_eq!(
        seen.get(&connections),
        2.0,
        "one for calls, one for streams"
    );
}
