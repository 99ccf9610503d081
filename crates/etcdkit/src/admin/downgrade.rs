//! Downgrading a cluster to the version before.

use std::{borrow::Cow, future::IntoFuture, time::Duration};

use bytes::Bytes;
use etcdkit_proto::etcdserverpb::{self as pb, downgrade_request::DowngradeAction};
use http::uri::PathAndQuery;
use prost::Message;

use crate::{
    Call, Client, Header, Result,
    exec::{Method, Request},
    policy::Class,
    wire::Frame,
};

static VALIDATE: Method = Method {
    name: "downgrade validate",
    path: PathAndQuery::from_static("/etcdserverpb.Maintenance/Downgrade"),
};

static ENABLE: Method = Method {
    name: "downgrade enable",
    path: PathAndQuery::from_static("/etcdserverpb.Maintenance/Downgrade"),
};

static CANCEL: Method = Method {
    name: "downgrade cancel",
    path: PathAndQuery::from_static("/etcdserverpb.Maintenance/Downgrade"),
};

/// What can be done about a downgrade of the cluster; made by
/// [`Maintenance::downgrade`](crate::Maintenance::downgrade).
///
/// A cluster is downgraded by one minor version: validate, enable, then replace the members by ones of
/// the older version, one at a time. [`Status::downgrade`](crate::Status::downgrade) tells whether one
/// is under way.
///
/// Servers take these requests since 3.5, but only those of 3.6 and later rewrite their data, so that
/// 3.6 is the oldest version that a cluster can really leave downwards. Needs the root role with
/// authentication on.
///
/// # Examples
///
/// ```
/// # async fn example(client: etcdkit::Client) -> etcdkit::Result<()> {
/// let downgrade = client.maintenance().downgrade();
/// let cluster = downgrade.validate("3.5.0").await?.version;
/// println!("{cluster} can become 3.5");
/// downgrade.enable("3.5.0").await?;
/// // While no member has been replaced yet, it can be called off.
/// downgrade.cancel().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Downgrades<'a> {
    client: &'a Client,
}

impl<'a> Downgrades<'a> {
    pub(super) fn new(client: &'a Client) -> Self {
        Self { client }
    }

    /// Asks whether the cluster could be downgraded to a version, such as `3.5.0`. Changes nothing.
    ///
    /// # Errors
    ///
    /// [`WrongDowngradeVersionFormat`](crate::ErrorKind::WrongDowngradeVersionFormat),
    /// [`InvalidDowngradeTargetVersion`](crate::ErrorKind::InvalidDowngradeTargetVersion) if it is not
    /// one minor version below, [`DowngradeInProcess`](crate::ErrorKind::DowngradeInProcess).
    pub fn validate(&self, version: impl Into<Cow<'a, str>>) -> RequestDowngrade<'a> {
        self.request(&VALIDATE, DowngradeAction::Validate, version.into())
    }

    /// Begins the downgrade to a version.
    ///
    /// # Errors
    ///
    /// As [`validate`](Self::validate). A request of unknown outcome that is repeated is answered with
    /// [`DowngradeInProcess`](crate::ErrorKind::DowngradeInProcess) if the first was applied.
    pub fn enable(&self, version: impl Into<Cow<'a, str>>) -> RequestDowngrade<'a> {
        self.request(&ENABLE, DowngradeAction::Enable, version.into())
    }

    /// Calls the downgrade off.
    ///
    /// # Errors
    ///
    /// [`NoInflightDowngrade`](crate::ErrorKind::NoInflightDowngrade) from servers of 3.5 if there is
    /// none; later ones take that for a success.
    pub fn cancel(&self) -> RequestDowngrade<'a> {
        self.request(&CANCEL, DowngradeAction::Cancel, "".into())
    }

    fn request(
        &self,
        method: &'static Method,
        action: DowngradeAction,
        version: Cow<'a, str>,
    ) -> RequestDowngrade<'a> {
        RequestDowngrade {
            client: self.client,
            method,
            action,
            version,
            timeout: None,
        }
    }
}

/// A request about a downgrade; made by [`Downgrades`], sent when awaited.
#[derive(Debug)]
#[must_use = "the request is sent when awaited"]
pub struct RequestDowngrade<'a> {
    client: &'a Client,
    method: &'static Method,
    action: DowngradeAction,
    version: Cow<'a, str>,
    timeout: Option<Duration>,
}

impl RequestDowngrade<'_> {
    /// Limits the time for the whole call; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for RequestDowngrade<'_> {
    type Output = Result<DowngradeResponse>;
    type IntoFuture = Call<DowngradeResponse>;

    fn into_future(self) -> Call<DowngradeResponse> {
        let request = Request {
            method: self.method,
            frame: Frame::of(&pb::DowngradeRequest {
                action: self.action.into(),
                version: self.version.into_owned(),
            }),
            class: match self.action {
                DowngradeAction::Validate => Class::Read,
                DowngradeAction::Enable | DowngradeAction::Cancel => Class::Write,
            },
            timeout: self.timeout,
            only: None,
        };
        Call::new(&self.client.core, request, DowngradeResponse::decode)
    }
}

/// The answer to a request about a [downgrade](crate::Maintenance::downgrade).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DowngradeResponse {
    /// The answer's header; its revision may be 0.
    pub header: Header,
    /// The version that the cluster has now, such as `3.6.0`; 3.6 and later leave the patch number
    /// out.
    pub version: String,
}

impl DowngradeResponse {
    fn decode(reply: Bytes) -> Result<Self, prost::DecodeError> {
        let response = pb::DowngradeResponse::decode(reply)?;
        Ok(Self {
            header: response.header.into(),
            version: response.version,
        })
    }
}
