//! Answers of `/v2/members`, and of `/members` on the peers' ports.

use serde::de::{Deserializer, Error, Unexpected, Visitor};
use serde::{Deserialize, Serialize};

/// A member of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its id in hexadecimal, without leading zeros. `/members` on the peers' ports has a decimal number
    /// instead, which is read, too.
    #[serde(default, deserialize_with = "id")]
    pub id: String,
    /// Empty as long as it has not started.
    #[serde(default)]
    pub name: String,
    /// Where it listens to other members.
    #[serde(default, rename = "peerURLs", deserialize_with = "list")]
    pub peer_urls: Vec<String>,
    /// Where it listens to clients; empty as long as it has not started.
    #[serde(default, rename = "clientURLs", deserialize_with = "list")]
    pub client_urls: Vec<String>,
}

/// The answer of `GET /v2/members`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Members {
    /// All members, by id.
    #[serde(default, deserialize_with = "list")]
    pub members: Vec<Member>,
}

/// What adds or changes a member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRequest {
    /// Where it listens to other members.
    #[serde(default, rename = "peerURLs", deserialize_with = "list")]
    pub peer_urls: Vec<String>,
}

/// What etcd notes about a member that has started, as the value of a key of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attributes {
    /// The member's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Where it listens to clients.
    #[serde(
        rename = "clientURLs",
        deserialize_with = "list",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub client_urls: Vec<String>,
}

/// A list, which Go may write as `null`.
pub(super) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    struct Id;

    impl Visitor<'_> for Id {
        type Value = String;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a member's id")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<String, E> {
            Ok(format!("{number:x}"))
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<String, E> {
            let number = u64::try_from(number)
                .map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))?;
            self.visit_u64(number)
        }
    }

    deserializer.deserialize_any(Id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read_from_either_port() {
        let json = concat!(
            r#"{"members":[{"id":"8e9e05c52164694d","name":"a","peerURLs":["http://a:2380"],"#,
            r#""clientURLs":[]}]}"#
        );
        let members: Members = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&members).unwrap(), json);

        let json = r#"[{"id":10276657743932975437,"peerURLs":["http://a:2380"],"name":"a","clientURLs":null}]"#;
        let of_peer: Vec<Member> = serde_json::from_str(json).unwrap();
        assert_eq!(of_peer, members.members);
    }
}
