//! `/v2/keys`: one request, from its checks to its answer.

use etcdkit_proto::Code;
use etcdkit_proto::v2::{Action, ErrorCode, KeysError};
use etcdkit_store::v2::{Answer, Condition, Content, Deadline, Path, Tree};
use http::{Method, Response, StatusCode};

use super::answer::Indexes;
use super::form::Form;
use super::parameters::Parameters;
use super::{Call, answer, auth, watch};
use crate::body::Body;
use crate::grpc::Status;
use crate::node::Node;

/// Answers a request for the key that `rest` of the path names.
pub(super) async fn serve(call: &mut Call<'_>, rest: &[u8]) -> Response<Body> {
    if let Err(refusal) = call.require_method("HEAD,GET,PUT,POST,DELETE") {
        return *refusal;
    }
    let response = match understood(call, rest).await {
        Ok(parameters) => carried_out(call, &Path::of_key(rest), &parameters).await,
        Err(error) => answer::keys_error(&error),
    };
    answer::with_cluster_id(response, call.node().identity.cluster_id)
}

/// What is asked for, if it can be understood and whoever asks may ask it.
async fn understood(call: &mut Call<'_>, rest: &[u8]) -> Result<Parameters, KeysError> {
    let form = Form::read(&call.parts, &mut call.body)
        .await
        .map_err(|cause| KeysError::new(ErrorCode::InvalidForm, cause, 0))?;
    let parameters = Parameters::read(call.method(), &form)?;
    auth::admit(call.node(), &call.parts, rest, parameters.recursive).await?;
    Ok(parameters)
}

/// Does it, and counts it.
async fn carried_out(call: &Call<'_>, path: &Path, parameters: &Parameters) -> Response<Body> {
    let requests = &call.node().metrics.keys;
    if !parameters.wait {
        requests.receive(call.method());
    }
    let answered = answered(call, path, parameters).await;
    answered.unwrap_or_else(|error| {
        let response = answer::keys_error(&error);
        requests.fail(call.method(), response.status());
        response
    })
}

async fn answered(
    call: &Call<'_>,
    path: &Path,
    parameters: &Parameters,
) -> Result<Response<Body>, KeysError> {
    let node = call.node();
    let answer = match *call.method() {
        // A read with the cluster's agreement does not wait for anything else.
        Method::GET if parameters.wait && !parameters.quorum => {
            return watch::open(call, path, parameters);
        }
        Method::GET | Method::HEAD => read(node, call.method(), path, parameters).await,
        _ => write(node, call.method(), path, parameters).await,
    };
    let mut answer = answer.map_err(failed)??;
    let event = &mut answer.event;
    if parameters.no_value_on_success && shows_values(event.action) {
        (event.node, event.prev_node) = (None, None);
    }
    let status = match answer.is_created {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    let response = answer::json_line(status, event);
    Ok(answer::with_indexes(
        response,
        Indexes::of(node, answer.etcd_index),
    ))
}

async fn read(
    node: &Node,
    method: &Method,
    path: &Path,
    parameters: &Parameters,
) -> Result<Result<Answer, KeysError>, Status> {
    let get = |tree: &Tree| tree.get(path, parameters.recursive, node.clock.unix_time());
    // etcd sends such a read through its log, like a write.
    if parameters.quorum && method == Method::GET {
        return node.applier.apply(|store| Ok(get(store.v2()))).await;
    }
    node.applier.ask_v2(get).await
}

async fn write(
    node: &Node,
    method: &Method,
    path: &Path,
    parameters: &Parameters,
) -> Result<Result<Answer, KeysError>, Status> {
    let received = node.clock.unix_time();
    let content = Content {
        directory: parameters.dir,
        value: &parameters.value,
        deadline: parameters
            .ttl
            .and_then(|ttl| Deadline::after(ttl, received)),
        refresh: parameters.refresh,
    };
    let condition = Condition {
        value: parameters.prev_value.as_deref().unwrap_or_default(),
        index: parameters.prev_index,
    };
    let is_free = condition.value.is_empty() && condition.index == 0;
    let answer = node.applier.apply(|store| {
        let tree = store.v2_mut();
        let now = node.clock.unix_time();
        Ok(match (method, parameters.prev_exist) {
            (&Method::POST, _) => tree.create_in_order(path, content, now),
            (&Method::DELETE, _) if is_free => {
                tree.delete(path, parameters.dir, parameters.recursive, now)
            }
            (&Method::DELETE, _) => tree.compare_and_delete(path, condition, now),
            (_, Some(false)) => tree.create(path, content, now),
            (_, Some(true)) if is_free => tree.update(path, content, now),
            (_, None) if is_free => tree.set(path, content, now),
            _ => tree.compare_and_swap(path, condition, content, now),
        })
    });
    let answer = answer.await?;
    if content.deadline.is_some() {
        node.expiry_changed.notify_one();
    }
    Ok(answer)
}

/// Whether `noValueOnSuccess` takes the nodes out of an answer.
fn shows_values(action: Action) -> bool {
    matches!(
        action,
        Action::Set | Action::Create | Action::Update | Action::CompareAndSwap
    )
}

/// The error for what the member could not do, in etcd's words where it has some.
pub(super) fn failed(status: Status) -> KeysError {
    let cause = match status.code() {
        Code::DeadlineExceeded => "etcdserver: request timed out",
        _ => status.message(),
    };
    KeysError::new(ErrorCode::RaftInternal, cause, 0)
}
