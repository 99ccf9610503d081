//! Where clients reach the cluster.

use super::{AdminRequest, Client, ErrorKind, members, request::Request};

impl Client {
    /// The URLs at which clients reach the members, in order, as the member that answers knows them, with or
    /// without a leader.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
    /// # let client = etcdkit::v2::Client::connect(server.endpoint()).await?;
    /// assert_eq!(client.machines().await?, [server.endpoint()]);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn machines(&self) -> AdminRequest<'_, Vec<String>> {
        AdminRequest::several(self, |asker| async move {
            let request = Request::get("machines", "/v2/machines");
            let not_served = match asker.ask(request).await {
                Ok(answer) => return Ok(read(answer.text()?)),
                Err(error) if error.kind() == ErrorKind::NotServed => error,
                Err(error) => return Err(error),
            };
            // Who serves no list may still know the members.
            match members::list("machines", &asker).await {
                Ok(members) => {
                    let urls = members.into_iter().flat_map(|member| member.client_urls);
                    let mut urls: Vec<String> = urls.collect();
                    urls.sort();
                    Ok(urls)
                }
                Err(_) => Err(not_served),
            }
        })
    }
}

fn read(text: &str) -> Vec<String> {
    let urls = text.split(',').map(str::trim);
    urls.filter(|url| !url.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_told_apart() {
        assert_eq!(
            read("http://a:2379, http://b:2379\n"),
            ["http://a:2379", "http://b:2379"]
        );
        assert_eq!(read("http://a:4001"), ["http://a:4001"]);
        assert!(read("").is_empty());
    }
}
