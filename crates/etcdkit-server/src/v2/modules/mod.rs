//! What only etcd 0.x has and its clients call: locks and leaders under `/mod/v2`, `/v2/leader`, `/v2/admin`.
//!
//! Requests and answers are those of 0.2 and 0.3, without their faults: a lock is granted to whoever is first
//! in the queue and to nobody else; those who wait are kept alive, and are gone when their caller is.

mod admin;
mod leader;
mod lock;
mod queue;
mod waiting;

use http::Response;

use self::waiting::Waiting;
use super::Call;
use crate::body::Body;

/// What the modules know by themselves.
#[derive(Default)]
pub(super) struct Modules {
    waiting: Waiting,
}

/// Answers a request for a path of 0.x; `None` for any other.
pub(super) async fn serve(
    modules: &Modules,
    call: &mut Call<'_>,
    path: &[u8],
) -> Option<Response<Body>> {
    if let Some(name) = name_after(path, b"/mod/v2/lock/") {
        return Some(lock::serve(modules, call, name).await);
    }
    if let Some(name) = name_after(path, b"/mod/v2/leader/") {
        return Some(leader::serve(modules, call, name).await);
    }
    if let Some(name) = name_after(path, b"/v2/admin/machines/") {
        return Some(admin::machine(call, name));
    }
    Some(match path {
        b"/v2/leader" => admin::leader(call).await,
        b"/v2/admin/machines" => admin::machines(call),
        b"/v2/admin/config" => admin::config(call),
        b"/etcdURL" => admin::client_url(call),
        _ => return None,
    })
}

fn name_after<'a>(path: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let name = path.strip_prefix(prefix)?;
    let name = name.strip_suffix(b"/").unwrap_or(name);
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_have_parts() {
        assert_eq!(
            name_after(b"/mod/v2/lock/a/b/", b"/mod/v2/lock/"),
            Some(&b"a/b"[..])
        );
        assert_eq!(name_after(b"/mod/v2/lock/", b"/mod/v2/lock/"), None);
        assert_eq!(name_after(b"/mod/v2/lockx", b"/mod/v2/lock/"), None);
    }
}
