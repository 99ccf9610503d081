//! One question for the next event: its request, and listening to the answer.

use std::{pin::pin, sync::Arc, time::Duration};

use etcdkit_proto::v2 as wire;
use tokio::time::{sleep, timeout};

use super::scope::Scope;
use crate::{
    policy::Class,
    v2::{Client, Error, ErrorKind, Event, Result, exec::Opened, path, request::Request},
};

/// How often a member that is silent is asked whether it still has a leader. One that is cut off from
/// the others has no events, and does not say so.
const ASK_AFTER: Duration = Duration::from_secs(8);

/// How long that may take.
const ASK_MOST: Duration = Duration::from_secs(2);

/// How long the rest of an answer may come to a halt.
const PAUSE_MOST: Duration = Duration::from_secs(3);

/// How listening has ended.
#[derive(Debug)]
pub(super) enum Ended {
    Event(Box<Event>),
    /// The server has ended its answer without an event.
    Silent,
    /// There may have been an event, and it did not arrive.
    Broken(Error),
}

/// Asks for the next event, from this index on or from now, and waits until a server has begun to
/// answer, which it does at once: for so long, or the client's request timeout.
pub(super) async fn ask(
    client: &Client,
    scope: &Scope,
    index: Option<u64>,
    most: Option<Duration>,
) -> Result<Opened> {
    let path = path::of_key(scope.named());
    let mut request = Request::get("watch", path).query("wait", "true");
    request.class = Class::Local;
    request.timeout = most;
    if scope.is_recursive() {
        request = request.query("recursive", "true");
    }
    if let Some(index) = index {
        request = request.query("waitIndex", index.to_string());
    }
    client.core.open(request).await
}

/// Listens for the event, for as long as that takes.
pub(super) async fn listen(client: Client, opened: Opened) -> Ended {
    let endpoint = Arc::clone(&opened.told.endpoint);
    let limit = client.core.config.request_timeout.min(PAUSE_MOST);
    let mut body = pin!(read(opened, limit));
    loop {
        // A watch has nowhere else to go without another endpoint.
        let has_others = client.core.roster.places().len() > 1;
        tokio::select! {
            biased;
            ended = &mut body => return ended,
            () = sleep(ASK_AFTER.mul_f64(0.75 + fastrand::f64() / 2.0)), if has_others => {}
        }
        tokio::select! {
            biased;
            ended = &mut body => return ended,
            checked = check(&client, &endpoint) => {
                if let Err(error) = checked {
                    return Ended::Broken(error);
                }
            }
        }
    }
}

/// Reads the answer, of which there is no long pause after the first byte.
async fn read(mut opened: Opened, limit: Duration) -> Ended {
    let mut body = Vec::new();
    match opened.chunk().await {
        Ok(Some(chunk)) => body.extend_from_slice(&chunk),
        Ok(None) => return Ended::Silent,
        Err(error) => return Ended::Broken(error),
    }
    loop {
        match timeout(limit, opened.chunk()).await {
            Ok(Ok(Some(chunk))) => body.extend_from_slice(&chunk),
            Ok(Ok(None)) => break,
            Ok(Err(error)) => return Ended::Broken(error),
            Err(_) => {
                let what = "half an event came, and no more";
                return Ended::Broken(opened.told.error(ErrorKind::Timeout, what));
            }
        }
    }
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ended::Silent;
    }
    match serde_json::from_slice::<wire::Event>(&body) {
        Ok(event) => Ended::Event(Box::new(event.into())),
        Err(error) => Ended::Broken(opened.told.not_json(error)),
    }
}

/// Whether a member can have events. If not it is avoided for a while.
async fn check(client: &Client, endpoint: &str) -> Result<()> {
    let places = client.core.roster.places();
    let Some(place) = places
        .into_iter()
        .find(|place| *place.endpoint.text == *endpoint)
    else {
        let what = format!("{endpoint} is no longer one of the client's endpoints");
        return Err(Error::new(ErrorKind::Disconnected, what));
    };
    // Nobody has to say who asks, so that this costs the member nothing.
    let mut request = Request::get("watch", "/v2/members/leader");
    request.class = Class::Probe;
    request.timeout = Some(ASK_MOST);
    request.only = Some((*place.endpoint).clone());
    match client.core.call(request).await {
        // What answers something else than that it has no leader may be a server that does not know
        // the question.
        Err(error) if error.status().is_none_or(|status| status == 503) => {
            place.health.refused();
            Err(error)
        }
        _ => Ok(()),
    }
}

/// Waits for anything that happens to a key from this index on, and for so long at the most. Whether
/// anything has happened is for the caller to see.
///
/// # Errors
///
/// When no server begins to answer.
pub(crate) async fn wait_once(
    client: &Client,
    scope: &Scope,
    index: u64,
    most: Duration,
) -> Result<()> {
    match ask(client, scope, Some(index), None).await {
        Ok(opened) => {
            // However it ends.
            let _ = timeout(most, listen(client.clone(), opened)).await;
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::EventIndexCleared => Ok(()),
        Err(error) => Err(error),
    }
}
