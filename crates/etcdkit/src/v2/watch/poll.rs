//! One question for the next event: its request, and listening to the answer.

use std::{
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use etcdkit_proto::v2 as wire;
use http::Method;
use tokio::time::{Instant, sleep_until, timeout};

use super::scope::Scope;
use crate::{
    policy::Class,
    transport::roster::Place,
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

/// When a member is next asked whether it has a leader. Kept from one answer to the next: each of them may
/// be listened to for less time than lies between two checks.
#[derive(Clone, Debug)]
pub(super) struct Checks(Arc<Mutex<Instant>>);

impl Checks {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Self::next())))
    }

    /// Puts the next one off: there is a sign that the member is well, or it was just asked.
    pub(super) fn put_off(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Self::next();
    }

    fn due(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next() -> Instant {
        Instant::now() + ASK_AFTER.mul_f64(0.75 + fastrand::f64() / 2.0)
    }
}

/// Asks for the next event, from this index on or from now, and waits until a server has begun to
/// answer, which it does at once: for so long, or the client's request timeout. What is not etcd's answer
/// is an error, since asking again would not make it one.
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
    let opened = client.core.open(request).await?;
    // Every etcd says so, and what it says is where the watch goes on; 0 is an index that none has.
    if opened.header.etcd_index == 0 {
        let what = "the answer does not tell the index of a store: it is not etcd's, or something on \
                    its way has taken X-Etcd-Index away";
        return Err(opened.told.error(ErrorKind::Protocol, what));
    }
    Ok(opened)
}

/// Listens for the event, for as long as that takes.
pub(super) async fn listen(client: Client, opened: Opened, checks: Checks) -> Ended {
    let endpoint = Arc::clone(&opened.told.endpoint);
    let config = &client.core.config;
    let pause = config.request_timeout.min(PAUSE_MOST);
    let mut body = pin!(read(opened, pause, config.max_receive_bytes));
    loop {
        // A watch has nowhere else to go without another endpoint.
        let has_others = client.core.roster.places().len() > 1;
        tokio::select! {
            biased;
            ended = &mut body => return ended,
            () = sleep_until(checks.due()), if has_others => {}
        }
        tokio::select! {
            biased;
            ended = &mut body => return ended,
            checked = check(&client, &endpoint) => {
                checks.put_off();
                if let Err(error) = checked {
                    return Ended::Broken(error);
                }
            }
        }
    }
}

/// Reads the answer, of which there is no long pause after the first byte.
async fn read(mut opened: Opened, pause: Duration, limit: usize) -> Ended {
    let mut body = Vec::new();
    match opened.chunk().await {
        Ok(Some(chunk)) => body.extend_from_slice(&chunk),
        Ok(None) => return Ended::Silent,
        Err(error) => return Ended::Broken(error),
    }
    loop {
        if body.len() > limit {
            let what = format!("the answer has more than {limit} bytes, which the client takes");
            return Ended::Broken(opened.told.error(ErrorKind::ResponseTooLarge, what));
        }
        match timeout(pause, opened.chunk()).await {
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
    let Some(place) = place_of(client, endpoint) else {
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

/// The index that a member's store has reached; `None` if it does not say.
pub(super) async fn reached(client: &Client, scope: &Scope, endpoint: &str) -> Option<u64> {
    let place = place_of(client, endpoint)?;
    let path = path::of_key(scope.named());
    let mut request = Request::new("watch", Method::HEAD, path, Class::Probe);
    request.timeout = Some(ASK_MOST);
    request.only = Some((*place.endpoint).clone());
    // Where nothing is, the answer tells the index as well.
    request.any_status = true;
    let answer = client.core.call(request).await.ok()?;
    Some(answer.header.etcd_index)
}

fn place_of(client: &Client, endpoint: &str) -> Option<Arc<Place>> {
    let places = client.core.roster.places();
    places
        .into_iter()
        .find(|place| *place.endpoint.text == *endpoint)
}

/// Waits for anything that happens to a key from this index on, and for so long at the most. What has
/// happened is for the caller to see; false says that it was not waited for, and nothing was told.
///
/// # Errors
///
/// When no server begins to answer.
pub(crate) async fn wait_once(
    client: &Client,
    scope: &Scope,
    index: u64,
    most: Duration,
) -> Result<bool> {
    match ask(client, scope, Some(index), None).await {
        Ok(opened) => {
            let listening = listen(client.clone(), opened, Checks::new());
            let ended = timeout(most, listening).await;
            Ok(matches!(ended, Err(_) | Ok(Ended::Event(_))))
        }
        Err(error) if error.kind() == ErrorKind::EventIndexCleared => Ok(false),
        Err(error) => Err(error),
    }
}
