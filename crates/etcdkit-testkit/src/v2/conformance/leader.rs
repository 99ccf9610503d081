//! Leaders.

use etcdkit::v2::{Client, Leader, Observer};
use futures_util::future::join;
use tokio::time::timeout;

use super::room::{Room, SOON};

async fn leader(client: &Client, name: &str) -> Option<Leader> {
    client.leader(name).get().await.expect("a read")
}

async fn next(observer: &mut Observer) -> Option<Leader> {
    let seen = timeout(SOON, observer.try_next()).await;
    seen.expect("in time").expect("no error").expect("no end")
}

pub(super) async fn one_candidate_leads(client: &Client) {
    let name = Room::new().name();
    assert_eq!(leader(client, &name).await, None);
    let first = client.leader(&name).campaign("first").ttl(20).await;
    let first = first.expect("a leadership");
    let leads = leader(client, &name).await.expect("a leader");
    assert_eq!(
        (leads.value.as_str(), leads.index),
        ("first", first.index())
    );

    let second = client.leader(&name).campaign("second").ttl(20);
    let second = timeout(SOON, second.into_future());
    let (second, resigned) = join(second, first.resign()).await;
    resigned.expect("a resignation");
    let second = second.expect("in time").expect("a leadership");
    assert!(second.index() > leads.index);
    let leads = leader(client, &name).await.expect("a leader");
    assert_eq!(leads.value, "second");
    second.resign().await.expect("a resignation");
    assert_eq!(leader(client, &name).await, None);
}

pub(super) async fn observers_see_each_leader(client: &Client) {
    let name = Room::new().name();
    let observer = client.leader(&name).observe().await;
    let mut observer = observer.expect("an observer");
    assert_eq!(next(&mut observer).await, None);
    for candidate in ["one", "one", "two"] {
        let leadership = client.leader(&name).campaign(candidate).ttl(20).await;
        let leadership = leadership.expect("a leadership");
        let seen = next(&mut observer).await.expect("a leader");
        assert_eq!(
            (seen.value.as_str(), seen.index),
            (candidate, leadership.index())
        );
        leadership.resign().await.expect("a resignation");
        assert_eq!(next(&mut observer).await, None);
    }
}

pub(super) async fn a_leader_can_be_set_and_deleted(client: &Client) {
    let name = Room::new().name();
    let index = client
        .leader(&name)
        .set("me")
        .ttl(20)
        .await
        .expect("a leader");
    let again = client
        .leader(&name)
        .set("me")
        .ttl(20)
        .await
        .expect("a leader");
    assert_eq!(index, again, "it leads already");
    assert_eq!(leader(client, &name).await.expect("a leader").value, "me");
    client.leader(&name).delete("me").await.expect("an end");
    assert_eq!(leader(client, &name).await, None);
}
