//! What etcd notes about the cluster, at the indexes before those of users.

use std::time::Duration;

use bytes::Bytes;
use etcdkit_proto::json;
use etcdkit_proto::v2::{Attributes, KeysError, MemberRequest};

use super::path::{Namespace, Path};
use super::tree::Tree;
use super::write::Content;

/// The member that serves the tree.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: &'a str,
    /// Where it listens to other members.
    pub peer_urls: &'a [String],
    /// Where it listens to clients.
    pub client_urls: &'a [String],
}

impl Tree {
    /// Notes what a member notes when it starts: its name and its URLs, and the first time of all, that it is a
    /// member, and the version of the cluster, such as `3.5.0`. So the first change of a user has the index 4, and
    /// each start takes one.
    ///
    /// # Errors
    ///
    /// None that can happen to an id that is always the same.
    pub fn begin(
        &mut self,
        member: Member<'_>,
        cluster_version: &str,
        now: Duration,
    ) -> Result<(), KeysError> {
        let is_first = self.index == 0;
        if is_first {
            let content = peers(member.peer_urls);
            let path = of_member(member.id, "raftAttributes");
            self.create(&path, Content::value(&content), now)?;
        }
        let attributes = json_of(&Attributes {
            name: member.name.to_owned(),
            client_urls: member.client_urls.to_vec(),
        });
        let path = of_member(member.id, "attributes");
        self.set(&path, Content::value(&attributes), now)?;
        if is_first {
            let path = Path::new(Namespace::Cluster, "/version");
            self.set(&path, Content::value(cluster_version), now)?;
        }
        Ok(())
    }

    /// Notes where a member listens to others now.
    ///
    /// # Errors
    ///
    /// `KeyNotFound` if there is no such member.
    pub fn set_peer_urls(
        &mut self,
        id: u64,
        urls: &[String],
        now: Duration,
    ) -> Result<(), KeysError> {
        let content = peers(urls);
        let path = of_member(id, "raftAttributes");
        self.update(&path, Content::value(&content), now).map(drop)
    }
}

fn of_member(id: u64, what: &str) -> Path {
    Path::new(Namespace::Cluster, format!("/members/{id:x}/{what}"))
}

fn peers(urls: &[String]) -> Bytes {
    json_of(&MemberRequest {
        peer_urls: urls.to_vec(),
    })
}

fn json_of(value: &impl serde::Serialize) -> Bytes {
    let mut json = Vec::new();
    // Neither text nor memory can fail.
    let _ = json::to_writer(&mut json, value);
    json.into()
}
