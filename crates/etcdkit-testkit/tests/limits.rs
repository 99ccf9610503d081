//! The limits that an etcd is configured with, as a client meets them.

use etcdkit::{Client, ErrorKind, Op, Outcome};
use etcdkit_testkit::etcd::{Binary, Cluster};

async fn each_etcd_with(flags: &[&str], test: impl AsyncFn(&Binary, &Cluster)) {
    for etcd in Binary::all().expect("a real etcd") {
        let mut builder = Cluster::builder(&etcd);
        for flag in flags {
            builder = builder.flag(*flag);
        }
        let cluster = builder.start().await.expect("a cluster");
        test(&etcd, &cluster).await;
    }
}

#[tokio::test]
async fn a_full_store_refuses_writes_and_goes_on_reading() {
    each_etcd_with(&["--quota-backend-bytes=4194304"], async |etcd, cluster| {
        let client = Client::connect(cluster.endpoint()).await.expect("a client");
        let value = vec![b'x'; 500_000];
        let mut written = 0;
        let error = loop {
            match client.put(format!("k{written}"), &value).await {
                Ok(_) => written += 1,
                Err(error) => break error,
            }
            // etcd notices the size of its store with some delay.
            assert!(written < 400, "{etcd} has no quota");
        };
        assert_eq!(
            (error.kind(), error.outcome()),
            (ErrorKind::NoSpace, Outcome::Unknown),
            "etcd may apply a write and answer it like this all the same"
        );
        assert!(
            error.hint().is_some_and(|hint| hint.contains("compact")),
            "{error}"
        );
        let kv = client.get("k0").await.expect("a get").expect("the key");
        assert_eq!(kv.value.len(), value.len());
        let alarms = client.maintenance().alarms().await.expect("the alarms");
        assert_eq!(alarms.alarms.len(), 1, "{alarms:?}");
        let put_in_txn = client.txn().or_else([Op::put("k", "v")]).await;
        assert_eq!(put_in_txn.expect_err("no space").kind(), ErrorKind::NoSpace);
        client
            .delete("k0")
            .await
            .expect("a delete frees space in the end");
    })
    .await;
}

#[tokio::test]
async fn a_small_transaction_limit_holds() {
    each_etcd_with(&["--max-txn-ops=3"], async |etcd, cluster| {
        let client = Client::connect(cluster.endpoint()).await.expect("a client");
        let ops = |count: usize| (0..count).map(|key| Op::put(key.to_string(), ""));
        client.txn().then(ops(3)).await.expect("three operations");
        let error = client
            .txn()
            .then(ops(4))
            .await
            .expect_err("four operations");
        assert_eq!(error.kind(), ErrorKind::TooManyOps, "{etcd}: {error}");
        assert!(
            error
                .hint()
                .is_some_and(|hint| hint.contains("--max-txn-ops")),
            "{error}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_server_may_take_larger_requests() {
    each_etcd_with(&["--max-request-bytes=10000000"], async |etcd, cluster| {
        let value = vec![b'x'; 8_000_000];
        let usual = Client::connect(cluster.endpoint()).await.expect("a client");
        let error = usual
            .put("k", &value)
            .await
            .expect_err("above the client's limit");
        assert_eq!(error.kind(), ErrorKind::RequestTooLarge);
        assert_eq!(error.attempts(), 0, "it was not sent");
        let builder = Client::builder().endpoint(cluster.endpoint());
        let larger = builder
            .max_send_bytes(12_000_000)
            .connect()
            .await
            .expect("a client");
        larger.put("k", &value).await.expect("a large put");
        let kv = larger.get("k").await.expect("a get").expect("the key");
        assert!(kv.value == value, "{etcd}");
    })
    .await;
}
