//! What etcd-clojure does, with etcdkit: every function that its documentation names.
//!
//! `cargo run -p etcdkit --features v2 --example v2_etcd_clojure [ENDPOINT]`: without an endpoint, on an
//! embedded server.
//!
//! | etcd-clojure | etcdkit |
//! |---|---|
//! | `(connect! "196.0.0.1" 4001 7001)` | `Client::connect("http://196.0.0.1:4001")` |
//! | `(version)` | `client.version()` |
//! | `(set k v)`, `:ttl 5` | `client.set(k, v)`, `.ttl(5)` |
//! | `(set k v :prev-exist false)` | `client.create(k, v)`; `true` is `client.update(k, v)` |
//! | `(set k v :prev-value "one")`, `:prev-index` | `client.compare_and_swap(k, v).prev_value("one")`, `.prev_index(..)` |
//! | `(get k)` | `client.get(k).value()` |
//! | `(delete k)` | `client.delete(k)` |
//! | `(delete k :prev-value v)`, `:prev-index` | `client.compare_and_delete(k).prev_value(v)`, `.prev_index(..)` |
//! | `(watch k callback)`, `(get k :wait true :callback f)` | `client.watch(k)`, or `.for_each(f)` |
//! | `(create-in-order dir v)` | `client.create_in_order(dir, v)` |
//! | `(list dir)`, `:recursive true` | `client.list(dir)`, `client.tree(dir)` |
//! | `(list-in-order dir)` | `client.list(dir).in_order()` |
//! | `(create-dir dir)` | `client.create_dir(dir)` |
//! | `(delete-dir dir)`, `(delete-dir-recur dir)` | `client.delete_dir(dir)`, `.recursive()` |
//! | `(stats)`, `(self-stats)`, `(store-stats)` | `client.stats().leader()`, `.self_()`, `.store()` |
//! | `(machines)`, `(members)` | `client.machines()`, `client.members().list()` |
//! | `(config)` | `client.config()` |

#[path = "support/v2.rs"]
mod support;

use etcdkit::v2::{Client, ErrorKind};
use support::Result;

#[tokio::main]
async fn main() -> Result {
    support::run(etcd_clojure).await
}

async fn etcd_clojure(client: Client) -> Result {
    // (version)
    let version = client.version().await?;
    println!("etcd {}, cluster {:?}", version.server, version.cluster);

    keys(&client).await?;
    conditions(&client).await?;
    directories(&client).await?;
    cluster(&client).await?;
    client.delete_dir("/clojure").recursive().await?;
    Ok(())
}

async fn keys(client: &Client) -> Result {
    let key = "/clojure/key";

    // (set "key" "value"): the answer is the value there, and the whole response here.
    assert_eq!(client.set(key, "value").await?.value(), Some("value"));

    // (set "key" "value" :ttl 5)
    client.set(key, "value").ttl(5).await?;

    // (get "key"): nothing if there is no such key.
    assert_eq!(client.get(key).value().await?.as_deref(), Some("value"));
    assert_eq!(client.get("/clojure/nothing").value().await?, None);

    // (watch "key" callback), (set "key" "someothervalue")
    let start = client.set(key, "value").await?.index();
    let callback = |value: Option<&str>| println!("it is {value:?} now");
    let (changed, set) = tokio::join!(
        client.watch(key).from_index(start + 1).into_future(),
        client.set(key, "someothervalue").into_future(),
    );
    set?;
    callback(changed?.value());

    // (delete "key"): the answer is the key's path there.
    let deleted = client.delete(key).await?;
    assert_eq!(deleted.key(), Some(key));
    Ok(())
}

async fn conditions(client: &Client) -> Result {
    // (set "foo" "one"), (set "foo" "three" :prev-exist false)
    client.set("/clojure/foo", "one").await?;
    let error = client
        .create("/clojure/foo", "three")
        .await
        .expect_err("it cannot be");
    assert_eq!(error.kind(), ErrorKind::KeyExists);

    // (set "foo" "three" :prev-exist true)
    let index = client.update("/clojure/foo", "three").await?.index();

    // (set "foo" "two" :prev-value "three"), and by index
    let swap = client.compare_and_swap("/clojure/foo", "two");
    let swapped = swap.prev_value("three").prev_index(index).await?;

    // (delete "foo" :prev-value "two"), and by index
    let delete = client.compare_and_delete("/clojure/foo");
    delete.prev_value("two").prev_index(swapped.index()).await?;
    Ok(())
}

async fn directories(client: &Client) -> Result {
    // (create-dir "/directory")
    let dir = "/clojure/directory";
    client.create_dir(dir).await?;

    // (create-in-order "key" ..): the answer is the value there, without the key that the server chose.
    for value in ["first", "second", "third"] {
        let created = client.create_in_order(dir, value).await?;
        println!("{value} is {:?}", created.key());
    }

    // (list "/directory")
    for node in client.list(dir).await? {
        println!("{} = {:?}", node.key, node.value);
    }

    // (list "/directory" :recursive true)
    assert_eq!(client.tree("/clojure").await?.values().count(), 3);

    // (list-in-order "/directory")
    let listing = client.list(dir).in_order().await?;
    assert!(listing.values().eq(["first", "second", "third"]));

    // (delete-dir-recur "/directory"), (delete-dir "/directory")
    client.delete_dir(dir).recursive().await?;
    client.create_dir(dir).await?;
    client.delete_dir(dir).await?;
    client.create_dir(dir).await?;
    Ok(())
}

async fn cluster(client: &Client) -> Result {
    // (stats), (self-stats), (store-stats)
    println!("{:?}", client.stats().leader().await?);
    println!("{:?}", client.stats().self_().await?);
    println!("{:?}", client.stats().store().await?);

    // (machines), (members)
    assert!(!client.machines().await?.is_empty());
    assert!(!client.members().list().await?.is_empty());

    // (config): of etcd 0.4 at its port for peers, with `.at("http://196.0.0.1:7001")`; an embedded server
    // answers on request at the one it has.
    match client.config().await {
        Ok(config) => println!("{config:?}"),
        Err(error) if error.kind() == ErrorKind::NotServed => println!("{error}"),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

#[cfg(test)]
#[tokio::test]
async fn every_function_does_what_it_says() {
    support::embedded(async |client| {
        assert_eq!(client.config().await?.active_size, 9);
        etcd_clojure(client).await
    })
    .await
    .expect("no error");
}
