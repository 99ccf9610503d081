//! Indexes and values that mean something in any history.
//!
//! A generated request names them relative to where the store is: `{now-3}`, `{index /a}`, `{created /a}`
//! and `{value /a}` become what they stand for only when it is sent. So a list that lost half of its
//! steps still compares with the value that a key has, and shrinks well.

use std::collections::HashMap;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{answer::Answer, json::Json, step::Step};
use crate::v2::http::Request;

/// Where a server is, as its answers tell.
#[derive(Clone, Debug, Default)]
pub(super) struct Position {
    now: i64,
    keys: HashMap<String, Known>,
}

/// What was last said of a key.
#[derive(Clone, Debug, Default)]
struct Known {
    modified: i64,
    created: i64,
    value: Option<String>,
}

impl Position {
    /// Follows the store through what a server has answered.
    pub(super) fn observe(&mut self, answer: &Answer) {
        for shown in answer.shown() {
            let index = shown.header("x-etcd-index");
            let index = index.and_then(|index| index.parse().ok()).unwrap_or(0);
            self.now = self.now.max(index);
            for json in shown.json() {
                for name in ["prevNode", "node"] {
                    if let Some(node) = json.get(name) {
                        self.observe_node(node);
                    }
                }
            }
        }
    }

    fn observe_node(&mut self, node: &Json) {
        let index = |name| node.get(name).and_then(Json::number).unwrap_or(0);
        if let Some(key) = node.get("key").and_then(Json::text) {
            let known = Known {
                modified: index("modifiedIndex"),
                created: index("createdIndex"),
                value: node.get("value").and_then(Json::text),
            };
            self.now = self.now.max(known.modified);
            self.keys.insert(key, known);
        }
        for child in node.get("nodes").map(Json::parts).unwrap_or_default() {
            self.observe_node(child);
        }
    }

    /// The step with what its symbols stand for.
    pub(super) fn resolve(&self, step: &Step) -> Step {
        step.map(|request| {
            let body = request
                .body
                .as_ref()
                .map(|body| match str::from_utf8(body) {
                    Ok(text) => self.fill_in(text).into_bytes(),
                    Err(_) => body.clone(),
                });
            Request {
                target: self.fill_in(&request.target),
                body,
                ..request.clone()
            }
        })
    }

    fn fill_in(&self, text: &str) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some(start) = rest.find('{') {
            let (before, from) = rest.split_at(start);
            filled += before;
            let symbol = from
                .find('}')
                .and_then(|end| Some((self.meaning(&from[1..end])?, end)));
            match symbol {
                Some((meaning, end)) => {
                    filled += &meaning;
                    rest = &from[end + 1..];
                }
                None => {
                    filled.push('{');
                    rest = &from[1..];
                }
            }
        }
        filled + rest
    }

    fn meaning(&self, symbol: &str) -> Option<String> {
        if let Some(offset) = symbol.strip_prefix("now") {
            let offset = match offset {
                "" => 0,
                offset => offset.parse::<i64>().ok()?,
            };
            return Some((self.now + offset).max(0).to_string());
        }
        let (what, key) = symbol.split_once(' ')?;
        let known = self.keys.get(key);
        match what {
            "index" => Some(known.map_or(7, |known| known.modified).to_string()),
            "created" => Some(known.map_or(7, |known| known.created).to_string()),
            "value" => {
                let value = known.and_then(|known| known.value.as_deref());
                let value = value.filter(|value| !value.is_empty()).unwrap_or("x");
                Some(utf8_percent_encode(value, NON_ALPHANUMERIC).to_string())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v2::{
        differential::answer::{Names, Shown},
        http::Head,
    };

    #[test]
    fn symbols_become_what_was_answered() {
        let head = Head {
            status: 200,
            reason: String::new(),
            headers: vec![("x-etcd-index".to_owned(), "11".to_owned())],
        };
        let body = br#"{"node":{"key":"/a","value":"1 2","modifiedIndex":9,"createdIndex":8}}"#;
        let shown = Shown::of(&head, body, &Names::default(), false);
        let mut position = Position::default();
        position.observe(&Answer::one(shown));
        let text =
            "{now} {now-2} {now+2} {index /a} {created /a} {value /a} {value /b} {\"a\":1} {";
        assert_eq!(position.fill_in(text), "11 9 13 9 8 1%202 x {\"a\":1} {");
    }
}
