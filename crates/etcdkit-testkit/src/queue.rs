//! Watching the queues of locks and elections from outside.

use std::time::{Duration, Instant};

use etcdkit::{Client, KeyRange};

use crate::patience::PATIENCE;

/// Waits until so many stand in the queue of a lock or an election.
///
/// # Panics
///
/// If they do not in a minute, or if the keys cannot be counted.
pub async fn queue_of(client: &Client, name: &str, length: i64) {
    let start = Instant::now();
    let queue = format!("{name}/");
    loop {
        let keys = client.range(KeyRange::prefix(&queue)).count_only().await;
        let count = keys.expect("a count").count;
        if count == length {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{count} instead of {length}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
