//! Members of the cluster.

use etcdkit_proto::v2 as wire;

use super::{
    AdminRequest, Asker, Client, Error, ErrorKind, Result, exec::Answer, request::Request,
};
use crate::{MemberId, admin::peer_url};

impl Client {
    /// The members of the cluster, and changes of them.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
    /// # let client = etcdkit::v2::Client::connect(server.endpoint()).await?;
    /// let members = client.members().list().await?;
    /// let leader = client.members().leader().await?;
    /// assert_eq!(members, [leader]);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn members(&self) -> Members<'_> {
        Members { client: self }
    }
}

/// The members of the cluster, by [`Client::members`].
///
/// Listing them needs no leader and no user. With authentication on, changes need a user with the role
/// `root`.
///
/// # Errors
///
/// Changes fail, among others, with [`Refused`](ErrorKind::Refused): for an id that no member has (status 404)
/// or had one that was removed (410), for peer URLs that another member has (409), and where the cluster would
/// lose its quorum, with [`Server`](ErrorKind::Server) (500), of which only the server's log says why.
#[derive(Clone, Copy, Debug)]
pub struct Members<'a> {
    client: &'a Client,
}

impl<'a> Members<'a> {
    /// Lists the members, in the order of their ids.
    pub fn list(&self) -> AdminRequest<'a, Vec<Member>> {
        AdminRequest::several(self.client, |asker| async move {
            list("member list", &asker).await
        })
    }

    /// The member that leads; [`Server`](ErrorKind::Server) with status 503 during an election.
    pub fn leader(&self) -> AdminRequest<'a, Member> {
        AdminRequest::several(self.client, |asker| async move {
            leader("member leader", &asker).await
        })
    }

    /// Adds a member that will be reached by the others at these URLs, before it is started.
    ///
    /// A cluster of one does not accept writes from then on until the new member runs.
    ///
    /// # Errors
    ///
    /// Before sending: [`InvalidRequest`](ErrorKind::InvalidRequest) for what is no peer URL.
    pub fn add<U: Into<String>>(
        &self,
        peer_urls: impl IntoIterator<Item = U>,
    ) -> AdminRequest<'a, Member> {
        let request = with_urls(Request::post("member add", "/v2/members"), peer_urls);
        AdminRequest::one(self.client, request, |answer| read(&answer, answer.json()?))
    }

    /// Tells the cluster of other URLs that a member is reached at.
    ///
    /// # Errors
    ///
    /// Before sending: [`InvalidRequest`](ErrorKind::InvalidRequest) for what is no peer URL.
    pub fn update<U: Into<String>>(
        &self,
        id: impl Into<MemberId>,
        peer_urls: impl IntoIterator<Item = U>,
    ) -> AdminRequest<'a, ()> {
        let request = Request::put("member update", path_of(id.into()));
        AdminRequest::one(self.client, with_urls(request, peer_urls), |_| Ok(()))
    }

    /// Removes a member for ever: its id does not come back, and its process stops.
    pub fn remove(&self, id: impl Into<MemberId>) -> AdminRequest<'a, ()> {
        let request = Request::delete("member remove", path_of(id.into()));
        AdminRequest::one(self.client, Ok(request), |_| Ok(()))
    }
}

/// A member of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// Its id.
    pub id: MemberId,
    /// Its name; empty as long as it has not started.
    pub name: String,
    /// Where the other members reach it.
    pub peer_urls: Vec<String>,
    /// Where clients reach it, as it says; empty as long as it has not started.
    pub client_urls: Vec<String>,
}

pub(super) async fn list(operation: &'static str, asker: &Asker) -> Result<Vec<Member>> {
    let answer = asker.ask(Request::get(operation, "/v2/members")).await?;
    let wire: wire::Members = answer.json()?;
    if wire.members.is_empty() {
        let what = "the answer names no members, of which every cluster has one";
        return Err(answer.told.error(ErrorKind::Protocol, what));
    }
    let members = wire.members.into_iter();
    members.map(|member| read(&answer, member)).collect()
}

pub(super) async fn leader(operation: &'static str, asker: &Asker) -> Result<Member> {
    let request = Request::get(operation, "/v2/members/leader");
    let answer = asker.ask(request).await?;
    read(&answer, answer.json()?)
}

fn read(answer: &Answer, member: wire::Member) -> Result<Member> {
    let Ok(id) = member.id.parse() else {
        let what = format!("{:?} is no member's id", member.id);
        return Err(answer.told.error(ErrorKind::Protocol, what));
    };
    Ok(Member {
        id,
        name: member.name,
        peer_urls: member.peer_urls,
        client_urls: member.client_urls,
    })
}

fn path_of(id: MemberId) -> String {
    format!("/v2/members/{id}")
}

fn with_urls<U: Into<String>>(
    request: Request,
    urls: impl IntoIterator<Item = U>,
) -> Result<Request> {
    let peer_urls: Vec<String> = urls.into_iter().map(U::into).collect();
    match peer_url::check(&peer_urls) {
        Ok(()) => Ok(request.json(&wire::MemberRequest { peer_urls })),
        Err(error) => {
            Err(Error::invalid_request(error.message()).with_operation(request.operation))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_named_as_servers_name_them() {
        assert_eq!(path_of(MemberId(0x0e9e)), "/v2/members/e9e");
    }

    #[test]
    fn bad_urls_are_not_sent() {
        let request = || Request::post("member add", "/v2/members");
        let error = with_urls(request(), ["http://a"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        assert!(error.message().contains("http://a"));
        assert!(with_urls::<&str>(request(), []).is_err());
        assert!(with_urls(request(), ["http://a:2380"]).is_ok());
    }
}
