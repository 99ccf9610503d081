//! Settings from a URL, such as `etcd://name:password@a:2379,b:2379/app?timeout=5s`.

use percent_encoding::percent_decode_str;

use super::{Draft, Settings, option::Setting};
use crate::{Error, Result};

const FORM: &str = "etcd://name:password@host:2379,host:2379/namespace?timeout=5s";

pub(super) fn settings(url: &str) -> Result<Settings> {
    let mut draft = Draft::default();
    read(&mut draft, url)?;
    draft.finish()
}

/// Reads a URL into a draft. Errors never quote the URL itself, which may hold a password.
pub(super) fn read(draft: &mut Draft, url: &str) -> Result<()> {
    let bad = |why: &str| {
        Err(Error::invalid_config(format!(
            "the URL {why}; it looks like {FORM}"
        )))
    };
    let url = url.trim();
    if url.contains('#') {
        return bad("has a fragment");
    }
    let (location, query) = url.split_once('?').unwrap_or((url, ""));
    let Some((scheme, rest)) = location.split_once(':') else {
        return bad("has no scheme");
    };
    if matches!(scheme, "unix" | "unixs") {
        draft.set(Setting::Endpoints, "the URL", &[location])?;
        return read_query(draft, query);
    }
    let Some(rest) = rest.strip_prefix("//") else {
        return bad("has no // after its scheme");
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let hosts = match authority.rsplit_once('@') {
        None => authority,
        Some((user, hosts)) => {
            let Some((name, password)) = user.split_once(':') else {
                return bad("names a user without a password");
            };
            let (name, password) = (decode("user", name)?, decode("password", password)?);
            draft.set(Setting::UserName, "the URL's user", &[&name])?;
            draft.set(Setting::Password, "the URL's password", &[&password])?;
            hosts
        }
    };
    if hosts.is_empty() {
        return bad("names no host");
    }
    // `etcd` leaves it to the other settings whether TLS is spoken, as an endpoint without a scheme.
    let scheme = match scheme {
        "etcd" => "",
        "http" => "http://",
        "https" | "etcds" => "https://",
        "etcd+srv" => {
            draft.set(Setting::DiscoverySrv, "the URL", &[hosts])?;
            return read_rest(draft, path, query);
        }
        _ => {
            return bad(
                "has a scheme that is not etcd, etcds, http, https, unix, unixs or etcd+srv",
            );
        }
    };
    let endpoints: Vec<String> = hosts
        .split(',')
        .map(|host| format!("{scheme}{}", host.trim()))
        .collect();
    let endpoints: Vec<&str> = endpoints.iter().map(String::as_str).collect();
    draft.set(Setting::Endpoints, "the URL", &endpoints)?;
    read_rest(draft, path, query)
}

fn read_rest(draft: &mut Draft, path: &str, query: &str) -> Result<()> {
    let namespace = decode("namespace", path)?;
    if !namespace.is_empty() {
        draft.set(Setting::Namespace, "the URL's path", &[&namespace])?;
    }
    read_query(draft, query)
}

fn read_query(draft: &mut Draft, query: &str) -> Result<()> {
    for option in query.split('&').filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').unwrap_or((option, "true"));
        let Some(setting) = Setting::named(name) else {
            return Err(Error::invalid_config(format!(
                "the URL's option {name:?} is not known"
            )));
        };
        draft.set(
            setting,
            &format!("the URL's {name}"),
            &[&decode(name, value)?],
        )?;
    }
    Ok(())
}

fn decode(what: &str, text: &str) -> Result<String> {
    match percent_decode_str(text).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(Error::invalid_config(format!(
            "the URL's {what} is not UTF-8"
        ))),
    }
}
