//! Who a request comes from.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use etcdkit_proto::EtcdError;
use etcdkit_store::{Auth, Caller, Store, Tokens};
use http::HeaderMap;

use crate::clock::Clock;
use crate::grpc::Status;
use crate::node::Node;

/// The metadata that may hold a token; the first is asked first. The gateway of etcd uses the
/// second.
const TOKEN_HEADERS: [&str; 2] = ["token", "authorization"];

/// What a request shows to say whose it is.
#[derive(Clone, Default)]
pub(crate) struct Credentials {
    token: Option<String>,
}

/// Tokens are secrets.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("has_token", &self.token.is_some())
            .finish()
    }
}

impl Credentials {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let token = TOKEN_HEADERS.iter().find_map(|name| headers.get(*name));
        Self {
            token: token.map(|token| {
                let token = String::from_utf8_lossy(token.as_bytes());
                // 3.6.13 and 3.5.32 take off the scheme that HTTP wants.
                token.strip_prefix("Bearer ").unwrap_or(&token).to_owned()
            }),
        }
    }
}

/// Knows whom tokens stand for.
pub(crate) struct Gate {
    tokens: Mutex<Tokens>,
}

impl Gate {
    pub(crate) fn new(tokens: Tokens) -> Self {
        Self {
            tokens: Mutex::new(tokens),
        }
    }

    /// The tokens; locked after the store, never before it.
    pub(crate) fn tokens(&self) -> MutexGuard<'_, Tokens> {
        // Every change of the table is complete in itself.
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn caller(
        &self,
        auth: &Auth,
        clock: &Clock,
        credentials: &Credentials,
    ) -> Result<Caller, EtcdError> {
        let token = match &credentials.token {
            Some(token) if auth.is_enabled() => token,
            _ => return Ok(Caller::nobody()),
        };
        let mut tokens = self.tokens();
        let user = tokens.user(token, clock.now());
        let user = user.ok_or(EtcdError::InvalidAuthToken)?;
        Ok(Caller::user(user, auth.revision()))
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
            Credentials::of(&map).token
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
