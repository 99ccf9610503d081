//! `/mod/v2/leader`: a leader is who holds the lock of that name, and its name is the lock's value.

use etcdkit_proto::v2::{ErrorCode, KeysError};
use http::{Method, Response};

use super::Modules;
use super::lock::{acquire, answered, open, refused};
use super::queue::{Queue, Which};
use crate::body::Body;
use crate::v2::{Call, answer};

/// Answers a request about the leader of something.
pub(super) async fn serve(modules: &Modules, call: &mut Call<'_>, name: &[u8]) -> Response<Body> {
    if let Err(refusal) = call.require_method("GET,PUT,DELETE") {
        return *refusal;
    }
    let (queue, parameters) = match open(modules, call, name).await {
        Ok(opened) => opened,
        Err(error) => return answer::keys_error(&error),
    };
    match (call.method(), parameters.text("name")) {
        // Who leads already goes on leading, for the time to live from now.
        (&Method::PUT, Some(candidate)) => acquire(&queue, &parameters, Some(candidate)).await,
        (&Method::PUT, None) => answered(Err(refused(ErrorCode::NameRequired, "Set"))),
        (&Method::DELETE, Some(candidate)) => {
            let released = queue.release(&Which::Value(candidate)).await;
            answered(released.map(|()| String::new()))
        }
        (&Method::DELETE, None) => answered(Err(refused(ErrorCode::NameRequired, "Delete"))),
        _ => answered(leading(&queue).await),
    }
}

async fn leading(queue: &Queue<'_>) -> Result<String, KeysError> {
    let first = queue.first().await?;
    Ok(first.map_or_else(String::new, |place| place.value))
}
