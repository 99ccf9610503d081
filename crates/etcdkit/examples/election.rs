//! One of many does it: elections, and everybody knows who.
//!
//! `cargo run -p etcdkit --example election [ENDPOINT]`: without an endpoint, on an embedded server.

#[path = "support/mod.rs"]
mod support;

use std::time::Duration;

use etcdkit::{Client, ErrorKind, KeyRange, Result};

const CLEANER: &str = "examples/elections/cleaner";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    support::run(election).await
}

async fn election(client: Client) -> Result<()> {
    // An observer hears of each leader, of what it proclaims, and of nobody's being leader.
    let observer = tokio::spawn(observe(client.clone()));

    let leadership = client
        .election(CLEANER)
        .ttl(Duration::from_secs(10))
        .campaign("host 1")
        .await?;
    leadership.proclaim("host 1, cleaning").await?;

    // Candidates wait for their turn, in the order in which they came.
    let successor = {
        let client = client.clone();
        tokio::spawn(async move { client.election(CLEANER).campaign("host 2").await })
    };
    let leader = client.election(CLEANER).leader().await?;
    println!(
        "the leader says {:?}",
        leader.map(|leader| leader.value.clone())
    );

    // What only the leader may write is written through its leadership.
    leadership.put("examples/cleaned", "by host 1").await?;
    assert!(leadership.resign().await?);
    let leadership = successor.await.expect("the candidate does not panic")?;

    // Who is leader no more, whether it knows or not, does not write.
    client.delete(leadership.key()).await?;
    println!("{}", leadership.lost().await);
    let refused = leadership.put("examples/cleaned", "by host 2").await.err();
    assert_eq!(refused.map(|error| error.kind()), Some(ErrorKind::NotHeld));
    drop(leadership);

    // The last leader, who says goodbye.
    let leadership = client.election(CLEANER).campaign("the end").await?;
    observer.await.expect("the observer does not panic")?;
    leadership.resign().await?;
    after_a_restart(&client).await?;
    client.delete(KeyRange::prefix("examples/")).await?;
    Ok(())
}

async fn observe(client: Client) -> Result<()> {
    let mut observations = client.election(CLEANER).observe().await?;
    while let Some(observation) = observations.try_next().await? {
        match &observation.leader {
            Some(leader) => println!("{}: {:?}", observation.revision, leader.value),
            None => println!("{}: nobody leads", observation.revision),
        }
        let leader = observation.leader;
        if leader.is_some_and(|leader| leader.value == "the end") {
            break;
        }
    }
    Ok(())
}

/// A program that comes back in time, and has kept the id of its lease, goes on being leader.
async fn after_a_restart(client: &Client) -> Result<()> {
    let session = client.session().ttl(Duration::from_secs(10)).await?;
    let leadership = session.election(CLEANER).campaign("host 3").await?;
    let token = leadership.fencing_token();
    let lease = session.detach();
    drop(leadership);

    let session = client.session().resume(lease).await?;
    let resumed = session.election(CLEANER).resume().await?;
    let resumed = resumed.map(|leadership| leadership.fencing_token());
    assert_eq!(resumed, Some(token));
    session.close().await?;
    Ok(())
}

#[cfg(test)]
#[tokio::test]
async fn the_example_runs() {
    support::embedded(election).await.expect("no error");
}
