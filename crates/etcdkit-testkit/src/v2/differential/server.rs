//! A server under comparison, and its connections.

use std::{
    collections::BTreeMap,
    io,
    time::{Duration, Instant},
};

use tokio::time::timeout;

use super::{
    answer::{Answer, Names, Shown},
    json::Json,
    step::Step,
};
use crate::{
    differential::{Api, BoxError, Host, Identity, ServerKind},
    v2::http::{Connection, Poll, Received, Request},
};

/// For what must come: longer than a member without a leader holds a write.
pub(super) const PATIENCE: Duration = Duration::from_secs(12);

/// Keys that have a second to live must not go while others are given theirs.
const LONGEST_GIVING: Duration = Duration::from_millis(700);

/// A running server with an empty tree. Dropping it ends the server.
#[derive(Debug)]
pub(super) struct Server {
    host: Host,
    names: Names,
    /// What it had counted before the first step, which depends on how it starts.
    first_counts: Json,
    connection: Connection,
    polls: BTreeMap<usize, Open>,
}

/// A request that has not been answered in full, or had not when it was last looked at.
#[derive(Debug)]
struct Open {
    poll: Poll,
    sorted: bool,
}

/// What a step came to.
#[derive(Debug)]
pub(super) enum Done {
    /// These answers.
    Answer(Answer),
    /// The machine was too slow to tell anything.
    TooSlow,
}

impl Server {
    /// Starts a server of this kind that says of itself what its `twin` says, as far as it lets itself
    /// be told, and waits until it changes nothing more by itself.
    pub(super) async fn start(
        kind: &ServerKind,
        twin: Option<&Identity>,
    ) -> Result<Self, BoxError> {
        let host = Host::start(kind, Api::V2, twin).await?;
        let mut connection = Connection::new(&host.endpoint);
        let versions = timeout(PATIENCE, versions(&mut connection)).await??;
        let names = names(&host.identity, &versions);
        let first_counts = counts(&mut connection).await?;
        Ok(Self {
            host,
            names,
            first_counts,
            connection,
            polls: BTreeMap::new(),
        })
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.host.identity
    }

    /// Sends what the step says, but does not look at what is open.
    pub(super) async fn apply(&mut self, step: &Step) -> Done {
        match timeout(PATIENCE * 2, self.try_apply(step)).await {
            Ok(Ok(done)) => done,
            Ok(Err(error)) => Done::Answer(Answer::broken(&error)),
            Err(_) => Done::Answer(Answer::Broken("there is no answer".to_owned())),
        }
    }

    async fn try_apply(&mut self, step: &Step) -> io::Result<Done> {
        let answer = match step {
            Step::Send(request) => Answer::one(self.send(request).await?),
            Step::Open { slot, request } => Answer::one(self.open(*slot, request).await?),
            Step::HangUp { slot } => {
                self.polls.remove(slot);
                Answer::Answered(Vec::new())
            }
            Step::Lapse(requests) => return self.lapse(requests).await,
            Step::Fill(times) => {
                let mut last = Vec::new();
                for turn in 0..*times {
                    let form = format!("value={turn}");
                    let put = Request::new("PUT", "/v2/keys/fill").form(form);
                    last = vec![self.send(&put).await?];
                }
                Answer::Answered(last)
            }
            Step::Count => {
                let mut shown = self.send(&Request::new("GET", STORE_STATS)).await?;
                shown.count_from(&self.first_counts);
                Answer::one(shown)
            }
        };
        Ok(Done::Answer(answer))
    }

    async fn send(&mut self, request: &Request) -> io::Result<Shown> {
        let answer = self.connection.exchange(request).await?;
        let is_sorted = asks_for_order(request);
        let (head, body) = (&answer.head, &answer.body);
        Ok(Shown::of(head, body, &self.names, is_sorted))
    }

    /// Waits for the head; the body is for [`received`](Self::received).
    async fn open(&mut self, slot: usize, request: &Request) -> io::Result<Shown> {
        let poll = self.connection.open(request).await?;
        let sorted = asks_for_order(request);
        let shown = Shown::of(&poll.head, b"", &self.names, sorted);
        self.polls.insert(slot, Open { poll, sorted });
        Ok(shown)
    }

    /// Which requests are open.
    pub(super) fn slots(&self) -> Vec<usize> {
        self.polls.keys().copied().collect()
    }

    /// How much has come of an open request.
    pub(super) fn extent(&self, slot: usize) -> Extent {
        let open = self.polls.get(&slot);
        open.map(|open| Extent::of(&open.poll.received()))
            .unwrap_or_default()
    }

    /// Waits until as much has come, though not for long.
    pub(super) async fn reach(&mut self, slot: usize, extent: Extent) {
        if let Some(open) = self.polls.get_mut(&slot) {
            let enough = open.poll.until(|received| Extent::of(received) >= extent);
            let _ = timeout(PATIENCE, enough).await;
        }
    }

    /// What has come of an open request.
    pub(super) fn received(&self, slot: usize) -> Answer {
        let Some(Open { poll, sorted }) = self.polls.get(&slot) else {
            return Answer::Answered(Vec::new());
        };
        let Received { body, end } = poll.received();
        if let Some(Err(kind)) = end {
            return Answer::broken(&kind.into());
        }
        let shown = Shown::of(&poll.head, &body, &self.names, *sorted);
        Answer::one(shown)
    }

    /// Gives keys a second to live, and waits until all are gone that got one.
    async fn lapse(&mut self, requests: &[Request]) -> io::Result<Done> {
        let before = self.expired().await?;
        let start = Instant::now();
        let mut answers = Vec::new();
        let mut given = Vec::new();
        for request in requests {
            let answer = self.connection.exchange(request).await?;
            if let Some(node) = str::from_utf8(&answer.body)
                .ok()
                .and_then(|body| Json::parse(body.trim_end()))
                .as_ref()
                .and_then(|json| json.get("node"))
                && let Some(key) = node.get("key").and_then(Json::text)
            {
                let expiration = node.get("expiration").and_then(Json::text);
                given.retain(|(known, _)| *known != key);
                given.extend(expiration.map(|expiration| (key, expiration)));
            }
            answers.push(Shown::of(&answer.head, &answer.body, &self.names, false));
        }
        if start.elapsed() > LONGEST_GIVING {
            return Ok(Done::TooSlow);
        }
        // What is below a directory that goes first goes with it.
        let is_below = |key: &str, other: &str| {
            key.strip_prefix(other)
                .is_some_and(|rest| rest.starts_with('/'))
        };
        let alone = given.iter().filter(|(key, time)| {
            !given
                .iter()
                .any(|(other, earlier)| is_below(key, other) && earlier <= time)
        });
        let expected = before + alone.count() as i64;
        while self.expired().await? < expected {
            if start.elapsed() > PATIENCE {
                let why = format!("{expected} keys have not expired");
                return Ok(Done::Answer(Answer::Broken(why)));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(Done::Answer(Answer::Answered(answers)))
    }

    /// How many keys have expired.
    async fn expired(&mut self) -> io::Result<i64> {
        let counts = counts(&mut self.connection).await?;
        let expired = counts.get("expireCount").and_then(Json::number);
        expired.ok_or_else(|| io::Error::other(format!("no expireCount in {counts:?}")))
    }
}

const STORE_STATS: &str = "/v2/stats/store";

async fn counts(connection: &mut Connection) -> io::Result<Json> {
    let request = Request::new("GET", STORE_STATS);
    let answer = connection.exchange(&request).await?;
    let counts = str::from_utf8(&answer.body).ok().and_then(Json::parse);
    counts.ok_or_else(|| io::Error::other(format!("no counts in {answer:?}")))
}

/// How much of a body has come: whole lines, and whether that was all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Extent {
    lines: usize,
    has_ended: bool,
}

impl Extent {
    fn of(received: &Received) -> Self {
        let lines = received.body.iter().filter(|byte| **byte == b'\n');
        Self {
            lines: lines.count(),
            has_ended: received.end.is_some(),
        }
    }
}

/// Whether the order of a directory's nodes counts.
fn asks_for_order(request: &Request) -> bool {
    let query = request
        .target
        .split_once('?')
        .map_or("", |(_, query)| query);
    let mut said = query
        .split('&')
        .filter_map(|parameter| parameter.strip_prefix("sorted="));
    matches!(
        said.next(),
        Some("1" | "t" | "T" | "TRUE" | "true" | "True")
    )
}

/// What `/version` says as soon as the cluster has decided, which is its last change by itself.
async fn versions(connection: &mut Connection) -> io::Result<(String, String)> {
    loop {
        let answer = connection
            .exchange(&Request::new("GET", "/version"))
            .await?;
        let json: serde_json::Value = serde_json::from_slice(&answer.body)?;
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        let (server, cluster) = (text("etcdserver"), text("etcdcluster"));
        if cluster != "not_decided" {
            return Ok((server, cluster));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn names(identity: &Identity, (server, cluster): &(String, String)) -> Names {
    let member = &identity.member;
    let mut names = Vec::new();
    let urls = |urls: &[String], shown| urls.iter().map(|url| (url.clone(), shown)).collect();
    let client_urls: Vec<_> = urls(&member.client_ur_ls, "<client-url>");
    names.extend(client_urls);
    let peer_urls: Vec<_> = urls(&member.peer_ur_ls, "<peer-url>");
    names.extend(peer_urls);
    names.push((format!("{:x}", identity.cluster_id), "<cluster>"));
    names.push((format!("{:x}", member.id), "<member>"));
    names.push((server.clone(), "<version>"));
    names.push((cluster.clone(), "<cluster-version>"));
    Names(names)
}
