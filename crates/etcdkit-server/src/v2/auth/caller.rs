//! Who makes a request, and what they may do.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use etcdkit_store::v2::auth::{Access, Auth, User};
use http::header::AUTHORIZATION;
use http::request::Parts;

use crate::grpc::Status;
use crate::node::Node;
use crate::password;
use crate::tls::CertificateUser;

/// The scheme of the header that is understood, in whatever case.
const SCHEME: &str = "basic ";

/// Who a request says it is from.
#[derive(PartialEq, Eq)]
enum Claim {
    /// It says nothing.
    Nobody,
    /// Its connection shows a certificate with this common name.
    Certificate(Arc<str>),
    Password {
        user: String,
        password: String,
    },
    /// It says something that is not understood, which is nobody's and not a guest's.
    Unknown,
}

impl Claim {
    /// A header goes before a certificate, even if it is worth nothing.
    fn of(request: &Parts) -> Self {
        let header = request.headers.get(AUTHORIZATION);
        match header.map(|value| value.as_bytes()) {
            None | Some(b"") => match request.extensions.get::<CertificateUser>() {
                Some(CertificateUser(name)) => Self::Certificate(Arc::clone(name)),
                None => Self::Nobody,
            },
            Some(value) => Self::of_header(value).unwrap_or(Self::Unknown),
        }
    }

    fn of_header(value: &[u8]) -> Option<Self> {
        let (scheme, encoded) = value.split_at_checked(SCHEME.len())?;
        if !scheme.eq_ignore_ascii_case(SCHEME.as_bytes()) {
            return None;
        }
        let decoded = BASE64.decode(encoded).ok()?;
        let decoded = String::from_utf8(decoded).ok()?;
        let (user, password) = decoded.split_once(':')?;
        Some(Self::Password {
            user: user.to_owned(),
            password: password.to_owned(),
        })
    }
}

/// Who a request is from.
enum Caller {
    /// Nobody asks.
    Anybody,
    Guest,
    User(User),
    /// One who has claimed to be a user and is not.
    Impostor,
}

impl Caller {
    async fn of(node: &Node, request: &Parts) -> Result<Self, Status> {
        let user = |name: &str| {
            node.applier
                .read(|store| Ok(Auth::of(store.v2()).user(name).ok()))
        };
        if !node
            .applier
            .read(|store| Ok(Auth::of(store.v2()).is_enabled()))?
        {
            return Ok(Self::Anybody);
        }
        Ok(match Claim::of(request) {
            Claim::Nobody => Self::Guest,
            Claim::Certificate(name) => user(&name)?.map_or(Self::Guest, Self::User),
            Claim::Unknown => Self::Impostor,
            Claim::Password {
                user: name,
                password,
            } => match user(&name)? {
                Some(user) => {
                    let hash = user.password_hash().into();
                    match password::matches(password, hash).await? {
                        true => Self::User(user),
                        false => Self::Impostor,
                    }
                }
                None => Self::Impostor,
            },
        })
    }
}

/// Whether a request may touch a key, given as its path has it; `subtree` if it concerns everything below
/// the key, too.
pub(super) async fn may_touch(
    node: &Node,
    request: &Parts,
    access: Access,
    key: &[u8],
    subtree: bool,
) -> Result<bool, Status> {
    let caller = Caller::of(node, request).await?;
    let may = |user: Option<&User>| {
        node.applier
            .read(|store| Ok(Auth::of(store.v2()).may_touch(user, access, key, subtree)))
    };
    match &caller {
        Caller::Anybody => Ok(true),
        Caller::Guest => may(None),
        Caller::User(user) => may(Some(user)),
        Caller::Impostor => Ok(false),
    }
}

/// Whether a request may do what only `root` may: look at users and roles, change them, change members.
pub(super) async fn is_root(node: &Node, request: &Parts) -> Result<bool, Status> {
    Ok(match Caller::of(node, request).await? {
        Caller::Anybody => true,
        Caller::Guest | Caller::Impostor => false,
        Caller::User(user) => user.is_root(),
    })
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn claim(header: Option<&str>, certificate: Option<&str>) -> Claim {
        let mut request = Request::new(());
        if let Some(header) = header {
            let value = header.parse().unwrap();
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        if let Some(name) = certificate {
            request
                .extensions_mut()
                .insert(CertificateUser(name.into()));
        }
        Claim::of(&request.into_parts().0)
    }

    #[test]
    fn a_header_goes_before_a_certificate() {
        assert!(claim(None, None) == Claim::Nobody);
        assert!(claim(Some(""), None) == Claim::Nobody);
        assert!(claim(None, Some("u")) == Claim::Certificate("u".into()));
        assert!(claim(Some(""), Some("u")) == Claim::Certificate("u".into()));
        for header in ["Bearer x", "Basic", "Basic ", "Basic ?", "Basic dQ==", "x"] {
            assert!(claim(Some(header), Some("u")) == Claim::Unknown, "{header}");
        }
        // u:p:q
        for header in ["Basic dTpwOnE=", "basic dTpwOnE=", "BASIC dTpwOnE="] {
            let password = Claim::Password {
                user: "u".to_owned(),
                password: "p:q".to_owned(),
            };
            assert!(claim(Some(header), Some("v")) == password, "{header}");
        }
    }
}
