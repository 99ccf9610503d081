//! Refresh and drop TTL: give a key another time to live, or none, and leave its value alone.

use std::{future::IntoFuture, sync::atomic::Ordering, time::Duration};

use super::{Draft, find, respond};
use crate::v2::{Asker, Call, Client, ErrorKind, Response, Result, Ttl, Version};

impl Client {
    /// Gives a key another time to live, and keeps its value and its
    /// [`created_index`](crate::v2::Node::created_index). Watchers are not told, so this is how to keep keys
    /// alive.
    ///
    /// Since etcd 2.3. An older server would take the request for an update and empty the value, so the
    /// client asks for the version before it refreshes for the first time, and there reads the key and
    /// writes it with a compare-and-swap, of which watchers are told.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
    /// # let client = etcdkit::v2::Client::connect(server.endpoint()).await?;
    /// client.set("/alive", "host-7").ttl(10).await?;
    /// let refreshed = client.refresh("/alive", 60).await?.node.unwrap();
    /// assert_eq!((refreshed.value.as_deref(), refreshed.ttl), (Some("host-7"), Some(60)));
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn refresh(&self, key: impl Into<String>, ttl: impl Into<Ttl>) -> Refresh<'_> {
        Refresh {
            client: self,
            rewrite: Rewrite {
                operation: "refresh",
                key: key.into(),
                ttl: Some(ttl.into()),
                prev_value: None,
                prev_index: None,
            },
            timeout: None,
        }
    }

    /// Lets a key live for ever, and keeps its value and its
    /// [`created_index`](crate::v2::Node::created_index). Watchers see a compare-and-swap.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
    /// # let client = etcdkit::v2::Client::connect(server.endpoint()).await?;
    /// client.set("/message", "hello").ttl(10).await?;
    /// let kept = client.drop_ttl("/message").await?.node.unwrap();
    /// assert_eq!((kept.value.as_deref(), kept.ttl), (Some("hello"), None));
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn drop_ttl(&self, key: impl Into<String>) -> DropTtl<'_> {
        DropTtl {
            client: self,
            rewrite: Rewrite {
                operation: "drop TTL",
                key: key.into(),
                ttl: None,
                prev_value: None,
                prev_index: None,
            },
            timeout: None,
        }
    }
}

/// A refresh that has not been sent yet: made by [`Client::refresh`], sent when awaited.
///
/// # Errors
///
/// Before sending: [`InvalidRequest`](ErrorKind::InvalidRequest) for a time to live that etcd cannot keep
/// and for impossible conditions. From the server, among others: [`KeyNotFound`](ErrorKind::KeyNotFound) if
/// the key is gone, which a refresh never brings back, and [`CompareFailed`](ErrorKind::CompareFailed) with
/// conditions. For directories there is [`refresh_dir`](Client::refresh_dir).
///
/// It is sent again on its own only when the first attempt certainly had no effect.
#[derive(Debug)]
#[must_use = "a refresh is sent when awaited"]
pub struct Refresh<'a> {
    client: &'a Client,
    rewrite: Rewrite,
    timeout: Option<Duration>,
}

impl Refresh<'_> {
    /// Refreshes only if the key has this value, which is not empty: the holder's token, say.
    pub fn prev_value(mut self, value: impl Into<String>) -> Self {
        self.rewrite.prev_value = Some(value.into());
        self
    }

    /// Refreshes only if the key was last modified at this index. Refreshing moves the index.
    pub fn prev_index(mut self, index: u64) -> Self {
        self.rewrite.prev_index = Some(index);
        self
    }

    /// Limits the time for the whole call; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for Refresh<'_> {
    type Output = Result<Response>;
    type IntoFuture = Call<Response>;

    fn into_future(self) -> Call<Response> {
        let (client, rewrite) = (self.client.clone(), self.rewrite);
        Call::new(async move {
            let refresh = rewrite.as_refresh().finish()?;
            let asker = Asker::new(&client, self.timeout);
            match knows_refresh(&client, &asker).await? {
                true => respond(asker.ask(refresh).await),
                false => rewrite.run(&asker).await,
            }
        })
    }
}

/// A request to let a key live for ever that has not been sent yet: made by [`Client::drop_ttl`], sent when
/// awaited.
///
/// The key is read and written with a compare-and-swap, again if somebody else has written it in between,
/// until the time is up.
///
/// # Errors
///
/// From the server, among others: [`KeyNotFound`](ErrorKind::KeyNotFound),
/// [`NotAFile`](ErrorKind::NotAFile) for a directory, for which there is
/// [`update_dir`](Client::update_dir), and [`Timeout`](ErrorKind::Timeout) if others wrote the key all the
/// time.
#[derive(Debug)]
#[must_use = "a request is sent when awaited"]
pub struct DropTtl<'a> {
    client: &'a Client,
    rewrite: Rewrite,
    timeout: Option<Duration>,
}

impl DropTtl<'_> {
    /// Limits the time for the whole call; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for DropTtl<'_> {
    type Output = Result<Response>;
    type IntoFuture = Call<Response>;

    fn into_future(self) -> Call<Response> {
        let (client, rewrite) = (self.client.clone(), self.rewrite);
        Call::new(async move { rewrite.run(&Asker::new(&client, self.timeout)).await })
    }
}

/// What a key is to be written with besides the value that it has.
#[derive(Clone, Debug)]
struct Rewrite {
    operation: &'static str,
    key: String,
    /// `None` for ever.
    ttl: Option<Ttl>,
    prev_value: Option<String>,
    prev_index: Option<u64>,
}

impl Rewrite {
    /// One request, for servers since etcd 2.3.
    fn as_refresh(&self) -> Draft {
        let draft = Draft::put(self.operation, &*self.key)
            .with("prevExist", "true")
            .flag("refresh");
        self.conditions(draft)
    }

    /// A compare-and-swap by what was read, for all servers. The server looks at the caller's conditions:
    /// it alone knows whether they hold.
    fn as_swap(&self, value: String, modified_index: u64) -> Draft {
        let draft = Draft::put(self.operation, &*self.key).with("value", value);
        let index = self.prev_index.unwrap_or(modified_index);
        self.conditions(draft).prev_index(index)
    }

    fn conditions(&self, mut draft: Draft) -> Draft {
        if let Some(ttl) = self.ttl {
            draft = draft.ttl(ttl);
        }
        if let Some(value) = &self.prev_value {
            draft = draft.prev_value(value.clone());
        }
        if let Some(index) = self.prev_index {
            draft = draft.prev_index(index);
        }
        draft
    }

    /// Reads and writes until nobody comes between, or the time is up.
    async fn run(&self, asker: &Asker) -> Result<Response> {
        loop {
            let read = Draft::read(self.operation, &*self.key).quorum(true);
            let (_, node) = find(asker.ask(read.finish()?).await)?;
            let swap = self.as_swap(node.value.unwrap_or_default(), node.modified_index);
            match respond(asker.ask(swap.finish()?).await) {
                Err(error)
                    if error.kind() == ErrorKind::CompareFailed && self.is_unconditional() => {}
                done => return done,
            }
        }
    }

    fn is_unconditional(&self) -> bool {
        self.prev_value.is_none() && self.prev_index.is_none()
    }
}

/// Whether the cluster knows refreshes. One that does will not unlearn it.
async fn knows_refresh(client: &Client, asker: &Asker) -> Result<bool> {
    let known = &client.core.knows_refresh;
    if known.load(Ordering::Relaxed) {
        return Ok(true);
    }
    let version = Version::ask("refresh", asker).await;
    let knows = match version {
        Ok(version) => version.is_at_least((2, 3)),
        // Whoever hides the version is asked in the way that works everywhere.
        Err(error) if error.status().is_some() || error.kind() == ErrorKind::Protocol => false,
        Err(error) => return Err(error),
    };
    known.store(knows, Ordering::Relaxed);
    Ok(knows)
}

#[cfg(test)]
mod tests {
    use super::{super::draft::tests::line, *};

    fn rewrite() -> Rewrite {
        Rewrite {
            operation: "refresh",
            key: "/a".to_owned(),
            ttl: Some(5.into()),
            prev_value: None,
            prev_index: None,
        }
    }

    #[test]
    fn a_refresh_sends_no_value() {
        let plain = rewrite();
        assert_eq!(
            line(plain.as_refresh()).unwrap(),
            "PUT /v2/keys/a prevExist=true&refresh=true&ttl=5"
        );
        let guarded = Rewrite {
            prev_value: Some("me".to_owned()),
            ..rewrite()
        };
        assert_eq!(
            line(guarded.as_refresh()).unwrap(),
            "PUT /v2/keys/a prevExist=true&refresh=true&ttl=5&prevValue=me"
        );
        let impossible = Rewrite {
            prev_index: Some(0),
            ..rewrite()
        };
        assert!(line(impossible.as_refresh()).is_err());
    }

    #[test]
    fn a_swap_keeps_the_value_that_was_read() {
        let forever = Rewrite {
            ttl: None,
            ..rewrite()
        };
        assert_eq!(
            line(forever.as_swap("v".to_owned(), 7)).unwrap(),
            "PUT /v2/keys/a value=v&prevIndex=7"
        );
        let guarded = Rewrite {
            prev_index: Some(6),
            ..rewrite()
        };
        assert_eq!(
            line(guarded.as_swap(String::new(), 7)).unwrap(),
            "PUT /v2/keys/a value=&ttl=5&prevIndex=6"
        );
    }
}
