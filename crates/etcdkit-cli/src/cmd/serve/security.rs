//! Who may reach the server, and what a person who starts it must know about that.

use std::{
    ffi::{OsStr, OsString},
    net::IpAddr,
    time::Duration,
};

use etcdkit_server::{SelfSigned, ServerBuilder, ServerTls};

use crate::{
    args::ServeArgs,
    error::{Exit, Failure, Result},
};

/// Gives the builder certificates and tokens.
pub(super) fn add(builder: ServerBuilder, args: &ServeArgs) -> Result<ServerBuilder> {
    let auth = &args.auth;
    let builder = builder
        .auth_token(auth.auth_token.clone())
        .auth_token_ttl(Duration::from_secs(auth.auth_token_ttl as u64))
        .bcrypt_cost(u32::try_from(auth.bcrypt_cost).unwrap_or(u32::MAX));
    Ok(match tls(args)? {
        Some(tls) => builder.tls(tls),
        None => builder,
    })
}

/// What the flags come to; nothing where no address has a use for it.
fn tls(args: &ServeArgs) -> Result<Option<ServerTls>> {
    if !urls(args).any(is_secure) {
        return Ok(None);
    }
    let flags = &args.tls;
    let mut tls = match (given(&flags.cert_file), given(&flags.key_file)) {
        (Some(certificate), Some(key)) => ServerTls::new().identity_files(certificate, key),
        (None, None) if flags.auto_tls => made_on_the_spot(args)?,
        (None, None) => {
            return Err(Failure::bad_args(
                "an address with TLS needs --cert-file and --key-file, or --auto-tls",
            ));
        }
        _ => {
            return Err(Failure::bad_args(
                "--cert-file and --key-file need each other",
            ));
        }
    };
    match given(&flags.trusted_ca_file) {
        Some(ca) => tls = tls.client_ca_file(ca),
        None if flags.client_cert_auth => {
            return Err(Failure::bad_args(
                "--client-cert-auth needs --trusted-ca-file, to tell whose certificates to believe",
            ));
        }
        None => {}
    }
    if flags.client_cert_auth {
        tls = tls.client_cert_auth();
    }
    if let Some(crl) = given(&flags.client_crl_file) {
        tls = tls.client_crl_file(crl);
    }
    if let Some(version) = flags.tls_min_version.0 {
        tls = tls.min_version(version);
    }
    if let Some(version) = flags.tls_max_version.0 {
        tls = tls.max_version(version);
    }
    Ok(Some(
        tls.allowed_hostnames(nonempty(&flags.client_cert_allowed_hostname))
            .allowed_common_names(nonempty(&flags.client_cert_allowed_cn))
            .cipher_suites(nonempty(&flags.cipher_suites)),
    ))
}

/// A certificate for the hosts listened on, and for this machine.
fn made_on_the_spot(args: &ServeArgs) -> Result<ServerTls> {
    let mut names = vec!["localhost", "127.0.0.1", "::1"];
    for host in urls(args).filter_map(host) {
        if !names.contains(&host) {
            names.push(host);
        }
    }
    let identity = SelfSigned::new().and_then(|authority| authority.server(names));
    let identity = identity.map_err(|error| Failure::new(Exit::Error, error.to_string()))?;
    Ok(ServerTls::new().identity_pem(identity.certificate_pem, identity.key_pem))
}

/// The flags that no address has a use for.
pub(super) fn without_effect(args: &ServeArgs) -> Vec<&'static str> {
    if urls(args).any(is_secure) {
        return Vec::new();
    }
    let flags = &args.tls;
    [
        ("cert-file", given(&flags.cert_file).is_some()),
        ("key-file", given(&flags.key_file).is_some()),
        ("trusted-ca-file", given(&flags.trusted_ca_file).is_some()),
        ("client-crl-file", given(&flags.client_crl_file).is_some()),
        ("client-cert-auth", flags.client_cert_auth),
        ("auto-tls", flags.auto_tls),
    ]
    .into_iter()
    .filter(|(_, given)| *given)
    .map(|(name, _)| name)
    .collect()
}

/// What a client must be given to reach the first endpoint, beside the endpoint.
pub(super) fn client_flags(args: &ServeArgs) -> &'static str {
    let demands = given(&args.tls.trusted_ca_file).is_some();
    match urls(args).next() {
        Some(url) if !is_secure(url) => "",
        _ if demands => " --cacert CA --cert CERT --key KEY",
        _ if given(&args.tls.cert_file).is_none() => " --insecure-skip-tls-verify",
        _ => " --cacert CA",
    }
}

/// What others can do to the server, for each address that they reach.
pub(super) fn warnings(args: &ServeArgs) -> Vec<String> {
    let demands_certificates = given(&args.tls.trusted_ca_file).is_some();
    urls(args)
        .filter(|url| is_public(url))
        .filter_map(|url| match (is_secure(url), demands_certificates) {
            (true, true) => None,
            (true, false) => Some(format!(
                "Warning: until users are set up, whoever reaches {url} may read and write; \
                 --trusted-ca-file would ask for certificates."
            )),
            (false, _) => Some(format!(
                "Warning: until users are set up, whoever reaches {url} may read and write; \
                 there is no TLS, so others on the way may at any time."
            )),
        })
        .collect()
}

fn urls(args: &ServeArgs) -> impl Iterator<Item = &str> {
    args.network.addresses()
}

/// An empty flag or variable is none, as with etcd.
fn given(path: &Option<OsString>) -> Option<&OsStr> {
    path.as_deref().filter(|path| !path.is_empty())
}

fn nonempty(names: &[String]) -> impl Iterator<Item = &str> {
    names
        .iter()
        .map(|name| name.trim())
        .filter(|name| !name.is_empty())
}

fn is_secure(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("unixs:")
}

/// The host of a TCP address.
fn host(url: &str) -> Option<&str> {
    if url.starts_with("unix:") || url.starts_with("unixs:") {
        return None;
    }
    let authority = url
        .split_once("://")
        .map_or(url, |(_, authority)| authority);
    let (host, _) = authority.rsplit_once(':')?;
    Some(host.trim_start_matches('[').trim_end_matches(']'))
}

/// Whether other machines can reach an address that is listened on.
fn is_public(url: &str) -> bool {
    let Some(host) = host(url) else {
        return false;
    };
    match host.parse::<IpAddr>() {
        Ok(address) => !address.is_loopback(),
        Err(_) => host != "localhost",
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn args(flags: &[&str]) -> ServeArgs {
        ServeArgs::try_parse_from([&["serve"], flags].concat()).expect("flags")
    }

    #[test]
    fn only_other_machines_are_warned_of() {
        for local in [
            "http://127.0.0.1:2379",
            "http://[::1]:2379",
            "https://localhost:2379",
            "unix:///run/etcd.sock",
            "unixs:run:2379",
        ] {
            assert!(!is_public(local), "{local}");
        }
        for public in [
            "http://0.0.0.0:2379",
            "https://[::]:2379",
            "http://db.example:2379",
            "10.0.0.1:2379",
        ] {
            assert!(is_public(public), "{public}");
        }
    }

    #[test]
    fn warnings_say_what_is_off() {
        let on = |url: &str, flags: &[&str]| {
            let listen = ["--listen-client-urls", url];
            warnings(&args(&[&listen, flags].concat())).join("\n")
        };
        assert!(on("http://0.0.0.0:1", &[]).contains("no TLS"));
        assert!(on("https://0.0.0.0:1", &[]).contains("--trusted-ca-file"));
        assert_eq!(on("https://0.0.0.0:1", &["--trusted-ca-file=a"]), "");
        let both = on(
            "https://0.0.0.0:1,http://0.0.0.0:2",
            &["--trusted-ca-file=a"],
        );
        assert!(
            both.contains("http://0.0.0.0:2") && !both.contains("https"),
            "{both}"
        );
        assert_eq!(on("http://127.0.0.1:1,unix:a", &[]), "");
    }

    #[test]
    fn flags_that_do_not_fit_are_refused_or_named() {
        let tls_of = |flags: &[&str]| tls(&args(flags));
        let secure = "--listen-client-urls=https://127.0.0.1:0";
        let plain = args(&["--cert-file=a", "--client-cert-auth"]);
        assert!(tls(&plain).expect("no use for it").is_none());
        assert_eq!(without_effect(&plain), ["cert-file", "client-cert-auth"]);
        for (flags, why) in [
            (&[secure][..], "--auto-tls"),
            (&[secure, "--key-file", "", "--cert-file=a"], "each other"),
            (&[secure, "--auto-tls", "--client-cert-auth"], "--trusted"),
        ] {
            let text = tls_of(flags).expect_err(why).to_string();
            assert!(text.contains(why), "{text}");
        }
        assert!(tls_of(&[secure, "--auto-tls=true"]).expect("TLS").is_some());
        assert!(without_effect(&args(&[secure, "--auto-tls"])).is_empty());
    }
}
