//! Leaders.

use std::time::Duration;

use etcdkit_testkit::{
    patience::{in_time, until},
    places::at_once,
    proxy::Proxy,
    v2::servers::singles,
};

use super::{LONG, TTL, connect};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn observers_see_every_leader_whatever_breaks() {
    at_once(singles().await, async |server| {
        let direct = connect(server.endpoint()).await;
        let proxy = Proxy::start(server.endpoint()).await.expect("a proxy");
        let client = connect(proxy.endpoint()).await;
        let mut observer = client.leader("l").observe().await.expect("an observer");
        let nobody = observer.try_next().await.expect("no end");
        assert_eq!(nobody, Some(None), "{server}");

        let mut led = Vec::new();
        for round in 0..6 {
            // The same candidate again is another leader.
            let name = format!("candidate {}", round / 2);
            let leadership = direct.leader("l").campaign(name).ttl(LONG).await;
            let leadership = leadership.expect("a leadership");
            led.push((leadership.value().to_owned(), leadership.index()));
            proxy.cut();
            leadership.resign().await.expect("a resignation");
        }
        let mut seen = Vec::new();
        while seen.len() < led.len() {
            let leader = in_time("a leader", observer.try_next()).await;
            let leader = leader.expect("no end").expect("no end");
            seen.extend(leader.map(|leader| (leader.value, leader.index)));
        }
        assert_eq!(seen, led, "{server}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn candidates_lead_in_the_order_they_came() {
    at_once(singles().await, async |server| {
        let client = connect(server.endpoint()).await;
        let first = client.leader("l").campaign("a").ttl(LONG).await;
        let first = first.expect("a leadership");
        let mut waiting = Vec::new();
        for name in ["b", "c"] {
            let candidate = client.clone();
            waiting.push(tokio::spawn(async move {
                candidate.leader("l").campaign(name).ttl(LONG).await
            }));
            let places = waiting.len() + 1;
            until("a candidate to queue", async || {
                let found = client.get("/_leaders/l").quorum().await.expect("a read");
                found.nodes().len() == places
            })
            .await;
        }
        let mut leader = first;
        for candidate in waiting {
            let index = leader.index();
            leader.resign().await.expect("a resignation");
            leader = candidate.await.expect("no panic").expect("a leadership");
            assert!(leader.index() > index, "{server}");
            let told = client.leader("l").get().await.expect("a read");
            assert_eq!(told.expect("a leader").value, leader.value());
        }
        // Taken out by name, as by an operator.
        client.leader("l").delete("c").await.expect("a deletion");
        assert_eq!(client.leader("l").get().await.expect("a read"), None);
        assert!(leader.renew().await.is_err(), "{server}");
        assert!(leader.is_lost(), "{server}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_set_leads_for_its_time() {
    at_once(singles().await, async |server| {
        let client = connect(server.endpoint()).await;
        let index = client
            .leader("l")
            .set("a")
            .ttl(TTL)
            .await
            .expect("a leader");
        let again = client
            .leader("l")
            .set("a")
            .ttl(TTL)
            .await
            .expect("a leader");
        assert_eq!(index, again, "{server}");
        let busy = client.leader("l").set("b").ttl(TTL);
        let busy = busy.wait_at_most(Duration::from_millis(100)).await;
        assert!(busy.is_err(), "{server}");
        // Nobody renews it.
        let next = client
            .leader("l")
            .set("b")
            .ttl(TTL)
            .await
            .expect("a leader");
        assert!(next > index, "{server}");
    })
    .await;
}
