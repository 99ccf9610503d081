//! What Etcd.jl does, with etcdkit: every function that its documentation names.
//!
//! `cargo run -p etcdkit --features v2 --example v2_etcd_jl [ENDPOINT]`: without an endpoint, on an embedded
//! server.
//!
//! | Etcd.jl | etcdkit |
//! |---|---|
//! | `connect("127.0.0.1", 2379, "v2")` | `Client::connect("http://127.0.0.1:2379")` |
//! | `machines(cli)` | `client.machines()` |
//! | `set(cli, k, v)`, `ttl=60` | `client.set(k, v)`, `.ttl(60)` |
//! | `create`, `update` | `client.create(k, v)`, `client.update(k, v)` |
//! | `setdir`, `createdir`, `updatedir` | `client.set_dir(k)`, `client.create_dir(k)`, `client.update_dir(k)` |
//! | `cas`, `test_and_set` | `client.compare_and_swap(k, v).prev_value(..)`, `.prev_index(..)` |
//! | `cad` | `client.compare_and_delete(k).prev_value(..)`, `.prev_index(..)` |
//! | `get(cli, k)`, `recursive=true` | `client.get(k)`, `.recursive()` |
//! | `exists`, `has_key` | `client.exists(k)` |
//! | `delete`, `deletedir`, `recursive=true` | `client.delete(k)`, `client.delete_dir(k)`, `.recursive()` |
//! | `create_in_order`, `add_child` | `client.create_in_order(dir, v)` |
//! | `create_in_order_dir`, `add_child_dir` | `client.create_dir_in_order(dir)` |
//! | `watch(f, cli, k)`, `wait_index` | `client.watch(k)`, `.from_index(..)` |
//! | `keep_watching`, `watchloop` | `client.watch(k).for_each(f)`, or `.stream()` |
//! | `keep_watching_index` | `client.watch(k).from_index(..).for_each(f)` |
//! | `watch_until` | `client.watch(k).until(predicate)` |
//! | `stats(cli, "store")`, `"self"`, `"leader"` | `client.stats().store()`, `.self_()`, `.leader()` |
//! | `members`, `leader` | `client.members().list()`, `.leader()` |
//! | `set_leader(name, ttl)` | `client.leader(k).set(name).ttl(..)` |
//! | `get_leader`, `delete_leader` | `client.leader(k).get()`, `client.leader(k).delete(name)` |
//! | `lock_acquire(name, ttl)` | `client.lock(name).ttl(..)` |
//! | `lock_retrieve` | `client.lock_holder(name)` |
//! | `lock_renew(name, index, ttl)` | `client.renew_lock(name, index, ttl)`; the guard renews itself |
//! | `lock_release(name, index)` | `client.release_lock(name, index)`, or the guard's `release()` |
//!
//! Locks and leaders are kept in the key space, since servers have no modules for them any more; with
//! `.via_modules()` they are asked for where they do.

#[path = "support/v2.rs"]
mod support;

use std::ops::ControlFlow::{Break, Continue};

use etcdkit::v2::{Client, ErrorKind};
use support::Result;

#[tokio::main]
async fn main() -> Result {
    support::run(etcd_jl).await
}

async fn etcd_jl(client: Client) -> Result {
    keys(&client).await?;
    reading(&client).await?;
    conditions(&client).await?;
    deleting(&client).await?;
    watching(&client).await?;
    statistics(&client).await?;
    leaders(&client).await?;
    locks(&client).await?;
    client.delete_dir("/jl").recursive().await?;
    Ok(())
}

async fn keys(client: &Client) -> Result {
    // machines(cli)
    println!("the cluster is at {:?}", client.machines().await?);

    // set(cli, "/foo/bar", "Hello World")
    let set = client.set("/jl/foo/bar", "Hello World").await?;
    assert_eq!(set.value(), Some("Hello World"));

    // set(cli, "/foo/bar", "Hello World", ttl=60)
    let set = client.set("/jl/foo/bar", "Hello World").ttl(60).await?;
    assert_eq!(set.node.and_then(|node| node.ttl), Some(60));

    // create(cli, "/foo/boo", "Hello World")
    client.create("/jl/foo/boo", "Hello World").await?;
    let error = client
        .create("/jl/foo/boo", "again")
        .await
        .expect_err("it cannot be");
    assert_eq!(error.kind(), ErrorKind::KeyExists);
    println!("{error}");

    // update(cli, "/foo/boo", "Merhaba")
    let updated = client.update("/jl/foo/boo", "Merhaba").await?;
    assert_eq!(updated.prev_value(), Some("Hello World"));

    // createdir(cli, "/fooDir"), updatedir(cli, "/fooDir", ttl=60), setdir(cli, "/fooDir/inner")
    client.create_dir("/jl/fooDir").await?;
    match client.update_dir("/jl/fooDir").ttl(60).await {
        Ok(updated) => assert!(updated.node.is_some_and(|node| node.is_dir)),
        // etcd 3.5 has forgotten how.
        Err(error) => println!("{error}: {:?}", error.hint()),
    }
    client.set_dir("/jl/fooDir/inner").await?;

    // create_in_order(cli, "/queue", "job"), create_in_order_dir(cli, "/queue")
    let job = client.create_in_order("/jl/queue", "job").await?;
    println!("the job is {:?}", job.key());
    client.create_dir_in_order("/jl/queue").await?;
    Ok(())
}

async fn reading(client: &Client) -> Result {
    // get(cli, "/foo/bar")
    let value = client.get("/jl/foo/bar").value().await?;
    assert_eq!(value.as_deref(), Some("Hello World"));

    // get(cli, "/foo", recursive=true)
    let found = client.get("/jl").recursive().sorted().await?;
    let root = found.node.expect("keys were set");
    for node in root.walk() {
        println!("{} {:?}", node.key, node.value);
    }

    // exists(cli, "/foo/bar")
    assert!(client.exists("/jl/foo/bar").await?);
    assert!(!client.exists("/jl/nothing").await?);
    Ok(())
}

async fn conditions(client: &Client) -> Result {
    // cas(cli, "/foo/bar", "Goodbye Cruel World", prev_value="Hello World")
    let swapped = client
        .compare_and_swap("/jl/foo/bar", "Goodbye Cruel World")
        .prev_value("Hello World")
        .await?;

    // cas(cli, "/foo/bar", "Goodbye Cruel World", prev_index=1818)
    client
        .compare_and_swap("/jl/foo/bar", "Hello again")
        .prev_index(swapped.index())
        .await?;

    // Without a condition, Etcd.jl sets the key whatever it is; this is refused here.
    let swap = client.compare_and_swap("/jl/foo/bar", "anything");
    assert_eq!(
        swap.await.expect_err("it cannot be").kind(),
        ErrorKind::InvalidRequest
    );

    // cad(cli, "/foo/bar", prev_value="bar value")
    client
        .compare_and_delete("/jl/foo/bar")
        .prev_value("Hello again")
        .await?;

    // cad(cli, "/foo/bar", prev_index=1849)
    let created = client.create("/jl/foo/bar", "Hello World").await?;
    client
        .compare_and_delete("/jl/foo/bar")
        .prev_index(created.index())
        .await?;
    Ok(())
}

async fn deleting(client: &Client) -> Result {
    // createdir(cli, "/foo/qux"), delete(cli, "/foo/boo")
    client.create_dir("/jl/foo/qux").await?;
    let deleted = client.delete("/jl/foo/boo").await?;
    assert_eq!(deleted.prev_value(), Some("Merhaba"));

    // deletedir(cli, "/foo/qux")
    client.delete_dir("/jl/foo/qux").await?;

    // deletedir(cli, "/foo", recursive=true)
    client.set("/jl/foo/full", "not empty").await?;
    let error = client
        .delete_dir("/jl/foo")
        .await
        .expect_err("it cannot be");
    assert_eq!(error.kind(), ErrorKind::DirectoryNotEmpty);
    client.delete_dir("/jl/foo").recursive().await?;
    assert!(!client.get("/jl/foo").recursive().await?.exists());
    Ok(())
}

async fn watching(client: &Client) -> Result {
    let key = "/jl/watched";
    let start = client.set(key, "0").await?.index();

    // watch(ev -> println(..), cli, "/foo/bar"): the next change, here while it is made.
    let watch = client.watch(key).from_index(start + 1);
    let (event, set) = tokio::join!(watch.into_future(), client.set(key, "1").into_future());
    set?;
    println!("I'm watching you: {:?}", event?.value());

    // recursive=true, wait_index=..: what has happened already is told, too.
    let event = client.watch("/jl").recursive().from_index(start).await?;
    assert_eq!((event.key(), event.value()), (key, Some("0")));

    // keep_watching(cli, "/foo/bar", f): every change, until the function has enough.
    client.set(key, "2").await?;
    let mut seen = Vec::new();
    client
        .watch(key)
        .from_index(start)
        .for_each(async |change| {
            seen.extend(
                change
                    .change()
                    .and_then(|event| event.value())
                    .map(String::from),
            );
            if seen.len() == 3 {
                Break(())
            } else {
                Continue(())
            }
        })
        .await?;
    assert_eq!(seen, ["0", "1", "2"]);

    // watch_until(cli, "/foo", f, predicate, recursive=true): until the third change.
    let mut times = 0;
    let third = client.watch("/jl").recursive().from_index(start);
    let third = third.until(|change| {
        println!("I'll be watching you (only 3 times): {:?}", change.index());
        times += 1;
        times == 3
    });
    assert!(third.await?.change().is_some());
    Ok(())
}

async fn statistics(client: &Client) -> Result {
    // stats(cli, "store"), stats(cli, "self"), stats(cli, "leader")
    let store = client.stats().store().await?;
    println!("{} sets, {} watchers", store.sets_success, store.watchers);
    let member = client.stats().self_().await?;
    println!("{} is {}", member.name, member.state);
    let leader = client.stats().leader().await?;
    println!("{} has {} followers", leader.leader, leader.followers.len());

    // members(cli), leader(cli)
    let members = client.members().list().await?;
    assert!(members.contains(&client.members().leader().await?));
    Ok(())
}

async fn leaders(client: &Client) -> Result {
    // set_leader(cli, "my-cluster", name="leader-1", ttl=60)
    let index = client.leader("my-cluster").set("leader-1").ttl(60).await?;
    println!("leader-1 leads since {index}");

    // get_leader(cli, "my-cluster")
    let leader = client.leader("my-cluster").get().await?;
    assert_eq!(
        leader.map(|leader| leader.value).as_deref(),
        Some("leader-1")
    );

    // delete_leader(cli, "my-cluster", name="leader-1")
    client.leader("my-cluster").delete("leader-1").await?;
    assert!(client.leader("my-cluster").get().await?.is_none());

    // The same by the server's own module, as Etcd.jl does it.
    let via_module = || client.leader("my-cluster").via_modules();
    match via_module().set("leader-1").ttl(60).await {
        Ok(_) => {
            let leader = via_module().get().await?;
            assert_eq!(
                leader.map(|leader| leader.value).as_deref(),
                Some("leader-1")
            );
            via_module().delete("leader-1").await?;
        }
        Err(error) if error.kind() == ErrorKind::NotServed => println!("{error}"),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

async fn locks(client: &Client) -> Result {
    // lock_acquire(cli, "mylock", ttl=100)
    let lock = client.lock("mylock").ttl(100).await?;

    // lock_retrieve(cli, "mylock")
    let holder = client.lock_holder("mylock").await?;
    assert_eq!(holder.map(|holder| holder.index), Some(lock.index()));

    // lock_renew(cli, "mylock", index=1885, ttl=60): for those who do without the guard, which renews.
    let index = lock.detach().await?;
    client.renew_lock("mylock", index, 60).await?;

    // Others wait, and have the lock as soon as it is released.
    // lock_release(cli, "mylock", index=1890)
    let (next, released) = tokio::join!(
        client.lock("mylock").ttl(100).into_future(),
        client.release_lock("mylock", index),
    );
    released?;
    next?.release().await?;

    // The same by the server's own module, as Etcd.jl does it.
    match client.lock("mylock").via_modules().ttl(100).await {
        Ok(lock) => {
            println!("the module's lock has the index {}", lock.index());
            lock.release().await?;
        }
        Err(error) if error.kind() == ErrorKind::NotServed => println!("{error}"),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

#[cfg(test)]
#[tokio::test]
async fn every_function_does_what_it_says() {
    support::embedded(etcd_jl).await.expect("no error");
}
