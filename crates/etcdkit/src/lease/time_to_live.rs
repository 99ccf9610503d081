//! Time to live: how long a lease has left, and which keys it has.

use std::{future::IntoFuture, sync::Arc, time::Duration};

use bytes::Bytes;
use etcdkit_proto::etcdserverpb as pb;
use http::uri::PathAndQuery;
use prost::Message;

use super::grant::seconds;
use crate::{
    Call, Client, Header, LeaseId, Result,
    client::Core,
    exec::{Method, Request},
    policy::Class,
    wire::Frame,
    wrap::namespace::{Foreign, Leave, Namespace},
};

static METHOD: Method = Method {
    name: "lease timetolive",
    path: PathAndQuery::from_static("/etcdserverpb.Lease/LeaseTimeToLive"),
};

/// A question about a lease that has not been sent yet: made by
/// [`Leases::time_to_live`](crate::Leases::time_to_live), sent when awaited.
///
/// A lease that does not exist is no error; see [`LeaseTimeToLive::ttl`].
#[derive(Debug)]
#[must_use = "the request is sent when awaited"]
pub struct GetTimeToLive<'a> {
    client: &'a Client,
    id: LeaseId,
    keys: bool,
    timeout: Option<Duration>,
}

impl<'a> GetTimeToLive<'a> {
    pub(super) fn new(client: &'a Client, id: LeaseId) -> Self {
        Self {
            client,
            id,
            keys: false,
            timeout: None,
        }
    }

    /// Asks for the keys that are attached to the lease, too. With authentication on, servers since
    /// etcd 3.4.26 and 3.5.9 then want permission to read all of them.
    pub fn keys(mut self) -> Self {
        self.keys = true;
        self
    }

    /// Limits the time for the whole call; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    pub(super) fn call(
        core: &Arc<Core>,
        id: LeaseId,
        keys: bool,
        timeout: Option<Duration>,
    ) -> Call<LeaseTimeToLive> {
        let request = Request {
            method: &METHOD,
            frame: Frame::of(&pb::LeaseTimeToLiveRequest { id: id.0, keys }),
            class: Class::Read,
            timeout,
            only: None,
        };
        Call::new(core, request, LeaseTimeToLive::decode)
    }
}

impl IntoFuture for GetTimeToLive<'_> {
    type Output = Result<LeaseTimeToLive>;
    type IntoFuture = Call<LeaseTimeToLive>;

    fn into_future(self) -> Call<LeaseTimeToLive> {
        Self::call(&self.client.core, self.id, self.keys, self.timeout)
            .within(&self.client.namespace)
    }
}

/// What is known of a lease: the answer to [`Leases::time_to_live`](crate::Leases::time_to_live).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseTimeToLive {
    /// The answer's header, which servers fill only in part.
    pub header: Header,
    /// The lease's id.
    pub id: LeaseId,
    /// How long it will live if it is not renewed, in whole seconds; `None` if there is no such
    /// lease, because it has run out, was revoked or never granted.
    pub ttl: Option<Duration>,
    /// The time to live it was granted with; zero if there is no such lease.
    pub granted_ttl: Duration,
    /// The keys attached to it, if [asked for](GetTimeToLive::keys), in no order. In a
    /// [namespace](Client::namespaced), those of the namespace.
    pub keys: Vec<Bytes>,
}

impl LeaseTimeToLive {
    fn decode(reply: Bytes) -> Result<Self, prost::DecodeError> {
        let response = pb::LeaseTimeToLiveResponse::decode(reply)?;
        // A lease that is due to be removed has a TTL of 0 or less, and still what it was granted.
        let exists = response.granted_ttl > 0;
        Ok(Self {
            header: response.header.into(),
            id: LeaseId(response.id),
            ttl: exists.then(|| seconds(response.ttl)),
            granted_ttl: seconds(response.granted_ttl),
            keys: response.keys,
        })
    }
}

impl Leave for LeaseTimeToLive {
    /// A lease may have keys anywhere, so those outside are left out rather than refused.
    fn leave(&mut self, namespace: &Namespace) -> Result<(), Foreign> {
        let keys = std::mem::take(&mut self.keys);
        let inside = keys.into_iter().filter_map(|key| namespace.strip(key).ok());
        self.keys = inside.collect();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(ttl: i64, granted_ttl: i64) -> LeaseTimeToLive {
        let response = pb::LeaseTimeToLiveResponse {
            ttl,
            granted_ttl,
            keys: vec!["app/a".into(), "other".into()],
            ..Default::default()
        };
        LeaseTimeToLive::decode(response.encode_to_vec().into()).unwrap()
    }

    #[test]
    fn a_missing_lease_is_told_from_one_with_no_time_left() {
        assert_eq!(answer(-1, 0).ttl, None);
        assert_eq!(answer(0, 5).ttl, Some(Duration::ZERO));
        assert_eq!(answer(-1, 5).ttl, Some(Duration::ZERO));
        assert_eq!(answer(3, 5).ttl, Some(Duration::from_secs(3)));
    }

    #[test]
    fn keys_outside_of_the_namespace_are_left_out() {
        let mut state = answer(3, 5);
        state.leave(&Namespace::new(b"app/")).unwrap();
        assert_eq!(state.keys, ["a"]);
    }
}
