//! Our lock and `etcdctl lock`.

use etcdkit_testkit::{etcdctl::Etcdctl, queue::queue_of};

use crate::site::{Site, each_site, not_yet, queues, soon};

/// The key of who holds a lock.
async fn holder(site: &Site, name: &str) -> Option<String> {
    let holder = site.client.lock(name).holder().await.expect("an answer");
    holder.map(|holder| String::from_utf8_lossy(&holder.key).into_owned())
}

/// Waits for the key that etcdctl prints when it has the lock.
async fn held_by(etcdctl: &mut Etcdctl) -> String {
    let key = etcdctl.line().await;
    assert_eq!(etcdctl.line().await, "", "the key has no value");
    key
}

#[tokio::test]
async fn etcdctl_waits_for_our_lock_until_it_is_released() {
    each_site(async |site| {
        let ours = site.client.lock("orders").await.expect("the lock");
        assert_eq!(
            ours.key(),
            format!("orders/{:x}", ours.session().id().0).as_bytes(),
            "{site}: as etcd's Go client names it"
        );
        let mut theirs = site.etcdctl(&["lock", "orders"]);
        queue_of(&site.client, "orders", 2).await;
        not_yet(site, &mut Box::pin(theirs.line())).await;
        assert_eq!(
            holder(site, "orders").await.expect("a holder").as_bytes(),
            ours.key()
        );
        assert!(ours.unlock().await.expect("an answer"), "{site}");
        let key = held_by(&mut theirs).await;
        assert_eq!(holder(site, "orders").await, Some(key), "{site}");
        assert_eq!(theirs.terminate().await, Some(0), "{site}");
        assert_eq!(holder(site, "orders").await, None, "{site}");
    })
    .await;
}

#[tokio::test]
async fn our_lock_waits_for_etcdctls_until_that_is_released() {
    each_site(async |site| {
        let mut theirs = site.etcdctl(&["lock", "orders"]);
        let key = held_by(&mut theirs).await;
        let held = site.client.lock("orders").holder().await;
        let held = held.expect("an answer").expect("a holder");
        assert_eq!(held.key, key, "{site}");
        let lease = held.lease.expect("a key with a lease");
        assert_eq!(key, format!("orders/{:x}", lease.0), "{site}");

        let lock = site.client.lock("orders");
        let tried = lock.try_lock().await.expect("an answer");
        assert!(tried.is_none(), "{site}: {tried:?}");
        queue_of(&site.client, "orders", 1).await;

        let mut waiting = Box::pin(site.client.lock("orders").into_future());
        queues(site, &mut waiting, ("orders", 2)).await;
        assert_eq!(theirs.terminate().await, Some(0), "{site}");
        let ours = soon(waiting).await.expect("the lock");
        assert!(
            ours.fencing_token() > held.fencing_token,
            "{site}: it grows from holder to holder"
        );
        assert!(ours.unlock().await.expect("an answer"), "{site}");
        queue_of(&site.client, "orders", 0).await;
    })
    .await;
}

#[tokio::test]
async fn a_wait_of_ours_that_is_given_up_is_no_place_in_the_queue() {
    each_site(async |site| {
        let mut first = site.etcdctl(&["lock", "l"]);
        held_by(&mut first).await;
        let mut waiting = Box::pin(site.client.lock("l").into_future());
        queues(site, &mut waiting, ("l", 2)).await;
        let mut second = site.etcdctl(&["lock", "l"]);
        queue_of(&site.client, "l", 3).await;
        drop(waiting);
        queue_of(&site.client, "l", 2).await;
        assert_eq!(first.terminate().await, Some(0), "{site}");
        held_by(&mut second).await;
        assert_eq!(second.terminate().await, Some(0), "{site}");
    })
    .await;
}

#[tokio::test]
async fn etcdctl_that_gives_up_is_no_place_in_the_queue() {
    each_site(async |site| {
        let first = site.client.lock("l").await.expect("the lock");
        let leaves = site.etcdctl(&["lock", "l"]);
        queue_of(&site.client, "l", 2).await;
        let mut waiting = Box::pin(site.client.lock("l").into_future());
        queues(site, &mut waiting, ("l", 3)).await;
        // What it was interrupted in failed.
        assert_eq!(leaves.terminate().await, Some(1), "{site}");
        not_yet(site, &mut waiting).await;
        assert!(first.unlock().await.expect("an answer"), "{site}");
        let second = soon(waiting).await.expect("the lock");
        assert!(second.unlock().await.expect("an answer"), "{site}");
    })
    .await;
}

#[tokio::test]
async fn who_came_first_is_served_first_whatever_program_it_is() {
    each_site(async |site| {
        let first = site.client.lock("l").await.expect("the lock");
        let mut second = site.etcdctl(&["lock", "l"]);
        queue_of(&site.client, "l", 2).await;
        let mut third = Box::pin(site.client.lock("l").into_future());
        queues(site, &mut third, ("l", 3)).await;
        let mut fourth = site.etcdctl(&["lock", "l"]);
        queue_of(&site.client, "l", 4).await;
        let mut fifth = Box::pin(site.client.lock("l").into_future());
        queues(site, &mut fifth, ("l", 5)).await;

        assert!(first.unlock().await.expect("an answer"), "{site}");
        let key = held_by(&mut second).await;
        assert_eq!(holder(site, "l").await, Some(key), "{site}");
        not_yet(site, &mut third).await;
        assert_eq!(second.terminate().await, Some(0), "{site}");
        let third = soon(third).await.expect("the lock");
        not_yet(site, &mut Box::pin(fourth.line())).await;
        drop(third);
        held_by(&mut fourth).await;
        not_yet(site, &mut fifth).await;
        assert_eq!(fourth.terminate().await, Some(0), "{site}");
        let fifth = soon(fifth).await.expect("the lock");
        assert!(fifth.unlock().await.expect("an answer"), "{site}");
        queue_of(&site.client, "l", 0).await;
    })
    .await;
}

#[tokio::test]
async fn a_lock_in_a_namespace_is_etcdctls_with_the_prefix() {
    each_site(async |site| {
        let inside = site.client.namespaced("app/");
        let ours = inside.lock("l").await.expect("the lock");
        let mut theirs = site.etcdctl(&["lock", "app/l"]);
        queue_of(&site.client, "app/l", 2).await;
        assert!(ours.unlock().await.expect("an answer"), "{site}");
        let key = held_by(&mut theirs).await;
        let held = inside.lock("l").holder().await.expect("an answer");
        let held = held.expect("a holder").key;
        assert_eq!(key.as_bytes(), [b"app/", &held[..]].concat(), "{site}");
        assert_eq!(theirs.terminate().await, Some(0), "{site}");
    })
    .await;
}
