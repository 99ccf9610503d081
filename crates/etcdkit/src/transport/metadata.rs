//! The headers that requests carry.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::policy::Class;

/// Makes a member without a leader refuse at once, and provably without effect, instead of holding
/// the request for seconds and answering that it may have been applied.
const HAS_LEADER: HeaderName = HeaderName::from_static("hasleader");

const TOKEN: HeaderName = HeaderName::from_static("token");

/// Headers, ready to be copied for each request.
#[derive(Clone, Debug)]
pub(crate) struct Metadata {
    headers: HeaderMap,
    /// Without what asks for a leader.
    local: HeaderMap,
}

impl Metadata {
    /// What requests carry without a token.
    pub(crate) fn bare() -> Self {
        let mut local = HeaderMap::with_capacity(4);
        let grpc = HeaderValue::from_static("application/grpc");
        local.insert(header::CONTENT_TYPE, grpc);
        local.insert(header::TE, HeaderValue::from_static("trailers"));
        let agent = concat!("etcdkit/", env!("CARGO_PKG_VERSION"));
        local.insert(header::USER_AGENT, HeaderValue::from_static(agent));
        let mut headers = local.clone();
        headers.insert(HAS_LEADER, HeaderValue::from_static("true"));
        Self { headers, local }
    }

    /// The same and a token.
    pub(crate) fn with_token(&self, token: &HeaderValue) -> Self {
        let mut this = self.clone();
        this.headers.insert(TOKEN, token.clone());
        this.local.insert(TOKEN, token.clone());
        this
    }

    /// The headers of a request; what needs one member only is served without a leader,
    /// too.
    pub(crate) fn headers(&self, class: Class) -> HeaderMap {
        match class {
            Class::Write | Class::Idempotent | Class::Steps | Class::Read | Class::Login => {
                self.headers.clone()
            }
            Class::LocalWrite | Class::Local | Class::Probe => self.local.clone(),
        }
    }
}
