//! Whether a member is well.

use serde::Deserialize;

use super::{AdminRequest, Client, request::Request};
use crate::policy::Class;

impl Client {
    /// Whether the member that answers is well: it has a leader and can write.
    ///
    /// Being unwell is an answer, not an error. Errors are those of a member that cannot be asked, or that
    /// does not know the question: etcd before 2.0.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
    /// # let client = etcdkit::v2::Client::connect(server.endpoint()).await?;
    /// let health = client.health().await?;
    /// assert!(health.healthy, "{:?}", health.reason);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn health(&self) -> AdminRequest<'_, Health> {
        let request = Request {
            class: Class::Local,
            any_status: true,
            ..Request::get("health", "/health")
        };
        AdminRequest::one(self, Ok(request), |answer| {
            match Health::read(&answer.body) {
                Some(health) => Ok(health),
                None => Err(answer.told.refusal(answer.status, &answer.body)),
            }
        })
    }
}

/// How a member is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Whether it is well.
    pub healthy: bool,
    /// What it says about it, such as `RAFT NO LEADER`. Since etcd 3.5.
    pub reason: Option<String>,
}

impl Health {
    /// Reads what servers have said over the years, with whatever status.
    fn read(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Wire {
            health: Word,
            #[serde(default)]
            reason: String,
        }

        /// etcd has always said it as a text, and others would take it for a boolean.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Word {
            Text(String),
            Boolean(bool),
        }

        let wire: Wire = serde_json::from_slice(body).ok()?;
        let healthy = match wire.health {
            Word::Boolean(healthy) => healthy,
            Word::Text(text) => text.parse().ok()?,
        };
        Some(Self {
            healthy,
            reason: Some(wire.reason).filter(|reason| !reason.is_empty()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_tells_its_health() {
        for (body, healthy, reason) in [
            (r#"{"health":"true","reason":""}"#, true, None),
            (
                "{\"health\":\"false\",\"reason\":\"RAFT NO LEADER\"}\n",
                false,
                Some("RAFT NO LEADER"),
            ),
            (r#"{"health":"false"}"#, false, None),
            (r#"{"health": "true"}"#, true, None),
            (r#"{"health":true}"#, true, None),
        ] {
            let health = Health::read(body.as_bytes()).expect(body);
            assert_eq!(
                (health.healthy, health.reason.as_deref()),
                (healthy, reason)
            );
        }
        for body in [
            "",
            "{}",
            r#"{"message":"zero endpoints"}"#,
            r#"{"health":"?"}"#,
        ] {
            assert_eq!(Health::read(body.as_bytes()), None, "{body}");
        }
    }
}
