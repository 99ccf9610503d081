//! Our elections and `etcdctl elect`.

use etcdkit::sync::Observe;
use etcdkit_testkit::{etcdctl::Etcdctl, queue::queue_of};

use crate::site::{each_site, not_yet, queues, soon};

/// The leader that etcdctl prints next: its key and its value.
async fn leader(etcdctl: &mut Etcdctl) -> (String, String) {
    let key = etcdctl.line().await;
    (key, etcdctl.line().await)
}

/// What the leader says, as soon as that is this; with nobody, as soon as nobody leads.
async fn observed(observe: &mut Observe, value: Option<&str>) {
    loop {
        let seen = soon(observe.try_next()).await.expect("an observation");
        let seen = seen.expect("it goes on").leader;
        if seen.as_ref().map(|leader| &leader.value[..]) == value.map(str::as_bytes) {
            return;
        }
    }
}

#[tokio::test]
async fn etcdctl_leads_after_us_and_we_after_etcdctl() {
    each_site(async |site| {
        let election = site.client.election("e");
        let ours = election.campaign("ours").await.expect("a win");
        assert_eq!(
            ours.key(),
            format!("e/{:x}", ours.session().id().0).as_bytes(),
            "{site}"
        );
        let mut theirs = site.etcdctl(&["elect", "e", "theirs"]);
        queue_of(&site.client, "e", 2).await;
        not_yet(site, &mut Box::pin(theirs.line())).await;
        assert!(ours.resign().await.expect("an answer"), "{site}");
        let (key, value) = leader(&mut theirs).await;
        assert_eq!(value, "theirs", "{site}");

        let seen = election.leader().await.expect("an answer");
        let seen = seen.expect("a leader").into_kv();
        assert_eq!((seen.key, seen.value), (key.into(), value.into()), "{site}");
        let mut waiting = Box::pin(election.campaign("ours again").into_future());
        queues(site, &mut waiting, ("e", 2)).await;
        assert_eq!(theirs.terminate().await, Some(0), "{site}");
        let ours = soon(waiting).await.expect("a win");
        assert!(ours.resign().await.expect("an answer"), "{site}");
        assert_eq!(election.leader().await.expect("an answer"), None, "{site}");
    })
    .await;
}

#[tokio::test]
async fn etcdctl_hears_whom_we_elect_and_what_they_proclaim() {
    each_site(async |site| {
        let election = site.client.election("e");
        let mut listener = site.etcdctl(&["elect", "-l", "e"]);
        let ours = election.campaign("one").await.expect("a win");
        let key = std::str::from_utf8(ours.key()).expect("text").to_owned();
        assert_eq!(leader(&mut listener).await, (key.clone(), "one".into()));
        for proclaimed in ["two", "three"] {
            ours.proclaim(proclaimed).await.expect("it leads");
            let heard = leader(&mut listener).await;
            assert_eq!(heard, (key.clone(), proclaimed.into()), "{site}");
        }
        let mut next = Box::pin(election.campaign("four").into_future());
        queues(site, &mut next, ("e", 2)).await;
        assert!(ours.resign().await.expect("an answer"), "{site}");
        let ours = soon(next).await.expect("a win");
        let (next_key, value) = leader(&mut listener).await;
        assert_eq!((next_key.as_bytes(), &*value), (&ours.key()[..], "four"));
        assert_ne!(next_key, key, "{site}");
        assert_eq!(listener.terminate().await, Some(0), "{site}");
        assert!(ours.resign().await.expect("an answer"), "{site}");
    })
    .await;
}

#[tokio::test]
async fn we_hear_whom_etcdctl_elects_and_when_nobody_leads() {
    each_site(async |site| {
        let election = site.client.election("e");
        let mut observe = election.observe().await.expect("a stream");
        let mut first = site.etcdctl(&["elect", "e", "one"]);
        leader(&mut first).await;
        observed(&mut observe, Some("one")).await;
        let mut second = site.etcdctl(&["elect", "e", "two"]);
        queue_of(&site.client, "e", 2).await;
        assert_eq!(first.terminate().await, Some(0), "{site}");
        leader(&mut second).await;
        observed(&mut observe, Some("two")).await;
        assert_eq!(second.terminate().await, Some(0), "{site}");
        observed(&mut observe, None).await;
    })
    .await;
}
