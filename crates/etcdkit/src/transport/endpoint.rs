//! Where a server is, and how to speak to it.

use std::{fmt, path::PathBuf, sync::Arc};

use http::uri::{Authority, Scheme};

use crate::{Error, Result};

/// The port etcd serves clients on.
const DEFAULT_PORT: u16 = 2379;

/// Why an endpoint with TLS is refused when the crate was built without it.
#[cfg(not(feature = "tls"))]
pub(crate) const NO_TLS: &str =
    "needs TLS, which etcdkit was built without; enable its feature tls-aws-lc or tls-ring";

/// One server address, parsed once when the client is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// The endpoint as errors and traces show it.
    pub(crate) text: Arc<str>,
    pub(crate) address: Address,
    /// Whether TLS is spoken on top of the address.
    pub(crate) tls: bool,
    /// What goes into HTTP/2's `:authority`.
    pub(crate) authority: Authority,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

impl Endpoint {
    /// Parses `http://host:port`, `https://host:port`, `unix:path`, `unixs:path` or a bare
    /// `host:port`, which speaks TLS when the client has TLS settings, as etcd's Go client does.
    pub(crate) fn parse(text: &str, tls_configured: bool) -> Result<Self> {
        let bad = |why: &str| {
            Err(Error::invalid_config(format!(
                "endpoint {text:?} {why}; endpoints look like http://127.0.0.1:2379, \
                 https://etcd.example:2379 or unix:/run/etcd.sock"
            )))
        };
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return bad("is empty");
        }
        // Userinfo would end up in errors and traces, and etcd has no use for it.
        if trimmed.contains('@') {
            return Err(Error::invalid_config(
                "an endpoint contains user information; endpoints never carry credentials",
            ));
        }
        #[cfg(not(feature = "tls"))]
        if ["https:", "unixs:"]
            .iter()
            .any(|scheme| trimmed.starts_with(scheme))
        {
            return Err(Error::invalid_config(format!("endpoint {text:?} {NO_TLS}")));
        }
        for (scheme, tls) in [("unixs", true), ("unix", false)] {
            if let Some(path) = trimmed
                .strip_prefix(scheme)
                .and_then(|rest| rest.strip_prefix(':'))
            {
                let path = path.strip_prefix("//").unwrap_or(path);
                if path.is_empty() {
                    return bad("names no socket");
                }
                return Ok(Self {
                    text: trimmed.into(),
                    address: Address::Unix(path.into()),
                    tls,
                    authority: Authority::from_static("localhost"),
                });
            }
        }
        let (tls, rest) = match trimmed.split_once("://") {
            None => (tls_configured, trimmed),
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            Some(_) => return bad("has a scheme that is not http, https, unix or unixs"),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#']) {
            return bad("has a path or query");
        }
        let Ok(authority) = rest.parse::<Authority>() else {
            return bad("is not host:port");
        };
        let host = authority.host();
        if host.is_empty() {
            return bad("names no host");
        }
        let port = match &rest[host.len()..] {
            "" => DEFAULT_PORT,
            port => match port
                .strip_prefix(':')
                .and_then(|port| port.parse::<u16>().ok())
            {
                None | Some(0) => return bad("has no valid port"),
                Some(port) => port,
            },
        };
        // A socket address wants an IPv6 host without its brackets.
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let text = match trimmed.contains("://") {
            true => trimmed.strip_suffix('/').unwrap_or(trimmed).into(),
            false => format!("{}://{rest}", if tls { "https" } else { "http" }).into(),
        };
        Ok(Self {
            text,
            address: Address::Tcp { host, port },
            tls,
            authority,
        })
    }

    /// The endpoint behind a connector that needs no address.
    pub(crate) fn in_process() -> Self {
        Self {
            text: "in-process".into(),
            address: Address::Tcp {
                host: "localhost".into(),
                port: DEFAULT_PORT,
            },
            tls: false,
            authority: Authority::from_static("localhost"),
        }
    }

    /// The name that the server's certificate must carry.
    #[cfg(feature = "tls")]
    pub(crate) fn host(&self) -> &str {
        match &self.address {
            Address::Tcp { host, .. } => host,
            Address::Unix(_) => "localhost",
        }
    }

    pub(crate) fn is_tcp(&self) -> bool {
        matches!(self.address, Address::Tcp { .. })
    }

    pub(crate) fn scheme(&self) -> Scheme {
        if self.tls {
            Scheme::HTTPS
        } else {
            Scheme::HTTP
        }
    }
}

/// Parses the endpoints of one client: each once, and all with TLS or all without.
pub(crate) fn parse_all(texts: &[String], tls_configured: bool) -> Result<Vec<Endpoint>> {
    let mut endpoints: Vec<Endpoint> = Vec::with_capacity(texts.len());
    for text in texts {
        let endpoint = Endpoint::parse(text, tls_configured)?;
        // An endpoint named twice would get twice its share of requests.
        if !endpoints.contains(&endpoint) {
            endpoints.push(endpoint);
        }
    }
    let on_tcp = |tls| {
        endpoints
            .iter()
            .any(|endpoint| endpoint.tls == tls && endpoint.is_tcp())
    };
    if on_tcp(true) && on_tcp(false) {
        return Err(Error::invalid_config(
            "the endpoints mix http and https, so that some requests would travel in the clear; use \
             one scheme for all",
        ));
    }
    Ok(endpoints)
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// One endpoint or several, in the forms people have them: a string, which may hold a list
/// separated by commas as `ETCDCTL_ENDPOINTS` does, or any list of strings.
pub trait IntoEndpoints {
    /// The endpoints, one string each.
    fn into_endpoints(self) -> Vec<String>;
}

fn split(text: &str) -> Vec<String> {
    text.split(',')
        .map(|endpoint| endpoint.trim().to_owned())
        .collect()
}

impl IntoEndpoints for &str {
    fn into_endpoints(self) -> Vec<String> {
        split(self)
    }
}

impl IntoEndpoints for String {
    fn into_endpoints(self) -> Vec<String> {
        split(&self)
    }
}

impl IntoEndpoints for &String {
    fn into_endpoints(self) -> Vec<String> {
        split(self)
    }
}

impl<S: AsRef<str>> IntoEndpoints for Vec<S> {
    fn into_endpoints(self) -> Vec<String> {
        self.iter().flat_map(|text| split(text.as_ref())).collect()
    }
}

impl<S: AsRef<str>> IntoEndpoints for &[S] {
    fn into_endpoints(self) -> Vec<String> {
        self.iter().flat_map(|text| split(text.as_ref())).collect()
    }
}

impl<S: AsRef<str>> IntoEndpoints for &Vec<S> {
    fn into_endpoints(self) -> Vec<String> {
        self.as_slice().into_endpoints()
    }
}

impl<S: AsRef<str>, const N: usize> IntoEndpoints for [S; N] {
    fn into_endpoints(self) -> Vec<String> {
        self.as_slice().into_endpoints()
    }
}

impl<S: AsRef<str>, const N: usize> IntoEndpoints for &[S; N] {
    fn into_endpoints(self) -> Vec<String> {
        self.as_slice().into_endpoints()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn tcp(host: &str, port: u16) -> Address {
        Address::Tcp {
            host: host.into(),
            port,
        }
    }

    #[test]
    fn endpoints_parse() {
        for (text, tls_configured, shown, address, tls) in [
            (
                "http://127.0.0.1:2379",
                true,
                "http://127.0.0.1:2379",
                tcp("127.0.0.1", 2379),
                false,
            ),
            (
                "https://etcd.example:1",
                false,
                "https://etcd.example:1",
                tcp("etcd.example", 1),
                true,
            ),
            (
                "http://etcd.example/",
                false,
                "http://etcd.example",
                tcp("etcd.example", 2379),
                false,
            ),
            (
                "localhost:2379",
                false,
                "http://localhost:2379",
                tcp("localhost", 2379),
                false,
            ),
            (
                "localhost:2379",
                true,
                "https://localhost:2379",
                tcp("localhost", 2379),
                true,
            ),
            (
                "[::1]:2379",
                false,
                "http://[::1]:2379",
                tcp("::1", 2379),
                false,
            ),
            (
                "http://[::1]",
                false,
                "http://[::1]",
                tcp("::1", 2379),
                false,
            ),
            (
                "unix:/run/e.sock",
                true,
                "unix:/run/e.sock",
                Address::Unix("/run/e.sock".into()),
                false,
            ),
            (
                "unix:///run/e",
                false,
                "unix:///run/e",
                Address::Unix("/run/e".into()),
                false,
            ),
            (
                "unixs://e.sock",
                false,
                "unixs://e.sock",
                Address::Unix("e.sock".into()),
                true,
            ),
        ] {
            let endpoint = Endpoint::parse(text, tls_configured);
            if text.starts_with("https:") || text.starts_with("unixs:") {
                assert_eq!(endpoint.is_ok(), cfg!(feature = "tls"), "{text}");
            }
            let Ok(endpoint) = endpoint else {
                let error = endpoint.unwrap_err();
                assert!(error.to_string().contains("tls-ring"), "{text}: {error}");
                continue;
            };
            assert_eq!(&*endpoint.text, shown);
            assert_eq!(endpoint.address, address, "{text}");
            assert_eq!(endpoint.tls, tls, "{text}");
        }
    }

    #[test]
    fn bad_endpoints_are_refused() {
        for text in [
            "",
            " ",
            "http://",
            "http://:2379",
            "ftp://a:1",
            "http://a:0",
            "http://a:65536",
            "http://a:b",
            "http://a:1/v3",
            "a b:1",
            "http://a:1?x",
            "unix:",
            "unixs://",
            "::1:2379",
            "http://root:secret@a:1",
        ] {
            let error = Endpoint::parse(text, false).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{text}");
            assert!(!error.to_string().contains("secret"));
        }
    }

    #[test]
    fn lists_come_in_many_forms() {
        assert_eq!("a, b".into_endpoints(), ["a", "b"]);
        assert_eq!(["a", "b"].into_endpoints(), ["a", "b"]);
        assert_eq!(
            vec!["a".to_owned(), "b,c".to_owned()].into_endpoints(),
            ["a", "b", "c"]
        );
    }
}
