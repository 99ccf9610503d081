//! Who a request comes from.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use etcdkit_proto::{Code, EtcdError};
use etcdkit_store::{Auth, Caller, Store, Tokens};
use http::HeaderMap;
use http::request::Parts;

use crate::builder::StartError;
use crate::clock::Clock;
use crate::grpc::Status;
use crate::node::Node;
use crate::tls::CertificateUser;
use crate::token::{self, AuthToken, Claims};

/// The metadata that may hold a token; the first is asked first. The gateway of etcd uses the
/// second.
const TOKEN_HEADERS: [&str; 2] = ["token", "authorization"];

/// The metadata by which etcd knows calls of its own gateway. They come over a connection of the
/// server's, whose certificate says nothing about the caller.
const GATEWAY_HEADER: &str = "grpcgateway-accept";

/// What a request shows to say whose it is.
#[derive(Clone, Default)]
pub(crate) struct Credentials {
    token: Option<Token>,
    /// The common name of the certificate that the connection's client has shown.
    certificate_user: Option<Arc<str>>,
}

#[derive(Clone)]
struct Token {
    text: String,
    /// What it says if it is a signed one; checking signatures takes long.
    claims: OnceLock<Option<Claims>>,
}

/// Tokens are secrets.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("has_token", &self.token.is_some())
            .field("certificate_user", &self.certificate_user)
            .finish()
    }
}

impl Credentials {
    /// Those of a gRPC call.
    pub(crate) fn of_call(call: &Parts) -> Self {
        let user = call.extensions.get::<CertificateUser>();
        let by_gateway = call.headers.contains_key(GATEWAY_HEADER);
        Self {
            certificate_user: user
                .filter(|_| !by_gateway)
                .map(|CertificateUser(name)| Arc::clone(name)),
            ..Self::of(&call.headers)
        }
    }

    /// Those of any request, whatever it came over.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let token = TOKEN_HEADERS.iter().find_map(|name| headers.get(*name));
        Self {
            token: token.map(|token| {
                let token = String::from_utf8_lossy(token.as_bytes());
                Token {
                    // 3.6.13 and 3.5.32 take off the scheme that HTTP wants.
                    text: token.strip_prefix("Bearer ").unwrap_or(&token).to_owned(),
                    claims: OnceLock::new(),
                }
            }),
            certificate_user: None,
        }
    }
}

/// Knows whom tokens stand for.
pub(crate) enum Gate {
    Simple(Mutex<Tokens>),
    Jwt(Box<token::Signed>),
    /// No token stands for anybody.
    Off,
}

impl Gate {
    /// Simple tokens live for `ttl` after their last use.
    ///
    /// Fails when the keys for signed ones cannot be used.
    pub(crate) fn new(kind: &AuthToken, ttl: Duration) -> Result<Self, StartError> {
        Ok(match kind {
            AuthToken::Simple => Self::Simple(Mutex::new(Tokens::new(ttl))),
            AuthToken::Jwt(jwt) => Self::Jwt(Box::new(token::Signed::new(jwt)?)),
            AuthToken::Off => Self::Off,
        })
    }

    /// Makes a token for a user who has given the password, as of a revision of users and roles.
    pub(crate) fn new_token(
        &self,
        node: &Node,
        user: &str,
        revision: u64,
    ) -> Result<String, Status> {
        match self {
            Self::Simple(_) => token::simple(node.applier.applied_index()),
            Self::Jwt(signed) => match signed.sign(user, revision, node.clock.unix_time()) {
                Some(Ok(token)) => Ok(token),
                Some(Err(error)) => Err(Status::new(
                    Code::Internal,
                    format!("the embedded server could not sign a token: {error}"),
                )),
                None => Err(Status::new(
                    Code::Unknown,
                    "auth: token signing attempted with verify-only key",
                )),
            },
            Self::Off => Err(EtcdError::AuthFailed.into()),
        }
    }

    /// Lets a token that was made stand for its user from now on.
    pub(crate) fn admit(&self, token: &str, user: &str, now: Duration) {
        if let Some(mut tokens) = self.simple() {
            tokens.assign(token.to_owned(), user.to_owned(), now);
        }
    }

    /// Forgets the simple tokens of a user. Signed ones are too old for the change by themselves.
    pub(crate) fn forget_user(&self, user: &str) {
        if let Some(mut tokens) = self.simple() {
            tokens.forget_user(user);
        }
    }

    /// Forgets all simple tokens.
    pub(crate) fn forget_all(&self) {
        if let Some(mut tokens) = self.simple() {
            tokens.forget_all();
        }
    }

    /// The simple tokens; locked after the store, never before it.
    fn simple(&self) -> Option<MutexGuard<'_, Tokens>> {
        match self {
            // Every change of the table is complete in itself.
            Self::Simple(tokens) => Some(tokens.lock().unwrap_or_else(PoisonError::into_inner)),
            _ => None,
        }
    }

    /// A token goes before a certificate, even if it is worth nothing.
    fn caller(
        &self,
        auth: &Auth,
        clock: &Clock,
        credentials: &Credentials,
    ) -> Result<Caller, EtcdError> {
        if !auth.is_enabled() {
            return Ok(Caller::nobody());
        }
        match (&credentials.token, &credentials.certificate_user) {
            (Some(token), _) => self
                .of_token(auth, clock, token)
                .ok_or(EtcdError::InvalidAuthToken),
            (None, Some(user)) => Ok(Caller::user(&**user, auth.revision())),
            (None, None) => Ok(Caller::nobody()),
        }
    }

    fn of_token(&self, auth: &Auth, clock: &Clock, token: &Token) -> Option<Caller> {
        match self {
            Self::Simple(_) => {
                let mut tokens = self.simple()?;
                let user = tokens.user(&token.text, clock.now())?;
                Some(Caller::user(user, auth.revision()))
            }
            Self::Jwt(signed) => {
                let claims = token.claims.get_or_init(|| signed.claims(&token.text));
                let claims = claims.as_ref()?;
                claims
                    .are_good_at(clock.unix_time())
                    .then(|| Caller::user(&claims.user, claims.revision))
            }
            Self::Off => None,
        }
    }
}

impl Node {
    /// Who makes a request: nobody while authentication is off, or without a token.
    pub(crate) fn caller(
        &self,
        store: &Store,
        credentials: &Credentials,
    ) -> Result<Caller, EtcdError> {
        self.gate.caller(store.auth(), &self.clock, credentials)
    }

    /// The same, for requests that are not applied in the same step.
    pub(crate) fn identify(&self, credentials: &Credentials) -> Result<Caller, Status> {
        self.applier.read(|store| self.caller(store, credentials))
    }

    /// Refuses those who are no user.
    pub(crate) fn require_user(&self, credentials: &Credentials) -> Result<(), Status> {
        self.applier.read(|store| {
            let caller = self.caller(store, credentials)?;
            store.auth().check_user(&caller)
        })
    }

    /// Refuses those who do not have the role root.
    pub(crate) fn require_root(&self, credentials: &Credentials) -> Result<(), Status> {
        self.applier.read(|store| {
            let caller = self.caller(store, credentials)?;
            store.auth().check_root(&caller)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_in_either_header_with_or_without_a_scheme() {
        let of = |headers: &[(&'static str, &'static str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, value.parse().unwrap());
            }
            Credentials::of(&map).token.map(|token| token.text)
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[("authorization", "a.1")]).as_deref(), Some("a.1"));
        let both = [("authorization", "a.1"), ("token", "Bearer b.2")];
        assert_eq!(of(&both).as_deref(), Some("b.2"));
    }

    #[test]
    fn credentials_do_not_show_the_token() {
        let mut headers = HeaderMap::new();
        headers.insert("token", "secret".parse().unwrap());
        assert!(!format!("{:?}", Credentials::of(&headers)).contains("secret"));
    }
}
