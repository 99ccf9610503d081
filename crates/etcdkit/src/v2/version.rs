//! The versions of servers.

use serde::Deserialize;

use super::{AdminRequest, Asker, Client, ErrorKind, Result, request::Request};

impl Client {
    /// The version of the server that answers, which may be any etcd from 0.2 on.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
    /// # let client = etcdkit::v2::Client::connect(server.endpoint()).await?;
    /// let version = client.version().await?;
    /// assert!(version.server.starts_with("3."));
    /// assert!(version.cluster.is_some());
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn version(&self) -> AdminRequest<'_, Version> {
        AdminRequest::several(self, |asker| async move {
            Version::ask("version", &asker).await
        })
    }
}

/// The version of a server and of its cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Version {
    /// That of the server, such as `3.5.30`.
    pub server: String,
    /// What all members of the cluster can do, such as `3.5.0`. `None` as long as the members have not
    /// agreed, and before etcd 2.1.
    pub cluster: Option<String>,
}

impl Version {
    pub(super) async fn ask(operation: &'static str, asker: &Asker) -> Result<Self> {
        let answer = asker.ask(Request::get(operation, "/version")).await?;
        Self::read(answer.text()?).ok_or_else(|| {
            answer
                .told
                .error(ErrorKind::Protocol, "the answer is no version")
        })
    }

    /// Reads what servers have said over the years.
    fn read(text: &str) -> Option<Self> {
        /// Since etcd 2.1, and in 2.0.
        #[derive(Deserialize)]
        struct Wire {
            #[serde(alias = "releaseVersion")]
            etcdserver: String,
            etcdcluster: Option<String>,
        }

        let text = text.trim();
        if let Some(server) = text.strip_prefix("etcd ") {
            let server = server.to_owned();
            return Some(Self {
                server,
                cluster: None,
            });
        }
        let wire: Wire = serde_json::from_str(text).ok()?;
        let agreed = |cluster: &String| !matches!(cluster.as_str(), "" | "not_decided");
        Some(Self {
            server: wire.etcdserver,
            cluster: wire.etcdcluster.filter(agreed),
        })
    }

    /// Whether what all members can do is as new as this.
    pub(super) fn is_at_least(&self, oldest: (u32, u32)) -> bool {
        let version = self.cluster.as_ref().unwrap_or(&self.server);
        crate::endpoints::major_and_minor(version).is_some_and(|found| found >= oldest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_tells_its_version() {
        for (text, server, cluster) in [
            (
                r#"{"etcdserver":"3.5.30","etcdcluster":"3.5.0"}"#,
                "3.5.30",
                Some("3.5.0"),
            ),
            (
                r#"{"etcdserver":"2.3.8","etcdcluster":"not_decided"}"#,
                "2.3.8",
                None,
            ),
            (
                r#"{"releaseVersion":"2.0.13","internalVersion":"2"}"#,
                "2.0.13",
                None,
            ),
            ("etcd 0.4.6\n", "0.4.6", None),
        ] {
            let version = Version::read(text).expect(text);
            assert_eq!(version.server, server);
            assert_eq!(version.cluster.as_deref(), cluster);
        }
        for text in ["", "404 page not found", "{}", "[]"] {
            assert_eq!(Version::read(text), None, "{text}");
        }
    }

    #[test]
    fn the_oldest_member_counts() {
        let version = |server: &str, cluster: Option<&str>| Version {
            server: server.to_owned(),
            cluster: cluster.map(str::to_owned),
        };
        assert!(version("2.3.8", None).is_at_least((2, 3)));
        assert!(version("3.5.30", Some("3.5.0")).is_at_least((2, 3)));
        assert!(!version("2.3.8", Some("2.2.0")).is_at_least((2, 3)));
        assert!(!version("0.4.6", None).is_at_least((2, 3)));
        assert!(!version("unheard of", None).is_at_least((2, 3)));
    }
}
