//! Participants that die, or are thrown out, with the lock or in the queue for it.

use std::time::Duration;

use etcdkit::{ErrorKind, LeaseId, Outcome, sync::HoldLostReason};
use etcdkit_testkit::{program::Program, queue::queue_of};
use tokio::sync::oneshot;

use crate::site::{Site, each_site, not_yet, queues, soon};

/// How long what the dead leave is there. So long that the living keep theirs when they stand still for
/// some seconds.
const TTL: Duration = Duration::from_secs(5);
const TTL_OF_ETCDCTL: [&str; 2] = ["--ttl", "5"];

/// The lease of a key in a queue.
fn lease(key: &str) -> LeaseId {
    let (_, id) = key.rsplit_once('/').expect("a key in a queue");
    LeaseId(i64::from_str_radix(id, 16).expect("a lease"))
}

/// Makes sure that the dead one's lease has ended by now, and has not only lost its key to somebody in a
/// hurry.
async fn has_ended(site: &Site, key: &str) {
    let left = site.client.leases().time_to_live(lease(key)).await;
    let left = left.expect("an answer").ttl;
    assert_eq!(left, None, "{site}: the lock of {key} was taken away");
}

/// A program of ours that is killed.
struct Killed {
    _program: Program,
    /// Told its key when it has the lock.
    has: oneshot::Receiver<String>,
}

impl Killed {
    /// Waits for a lock, and holds it to its end.
    fn lock(site: &Site, name: &'static str) -> Self {
        let program = Program::start(std::slice::from_ref(&site.endpoint));
        let (told, has) = oneshot::channel();
        let client = program.client().clone();
        program.spawn(async move {
            let guard = client.lock(name).ttl(TTL).await.expect("the lock");
            let key = String::from_utf8_lossy(guard.key()).into_owned();
            told.send(key).expect("somebody waits");
            guard.lost().await;
        });
        Self {
            _program: program,
            has,
        }
    }
}

#[tokio::test]
async fn the_lock_of_a_dead_process_of_ours_goes_to_etcdctl_with_its_lease() {
    each_site(async |site| {
        let mut dies = Killed::lock(site, "l");
        let dead = soon(&mut dies.has).await.expect("it has the lock");
        let mut theirs = site.etcdctl(&["lock", "l"]);
        queue_of(&site.client, "l", 2).await;
        drop(dies);
        let key = theirs.line().await;
        has_ended(site, &dead).await;
        assert!(key.starts_with("l/"), "{site}: {key}");
        queue_of(&site.client, "l", 1).await;
        assert_eq!(theirs.terminate().await, Some(0), "{site}");
    })
    .await;
}

#[tokio::test]
async fn the_lock_of_a_dead_etcdctl_goes_to_ours_with_its_lease() {
    each_site(async |site| {
        let mut dies = site.etcdctl(&[&["lock", "l"], &TTL_OF_ETCDCTL[..]].concat());
        let dead = dies.line().await;
        let mut waiting = Box::pin(site.client.lock("l").into_future());
        queues(site, &mut waiting, ("l", 2)).await;
        dies.kill().await;
        let ours = soon(waiting).await.expect("the lock");
        has_ended(site, &dead).await;
        queue_of(&site.client, "l", 1).await;
        assert!(ours.unlock().await.expect("an answer"), "{site}");
    })
    .await;
}

#[tokio::test]
async fn the_leadership_of_a_dead_etcdctl_goes_to_ours_with_its_lease() {
    each_site(async |site| {
        let mut dies = site.etcdctl(&["elect", "e", "theirs"]);
        let dead = dies.line().await;
        // Longer than the minute that etcdctl's candidates have.
        let election = site.client.election("e").ttl(Duration::from_secs(600));
        let mut waiting = Box::pin(election.campaign("ours").into_future());
        queues(site, &mut waiting, ("e", 2)).await;
        dies.kill().await;
        not_yet(site, &mut waiting).await;
        if !site.lets_time_pass(Duration::from_secs(61)) {
            // As an operator does who knows that it is dead.
            let id = format!("{:x}", lease(&dead).0);
            let mut revokes = site.etcdctl(&["lease", "revoke", &id]);
            assert_eq!(revokes.ended().await, Some(0), "{site}");
        }
        let ours = soon(waiting).await.expect("a win");
        has_ended(site, &dead).await;
        queue_of(&site.client, "e", 1).await;
        assert!(ours.resign().await.expect("an answer"), "{site}");
    })
    .await;
}

#[tokio::test]
async fn the_dead_are_waited_for_only_until_their_leases_end() {
    each_site(async |site| {
        let mut first = site.etcdctl(&["lock", "l"]);
        first.line().await;
        let ours = Killed::lock(site, "l");
        queue_of(&site.client, "l", 2).await;
        let theirs = site.etcdctl(&[&["lock", "l"], &TTL_OF_ETCDCTL[..]].concat());
        queue_of(&site.client, "l", 3).await;
        let mut waiting = Box::pin(site.client.lock("l").into_future());
        queues(site, &mut waiting, ("l", 4)).await;
        let mut last = site.etcdctl(&["lock", "l"]);
        queue_of(&site.client, "l", 5).await;
        drop(ours);
        theirs.kill().await;
        assert_eq!(first.terminate().await, Some(0), "{site}");
        let lock = soon(waiting).await.expect("the lock");
        queue_of(&site.client, "l", 2).await;
        assert!(lock.unlock().await.expect("an answer"), "{site}");
        last.line().await;
        assert_eq!(last.terminate().await, Some(0), "{site}");
    })
    .await;
}

#[tokio::test]
async fn a_holder_whose_key_etcdctl_deletes_knows_and_writes_no_more() {
    each_site(async |site| {
        let ours = site.client.lock("l").await.expect("the lock");
        ours.put("ledger", "ours").await.expect("it holds the lock");
        let mut theirs = site.etcdctl(&["lock", "l"]);
        queue_of(&site.client, "l", 2).await;
        let key = std::str::from_utf8(ours.key()).expect("text").to_owned();
        let mut deletes = site.etcdctl(&["del", &key]);
        assert_eq!(deletes.line().await, "1", "{site}");
        theirs.line().await;
        let lost = soon(ours.lost()).await;
        assert!(
            matches!(lost.reason(), HoldLostReason::Deleted),
            "{site}: {lost}"
        );
        let error = ours.put("ledger", "late").await.expect_err("it is past");
        assert_eq!(
            (error.kind(), error.outcome()),
            (ErrorKind::NotHeld, Outcome::NotApplied),
            "{site}: {error}"
        );
        let ledger = site.client.get("ledger").await.expect("a get");
        assert_eq!(ledger.expect("written").value, "ours", "{site}");
        assert!(!ours.unlock().await.expect("an answer"), "{site}");
        // What is not ours any more is not released, either.
        not_yet(site, &mut Box::pin(theirs.ended())).await;
        assert_eq!(theirs.terminate().await, Some(0), "{site}");
    })
    .await;
}

#[tokio::test]
async fn a_waiter_whose_key_etcdctl_deletes_never_has_the_lock() {
    each_site(async |site| {
        let first = site.client.lock("l").await.expect("the lock");
        let session = site.client.session().await.expect("a session");
        let mut waiting = Box::pin(session.lock("l").into_future());
        queues(site, &mut waiting, ("l", 2)).await;
        let key = format!("l/{:x}", session.id().0);
        let mut deletes = site.etcdctl(&["del", &key]);
        assert_eq!(deletes.line().await, "1", "{site}");
        let error = soon(waiting).await.expect_err("it has no place any more");
        assert_eq!(error.kind(), ErrorKind::NotHeld, "{site}: {error}");
        assert!(first.unlock().await.expect("an answer"), "{site}");
        queue_of(&site.client, "l", 0).await;
    })
    .await;
}

#[tokio::test]
async fn a_session_whose_lease_etcdctl_revokes_ends_what_it_holds_and_what_it_waits_for() {
    each_site(async |site| {
        let other = site.client.lock("b").await.expect("the lock");
        let session = site.client.session().ttl(TTL).await.expect("a session");
        let held = session.lock("a").await.expect("the lock");
        let mut waiting = Box::pin(session.lock("b").into_future());
        queues(site, &mut waiting, ("b", 2)).await;
        let mut theirs = site.etcdctl(&["lock", "a"]);
        queue_of(&site.client, "a", 2).await;
        // Padded, as etcdctl prints it; in keys it is not.
        let id = format!("{:016x}", session.id().0);
        let mut revokes = site.etcdctl(&["lease", "revoke", &id]);
        assert_eq!(revokes.line().await, format!("lease {id} revoked"));
        theirs.line().await;
        // The keys are seen to go before the next renewal of the lease is refused.
        let error = soon(waiting).await.expect_err("the session is over");
        assert!(
            matches!(error.kind(), ErrorKind::NotHeld | ErrorKind::SessionLost),
            "{site}: {error}"
        );
        soon(held.lost()).await;
        soon(session.lost()).await;
        let error = session.lock("a").await.expect_err("the session is over");
        assert_eq!(error.kind(), ErrorKind::SessionLost, "{site}: {error}");
        assert!(other.unlock().await.expect("an answer"), "{site}");
        assert_eq!(theirs.terminate().await, Some(0), "{site}");
        queue_of(&site.client, "b", 0).await;
    })
    .await;
}
