//! What errors say.

use std::time::Duration;

use etcdkit::v2::{Client, ErrorKind};

use super::room::{Room, refused};

pub(super) async fn what_is_wrong_is_said(client: &Client) {
    let room = Room::new();
    client.set(room.key("a"), "1").await.expect("a set");
    let error = refused(
        client.update(room.key("x/y"), "1").await,
        ErrorKind::KeyNotFound,
    );
    assert_eq!(error.error_code(), Some(100));
    assert_eq!(error.status(), Some(404));
    assert_eq!(
        error.cause_text(),
        Some(room.key("x").as_str()),
        "the first that is missing"
    );
    let error = refused(
        client.delete_dir(room.directory()).await,
        ErrorKind::DirectoryNotEmpty,
    );
    assert_eq!((error.error_code(), error.status()), (Some(108), Some(403)));
}

pub(super) async fn errors_tell_their_story(client: &Client) {
    let room = Room::new();
    let error = refused(client.delete(room.key("a")).await, ErrorKind::KeyNotFound);
    assert_eq!(error.attempts(), 1);
    assert!(
        error
            .endpoint()
            .is_some_and(|endpoint| !endpoint.is_empty())
    );
    assert!(
        error
            .elapsed()
            .is_some_and(|elapsed| elapsed < Duration::from_secs(60))
    );
    let told = error.to_string();
    assert!(told.contains("Key not found"), "{told}");
    assert!(
        told.contains(room.directory().rsplit('/').next().unwrap_or_default()),
        "{told}"
    );
    assert!(!error.is_temporary());
}

pub(super) async fn wrong_requests_are_not_sent(client: &Client) {
    let room = Room::new();
    let sent = client.counters().requests;
    refused(
        client.set(room.key("a"), "1").ttl(-1).await,
        ErrorKind::InvalidRequest,
    );
    refused(
        client.refresh(room.key("a"), -1).await,
        ErrorKind::InvalidRequest,
    );
    assert_eq!(client.counters().requests, sent);
}
