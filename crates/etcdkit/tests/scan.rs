//! Scans on the embedded server, which has streams of ranges as etcd 3.7 does.

#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, time::Duration};

use etcdkit::{Client, ErrorKind, KeyRange, KeyValue, Op, Result, Scan};
use etcdkit_server::Server;

/// Enough for many pages and chunks.
const PAIRS: usize = 6_000;

async fn filled() -> (Server, Client) {
    let server = Server::builder().start().await.unwrap();
    let client = Client::connect(server.endpoint()).await.unwrap();
    fill(&client).await;
    (server, client)
}

async fn fill(client: &Client) {
    for first in (0..PAIRS).step_by(100) {
        let ops = (first..first + 100).map(|n| Op::put(format!("jobs/{n:06}"), [b'x'; 300]));
        client.txn().then(ops).await.unwrap();
    }
    client.put("job", "outside").await.unwrap();
    client.put("jobs0", "outside").await.unwrap();
}

/// A client that receives no more than some pairs at once.
async fn limited(server: &Server) -> Client {
    Client::builder()
        .endpoint(server.endpoint())
        .max_receive_bytes(5_000)
        .connect()
        .await
        .unwrap()
}

async fn all(scan: &mut Scan) -> Result<Vec<KeyValue>> {
    let mut found = Vec::new();
    while let Some(kv) = scan.try_next().await? {
        found.push(kv);
    }
    Ok(found)
}

#[tokio::test]
async fn a_scan_is_of_one_revision_whatever_is_written_meanwhile() {
    let (_server, client) = filled().await;
    let revision = client.get("jobs0").await.unwrap().unwrap().mod_revision;
    for page_bytes in [1, 10_000, 100_000, 2 << 20] {
        let keys = KeyRange::prefix("jobs/");
        let mut scan = client.scan(&keys).page_bytes(page_bytes).revision(revision);
        let mut found = BTreeMap::new();
        while let Some(kv) = scan.try_next().await.unwrap() {
            if found.len() % 1_500 == 0 {
                let last = format!("jobs/{:06}", PAIRS - 1);
                client.delete(last.as_str()).await.unwrap();
                client.put(format!("jobs/{PAIRS:06}"), "new").await.unwrap();
            }
            let (key, value) = (kv.key_str().unwrap().to_owned(), kv.value);
            assert!(found.insert(key, value).is_none());
        }
        assert_eq!(found.len(), PAIRS);
        let expected = (0..PAIRS).map(|n| format!("jobs/{n:06}"));
        assert!(expected.eq(found.keys().cloned()));
        assert!(found.values().all(|value| value == &[b'x'; 300][..]));
        assert_eq!(scan.pinned_revision(), Some(revision));
        // It stays at its end.
        assert_eq!(scan.try_next().await.unwrap(), None);
    }
}

#[tokio::test]
async fn the_first_page_pins_the_revision() {
    let (_server, client) = filled().await;
    let mut scan = client.scan(..).keys_only();
    assert_eq!(scan.pinned_revision(), None);
    let first = scan.try_next().await.unwrap().unwrap();
    assert_eq!((first.key_str(), &first.value[..]), (Ok("job"), &b""[..]));
    let written = client.put("later", "").await.unwrap().header.revision;
    assert_eq!(scan.pinned_revision(), Some(written - 1));
    let rest = all(&mut scan).await.unwrap();
    assert_eq!(rest.len(), PAIRS + 1);
    assert!(
        rest.iter()
            .all(|kv| kv.key != "later" && kv.value.is_empty())
    );
}

#[tokio::test]
async fn a_compaction_ends_a_scan_with_a_typed_error() {
    let (server, _) = filled().await;
    // So small that most of the range cannot have been received ahead.
    let client = limited(&server).await;
    let mut scan = client.scan(..);
    scan.try_next().await.unwrap();
    let revision = client.put("later", "").await.unwrap().header.revision;
    client.compact(revision).await.unwrap();
    let error = all(&mut scan).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Compacted);
    assert_eq!(scan.try_next().await.unwrap(), None);
}

/// Time stands still but for the waiting: in one process and without sockets, that is all there is.
#[tokio::test(start_paused = true)]
async fn a_consumer_that_takes_its_time_loses_nothing() {
    let server = Server::builder().without_listener().start().await.unwrap();
    let client = Client::builder().connector(server.connector());
    let client = client.connect().await.unwrap();
    fill(&client).await;
    let mut scan = client.scan(KeyRange::prefix("jobs/"));
    let mut found = 0;
    while scan.try_next().await.unwrap().is_some() {
        found += 1;
        if found == 100 {
            // Longer than a stream waits for its consumer.
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
    }
    assert_eq!(found, PAIRS);
}

/// Two servers that have nothing to do with each other pass for members of which one lags behind.
async fn one_ahead_of_another() -> ([Server; 2], Client) {
    let (ahead, client) = filled().await;
    let (behind, _) = filled().await;
    client.put("other", "").await.unwrap();
    let builder = Client::builder().endpoints([ahead.endpoint(), behind.endpoint()]);
    let client = builder.request_timeout(Duration::from_secs(2));
    ([ahead, behind], client.connect().await.unwrap())
}

#[tokio::test]
async fn a_local_scan_goes_on_although_a_member_lags_behind() {
    let (servers, client) = one_ahead_of_another().await;
    let revisions = async |serve: &Server| {
        let direct = Client::connect(serve.endpoint()).await.unwrap();
        let page = direct.range("job").await.unwrap();
        page.header.revision
    };
    let (ahead, behind) = (revisions(&servers[0]).await, revisions(&servers[1]).await);
    assert_eq!(ahead, behind + 1);
    // Which of them answers is a matter of turns, so every order comes up.
    let mut pinned_ahead = 0;
    for round in 0..12 {
        for _ in 0..round % 3 {
            client.get("job").serializable().await.unwrap();
        }
        let keys = KeyRange::prefix("jobs/");
        let mut scan = client.scan(keys).serializable().page_bytes(200_000);
        assert_eq!(all(&mut scan).await.unwrap().len(), PAIRS);
        pinned_ahead += usize::from(scan.pinned_revision() == Some(ahead));
    }
    assert!(pinned_ahead > 0, "no member lagged behind any scan");
}

#[tokio::test]
async fn a_revision_that_was_asked_for_and_is_not_there_ends_a_local_scan() {
    let (_server, client) = filled().await;
    let mut scan = client.scan(..).serializable().revision(i64::MAX);
    let error = scan.try_next().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FutureRevision);
    assert_eq!(error.attempts(), 1);
    assert_eq!(scan.try_next().await.unwrap(), None);
}

#[tokio::test]
async fn answers_too_large_to_receive_are_asked_for_in_smaller_pages() {
    let (server, _) = filled().await;
    let client = limited(&server).await;
    let found = all(&mut client.scan(KeyRange::prefix("jobs/")))
        .await
        .unwrap();
    assert_eq!(found.len(), PAIRS);
}

#[tokio::test]
async fn wrong_ranges_fail_before_sending() {
    let client = Client::builder()
        .endpoint("http://127.0.0.1:1")
        .connect_lazy()
        .unwrap();
    let mut scan = client.scan("b".."a");
    let error = scan.try_next().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert_eq!(scan.try_next().await.unwrap(), None);
    let error = client.scan("").try_next().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::EmptyKey);
    let error = client.scan(..).revision(-1).try_next().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
}
