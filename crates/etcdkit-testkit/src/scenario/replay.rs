//! The history by a plain watch: without the client under test, over a connection of its own.

use std::time::Duration;

use etcdkit::{KeyRange, Revision};
use etcdkit_proto::etcdserverpb::{
    WatchCreateRequest, WatchRequest, watch_client::WatchClient, watch_request::RequestUnion,
};
use futures_util::{StreamExt, stream};
use tonic::transport::Endpoint;

use crate::watch_checker::Event;

pub(super) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Every event of these keys from one revision on, up to and with another, at which one of them
/// changed; from the first of these members that answers.
///
/// # Errors
///
/// When none of them answers, or the history is not there any more.
pub async fn replay(
    endpoints: &[String],
    keys: &KeyRange<'_>,
    from: Revision,
    until: Revision,
) -> Result<Vec<Event>, Failure> {
    let mut failure = "no endpoint".into();
    for endpoint in endpoints {
        match read_from(endpoint, keys, from, until).await {
            Ok(events) => return Ok(events),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

async fn read_from(
    endpoint: &str,
    keys: &KeyRange<'_>,
    from: Revision,
    until: Revision,
) -> Result<Vec<Event>, Failure> {
    let channel = Endpoint::from_shared(endpoint.to_owned())?
        .connect_timeout(Duration::from_secs(10))
        .connect()
        .await?;
    let create = WatchCreateRequest {
        key: keys.start().to_vec().into(),
        range_end: keys.range_end(),
        start_revision: from,
        prev_kv: true,
        ..Default::default()
    };
    let create = WatchRequest {
        request_union: Some(RequestUnion::CreateRequest(create)),
    };
    // The server takes the end of the requests for the end of the watch.
    let requests = stream::iter([create]).chain(stream::pending());
    let mut client = WatchClient::new(channel).max_decoding_message_size(usize::MAX);
    let mut responses = client.watch(requests).await?.into_inner();
    let mut events = Vec::new();
    while let Some(response) = responses.message().await? {
        if response.canceled {
            return Err(response.cancel_reason.into());
        }
        events.extend(response.events.into_iter().map(Event::from));
        events.retain(|event: &Event| event.revision() <= until);
        if events.last().is_some_and(|last| last.revision() == until) {
            return Ok(events);
        }
    }
    Err("the watch ended early".into())
}
