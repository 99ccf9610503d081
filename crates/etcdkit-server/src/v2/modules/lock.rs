//! `/mod/v2/lock`: locks that a member waits for on behalf of its client.

use std::time::Duration;

use etcdkit_proto::v2::{ErrorCode, KeysError};
use http::{Method, Response, StatusCode};

use super::Modules;
use super::queue::{Denied, Queue, Which, Wish};
use crate::body::Body;
use crate::http_api::text;
use crate::v2::form::Form;
use crate::v2::{Call, answer, auth};

/// What a request about a lock says, in its query or form.
pub(super) struct Parameters(Form);

impl Parameters {
    async fn read(call: &mut Call<'_>) -> Result<Self, KeysError> {
        let form = Form::read(&call.parts, &mut call.body).await;
        let form = form.map_err(|cause| KeysError::new(ErrorCode::InvalidForm, cause, 0))?;
        Ok(Self(form))
    }

    /// What is not empty.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let value = self.0.value(name);
        (!value.is_empty()).then(|| String::from_utf8_lossy(value).into_owned())
    }

    fn ttl(&self, verb: &str) -> Result<u64, KeysError> {
        let ttl = self.text("ttl").and_then(|ttl| ttl.parse().ok());
        ttl.ok_or_else(|| refused(ErrorCode::TtlNotANumber, verb))
    }

    /// Nothing or a negative number is for ever, and zero not at all.
    fn patience(&self) -> Result<Option<Duration>, KeysError> {
        let Some(timeout) = self.text("timeout") else {
            return Ok(None);
        };
        let seconds: i64 = timeout
            .parse()
            .map_err(|_| refused(ErrorCode::TimeoutNotANumber, "Acquire"))?;
        Ok(u64::try_from(seconds).ok().map(Duration::from_secs))
    }
}

/// An error of the modules: the cause is what was to be done.
pub(super) fn refused(code: ErrorCode, verb: &str) -> KeysError {
    KeysError::new(code, verb, 0)
}

/// The queue that a request is about and what it says of it, if its caller may know.
pub(super) async fn open<'a, 'call: 'a>(
    modules: &'a Modules,
    call: &mut Call<'call>,
    name: &[u8],
) -> Result<(Queue<'a>, Parameters), KeysError> {
    let parameters = Parameters::read(call).await?;
    let line = call.line;
    let queue = Queue::of(&line.node, modules, name);
    auth::admit(call.node(), &call.parts, queue.key(), false).await?;
    Ok((queue, parameters))
}

/// Answers a request about the lock with this name.
pub(super) async fn serve(modules: &Modules, call: &mut Call<'_>, name: &[u8]) -> Response<Body> {
    if let Err(refusal) = call.require_method("GET,POST,PUT,DELETE") {
        return *refusal;
    }
    let (queue, parameters) = match open(modules, call, name).await {
        Ok(opened) => opened,
        Err(error) => return answer::keys_error(&error),
    };
    match *call.method() {
        Method::POST => acquire(&queue, &parameters, parameters.text("value")).await,
        Method::PUT => answered(renew(&queue, &parameters).await),
        Method::DELETE => answered(release(&queue, &parameters).await),
        _ => answered(holder(&queue, &parameters).await),
    }
}

/// Waits until the lock is granted, and answers with its index. It counts from one grant to the next, so
/// whoever is shown an index knows whether a later one was granted.
pub(super) async fn acquire(
    queue: &Queue<'_>,
    parameters: &Parameters,
    value: Option<String>,
) -> Response<Body> {
    // 0.x looks in this order.
    let wish = parameters.patience().and_then(|patience| {
        Ok(Wish {
            value,
            ttl: parameters.ttl("Acquire")?,
            patience,
        })
    });
    let acquired = match wish {
        Ok(wish) => queue.acquire(&wish).await,
        Err(error) => Err(error.into()),
    };
    match acquired {
        Ok(index) => answer::plain(index.to_string()),
        Err(Denied::Keys(error)) => answer::keys_error(&error),
        Err(Denied::TooLate) => text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "failed to acquire lock\n",
        ),
    }
}

async fn renew(queue: &Queue<'_>, parameters: &Parameters) -> Result<String, KeysError> {
    let ttl = parameters.ttl("Renew")?;
    let (which, value) = match (parameters.text("index"), parameters.text("value")) {
        (Some(index), value) => (Which::Index(index), value),
        (None, Some(value)) => (Which::Value(value), None),
        (None, None) => return Err(refused(ErrorCode::IndexOrValueRequired, "Renew")),
    };
    queue.renew(&which, value.as_deref(), ttl).await?;
    Ok(String::new())
}

async fn release(queue: &Queue<'_>, parameters: &Parameters) -> Result<String, KeysError> {
    let which = match (parameters.text("index"), parameters.text("value")) {
        (Some(index), None) => Which::Index(index),
        (None, Some(value)) => Which::Value(value),
        (None, None) => return Err(refused(ErrorCode::IndexOrValueRequired, "Release")),
        (Some(_), Some(_)) => return Err(refused(ErrorCode::IndexAndValue, "Release")),
    };
    queue.release(&which).await?;
    Ok(String::new())
}

/// The value or index of who holds the lock; nothing if nobody does.
async fn holder(queue: &Queue<'_>, parameters: &Parameters) -> Result<String, KeysError> {
    let shows_index = match parameters.text("field").as_deref() {
        None | Some("value") => false,
        Some("index") => true,
        Some(_) => return Err(refused(ErrorCode::InvalidField, "Get")),
    };
    let first = queue.first().await?;
    Ok(first.map_or_else(String::new, |place| match shows_index {
        true => place.index.to_string(),
        false => place.value,
    }))
}

pub(super) fn answered(text: Result<String, KeysError>) -> Response<Body> {
    match text {
        Ok(text) => answer::plain(text),
        Err(error) => answer::keys_error(&error),
    }
}
