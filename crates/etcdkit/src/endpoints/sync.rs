//! Endpoints from the cluster's list of members.

use std::{future::IntoFuture, sync::Arc};

use etcdkit_proto::etcdserverpb as pb;
use prost::Message;
use tokio::task::JoinSet;

use super::{EndpointSync, RejectedEndpoint};
use crate::{
    Client, Error, ErrorKind, Header, Member, MemberId, MemberList, Result,
    client::Core,
    exec::{Call, Request},
    policy::Class,
    transport::{endpoint::Endpoint, roster::Place},
    wire::Frame,
    wrap::namespace::Namespace,
};

/// A member's client URL.
struct Candidate {
    member: MemberId,
    url: String,
}

/// What was found out about one.
type Finding = (Candidate, Result<Endpoint>);

pub(super) async fn sync(core: &Arc<Core>) -> Result<EndpointSync> {
    let (version, list) = match members(core).await {
        // What the client began with may still be there when all that it found out later is not.
        (_, Err(error)) if error.kind() == ErrorKind::Connect && core.roster.add_seeds() => {
            core.follow();
            members(core).await
        }
        asked => asked,
    };
    let list = list?;
    let mut probes = JoinSet::new();
    let mut findings = Vec::new();
    let secure = core.speaks_tls();
    for (order, candidate) in candidates(list.members).into_iter().enumerate() {
        match eligible(&candidate.url, secure) {
            Err(error) => findings.push((order, (candidate, Err(error)))),
            Ok(endpoint) => {
                let (core, cluster) = (Arc::clone(core), list.header.cluster_id);
                probes.spawn(async move {
                    let answer = probe(&core, endpoint, cluster).await;
                    (order, (candidate, answer))
                });
            }
        }
    }
    // A probe that panicked is one less.
    while let Some(done) = probes.join_next().await {
        findings.extend(done);
    }
    findings.sort_by_key(|(order, _)| *order);
    let findings = findings.into_iter().map(|(_, finding)| finding).collect();
    Ok(adopt(core, version, findings))
}

/// The members that the cluster agrees on, and the version of the roster from before asking.
async fn members(core: &Arc<Core>) -> (u64, Result<MemberList>) {
    let version = core.roster.version();
    let client = Client {
        core: Arc::clone(core),
        namespace: Namespace::default(),
    };
    (version, client.cluster().members().into_future().await)
}

/// The client URLs of members that have been started and vote.
fn candidates(members: Vec<Member>) -> Vec<Candidate> {
    let serving = members
        .into_iter()
        .filter(|member| !member.name.is_empty() && !member.is_learner);
    let urls = serving.flat_map(|member| {
        let candidate = move |url| Candidate {
            member: member.id,
            url,
        };
        member.client_urls.into_iter().map(candidate)
    });
    urls.collect()
}

/// A URL that a member advertises, if a client that speaks TLS or does not may use it.
pub(crate) fn eligible(url: &str, secure: bool) -> Result<Endpoint> {
    let endpoint = Endpoint::parse(url, secure)?;
    match (endpoint.tls, secure) {
        (false, true) if endpoint.is_tcp() => Err(Error::invalid_config(
            "it speaks no TLS, as the client's endpoints do",
        )),
        (true, false) => Err(Error::invalid_config(
            "it speaks TLS, as the client's endpoints do not",
        )),
        _ => Ok(endpoint),
    }
}

/// Whether an endpoint answers, and for the right cluster.
async fn probe(core: &Arc<Core>, endpoint: Endpoint, cluster: u64) -> Result<Endpoint> {
    let (core, place) = core.at_endpoint(endpoint.clone())?;
    let within = core.config.connect_timeout;
    if core.is_foreign() {
        core.pool.first(within).await?;
    }
    let request = Request {
        method: &crate::admin::MEMBER_LIST,
        frame: Frame::of(&pb::MemberListRequest {
            linearizable: false,
        }),
        class: Class::Local,
        timeout: Some(within),
        only: Some(place),
    };
    let header = |reply| {
        let response = pb::MemberListResponse::decode(reply)?;
        Ok(Header::from(response.header))
    };
    match Call::new(&core, request, header).await {
        Ok(header) if header.cluster_id == cluster => Ok(endpoint),
        Ok(header) => {
            let what = format!(
                "it belongs to cluster {:x} instead of {cluster:x}",
                header.cluster_id
            );
            Err(Error::new(ErrorKind::OtherCluster, what))
        }
        // It serves etcd, only not this to everybody.
        Err(error) if error.code().is_some() => Ok(endpoint),
        Err(error) => Err(error),
    }
}

/// Makes endpoints of what answered. What the client uses already stays even if it is down at the
/// moment, as long as it is a member's.
fn adopt(core: &Core, version: u64, findings: Vec<Finding>) -> EndpointSync {
    let before = core.roster.places();
    let known = |url: &str| {
        let endpoint = Endpoint::parse(url, core.speaks_tls()).ok()?;
        let uses = |place: &&Arc<Place>| *place.endpoint == endpoint;
        before.iter().find(uses).map(|_| endpoint)
    };
    let (mut endpoints, mut rejected) = (Vec::new(), Vec::new());
    let mut answered = false;
    for (Candidate { member, url }, answer) in findings {
        let endpoint = match answer {
            Ok(endpoint) => {
                answered = true;
                endpoint
            }
            Err(error) => {
                tracing::debug!(endpoint = url, %error, "a member's client URL cannot be used");
                let kept = known(&url).filter(|_| error.kind() != ErrorKind::OtherCluster);
                let endpoint = url;
                rejected.push(RejectedEndpoint {
                    member,
                    endpoint,
                    error,
                });
                match kept {
                    Some(kept) => kept,
                    None => continue,
                }
            }
        };
        if !endpoints.contains(&endpoint) {
            endpoints.push(endpoint);
        }
    }
    match answered {
        true => {
            if core.roster.replace_if(version, endpoints) {
                core.follow();
            }
        }
        false => tracing::warn!(
            "no client URL that the cluster's members advertise can be used; keeping the endpoints"
        ),
    }
    let places = core.roster.places();
    EndpointSync {
        endpoints: places
            .iter()
            .map(|place| place.endpoint.text.to_string())
            .collect(),
        rejected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: u64, name: &str, urls: &[&str], is_learner: bool) -> Member {
        pb::Member {
            id,
            name: name.to_owned(),
            client_ur_ls: urls.iter().map(|&url| url.to_owned()).collect(),
            is_learner,
            ..pb::Member::default()
        }
        .into()
    }

    #[test]
    fn members_that_vote_and_were_started_are_candidates_with_all_their_urls() {
        let members = vec![
            member(1, "a", &["http://a:1", "http://a:2"], false),
            member(2, "", &[], false),
            member(3, "c", &["http://c:1"], true),
            member(4, "d", &["http://d:1"], false),
        ];
        let found: Vec<_> = candidates(members)
            .into_iter()
            .map(|candidate| (candidate.member.0, candidate.url))
            .collect();
        let wanted = [(1, "http://a:1"), (1, "http://a:2"), (4, "http://d:1")];
        assert_eq!(found, wanted.map(|(id, url)| (id, url.to_owned())));
    }

    #[test]
    fn tls_is_neither_given_up_nor_begun() {
        assert!(eligible("http://a:1", false).is_ok());
        assert!(eligible("unix:a", false).is_ok());
        assert!(eligible("http://a:1", true).is_err());
        assert!(eligible("https://a:1", false).is_err());
        assert!(eligible("nonsense://a:1", false).is_err());
        assert!(eligible("unix:a", true).is_ok());
        #[cfg(feature = "tls")]
        assert!(eligible("https://a:1", true).is_ok());
    }
}
