//! The URLs that members reach each other at, checked before they are sent.
//!
//! The rules are those of etcd's own parser, which servers apply too, but tell less about: their
//! answer does not say which URL is wrong, or how. Beyond it a URL needs a host and a port, without
//! which no member could be reached.

use crate::{Error, ErrorKind};

/// Fails with what is wrong with the first bad URL.
pub(crate) fn check(urls: &[String]) -> Result<(), Error> {
    if urls.is_empty() {
        return Err(bad("a member needs a peer URL".to_owned()));
    }
    for url in urls {
        if let Err(what) = check_one(url) {
            return Err(bad(format!("the peer URL {url:?} {what}")));
        }
    }
    Ok(())
}

fn bad(message: String) -> Error {
    Error::new(ErrorKind::MemberBadUrls, message)
}

fn check_one(url: &str) -> Result<(), &'static str> {
    let Some((scheme, rest)) = url.split_once(':') else {
        return Err("has no scheme: it is http://host:port or https://host:port");
    };
    match scheme.to_ascii_lowercase().as_str() {
        "unix" | "unixs" => return Ok(()),
        "http" | "https" => {}
        _ => return Err("has another scheme than http, https, unix and unixs"),
    }
    let Some(authority) = rest.strip_prefix("//") else {
        return Err("lacks `//` after its scheme");
    };
    if authority.contains(['/', '?', '#']) {
        return Err("goes on after its port: it must not have a path");
    }
    let Some((host, port)) = split(authority) else {
        return Err("has no port, or an IPv6 address without brackets");
    };
    if host.is_empty() {
        return Err("has no host");
    }
    if port.parse::<u16>().is_err() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("has no port from 0 to 65535");
    }
    Ok(())
}

/// Splits `host:port` and `[address]:port`.
fn split(authority: &str) -> Option<(&str, &str)> {
    match authority.strip_prefix('[') {
        Some(rest) => rest.split_once("]:"),
        None => authority
            .rsplit_once(':')
            .filter(|(host, _)| !host.contains(':')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(urls: &[&str]) -> Result<(), Error> {
        check(&urls.iter().map(|url| (*url).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn what_etcd_takes_is_taken() {
        for url in [
            "http://10.0.0.1:2380",
            "https://etcd-1.example:2380",
            "HTTP://etcd:2380",
            "http://[::1]:2380",
            "unix:peer.sock",
            "unixs://localhost:1",
        ] {
            assert!(verdict(&[url]).is_ok(), "{url}");
        }
        assert!(verdict(&["http://a:1", "http://b:1"]).is_ok());
    }

    #[test]
    fn what_no_member_can_be_reached_at_is_refused_by_name() {
        for (url, what) in [
            ("", "scheme"),
            ("10.0.0.1", "scheme"),
            ("etcd:2380", "another scheme"),
            ("ftp://etcd:2380", "another scheme"),
            ("http:etcd:2380", "//"),
            ("http://etcd", "no port"),
            ("http://etcd:", "no port"),
            ("http://etcd:http", "no port"),
            ("http://etcd:70000", "no port"),
            ("http://etcd:+80", "no port"),
            ("http://:2380", "no host"),
            ("http://::1:2380", "brackets"),
            ("http://etcd:2380/", "path"),
            ("http://etcd:2380/peers", "path"),
        ] {
            let error = verdict(&["http://good:2380", url]).expect_err(url);
            assert_eq!(error.kind(), ErrorKind::MemberBadUrls);
            assert!(error.message().contains(what), "{url}: {error}");
        }
        assert!(verdict(&[]).is_err());
    }
}
