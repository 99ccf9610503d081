//! Alarms: what keeps a cluster from taking writes until somebody has seen to it.

use std::{
    future::{Future, IntoFuture},
    pin::Pin,
    time::Duration,
};

use bytes::Bytes;
use etcdkit_proto::etcdserverpb::{self as pb, alarm_request::AlarmAction};
use http::uri::PathAndQuery;
use prost::Message;
use tokio::time::Instant;

use crate::{
    Call, Client, Header, MemberId, Result,
    exec::{Method, Request},
    policy::Class,
    wire::Frame,
};

static LIST: Method = Method {
    name: "alarm list",
    path: PathAndQuery::from_static("/etcdserverpb.Maintenance/Alarm"),
};

static DISARM: Method = Method {
    name: "alarm disarm",
    path: PathAndQuery::from_static("/etcdserverpb.Maintenance/Alarm"),
};

/// A request for the list of alarms; made by [`Maintenance::alarms`](crate::Maintenance::alarms), sent when awaited.
#[derive(Debug)]
#[must_use = "the request is sent when awaited"]
pub struct ListAlarms<'a> {
    client: &'a Client,
    timeout: Option<Duration>,
}

impl<'a> ListAlarms<'a> {
    pub(super) fn new(client: &'a Client) -> Self {
        Self {
            client,
            timeout: None,
        }
    }
}

impl ListAlarms<'_> {
    /// Limits the time for the whole call; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for ListAlarms<'_> {
    type Output = Result<AlarmList>;
    type IntoFuture = Call<AlarmList>;

    fn into_future(self) -> Call<AlarmList> {
        // All fields zero: get, of any member, of any kind.
        let message = pb::AlarmRequest::default();
        call(self.client, &LIST, &message, Class::Read, self.timeout)
    }
}

fn call(
    client: &Client,
    method: &'static Method,
    message: &pb::AlarmRequest,
    class: Class,
    timeout: Option<Duration>,
) -> Call<AlarmList> {
    let request = Request {
        method,
        frame: Frame::of(message),
        class,
        timeout,
        only: None,
    };
    Call::new(&client.core, request, AlarmList::decode)
}

/// A request to disarm one alarm; made by [`Maintenance::disarm`](crate::Maintenance::disarm), sent when awaited.
#[derive(Debug)]
#[must_use = "the request is sent when awaited"]
pub struct Disarm<'a> {
    client: &'a Client,
    alarm: Alarm,
    timeout: Option<Duration>,
}

impl<'a> Disarm<'a> {
    pub(super) fn new(client: &'a Client, alarm: Alarm) -> Self {
        Self {
            client,
            alarm,
            timeout: None,
        }
    }
}

impl Disarm<'_> {
    /// Limits the time for the whole call; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for Disarm<'_> {
    type Output = Result<AlarmList>;
    type IntoFuture = Call<AlarmList>;

    fn into_future(self) -> Call<AlarmList> {
        let message = pb::AlarmRequest {
            action: AlarmAction::Deactivate.into(),
            member_id: self.alarm.member_id.0,
            alarm: self.alarm.kind.number(),
        };
        call(self.client, &DISARM, &message, Class::Write, self.timeout)
    }
}

/// Requests to disarm all alarms; made by [`Maintenance::disarm_all`](crate::Maintenance::disarm_all), sent when awaited.
#[derive(Debug)]
#[must_use = "the requests are sent when awaited"]
pub struct DisarmAll<'a> {
    client: &'a Client,
    timeout: Option<Duration>,
}

impl<'a> DisarmAll<'a> {
    pub(super) fn new(client: &'a Client) -> Self {
        Self {
            client,
            timeout: None,
        }
    }
}

impl DisarmAll<'_> {
    /// Limits the time for all requests together; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for DisarmAll<'_> {
    type Output = Result<AlarmList>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<AlarmList>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let client = self.client.clone();
        let timeout = self.timeout.unwrap_or(client.core.config.request_timeout);
        Box::pin(async move {
            let started = Instant::now();
            let left = || timeout.saturating_sub(started.elapsed());
            let on = ListAlarms::new(&client).timeout(timeout).await?;
            let mut disarmed = AlarmList {
                header: on.header,
                alarms: Vec::with_capacity(on.alarms.len()),
            };
            for alarm in on.alarms {
                let answer = Disarm::new(&client, alarm).timeout(left()).await?;
                disarmed.header = answer.header;
                disarmed.alarms.extend(answer.alarms);
            }
            Ok(disarmed)
        })
    }
}

/// The alarms of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AlarmList {
    /// The answer's header.
    pub header: Header,
    /// The alarms that are on; in the answer to a request to disarm, those that were.
    pub alarms: Vec<Alarm>,
}

/// An alarm that is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Alarm {
    /// The member that raised it.
    pub member_id: MemberId,
    /// What it is about.
    pub kind: AlarmKind,
}

impl Alarm {
    /// The alarm of this kind that this member raised.
    pub const fn new(member_id: MemberId, kind: AlarmKind) -> Self {
        Self { member_id, kind }
    }
}

/// What an alarm is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AlarmKind {
    /// The backend quota is used up: the cluster refuses writes until space is freed and the alarm
    /// disarmed.
    NoSpace,
    /// Members disagree about the data. Since etcd 3.3.
    Corrupt,
    /// A kind that this version of the client does not know, by its number.
    Other(i32),
}

impl AlarmKind {
    fn number(self) -> i32 {
        match self {
            Self::NoSpace => pb::AlarmType::Nospace.into(),
            Self::Corrupt => pb::AlarmType::Corrupt.into(),
            Self::Other(number) => number,
        }
    }
}

impl AlarmList {
    fn decode(reply: Bytes) -> Result<Self, prost::DecodeError> {
        let response = pb::AlarmResponse::decode(reply)?;
        Ok(Self {
            header: response.header.into(),
            alarms: response.alarms.into_iter().map(Alarm::from).collect(),
        })
    }
}

impl From<pb::AlarmMember> for Alarm {
    fn from(alarm: pb::AlarmMember) -> Self {
        Self {
            member_id: MemberId(alarm.member_id),
            kind: match pb::AlarmType::try_from(alarm.alarm) {
                Ok(pb::AlarmType::Nospace) => AlarmKind::NoSpace,
                Ok(pb::AlarmType::Corrupt) => AlarmKind::Corrupt,
                Ok(pb::AlarmType::None) | Err(_) => AlarmKind::Other(alarm.alarm),
            },
        }
    }
}
