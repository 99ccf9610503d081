//! How users are known.

use clap::Args;
use etcdkit_server::{AuthToken, Jwt, SignMethod};

use crate::golang::{parse_duration, parse_usize};

#[derive(Args, Clone, Debug)]
pub(crate) struct AuthArgs {
    /// Tokens that users log in for: simple, or jwt,sign-method=RS256,priv-key=FILE,pub-key=FILE,ttl=5m
    #[arg(
        long,
        env = "ETCD_AUTH_TOKEN",
        default_value = "simple",
        value_parser = parse_auth_token,
        value_name = "KIND"
    )]
    pub(crate) auth_token: AuthToken,

    /// How long a simple token is good for after its last use, in seconds
    #[arg(
        long,
        env = "ETCD_AUTH_TOKEN_TTL",
        default_value = "300",
        value_parser = parse_usize,
        value_name = "SECONDS"
    )]
    pub(crate) auth_token_ttl: usize,

    /// How much work hashing a password is, from 4 to 31
    #[arg(
        long,
        env = "ETCD_BCRYPT_COST",
        default_value = "10",
        value_parser = parse_usize,
        value_name = "COST"
    )]
    pub(crate) bcrypt_cost: usize,
}

/// Takes what etcd takes, except options that it would only warn of.
fn parse_auth_token(text: &str) -> Result<AuthToken, String> {
    let mut parts = text.split(',');
    let kind = parts.next().unwrap_or_default();
    let mut options = Vec::new();
    for option in parts {
        let pair = option.split_once('=');
        let (name, value) = pair
            .filter(|(_, value)| !value.contains('='))
            .ok_or_else(|| format!("{option:?}: expected name=value"))?;
        if options.iter().any(|(other, _)| *other == name) {
            return Err(format!("{name:?} is given twice"));
        }
        options.push((name, value));
    }
    match kind {
        "" => Ok(AuthToken::Off),
        "simple" => Ok(AuthToken::Simple),
        "jwt" => jwt(&options).map(AuthToken::Jwt),
        _ => Err(format!("no tokens {kind:?}; there are simple and jwt")),
    }
}

fn jwt(options: &[(&str, &str)]) -> Result<Jwt, String> {
    let method = options.iter().find(|(name, _)| *name == "sign-method");
    let (_, method) = method.ok_or("sign-method is missing")?;
    let mut jwt = Jwt::new(method.parse::<SignMethod>()?);
    for (name, value) in options {
        jwt = match (*name, *value) {
            ("sign-method", _) => jwt,
            ("priv-key" | "pub-key" | "ttl", "") => jwt,
            ("priv-key", file) => jwt.private_key_file(file),
            ("pub-key", file) => jwt.public_key_file(file),
            ("ttl", ttl) => jwt.ttl(parse_duration(ttl)?),
            _ => {
                return Err(format!(
                    "no option {name:?}; there are sign-method, priv-key, pub-key and ttl"
                ));
            }
        };
    }
    Ok(jwt)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn tokens_are_told_as_to_etcd() {
        assert_eq!(parse_auth_token(""), Ok(AuthToken::Off));
        for simple in ["simple", "simple,a=b"] {
            assert_eq!(parse_auth_token(simple), Ok(AuthToken::Simple));
        }
        let text = "jwt,pub-key=a.pub,priv-key=a.key,sign-method=PS512,ttl=1h30m";
        let jwt = Jwt::new(SignMethod::Ps512)
            .public_key_file("a.pub")
            .private_key_file("a.key")
            .ttl(Duration::from_secs(5_400));
        assert_eq!(parse_auth_token(text), Ok(AuthToken::Jwt(jwt)));
        for (text, why) in [
            ("paper", "no tokens"),
            ("jwt", "sign-method is missing"),
            ("jwt,sign-method=none", "no sign method"),
            ("jwt,sign-method=RS256,ttl=soon", "duration"),
            ("jwt,sign-method=RS256,sign-method=RS256", "twice"),
            ("jwt,sign-method=RS256,a=b", "no option"),
            ("jwt,sign-method", "name=value"),
            ("jwt,sign-method=a=b", "name=value"),
        ] {
            let error = parse_auth_token(text).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
