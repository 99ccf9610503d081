//! What a discovery token says: which peers a cluster began with. Pure.

use http::Uri;

use crate::v2::{Error, Node, Result};

/// The URL of a token, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// The service, with its port.
    pub(super) service: String,
    pub(super) path: String,
}

impl Token {
    pub(super) fn parse(url: &str) -> Result<Self> {
        let bad = |why: &str| {
            Err(Error::invalid_config(format!(
                "discovery URL {url:?} {why}; it looks like https://discovery.etcd.io/TOKEN or \
                 http://HOST:2379/v2/keys/discovery/TOKEN"
            )))
        };
        let Ok(parsed) = url.trim().parse::<Uri>() else {
            return bad("is no URL");
        };
        let port = match parsed.scheme_str() {
            Some("http") => 80,
            Some("https") => 443,
            _ => return bad("has a scheme that is not http or https"),
        };
        let Some(authority) = parsed.authority() else {
            return bad("names no host");
        };
        if authority.as_str().contains('@') {
            return Err(Error::invalid_config(
                "a discovery URL contains user information; it never carries credentials",
            ));
        }
        let path = parsed.path().trim_end_matches('/');
        if path.is_empty() || path == "/v2/keys" {
            return bad("names no token");
        }
        let host = authority.host();
        let port = authority.port_u16().unwrap_or(port);
        Ok(Self {
            service: format!("{}://{host}:{port}", parsed.scheme_str().unwrap_or("http")),
            path: path.to_owned(),
        })
    }
}

/// The URLs at which the members of a new cluster reach each other, from what they have left at a token.
///
/// The first ones to come are the cluster, as many as it was to have; more may have come in vain.
pub(super) fn peers(mut entries: Vec<Node>, size: Option<usize>) -> Vec<String> {
    entries.retain(|entry| !entry.is_hidden() && !entry.is_dir);
    entries.sort_by_key(|entry| entry.created_index);
    entries.truncate(size.unwrap_or(usize::MAX));
    let values = entries.into_iter().filter_map(|entry| entry.value);
    let mut urls: Vec<String> = values.flat_map(|value| peers_of(&value)).collect();
    urls.sort();
    urls.dedup();
    urls
}

/// Since etcd 2.0 `name=url`, with a comma (or, as its documents say, `&`) before each further one; before
/// that the bare URL, or only its host and port.
fn peers_of(value: &str) -> Vec<String> {
    let parts = value.split([',', '&']).map(str::trim);
    parts
        .map(|part| part.split_once('=').map_or(part, |(_, url)| url))
        .filter(|url| !url.is_empty())
        .map(|url| match url.contains("://") {
            true => url.to_owned(),
            false => format!("http://{url}"),
        })
        .collect()
}

/// Where a member may serve clients if its peer URL is all that is known of it: at the same host, over TLS or
/// not as the peers, on the ports that etcd has used.
pub(super) fn guesses(peer: &str) -> Vec<String> {
    let Ok(url) = peer.parse::<Uri>() else {
        return Vec::new();
    };
    match (url.scheme_str(), url.host()) {
        (Some(scheme), Some(host)) => [2379, 4001]
            .map(|port| format!("{scheme}://{host}:{port}"))
            .into(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use etcdkit_proto::v2 as wire;

    use super::*;

    fn token(url: &str) -> (String, String) {
        let token = Token::parse(url).expect(url);
        (token.service, token.path)
    }

    #[test]
    fn tokens_are_taken_apart() {
        for (url, service, path) in [
            (
                "https://discovery.etcd.io/17ca38",
                "https://discovery.etcd.io:443",
                "/17ca38",
            ),
            (
                "http://10.0.0.1:2379/v2/keys/discovery/a%20b/",
                "http://10.0.0.1:2379",
                "/v2/keys/discovery/a%20b",
            ),
            (
                "http://[::1]:4001/v2/keys/t",
                "http://[::1]:4001",
                "/v2/keys/t",
            ),
        ] {
            assert_eq!(token(url), (service.to_owned(), path.to_owned()));
        }
        for url in [
            "",
            "17ca38",
            "discovery.etcd.io/17ca38",
            "ftp://a/b",
            "https://discovery.etcd.io",
            "http://a:2379/v2/keys/",
            "http://user:secret@a/b",
        ] {
            let error = Token::parse(url).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    fn entries(json: &str) -> Vec<Node> {
        let nodes: Vec<wire::Node> = serde_json::from_str(json).unwrap();
        nodes.into_iter().map(Node::from).collect()
    }

    #[test]
    fn the_first_to_come_are_the_cluster() {
        let json = r#"[
            {"key":"/t/c","value":"c=http://c:2380","createdIndex":9,"modifiedIndex":9},
            {"key":"/t/a","value":"a=http://a:2380,a=http://a2:2380","createdIndex":7,"modifiedIndex":7},
            {"key":"/t/_config","dir":true,"createdIndex":3,"modifiedIndex":3},
            {"key":"/t/b","value":"b=https://b:2380&b=https://b2:2380","createdIndex":8,"modifiedIndex":8}]"#;
        assert_eq!(
            peers(entries(json), Some(2)),
            [
                "http://a2:2380",
                "http://a:2380",
                "https://b2:2380",
                "https://b:2380"
            ]
        );
        assert_eq!(peers(entries(json), None).len(), 5);
        assert!(peers(Vec::new(), Some(3)).is_empty());
    }

    #[test]
    fn old_entries_are_bare() {
        assert_eq!(peers_of("127.0.0.1:7001"), ["http://127.0.0.1:7001"]);
        assert_eq!(peers_of("http://127.0.0.1:7001"), ["http://127.0.0.1:7001"]);
        assert!(peers_of("").is_empty() && peers_of("a=").is_empty());
    }

    #[test]
    fn hosts_are_all_that_is_left_of_peers_that_do_not_answer() {
        assert_eq!(
            guesses("https://a:2380"),
            ["https://a:2379", "https://a:4001"]
        );
        assert_eq!(guesses("http://[::1]:7001")[0], "http://[::1]:2379");
        assert!(guesses("nonsense").is_empty());
    }
}
