//! What depends on the server's version.

use std::{future::Future, sync::Arc};

use etcdkit_proto::etcdserverpb as pb;
use http::uri::PathAndQuery;
use prost::Message;

use crate::{
    ErrorKind,
    client::Core,
    exec::{Call, Method, Request},
    policy::Class,
    wire::Frame,
};

static STATUS: Method = Method {
    name: "status",
    path: PathAndQuery::from_static("/etcdserverpb.Maintenance/Status"),
};

/// Whether a member's answers to questions for progress can be relied on: before 3.4.25 and 3.5.8 they
/// overtake events (etcd issue 15220).
pub(super) fn progress_is_exact(
    core: Arc<Core>,
    place: usize,
) -> impl Future<Output = bool> + Send + 'static {
    let request = Request {
        method: &STATUS,
        frame: Frame::of(&pb::StatusRequest {}),
        class: Class::Local,
        timeout: None,
        only: Some(place),
    };
    let call = Call::new(&core, request, pb::StatusResponse::decode);
    async move {
        match call.await {
            Ok(status) => is_exact(&status.version),
            // Who may ask is checked since 3.6 only.
            Err(error) => error.kind() == ErrorKind::PermissionDenied,
        }
    }
}

fn is_exact(version: &str) -> bool {
    let mut numbers = version
        .split(['.', '-', '+'])
        .map_while(|number| number.parse::<u32>().ok());
    let (major, minor, patch) = (numbers.next(), numbers.next(), numbers.next());
    let Some((major, minor)) = major.zip(minor) else {
        return false;
    };
    match (major, minor) {
        (3, ..=3) => false,
        (3, 4) => patch >= Some(25),
        (3, 5) => patch >= Some(8),
        _ => major >= 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_apart() {
        for (version, exact) in [
            ("3.3.27", false),
            ("3.4.23", false),
            ("3.4.25", true),
            ("3.5.7", false),
            ("3.5.8", true),
            ("3.6.0-rc.1", true),
            ("3.10.0", true),
            ("4.0.0", true),
            ("2.3.8", false),
            ("", false),
            ("not decided", false),
        ] {
            assert_eq!(is_exact(version), exact, "{version}");
        }
    }
}
