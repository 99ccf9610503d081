//! What py-etcd promises, with etcdkit: everything that its documentation names.
//!
//! `cargo run -p etcdkit --features v2 --example v2_py_etcd [ENDPOINT]`: without an endpoint, on an embedded
//! server.
//!
//! | py-etcd | etcdkit |
//! |---|---|
//! | `Client(host=.., port=..)`, `Client(peers=[..])` | `Client::connect(..)` with one endpoint or several |
//! | `Client(discovery=url)` | `Client::from_discovery(url)` |
//! | `debug=True` | `Client::builder().on_exchange(f)`, or the traces under `etcdkit::v2` |
//! | `set(k, v)`, `ttl=5` | `client.set(k, v)`, `.ttl(5)` |
//! | `get(k)` | `client.get(k).value()`; with `full=True` `client.get(k)` |
//! | `delete(k)`; `full=True` | `client.delete(k)`, whose answer is always the full one |
//! | `refresh(k, ttl=5)`, `refresh(k, ttl=False)` | `client.refresh(k, 5)`, `client.drop_ttl(k)` |
//! | `mkdir(dir)`, `mkdir(dir, v)`, `ttl=30` | `client.create_dir(dir)`, `client.create_in_order(dir, v)`, `.ttl(30)` |
//! | `refresh_dir(dir, ttl=30)` | `client.refresh_dir(dir, 30)` |
//! | `listdir(dir)` | `client.list(dir)` |
//! | `for change in watch(k, recursive=True)` | `client.watch(k).recursive().stream()` |
//! | `set(k, v, if_value=..)`, `if_index=..` | `client.compare_and_swap(k, v).prev_value(..)`, `.prev_index(..)` |
//! | `set(k, v, if_exists=True)`, `False` | `client.update(k, v)`, `client.create(k, v)` |
//! | `consistent=True` | `.quorum()`, or for all reads `Client::builder().quorum(true)` |
//! | `lock(k, ttl=60, timeout=2)` | `client.lock(k).ttl(60).wait_at_most(..)` |
//! | `lock(k, ttl=60, index=2)` | the guard's `renew()`, or `client.renew_lock(k, index, 60)` |
//! | `leader(k, v, ttl=60, timeout=10)` | `client.leader(k).campaign(v).ttl(60).wait_at_most(..)` |

#[path = "support/v2.rs"]
mod support;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use etcdkit::v2::{Client, ErrorKind};
use support::Result;

#[tokio::main]
async fn main() -> Result {
    support::run(py_etcd).await
}

async fn py_etcd(client: Client) -> Result {
    connecting(&client).await?;
    keys(&client).await?;
    times(&client).await?;
    directories(&client).await?;
    watching(&client).await?;
    conditions(&client).await?;
    locks(&client).await?;
    leaders(&client).await?;
    client.delete_dir("/py").recursive().await?;
    Ok(())
}

async fn connecting(client: &Client) -> Result {
    let endpoints: Vec<String> = client.endpoints().collect();

    // Client(peers=[..], debug=True): those that are down are passed over, and each HTTP call is shown.
    let shown = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&shown);
    let debugged = Client::builder()
        .endpoint("http://127.0.0.1:1")
        .endpoints(&endpoints)
        .on_exchange(move |exchange| {
            println!("{exchange}");
            listener.lock().expect("no panic").push(exchange.clone());
        })
        .connect()
        .await?;
    debugged.set("/py/message", "a secret").await?;
    let shown = shown.lock().expect("no panic");
    let last = shown.last().expect("a request");
    assert_eq!((last.method.as_str(), last.status), ("PUT", Some(201)));
    // Values are not shown.
    assert!(!last.to_string().contains("secret"));
    Ok(())
}

async fn keys(client: &Client) -> Result {
    // client.set("message", "value")
    client.set("message", "value").await?;

    // client.set("message", "Hello World", full=True)
    let response = client.set("message", "Hello World").await?;
    let node = response.node.expect("it was asked for");
    assert_eq!(
        (&*node.key, node.value.as_deref()),
        ("/message", Some("Hello World"))
    );
    println!(
        "created at {}, modified at {}",
        node.created_index, node.modified_index
    );

    // client.get("message"): None if there is no such key. consistent=True
    let value = client.get("message").quorum().value().await?;
    assert_eq!(value.as_deref(), Some("Hello World"));
    assert_eq!(client.get("no message").value().await?, None);

    // client.delete("message", full=True)
    let response = client.delete("message").await?;
    assert_eq!(response.prev_value(), Some("Hello World"));
    Ok(())
}

async fn times(client: &Client) -> Result {
    // client.set("message", "value", ttl=5)
    client.set("/py/key", "value").ttl(5).await?;

    // client.refresh("key", ttl=5): the value stays.
    let refreshed = client.refresh("/py/key", 5).await?.node.expect("a node");
    assert_eq!(
        (refreshed.value.as_deref(), refreshed.ttl),
        (Some("value"), Some(5))
    );

    // client.refresh("key", ttl=False)
    let kept = client.drop_ttl("/py/key").await?.node.expect("a node");
    assert_eq!((kept.value.as_deref(), kept.ttl), (Some("value"), None));
    Ok(())
}

async fn directories(client: &Client) -> Result {
    // client.mkdir("queue", ttl=30), client.mkdir("queue", "Job1")
    client.create_dir("/py/queue").ttl(30).await?;
    let response = client.create_in_order("/py/queue", "Job1").await?;
    println!("the job is {:?}", response.key());
    client.create_in_order("/py/queue", "Job2").ttl(30).await?;

    // client.refresh_dir("queue", ttl=30)
    match client.refresh_dir("/py/queue", 30).await {
        Ok(response) => assert_eq!(response.node.and_then(|node| node.ttl), Some(30)),
        // etcd 3.5 has forgotten how.
        Err(error) => println!("{error}: {:?}", error.hint()),
    }

    // for item in client.listdir("queue")
    for item in client.list("/py/queue").await? {
        println!("{} = {:?}", item.key, item.value);
    }
    Ok(())
}

async fn watching(client: &Client) -> Result {
    // for change in client.watch("queue", recursive=True)
    let mut watch = client.watch("/py/queue").recursive().stream().await?;
    client.create_in_order("/py/queue", "Job3").await?;
    client.create_in_order("/py/queue", "Job4").await?;
    for expected in ["Job3", "Job4"] {
        let change = watch.next_change().await?.expect("it does not end");
        println!("{} {} = {:?}", change.action, change.key(), change.value());
        assert_eq!(change.value(), Some(expected));
    }
    Ok(())
}

async fn conditions(client: &Client) -> Result {
    // client.set("foo", "bar"), client.set("foo", "barez", if_value="bar")
    client.set("/py/foo", "bar").await?;
    let swap = client
        .compare_and_swap("/py/foo", "barez")
        .prev_value("bar");
    let index = swap.await?.index();

    // if_index=..
    client
        .compare_and_swap("/py/foo", "bar")
        .prev_index(index)
        .await?;

    // if_exists=True, if_exists=False
    client.update("/py/foo", "barez").await?;
    let error = client
        .create("/py/foo", "bar")
        .await
        .expect_err("it cannot be");
    assert_eq!(error.kind(), ErrorKind::KeyExists);

    // Compare and delete
    client
        .compare_and_delete("/py/foo")
        .prev_value("barez")
        .await?;
    Ok(())
}

async fn locks(client: &Client) -> Result {
    // lock = client.lock("key", ttl=60), which waits for 5 s at most
    let lock = client
        .lock("key")
        .ttl(60)
        .wait_at_most(Duration::from_secs(5))
        .await?;

    // lock = client.lock("key", ttl=60, timeout=2)
    let second = client
        .lock("key")
        .ttl(60)
        .wait_at_most(Duration::from_millis(100));
    assert_eq!(
        second.await.expect_err("it cannot be").kind(),
        ErrorKind::Timeout
    );

    // Renewing: the guard does it by itself, and at once if it is asked to.
    lock.renew().await?;

    // lock = client.lock("key", ttl=60, index=2)
    client.renew_lock("key", lock.index(), 60).await?;
    lock.release().await?;
    Ok(())
}

async fn leaders(client: &Client) -> Result {
    // leader = client.leader("key", "value", ttl=60, timeout=10): only one will succeed.
    let campaign = |value| client.leader("key").campaign(value).ttl(60);
    let first = campaign("value").wait_at_most(Duration::from_secs(10));
    let leader = first.await?;
    let second = campaign("another").wait_at_most(Duration::from_millis(500));
    assert_eq!(
        second.await.expect_err("it cannot be").kind(),
        ErrorKind::Timeout
    );
    leader.resign().await?;
    Ok(())
}

/// Client(discovery=..): the members of a new cluster leave their addresses at a token. The embedded server
/// plays both, the discovery service and, in the way of etcd 0.4, a member.
#[cfg(test)]
async fn discovery(client: &Client) -> Result {
    let endpoint = client.endpoints().next().expect("an endpoint");
    client
        .set("/discovery/token/machine0", &*endpoint)
        .ttl(604_800)
        .await?;

    let url = format!("{endpoint}/v2/keys/discovery/token");
    let found = Client::from_discovery(&url).await?;
    assert!(found.endpoints().eq([endpoint]));
    assert!(found.exists("/discovery/token").await?);
    Ok(())
}

#[cfg(test)]
#[tokio::test]
async fn every_promise_is_kept() {
    support::embedded(async |client| {
        discovery(&client).await?;
        py_etcd(client).await
    })
    .await
    .expect("no error");
}
