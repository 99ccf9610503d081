//! Answers about keys, in the formats of etcdctl's v2 commands.

use std::io::{self, Write};

use etcdkit::v2::{Action, Event, Node, Response};
use serde::{Serialize, Serializer, ser::SerializeSeq};
use time::OffsetDateTime;

use super::failure::{Code, marked};
use crate::{args::v2::Format, error::Result, golang::to_json};

/// What happened, or what was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown<'a> {
    pub(super) action: Action,
    pub(super) node: &'a Node,
    pub(super) prev_node: Option<&'a Node>,
    /// The index of the store when it answered.
    pub(super) index: u64,
}

impl<'a> Shown<'a> {
    /// A write. One without its key is no answer to a request that asked for it.
    pub(super) fn response(response: &'a Response) -> Result<Self> {
        let node = response.node.as_ref().ok_or_else(|| {
            marked(
                Code::Server,
                "the server's answer does not say what was written",
            )
        })?;
        Ok(Self {
            action: response.action,
            node,
            prev_node: response.prev_node.as_ref(),
            index: response.header.etcd_index,
        })
    }

    /// What a watch saw.
    pub(super) fn event(event: &'a Event) -> Self {
        Self {
            action: event.action,
            node: &event.node,
            prev_node: event.prev_node.as_ref(),
            index: event.index(),
        }
    }
}

/// Prints in a format on standard output.
pub(super) fn print(format: Format, shown: Shown<'_>) -> Result {
    let mut out = io::stdout().lock();
    write(&mut out, format, shown)?;
    Ok(out.flush()?)
}

fn write(out: &mut dyn Write, format: Format, shown: Shown<'_>) -> io::Result<()> {
    let Shown {
        action,
        node,
        prev_node,
        index,
    } = shown;
    // Other ways to disappear do not count: etcdctl prints an empty value for them.
    let removed = action == Action::Delete;
    match format {
        Format::Simple if removed => {
            let before = prev_node.map(value).unwrap_or_default();
            writeln!(out, "PrevNode.Value: {before}")
        }
        Format::Simple => writeln!(out, "{}", value(node)),
        Format::Extended => {
            writeln!(out, "Key: {}", key(node))?;
            writeln!(out, "Created-Index: {}", node.created_index)?;
            writeln!(out, "Modified-Index: {}", node.modified_index)?;
            if let Some(before) = prev_node {
                writeln!(out, "PrevNode.Value: {}", value(before))?;
            }
            writeln!(out, "TTL: {}", node.ttl.unwrap_or_default())?;
            writeln!(out, "Index: {index}")?;
            match removed {
                true => Ok(()),
                false => writeln!(out, "\n{}", value(node)),
            }
        }
        Format::Json => to_json(
            out,
            &JsonEvent {
                action: action.as_str(),
                node: JsonNode(node),
                prev_node: prev_node.map(JsonNode),
            },
        ),
    }
}

fn value(node: &Node) -> &str {
    node.value.as_deref().unwrap_or_default()
}

/// A key as the server names it, to which the root has no name.
pub(super) fn key(node: &Node) -> &str {
    match node.key.as_str() {
        "/" => "",
        key => key,
    }
}

#[derive(Serialize)]
struct JsonEvent<'a> {
    action: &'static str,
    node: JsonNode<'a>,
    #[serde(rename = "prevNode")]
    prev_node: Option<JsonNode<'a>>,
}

/// A node with the fields of etcd's Go client, which has others than the server, in another order.
struct JsonNode<'a>(&'a Node);

impl Serialize for JsonNode<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let node = self.0;
        JsonFields {
            key: key(node),
            dir: node.is_dir,
            value: value(node),
            nodes: (!node.nodes.is_empty()).then_some(JsonNodes(&node.nodes)),
            created_index: node.created_index,
            modified_index: node.modified_index,
            expiration: node.expiration.map(OffsetDateTime::from),
            ttl: node.ttl.unwrap_or_default(),
        }
        .serialize(serializer)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonFields<'a> {
    key: &'a str,
    #[serde(skip_serializing_if = "is_default")]
    dir: bool,
    value: &'a str,
    nodes: Option<JsonNodes<'a>>,
    created_index: u64,
    modified_index: u64,
    #[serde(
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    expiration: Option<OffsetDateTime>,
    #[serde(skip_serializing_if = "is_default")]
    ttl: i64,
}

struct JsonNodes<'a>(&'a [Node]);

impl Serialize for JsonNodes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for node in self.0 {
            list.serialize_element(&JsonNode(node))?;
        }
        list.end()
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
