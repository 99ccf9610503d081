//! `/mod/v2/leader`: a leader is who holds the lock of that name, and its name is the lock's value.

use etcdkit_proto::v2::{ErrorCode, KeysError};
use http::{Method, Response};

use super::Modules;
use super::lock::{Parameters, acquire, answered, refused};
use super::queue::{Queue, Which};
use crate::body::Body;
use crate::v2::{Call, answer, auth};

/// Answers a request about the leader of something.
pub(super) async fn serve(modules: &Modules, call: &mut Call<'_>, name: &[u8]) -> Response<Body> {
    let allowed = "GET,PUT,DELETE";
    if !allowed
        .split(',')
        .any(|method| method == call.method().as_str())
    {
        return answer::method_not_allowed(allowed);
    }
    let parameters = match Parameters::read(call).await {
        Ok(parameters) => parameters,
        Err(error) => return answer::keys_error(&error),
    };
    let queue = Queue::of(&call.line.node, modules, name);
    if let Err(refusal) = auth::admit(call.node(), &call.parts, queue.key(), false).await {
        return answer::keys_error(&refusal);
    }
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
