//! The key space: one builder an operation.

mod delete;
mod directory;
mod draft;
mod get;
mod list;
mod refresh;
mod swap;
mod write;

use etcdkit_proto::v2 as wire;

use self::draft::Draft;
pub use self::{
    delete::{CompareAndDelete, Delete},
    directory::DeleteDir,
    get::{Exists, Get, GetRequired, GetValue},
    list::List,
    refresh::{DropTtl, Refresh},
    swap::CompareAndSwap,
    write::Write,
};
use super::{Call, Client, Error, ErrorKind, Found, Header, Node, Response, Result, exec::Answer};

/// Sends a request and reads its answer.
fn send<T: 'static>(
    client: &Client,
    draft: Draft,
    read: fn(Result<Answer>) -> Result<T>,
) -> Call<T> {
    let client = client.clone();
    Call::new(async move { read(client.core.call(draft.finish()?).await) })
}

/// The answer to a write.
fn respond(answer: Result<Answer>) -> Result<Response> {
    let answer = answer?;
    let event: wire::Event = answer.json()?;
    let created = answer.status == http::StatusCode::CREATED;
    Ok(Response::new(answer.header, created, event))
}

/// The answer to a read of what has to be there.
fn find(answer: Result<Answer>) -> Result<(Header, Node)> {
    let answer = answer?;
    let event: wire::Event = answer.json()?;
    match event.node {
        Some(node) => Ok((answer.header, node.into())),
        None => Err(answer
            .told
            .error(ErrorKind::Protocol, "the answer has no node")),
    }
}

/// The answer to a read of what may not be there.
fn look(answer: Result<Answer>) -> Result<Found> {
    match find(answer) {
        Ok((header, node)) => Ok(Found {
            header,
            node: Some(node),
        }),
        Err(error) if error.kind() == ErrorKind::KeyNotFound => Ok(Found {
            header: header_of(&error),
            node: None,
        }),
        Err(error) => Err(error),
    }
}

/// What is known of the store that has refused.
fn header_of(error: &Error) -> Header {
    Header {
        etcd_index: error.index().unwrap_or_default(),
        ..Header::default()
    }
}
