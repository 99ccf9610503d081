//! How old servers may be.

use std::{future::IntoFuture, sync::Arc};

use tokio::task::JoinSet;

use crate::{Client, Error, ErrorKind, Result, client::Core, wrap::namespace::Namespace};

impl Core {
    /// Fails if a server that can be asked is older than a version, given as major and minor.
    pub(crate) async fn require_server(self: &Arc<Self>, oldest: (u32, u32)) -> Result<()> {
        let mut asked = JoinSet::new();
        for place in self.roster.places() {
            let client = Client {
                core: Arc::clone(self),
                namespace: Namespace::default(),
            };
            asked.spawn(async move {
                let endpoint = &*place.endpoint.text;
                let within = client.core.config.connect_timeout;
                let status = client.maintenance().status(endpoint).timeout(within);
                (Arc::clone(&place.endpoint.text), status.into_future().await)
            });
        }
        while let Some(answer) = asked.join_next().await {
            match answer {
                Ok((endpoint, Ok(status))) => {
                    if parse(&status.version).is_none_or(|found| found < oldest) {
                        let (major, minor) = oldest;
                        let what = format!(
                            "the server is etcd {}, older than {major}.{minor}",
                            status.version
                        );
                        let error = Error::new(ErrorKind::OldCluster, what);
                        return Err(error.with_endpoint(endpoint).with_operation("connect"));
                    }
                }
                // An answer that is no answer to the question.
                Ok((_, Err(error))) if error.code().is_some() => return Err(error),
                Ok((_, Err(_))) | Err(_) => {}
            }
        }
        Ok(())
    }
}

/// The first two numbers of a version such as `3.5.30` or `3.6.0-rc.1`.
pub(crate) fn parse(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next()?.parse().ok()?;
    Some((major, minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(parse("3.5.30"), Some((3, 5)));
        assert_eq!(parse("3.10.0-rc.1"), Some((3, 10)));
        assert!(parse("3.10.0") > parse("3.9.9"));
        assert_eq!(parse(""), None);
        assert_eq!(parse("main"), None);
    }
}
