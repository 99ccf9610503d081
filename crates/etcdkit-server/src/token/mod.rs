//! The tokens that stand for users who have logged in.

#[cfg_attr(not(feature = "jwt"), path = "without.rs")]
mod jwt;
#[cfg(feature = "jwt")]
mod sec1;

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use etcdkit_proto::Code;

pub(crate) use self::jwt::Signed;

use crate::grpc::Status;
use crate::source::Source;

/// etcd's `ttl` of a JWT when none is given.
const DEFAULT_JWT_TTL: Duration = Duration::from_secs(5 * 60);

/// The random part of a simple token: letters of either case.
const TOKEN_LETTERS: usize = 16;

/// What a user is given for a password; etcd's `--auth-token`.
///
/// ```no_run
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use etcdkit_server::{AuthToken, Jwt, Server, SignMethod};
///
/// let jwt = Jwt::new(SignMethod::Es256).private_key_file("jwt-key.pem");
/// let server = Server::builder()
///     .auth_token(AuthToken::Jwt(jwt))
///     .start()
///     .await?;
/// # server.shutdown().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthToken {
    /// Random text that only this server knows, until it stops. The default, as with etcd.
    #[default]
    Simple,
    /// Signed text that whoever has the key can check. It says the user, when it expires, and the revision of
    /// users and roles that it is of: once they change, requests for keys are refused with
    /// `revision of auth store is old`, and the user must log in again.
    Jwt(Jwt),
    /// None: nobody can log in with a password, and only certificates say who a client is; etcd's
    /// `--auth-token ''`.
    Off,
}

/// How JSON Web Tokens are signed and checked.
///
/// Needs the feature `jwt`, which is on by default; without it the server does not start. Keys are read
/// once, at the start. Debug output names files, never keys.
///
/// Unlike with etcd, keys that do not fit the method are refused at the start, RSA keys below 2048 bits
/// always, and `ES512` is not offered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "settings do nothing until they are given to a builder"]
pub struct Jwt {
    method: SignMethod,
    public_key: Option<Source>,
    private_key: Option<Source>,
    ttl: Duration,
}

impl Jwt {
    /// Tokens signed by this method, good for five minutes. A key is needed too.
    pub fn new(method: SignMethod) -> Self {
        Self {
            method,
            public_key: None,
            private_key: None,
            ttl: DEFAULT_JWT_TTL,
        }
    }

    /// The file of the key that signs; etcd's `priv-key`. PEM in PKCS #8, PKCS #1 for RSA, or SEC 1 for
    /// ECDSA; for the `HS…` methods the secret itself, to the last byte.
    ///
    /// Without it the server only checks tokens that others have signed, and refuses logins.
    pub fn private_key_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.private_key = Some(Source::File(path.into()));
        self
    }

    /// The same, given itself.
    pub fn private_key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.private_key = Some(Source::Bytes(key.into()));
        self
    }

    /// The PEM file of the key that checks signatures; etcd's `pub-key`. It follows from the private
    /// key if there is one, and must match it. The `HS…` methods have none.
    pub fn public_key_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.public_key = Some(Source::File(path.into()));
        self
    }

    /// The same, given itself.
    pub fn public_key(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.public_key = Some(Source::Bytes(pem.into()));
        self
    }

    /// How long a token is good for after the login, in whole seconds; five minutes unless set.
    /// Use does not prolong it. [`Server::advance_time`](crate::Server::advance_time) lets tokens age.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }
}

/// How a [`Jwt`] is signed; the names are those of RFC 7518 and of etcd's `sign-method`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignMethod {
    /// RSA PKCS #1 with SHA-256.
    Rs256,
    /// RSA PKCS #1 with SHA-384.
    Rs384,
    /// RSA PKCS #1 with SHA-512.
    Rs512,
    /// RSA PSS with SHA-256.
    Ps256,
    /// RSA PSS with SHA-384.
    Ps384,
    /// RSA PSS with SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// HMAC with SHA-256: a secret that signs and checks.
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
    /// Ed25519.
    EdDsa,
}

impl FromStr for SignMethod {
    type Err = String;

    /// Takes the names of RFC 7518, such as `RS256` and `EdDSA`. `ES512`, which etcd has too, is not
    /// offered.
    fn from_str(name: &str) -> Result<Self, String> {
        Ok(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "HS256" => Self::Hs256,
            "HS384" => Self::Hs384,
            "HS512" => Self::Hs512,
            "EdDSA" => Self::EdDsa,
            _ => {
                return Err(format!(
                    "no sign method {name:?}; there are RS, PS and HS with 256, 384 or 512, ES256, ES384 \
                     and EdDSA"
                ));
            }
        })
    }
}

/// Whom a signed token stands for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Claims {
    pub(crate) user: String,
    /// Of users and roles, when the token was made.
    pub(crate) revision: u64,
    /// The first moment at which it is no longer good, in seconds of Unix time.
    pub(crate) expiry: Option<f64>,
    /// The first moment at which it is good.
    pub(crate) not_before: Option<f64>,
}

impl Claims {
    pub(crate) fn are_good_at(&self, unix_time: Duration) -> bool {
        let now = unix_time.as_secs_f64();
        // Like etcd's library, which looks at whole seconds and takes zero for nothing.
        let moment = |seconds: Option<f64>| seconds.map(f64::trunc).filter(|at| *at != 0.0);
        moment(self.expiry).is_none_or(|expiry| now < expiry)
            && moment(self.not_before).is_none_or(|from| now >= from)
    }
}

/// Like etcd's simple tokens: sixteen letters, and a number that only rises.
pub(crate) fn simple(number: u64) -> Result<String, Status> {
    const LETTERS: &[u8; 52] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let mut token = String::with_capacity(TOKEN_LETTERS + 8);
    while token.len() < TOKEN_LETTERS {
        let mut random = [0; 2 * TOKEN_LETTERS];
        getrandom::fill(&mut random).map_err(|error| {
            Status::new(
                Code::Internal,
                format!("the system gave no random numbers for a token: {error}"),
            )
        })?;
        // Six bits for each letter; those above the last letter are left out, so that all are
        // equally likely.
        let letters = random
            .iter()
            .filter_map(|byte| LETTERS.get(usize::from(byte & 63)));
        let missing = TOKEN_LETTERS - token.len();
        token.extend(letters.take(missing).map(|letter| char::from(*letter)));
    }
    token.push_str(&format!(".{number}"));
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_good_from_one_second_to_another() {
        let claims = |not_before, expiry| Claims {
            user: "ann".into(),
            revision: 1,
            expiry,
            not_before,
        };
        let good = |claims: Claims, millis| claims.are_good_at(Duration::from_millis(millis));
        assert!(good(claims(None, None), 0));
        assert!(good(claims(None, Some(10.9)), 9_999));
        assert!(!good(claims(None, Some(10.9)), 10_000));
        assert!(!good(claims(None, Some(-5.0)), 1));
        assert!(good(claims(None, Some(0.0)), 1), "zero is no expiry");
        assert!(!good(claims(Some(10.0), None), 9_999));
        assert!(good(claims(Some(10.0), None), 10_000));
    }

    #[test]
    fn methods_have_their_registered_names() {
        assert_eq!("RS256".parse(), Ok(SignMethod::Rs256));
        assert_eq!("EdDSA".parse(), Ok(SignMethod::EdDsa));
        for name in ["", "none", "rs256", "ES512"] {
            assert!(name.parse::<SignMethod>().is_err(), "{name}");
        }
    }

    #[test]
    fn simple_tokens_are_letters_and_a_number() {
        let token = simple(7).unwrap();
        let (letters, number) = token.split_once('.').unwrap();
        assert_eq!((letters.len(), number), (TOKEN_LETTERS, "7"));
        assert!(letters.bytes().all(|byte| byte.is_ascii_alphabetic()));
        assert_ne!(token, simple(7).unwrap());
    }
}
