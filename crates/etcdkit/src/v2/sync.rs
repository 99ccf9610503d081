//! Endpoints from the cluster's list of members.

use std::sync::Arc;

use etcdkit_proto::v2::Members;
use tokio::task::JoinSet;

use super::{Client, Error, ErrorKind, Result, exec::Core, request::Request};
use crate::{endpoints::eligible, policy::Class, transport::endpoint::Endpoint};

/// What came of [`Client::sync_endpoints`].
#[derive(Debug)]
#[non_exhaustive]
pub struct EndpointSync {
    /// The client's endpoints now.
    pub endpoints: Vec<String>,
    /// Client URLs of members that were not taken.
    pub rejected: Vec<RejectedEndpoint>,
}

/// A member's client URL that a client does not use.
#[derive(Debug)]
#[non_exhaustive]
pub struct RejectedEndpoint {
    /// The id of the member that advertises the URL, in hexadecimal.
    pub member: String,
    /// The URL.
    pub endpoint: String,
    /// Why it is not used.
    pub error: Error,
}

/// A member's id and one of its client URLs.
type Candidate = (String, String);

impl Client {
    /// Asks the cluster for its members and makes their client URLs the endpoints.
    ///
    /// Each that is new is taken only once it has answered as a member of the same cluster: URLs that
    /// are advertised but cannot be reached from here, lead elsewhere, or would give up TLS change
    /// nothing. What the client uses already stays as long as it is a member's, even if it is down at
    /// the moment. If nothing is left, the endpoints stay as they are.
    ///
    /// Dropping the future leaves everything as it is. Needs etcd 2.0.
    ///
    /// # Errors
    ///
    /// The list of members could not be had.
    pub async fn sync_endpoints(&self) -> Result<EndpointSync> {
        let core = &self.core;
        let version = core.roster.version();
        let answer = core.call(members("sync_endpoints", Class::Read)).await?;
        let listed: Members = answer.json()?;
        let cluster = answer.header.cluster_id;
        let urls = listed.members.into_iter().flat_map(|member| {
            let id = member.id;
            member
                .client_urls
                .into_iter()
                .map(move |url| (id.clone(), url))
        });
        let mut probes = JoinSet::new();
        for (order, candidate) in urls.enumerate() {
            let core = Arc::clone(core);
            probes.spawn(async move {
                let found = probe(&core, "sync_endpoints", &candidate.1, cluster).await;
                (order, candidate, found)
            });
        }
        let mut findings = Vec::new();
        // A probe that panicked is one less.
        while let Some(done) = probes.join_next().await {
            findings.extend(done);
        }
        findings.sort_by_key(|(order, ..)| *order);
        let findings = findings
            .into_iter()
            .map(|(_, candidate, found)| (candidate, found));
        let (endpoints, rejected) = settle(core, findings);
        if !endpoints.is_empty() {
            core.roster.replace_if(version, endpoints);
        }
        Ok(EndpointSync {
            endpoints: self.endpoints().collect(),
            rejected,
        })
    }
}

fn members(operation: &'static str, class: Class) -> Request {
    let mut request = Request::get(operation, "/v2/members");
    request.class = class;
    request
}

/// Whether a URL leads to a member of the cluster.
pub(super) async fn probe(
    core: &Core,
    operation: &'static str,
    url: &str,
    cluster: u64,
) -> Result<Endpoint> {
    let endpoint = eligible(url, core.speaks_tls()).map_err(Error::of_config)?;
    let mut request = members(operation, Class::Probe);
    request.only = Some(core.endpoint(url)?);
    request.timeout = Some(core.config.connect_timeout.saturating_mul(2));
    request.hasty = true;
    let answer = core.call(request).await?;
    match answer.header.cluster_id == cluster {
        true => Ok(endpoint),
        false => Err(Error::new(
            ErrorKind::Refused,
            format!(
                "it belongs to cluster {:x} instead of {cluster:x}",
                answer.header.cluster_id
            ),
        )),
    }
}

/// The endpoints to go on with, and what was not taken.
fn settle(
    core: &Core,
    findings: impl Iterator<Item = (Candidate, Result<Endpoint>)>,
) -> (Vec<Endpoint>, Vec<RejectedEndpoint>) {
    let (mut endpoints, mut rejected) = (Vec::new(), Vec::new());
    for ((member, endpoint), found) in findings {
        let kept = match found {
            Ok(found) => Some(found),
            Err(error) => {
                let is_down = error.kind() != ErrorKind::Refused;
                let kept = core.endpoint(&endpoint).ok();
                let kept = kept.filter(|endpoint| is_down && core.is_ours(endpoint));
                rejected.push(RejectedEndpoint {
                    member,
                    endpoint,
                    error,
                });
                kept
            }
        };
        endpoints.extend(kept.filter(|kept| !endpoints.contains(kept)));
    }
    (endpoints, rejected)
}
