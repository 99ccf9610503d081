//! Where a server sends a request on to. Pure.
//!
//! etcd 0.x sends writes on to its leader (307); every etcd sends paths that are not clean to their
//! clean form (301), and the public discovery service to where its tokens live.

use http::{HeaderMap, StatusCode, Uri, header::LOCATION};

use super::{Error, ErrorKind};
use crate::transport::endpoint::Endpoint;

/// How often a request is followed on, as by etcd's Go client.
pub(super) const MOST: usize = 10;

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) endpoint: Endpoint,
    pub(super) path_and_query: String,
}

impl Target {
    pub(super) fn path(&self) -> &str {
        let path = self.path_and_query.split('?').next();
        path.unwrap_or(&self.path_and_query)
    }
}

/// Whether a status sends the request on, if a place is named.
pub(super) fn is_redirect(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    )
}

/// The next place after one that redirects.
///
/// # Errors
///
/// If none is named, or one that must not be gone to: who began with TLS does not go on without.
pub(super) fn follow(from: &Target, headers: &HeaderMap) -> Result<Target, Error> {
    let bad = |why: &str| Err(Error::new(ErrorKind::BadRedirect, why.to_owned()));
    let Some(location) = headers.get(LOCATION) else {
        return bad("the server sends the request on and does not say where to");
    };
    let Some(uri) = location
        .to_str()
        .ok()
        .and_then(|text| text.parse::<Uri>().ok())
    else {
        return bad("the server sends the request on to something that is no URL");
    };
    let path_and_query = match uri.path_and_query() {
        Some(path) if path.as_str().starts_with('/') => path.as_str().to_owned(),
        _ => return bad("the server sends the request on to a URL without a path"),
    };
    let endpoint = match (uri.scheme_str(), uri.authority()) {
        (None, None) => from.endpoint.clone(),
        (scheme, Some(authority)) => {
            let secure = match scheme {
                None => from.endpoint.tls,
                Some("https") => true,
                Some("http") => false,
                Some(_) => {
                    return bad("the server sends the request on to another scheme than http");
                }
            };
            if from.endpoint.tls && !secure {
                return bad("the server sends a request that came over TLS on to a URL without");
            }
            let port = authority
                .port_u16()
                .unwrap_or(if secure { 443 } else { 80 });
            let scheme = if secure { "https" } else { "http" };
            let text = format!("{scheme}://{}:{port}", authority.host());
            match Endpoint::parse(&text, secure) {
                Ok(endpoint) => endpoint,
                Err(_) => return bad("the server sends the request on to a host that is none"),
            }
        }
        (Some(_), None) => return bad("the server sends the request on to a URL without a host"),
    };
    Ok(Target {
        endpoint,
        path_and_query,
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn from(endpoint: &str) -> Target {
        Target {
            endpoint: Endpoint::parse(endpoint, false).expect("an endpoint"),
            path_and_query: "/v2/keys/a?dir=true".to_owned(),
        }
    }

    fn to(endpoint: &str, location: &str) -> Result<(String, String), ErrorKind> {
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, HeaderValue::from_str(location).expect("a value"));
        follow(&from(endpoint), &headers)
            .map(|target| (target.endpoint.text.to_string(), target.path_and_query))
            .map_err(|error| error.kind())
    }

    #[test]
    fn places_are_absolute_or_relative() {
        let a = "http://a:4001";
        for (location, endpoint, path) in [
            (
                "http://b:4001/v2/keys/a?dir=true",
                "http://b:4001",
                "/v2/keys/a?dir=true",
            ),
            ("/v2/keys/b", a, "/v2/keys/b"),
            ("http://b/v2/keys/b", "http://b:80", "/v2/keys/b"),
            ("http://user:pw@b/x", "http://b:80", "/x"),
        ] {
            let target = (endpoint.to_owned(), path.to_owned());
            assert_eq!(to(a, location), Ok(target), "{location}");
        }
        #[cfg(feature = "tls")]
        assert_eq!(
            to(a, "https://b/x"),
            Ok(("https://b:443".to_owned(), "/x".to_owned()))
        );
    }

    #[test]
    fn nobody_is_sent_astray() {
        for location in ["", "ftp://b/x", "http://", "nonsense", "*"] {
            assert_eq!(
                to("http://a:1", location),
                Err(ErrorKind::BadRedirect),
                "{location}"
            );
        }
        assert!(follow(&from("http://a:1"), &HeaderMap::new()).is_err());
    }

    #[cfg(feature = "tls")]
    #[test]
    fn tls_is_not_given_up() {
        assert_eq!(
            to("https://a:1", "http://a:1/x"),
            Err(ErrorKind::BadRedirect)
        );
        assert!(to("https://a:1", "https://b:1/x").is_ok());
    }
}
