//! What the client tells of itself, by traces and by metrics.

#![allow(clippy::unwrap_used)]

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use etcdkit::{Client, ErrorKind};
use etcdkit_server::Server;
use tracing_subscriber::fmt::{MakeWriter, format::FmtSpan};

/// What was written so far.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// The lines that this crate is the source of.
    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let ours = text.lines().filter(|line| line.contains("etcdkit::"));
        ours.map(str::to_owned).collect()
    }

    /// The only line that contains all of this.
    #[track_caller]
    fn line_with(&self, parts: &[&str]) -> String {
        let lines = self.lines();
        let fits = |line: &&String| parts.iter().all(|part| line.contains(part));
        let found: Vec<_> = lines.iter().filter(fits).collect();
        let [line] = found[..] else {
            panic!("{parts:?}: {found:#?} of {lines:#?}");
        };
        line.clone()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Writes down all that is told on this thread.
fn traced() -> (Log, tracing::subscriber::DefaultGuard) {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(FmtSpan::CLOSE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    (log, tracing::subscriber::set_default(subscriber))
}

#[tokio::test]
async fn a_call_is_a_span_with_its_story() {
    let (log, _guard) = traced();
    let server = Server::builder().start().await.unwrap();
    let endpoint = server.endpoint();
    let client = Client::connect(&endpoint).await.unwrap();
    client.put("the key", "the value").await.unwrap();
    let error = client.get("the key").revision(1_000).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FutureRevision);

    let opened = log.line_with(&["connected", "etcdkit::connection"]);
    assert!(opened.contains(&endpoint), "{opened}");
    let put = log.line_with(&["etcdkit::call: close", r#"operation="put""#]);
    for part in ["attempts=1", r#"outcome="ok""#, &endpoint, " DEBUG "] {
        assert!(put.contains(part), "{part}: {put}");
    }
    log.line_with(&["attempt ", r#"etcd{operation="put""#, "number=1"]);
    let get = log.line_with(&["etcdkit::call: close", r#"operation="get""#]);
    assert!(get.contains(r#"outcome="future_revision""#), "{get}");
    log.line_with(&["failed", r#"operation="get""#, "future revision"]);

    for line in log.lines() {
        assert!(!line.contains("the key"), "{line}");
        assert!(!line.contains("the value"), "{line}");
    }
}

#[tokio::test]
async fn a_call_that_is_dropped_was_cancelled() {
    let (log, _guard) = traced();
    let client = Client::builder()
        .endpoint("http://127.0.0.1:1")
        .connect_lazy()
        .unwrap();
    let put = client.put("k", "v").into_future();
    let over = tokio::time::timeout(Duration::from_millis(10), put).await;
    assert!(over.is_err());
    let put = log.line_with(&["etcdkit::call: close", r#"operation="put""#]);
    assert!(put.contains(r#"outcome="cancelled""#), "{put}");
}

#[tokio::test]
async fn spans_of_the_program_are_those_of_its_calls() {
    let (log, _guard) = traced();
    let server = Server::builder().start().await.unwrap();
    let client = Client::connect(server.endpoint()).await.unwrap();
    {
        use tracing::Instrument;
        let work = async { client.put("k", "v").await.unwrap() };
        work.instrument(tracing::info_span!("order", number = 7))
            .await;
        let mut scan = client.scan(..);
        let read = async { scan.try_next().await.unwrap() };
        read.instrument(tracing::info_span!("report"))
            .await
            .unwrap();
    }
    log.line_with(&["etcdkit::call: close", "order{number=7}:etcd", "put"]);
    log.line_with(&["etcdkit::call: close", "report:etcd", "scan"]);
}

#[cfg(feature = "metrics")]
mod metrics {
    use std::{collections::BTreeMap, time::Duration};

    use etcdkit::{Client, ErrorKind, describe_metrics};
    use etcdkit_server::Server;
    use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

    /// Everything recorded since the last time, as `name{label=value}`.
    fn recorded(snapshotter: &Snapshotter) -> BTreeMap<String, DebugValue> {
        let all = snapshotter.snapshot().into_vec().into_iter();
        all.map(|(key, _, _, value)| {
            let key = key.key();
            let labels: Vec<_> = key
                .labels()
                .map(|label| format!("{}={}", label.key(), label.value()))
                .collect();
            (format!("{}{{{}}}", key.name(), labels.join(",")), value)
        })
        .collect()
    }

    #[track_caller]
    fn count(all: &BTreeMap<String, DebugValue>, name: &str) -> u64 {
        match all.get(name) {
            Some(DebugValue::Counter(count)) => *count,
            other => panic!("{name}: {other:?} of {all:#?}"),
        }
    }

    #[track_caller]
    fn level(all: &BTreeMap<String, DebugValue>, name: &str) -> f64 {
        match all.get(name) {
            Some(DebugValue::Gauge(level)) => level.into_inner(),
            other => panic!("{name}: {other:?} of {all:#?}"),
        }
    }

    #[track_caller]
    fn samples(all: &BTreeMap<String, DebugValue>, name: &str) -> Vec<f64> {
        match all.get(name) {
            Some(DebugValue::Histogram(samples)) => {
                samples.iter().map(|sample| sample.into_inner()).collect()
            }
            other => panic!("{name}: {other:?} of {all:#?}"),
        }
    }

    #[tokio::test]
    async fn calls_are_counted_and_timed() {
        let recorder = DebuggingRecorder::new();
        let snapshotter = recorder.snapshotter();
        let _guard = metrics::set_default_local_recorder(&recorder);
        let server = Server::builder().start().await.unwrap();
        let endpoint = server.endpoint();
        let client = Client::connect(&endpoint).await.unwrap();
        for _ in 0..3 {
            client.put("k", "v").await.unwrap();
        }
        let error = client.get("k").revision(1_000).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FutureRevision);

        let all = recorded(&snapshotter);
        assert_eq!(
            count(&all, "etcdkit_calls_total{operation=put,outcome=ok}"),
            3
        );
        assert_eq!(
            count(
                &all,
                "etcdkit_calls_total{operation=get,outcome=future_revision}"
            ),
            1
        );
        let attempts = format!("etcdkit_attempts_total{{operation=put,endpoint={endpoint}}}");
        assert_eq!(count(&all, &attempts), 3);
        let times = samples(&all, "etcdkit_call_duration_seconds{operation=put}");
        assert!(times.len() == 3 && times.iter().all(|time| *time > 0.0 && *time < 5.0));
        assert_eq!(level(&all, "etcdkit_calls_in_flight{operation=put}"), 0.0);
        let connections = format!("etcdkit_connections{{endpoint={endpoint}}}");
        assert_eq!(level(&all, &connections), 1.0);
    }

    #[tokio::test]
    async fn what_fails_and_is_tried_again_shows() {
        let recorder = DebuggingRecorder::new();
        let snapshotter = recorder.snapshotter();
        let _guard = metrics::set_default_local_recorder(&recorder);
        let server = Server::builder().start().await.unwrap();
        let endpoint = server.endpoint();
        let client = Client::connect(&endpoint).await.unwrap();
        client.put("k", "v").await.unwrap();
        server.shutdown().await.unwrap();
        let call = client.get("k").timeout(Duration::from_millis(200));
        call.await.unwrap_err();
        let call = client.put("k", "v").into_future();
        let over = tokio::time::timeout(Duration::from_millis(10), call).await;
        over.unwrap_err();

        let all = recorded(&snapshotter);
        let connections = format!("etcdkit_connections{{endpoint={endpoint}}}");
        assert_eq!(level(&all, &connections), 0.0);
        let failures = format!("etcdkit_connect_failures_total{{endpoint={endpoint}}}");
        assert!(count(&all, &failures) > 0);
        assert_eq!(
            count(&all, "etcdkit_calls_total{operation=put,outcome=cancelled}"),
            1
        );
        assert_eq!(level(&all, "etcdkit_calls_in_flight{operation=put}"), 0.0);
    }

    #[tokio::test]
    async fn watches_tell_how_far_behind_their_programs_are() {
        let recorder = DebuggingRecorder::new();
        let snapshotter = recorder.snapshotter();
        let _guard = metrics::set_default_local_recorder(&recorder);
        let server = Server::builder().start().await.unwrap();
        let client = Client::connect(server.endpoint()).await.unwrap();
        let mut watch = client.watch("k").await.unwrap();
        for _ in 0..5 {
            client.put("k", "v").await.unwrap();
        }
        let last = client.put("k", "v").await.unwrap().header.revision;
        let mut events = 0;
        while watch.revision() < last {
            events += watch.try_next().await.unwrap().unwrap().events().len();
        }
        assert_eq!(events, 6);

        let all = recorded(&snapshotter);
        assert_eq!(count(&all, "etcdkit_watch_events_total{}"), 6);
        assert_eq!(level(&all, "etcdkit_watches{}"), 1.0);
        assert_eq!(level(&all, "etcdkit_streams{operation=watch}"), 1.0);
        let lags = samples(&all, "etcdkit_watch_lag_revisions{}");
        assert_eq!(lags.last(), Some(&0.0));
        assert!(lags.iter().all(|lag| *lag < 6.0));
    }

    #[tokio::test]
    async fn leases_tell_how_close_it_was_and_that_they_are_lost() {
        let recorder = DebuggingRecorder::new();
        let snapshotter = recorder.snapshotter();
        let _guard = metrics::set_default_local_recorder(&recorder);
        let server = Server::builder().start().await.unwrap();
        let client = Client::connect(server.endpoint()).await.unwrap();
        let lease = client.lease(Duration::from_secs(1)).await.unwrap();
        let granted = lease.ttl().as_secs_f64();
        assert_eq!(level(&recorded(&snapshotter), "etcdkit_leases{}"), 1.0);
        let slack = loop {
            let all = recorded(&snapshotter);
            match all.get("etcdkit_lease_slack_seconds{}") {
                Some(DebugValue::Histogram(slack)) if !slack.is_empty() => {
                    break slack[0].into_inner();
                }
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        };
        assert!(slack > 0.0 && slack < granted, "{slack} of {granted}");

        client.leases().revoke(lease.id()).await.unwrap();
        lease.lost().await;
        let all = recorded(&snapshotter);
        assert_eq!(count(&all, "etcdkit_lease_lost_total{reason=not_found}"), 1);
        drop(lease);
    }

    #[tokio::test]
    async fn exporters_can_tell_what_each_metric_means() {
        let recorder = DebuggingRecorder::new();
        let snapshotter = recorder.snapshotter();
        let _guard = metrics::set_default_local_recorder(&recorder);
        describe_metrics();
        let server = Server::builder().start().await.unwrap();
        let client = Client::connect(server.endpoint()).await.unwrap();
        let _watch = client.watch("k").await.unwrap();
        client.put("k", "v").await.unwrap();
        let all = snapshotter.snapshot().into_vec();
        assert!(all.len() > 5);
        for (key, unit, text, _) in all {
            assert!(unit.is_some() && text.is_some(), "{}", key.key());
        }
    }
}
