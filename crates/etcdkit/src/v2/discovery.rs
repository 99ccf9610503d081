//! A cluster found by the URL of its discovery token.
//!
//! The token lists the peer URLs that the cluster began with, which clients have no use for. Since etcd 2.0
//! each peer answers at `/members` who belongs to the cluster now and where clients reach it. This is how
//! etcd's own proxy of the v2 API finds a cluster.

mod token;

use std::sync::Arc;

use etcdkit_proto::v2 as wire;
use serde::Deserialize;
use tokio::task::JoinSet;

use self::token::Token;
use super::{
    Client, ClientBuilder, Error, ErrorKind, Node, Result, exec::Core, request::Request,
    sync::probe,
};
use crate::policy::Class;

const OPERATION: &str = "discovery";

impl Client {
    /// Connects to the cluster that has a discovery token, with default settings; see
    /// [`ClientBuilder::connect_by_discovery`].
    ///
    /// # Errors
    ///
    /// As [`ClientBuilder::connect_by_discovery`].
    pub async fn from_discovery(url: &str) -> Result<Self> {
        Self::builder().connect_by_discovery(url).await
    }
}

impl ClientBuilder {
    /// Makes a client of the cluster that has a discovery token: the URL that its members were started with
    /// (`--discovery`), at the public service or at an etcd that serves as one.
    ///
    /// The token tells with which peers the cluster began; those are asked for its members of today and for
    /// their client URLs, which become the endpoints. Peers of etcd 0.4 are asked in their way. If no peer
    /// answers, as those that want certificates of their own do not, their hosts are tried at the ports 2379
    /// and 4001. Endpoints that were [set](Self::endpoints) are not used.
    ///
    /// The user is told to none of them but the cluster's client URLs.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) for what is no such URL, and if its members turn out
    /// to be of different clusters; [`KeyNotFound`](ErrorKind::KeyNotFound) for a token that does not exist;
    /// [`Connect`](ErrorKind::Connect) if nobody can be reached or nobody has come yet; and those of
    /// [`connect`](Self::connect).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example() -> etcdkit::v2::Result<()> {
    /// use etcdkit::v2::Client;
    ///
    /// let client = Client::builder()
    ///     .user("root", "secret")
    ///     .connect_by_discovery("https://discovery.etcd.io/3e86b59982e49066c5d813af1c2e2579cbf573de")
    ///     .await?;
    /// println!("{:?}", client.endpoints().collect::<Vec<_>>());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect_by_discovery(self, url: &str) -> Result<Client> {
        let token = Token::parse(url)?;
        let core = Arc::new(self.core()?);
        let peers = peers(&core, &token).await?;
        if peers.is_empty() {
            let what = format!("nobody has come to {url} yet");
            return Err(Error::new(ErrorKind::Connect, what).with_operation(OPERATION));
        }
        let found = cluster(&core, &peers).await?;
        let endpoints = found.client_urls.iter().map(|url| core.endpoint(url));
        let endpoints = endpoints.collect::<Result<Vec<_>>>()?;
        core.adopt(endpoints)?;
        let client = Client { core };
        client.verify().await?;
        Ok(client)
    }
}

/// The peers that a token lists.
async fn peers(core: &Core, token: &Token) -> Result<Vec<String>> {
    let service = core.endpoint(&token.service)?;
    let request = |path: String| Request {
        only: Some(service.clone()),
        hasty: true,
        ..Request::get(OPERATION, path)
    };
    let size = core
        .call(request(format!("{}/_config/size", token.path)))
        .await;
    let size = match size {
        Ok(answer) => {
            let event: wire::Event = answer.json()?;
            let size = event.node.and_then(|node| node.value);
            size.and_then(|size| size.trim().parse().ok())
        }
        // Tokens of etcd 0.4 do not say how many are to come.
        Err(error) if error.status().is_some() => None,
        Err(error) => return Err(error),
    };
    let answer = core.call(request(token.path.clone())).await?;
    let event: wire::Event = answer.json()?;
    let entries = event.node.unwrap_or_default().nodes;
    Ok(token::peers(
        entries.into_iter().map(Node::from).collect(),
        size,
    ))
}

/// What is known of a cluster.
#[derive(Debug, Default)]
struct Found {
    client_urls: Vec<String>,
    /// 0 before etcd 2.0.
    cluster_id: u64,
}

/// Where clients reach the cluster of these peers.
async fn cluster(core: &Arc<Core>, peers: &[String]) -> Result<Found> {
    let answers = at_once(peers.to_vec(), |peer| {
        let core = Arc::clone(core);
        async move { ask_peer(&core, &peer).await }
    });
    let (mut clusters, mut failures) = (Vec::new(), Vec::new());
    for (peer, answer) in answers.await {
        match answer {
            Ok(found) => clusters.push(found),
            Err(error) => failures.push((peer, error)),
        }
    }
    let mut found = match clusters.is_empty() {
        false => agreed(clusters)?,
        true => guess(core, peers)
            .await
            .ok_or_else(|| unreachable(failures))?,
    };
    if found.cluster_id != 0 {
        found.client_urls = of_cluster(core, found.client_urls, found.cluster_id).await?;
    }
    Ok(found)
}

/// Asks all at once, and gives back the answers in the order of those who gave them.
async fn at_once<T, F>(urls: Vec<String>, ask: impl Fn(String) -> F) -> Vec<(String, Result<T>)>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let mut asked = JoinSet::new();
    for url in urls {
        let answer = ask(url.clone());
        asked.spawn(async move { (url, answer.await) });
    }
    let mut answers = Vec::new();
    // One that panicked has not answered.
    while let Some(answer) = asked.join_next().await {
        answers.extend(answer);
    }
    answers.sort_by(|(one, _), (other, _)| one.cmp(other));
    answers
}

/// Asks one peer who belongs to its cluster.
async fn ask_peer(core: &Core, peer: &str) -> Result<Found> {
    let answer = match core.call(question(core, peer, "/members")?).await {
        Ok(answer) => answer,
        Err(error) if error.status() == Some(404) => return ask_old_peer(core, peer).await,
        Err(error) => return Err(error),
    };
    let members: Vec<wire::Member> = answer.json()?;
    let urls = members.into_iter().flat_map(|member| member.client_urls);
    Ok(Found {
        client_urls: urls.collect(),
        cluster_id: answer.header.cluster_id,
    })
}

/// The same for etcd 0.4.
async fn ask_old_peer(core: &Core, peer: &str) -> Result<Found> {
    #[derive(Deserialize)]
    struct Machine {
        #[serde(rename = "clientURL", default)]
        client_url: String,
    }

    let answer = core
        .call(question(core, peer, "/v2/admin/machines")?)
        .await?;
    let machines: Vec<Machine> = answer.json()?;
    let urls = machines.into_iter().map(|machine| machine.client_url);
    Ok(Found {
        client_urls: urls.filter(|url| !url.is_empty()).collect(),
        cluster_id: 0,
    })
}

fn question(core: &Core, endpoint: &str, path: &str) -> Result<Request> {
    Ok(Request {
        only: Some(core.endpoint(endpoint)?),
        class: Class::Probe,
        hasty: true,
        timeout: Some(core.config.connect_timeout.saturating_mul(2)),
        ..Request::get(OPERATION, path)
    })
}

/// What all have said, if they speak of one cluster.
fn agreed(clusters: Vec<Found>) -> Result<Found> {
    let mut all = Found::default();
    for found in clusters {
        if all.cluster_id != 0 && found.cluster_id != 0 && all.cluster_id != found.cluster_id {
            return Err(foreign(all.cluster_id, found.cluster_id));
        }
        all.cluster_id = all.cluster_id.max(found.cluster_id);
        all.client_urls.extend(found.client_urls);
    }
    all.client_urls.sort();
    all.client_urls.dedup();
    match all.client_urls.is_empty() {
        false => Ok(all),
        true => {
            let what = "the members have no client URLs: none of them has started";
            Err(Error::new(ErrorKind::Connect, what).with_operation(OPERATION))
        }
    }
}

/// The first to answer of those whom peers that do not answer may be for clients.
async fn guess(core: &Core, peers: &[String]) -> Option<Found> {
    for url in peers.iter().flat_map(|peer| token::guesses(peer)) {
        let Ok(question) = question(core, &url, "/v2/members") else {
            continue;
        };
        let Ok(answer) = core.call(question).await else {
            continue;
        };
        let Ok(listed) = answer.json::<wire::Members>() else {
            continue;
        };
        let urls = listed
            .members
            .into_iter()
            .flat_map(|member| member.client_urls);
        let mut client_urls: Vec<String> = urls.collect();
        // What has answered can be reached, whatever it advertises.
        client_urls.push(url);
        return Some(Found {
            client_urls,
            cluster_id: answer.header.cluster_id,
        });
    }
    None
}

/// The client URLs without those that lead to other clusters. Members that are down stay, as long as one is
/// not.
async fn of_cluster(core: &Arc<Core>, urls: Vec<String>, cluster: u64) -> Result<Vec<String>> {
    let probes = at_once(urls, |url| {
        let core = Arc::clone(core);
        async move { probe(&core, OPERATION, &url, cluster).await }
    });
    let (mut kept, mut failures) = (Vec::new(), Vec::new());
    let mut reached = false;
    for (url, probed) in probes.await {
        match probed {
            Ok(_) => {
                reached = true;
                kept.push(url);
            }
            Err(error) if error.kind() == ErrorKind::Refused => failures.push((url, error)),
            Err(error) => {
                kept.push(url.clone());
                failures.push((url, error));
            }
        }
    }
    match reached {
        true => Ok(kept),
        false => Err(unreachable(failures)),
    }
}

fn foreign(one: u64, other: u64) -> Error {
    let what = format!("the token's members belong to different clusters, {one:x} and {other:x}");
    Error::invalid_config(what).with_operation(OPERATION)
}

fn unreachable(failures: Vec<(String, Error)>) -> Error {
    let causes = failures
        .iter()
        .map(|(url, error)| format!("{url}: {}", error.message()));
    let causes = causes.collect::<Vec<_>>().join("; ");
    let what = format!("no member that the token leads to can be reached ({causes})");
    let error = Error::new(ErrorKind::Connect, what).with_operation(OPERATION);
    match failures.into_iter().next_back() {
        Some((_, cause)) => error.with_source(cause),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(cluster_id: u64, urls: &[&str]) -> Found {
        Found {
            client_urls: urls.iter().map(|&url| url.to_owned()).collect(),
            cluster_id,
        }
    }

    #[test]
    fn peers_speak_of_one_cluster() {
        let all = agreed(vec![
            found(0, &["http://c"]),
            found(7, &["http://b", "http://a"]),
            found(7, &["http://a"]),
        ]);
        let all = all.unwrap();
        assert_eq!(all.cluster_id, 7);
        assert_eq!(all.client_urls, ["http://a", "http://b", "http://c"]);

        let error = agreed(vec![found(7, &["http://a"]), found(8, &["http://b"])]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert_eq!(
            agreed(vec![found(7, &[])]).unwrap_err().kind(),
            ErrorKind::Connect
        );
    }
}
