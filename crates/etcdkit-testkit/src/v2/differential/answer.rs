//! What comes back, in a comparable form.

use std::{fmt, io};

use super::json::Json;
use crate::v2::http;

/// What a server does with a step.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It answers.
    Answered(Vec<Shown>),
    /// It does not do in time what it must do, or breaks the connection. Never right, also when both
    /// servers do it.
    Broken(String),
}

impl Answer {
    pub(super) fn one(shown: Shown) -> Self {
        Self::Answered(vec![shown])
    }

    pub(super) fn broken(error: &io::Error) -> Self {
        Self::Broken(error.to_string())
    }

    /// The answers; none if it is broken.
    pub(super) fn shown(&self) -> &[Shown] {
        match self {
            Self::Answered(shown) => shown,
            Self::Broken(_) => &[],
        }
    }

    /// Takes from `self` what may differ from `other`: the rest of a time to live, which passes while
    /// servers are asked one after the other.
    pub(super) fn allow_for_time(&mut self, other: &Self) {
        if let (Self::Answered(ours), Self::Answered(theirs)) = (self, other) {
            for (ours, theirs) in ours.iter_mut().zip(theirs) {
                for (ours, theirs) in ours.body.iter_mut().zip(&theirs.body) {
                    if let (Line::Json(ours), Line::Json(theirs)) = (ours, theirs) {
                        take_ttls(ours, theirs);
                    }
                }
            }
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(shown) => f.debug_list().entries(shown).finish(),
            Self::Broken(why) => write!(f, "broken: {why}"),
        }
    }
}

/// One HTTP answer without what differs between any two servers.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Shown {
    /// The number and the words of the status.
    pub(super) status: (u16, String),
    /// The headers, by name.
    pub(super) headers: Vec<(String, String)>,
    /// The body's lines, without their ends.
    pub(super) body: Vec<Line>,
    /// Whether the last line ends with one, too.
    pub(super) ends_with_newline: bool,
}

/// A line of a body.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// JSON without spaces.
    Json(Json),
    /// Anything else.
    Text(Vec<u8>),
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(json) => json.fmt(f),
            Self::Text(text) => String::from_utf8_lossy(text).fmt(f),
        }
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status.0, self.status.1)?;
        for (name, value) in &self.headers {
            write!(f, " [{name}: {value}]")?;
        }
        for line in &self.body {
            write!(f, " {line:?}")?;
        }
        write!(f, "{}", if self.ends_with_newline { "⏎" } else { "" })
    }
}

/// What a server calls itself, and what that becomes in answers.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(pub(super) Vec<(String, &'static str)>);

impl Names {
    fn hide(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, shown) in self.0.iter().filter(|(name, _)| !name.is_empty()) {
            text = text.replace(name, shown);
        }
        text
    }
}

impl Shown {
    /// Makes an answer comparable. A directory's nodes are put in order unless they were `sorted`.
    pub(super) fn of(head: &http::Head, body: &[u8], names: &Names, sorted: bool) -> Self {
        let mut headers: Vec<_> = head
            .headers
            .iter()
            .map(|(name, value)| {
                let shown = match name.as_str() {
                    "date" => "<date>".to_owned(),
                    "x-raft-index" | "x-raft-term" if is_number(value) => "<number>".to_owned(),
                    // It counts fractions of seconds and names, too; whoever read the body checked it.
                    "content-length" if value != "0" => "<length>".to_owned(),
                    _ => names.hide(value),
                };
                (name.clone(), shown)
            })
            .collect();
        headers.sort();
        let ends_with_newline = body.last() == Some(&b'\n');
        let body = body.strip_suffix(b"\n").unwrap_or(body);
        let lines = body.split(|byte| *byte == b'\n').map(|line| {
            let json = str::from_utf8(line)
                .ok()
                .and_then(|line| Json::parse(&names.hide(line)));
            match json {
                Some(mut json) => {
                    level(&mut json, sorted);
                    Line::Json(json)
                }
                None => match str::from_utf8(line) {
                    Ok(line) => Line::Text(names.hide(line).into()),
                    Err(_) => Line::Text(line.to_vec()),
                },
            }
        });
        Self {
            status: (head.status, head.reason.clone()),
            headers,
            body: lines.collect(),
            ends_with_newline,
        }
    }

    /// Takes from each number what an earlier answer has in its place.
    pub(super) fn count_from(&mut self, first: &Json) {
        for line in &mut self.body {
            let Line::Json(counts) = line else { continue };
            for (name, count) in counts.fields_mut() {
                if let (Some(now), Some(then)) =
                    (count.number(), first.get(name).and_then(Json::number))
                {
                    *count = Json::Plain((now - then).to_string());
                }
            }
        }
    }

    /// The number of the status.
    pub(super) fn code(&self) -> u16 {
        self.status.0
    }

    /// Whether it has no body.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self.body.as_slice(), [Line::Text(text)] if text.is_empty())
    }

    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        found.next().map(|(_, value)| value.as_str())
    }

    /// The JSON of the body's lines.
    pub(super) fn json(&self) -> impl Iterator<Item = &Json> {
        self.body.iter().filter_map(|line| match line {
            Line::Json(json) => Some(json),
            Line::Text(_) => None,
        })
    }

    /// The number and the cause of the error of `/v2/keys` that it is.
    pub(super) fn keys_error(&self) -> Option<(i64, String)> {
        let json = self.json().next()?;
        let cause = json.get("cause").and_then(Json::text).unwrap_or_default();
        Some((json.get("errorCode")?.number()?, cause))
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Hides times, and puts what has no order into one.
fn level(json: &mut Json, sorted: bool) {
    for (name, value) in json.fields_mut() {
        let text = value.text();
        match (name.as_str(), value, text) {
            ("expiration" | "startTime", value, Some(text)) if is_time(&text) => {
                *value = Json::Plain("<time>".to_owned());
            }
            ("uptime", value, Some(_)) => *value = Json::Plain("<time>".to_owned()),
            ("nodes", Json::Array(nodes), _) if !sorted => {
                nodes.sort_by_key(|node| node.get("key").and_then(Json::text));
            }
            _ => {}
        }
    }
    match json {
        Json::Object(fields) => fields
            .iter_mut()
            .for_each(|(_, value)| level(value, sorted)),
        Json::Array(values) => values.iter_mut().for_each(|value| level(value, sorted)),
        Json::Plain(_) => {}
    }
}

/// Whether it is a time as Go writes it: RFC 3339 in UTC, the fraction without zeros at its end.
fn is_time(text: &str) -> bool {
    let Some((seconds, fraction)) = text
        .strip_suffix('Z')
        .and_then(|text| text.split_at_checked("2026-11-21T12:00:00".len()))
    else {
        return false;
    };
    let shape = |byte: u8| if byte.is_ascii_digit() { b'0' } else { byte };
    let fraction_fits = match fraction.strip_prefix('.') {
        None => fraction.is_empty(),
        Some(digits) => is_number(digits) && digits.len() <= 9 && !digits.ends_with('0'),
    };
    fraction_fits && seconds.bytes().map(shape).eq("0000-00-00T00:00:00".bytes())
}

fn take_ttls(ours: &mut Json, theirs: &Json) {
    const MOST_SECONDS_PASSED: i64 = 60;
    match (ours, theirs) {
        (Json::Object(ours), Json::Object(theirs)) => {
            for ((name, ours), (_, theirs)) in ours.iter_mut().zip(theirs) {
                match (ours.number(), theirs.number()) {
                    (Some(our_ttl), Some(their_ttl)) if name == "ttl" => {
                        let is_alike = our_ttl.signum() == their_ttl.signum()
                            && (our_ttl - their_ttl).abs() <= MOST_SECONDS_PASSED;
                        if is_alike {
                            *ours = theirs.clone();
                        }
                    }
                    _ => take_ttls(ours, theirs),
                }
            }
        }
        (Json::Array(ours), Json::Array(theirs)) => {
            for (ours, theirs) in ours.iter_mut().zip(theirs) {
                take_ttls(ours, theirs);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_from_other_texts() {
        assert!(is_time("2026-11-21T12:00:00Z"));
        assert!(is_time("2026-11-21T12:00:00.120000001Z"));
        for wrong in [
            "",
            "2026-11-21T12:00:00",
            "2026-11-21T12:00:00.Z",
            "2026-11-21T12:00:00.120Z",
            "2026-11-21T12:00:00.1234567891Z",
            "2026-11-21 12:00:00Z",
            "2026-11-21T12:00:00+01:00",
        ] {
            assert!(!is_time(wrong), "{wrong}");
        }
    }

    #[test]
    fn what_chance_decides_is_levelled() {
        let shown = |body: &str, sorted| {
            let head = http::Head {
                status: 200,
                reason: "OK".to_owned(),
                headers: vec![("date".to_owned(), "today".to_owned())],
            };
            let names = Names(vec![("cafe".to_owned(), "<member>")]);
            Answer::one(Shown::of(&head, body.as_bytes(), &names, sorted))
        };
        let listed = r#"{"nodes":[{"key":"/b"},{"key":"/a","ttl":7}]}"#;
        let other = r#"{"nodes":[{"key":"/a","ttl":6},{"key":"/b"}]}"#;
        let mut left = shown(listed, false);
        let right = shown(other, false);
        assert_ne!(left, right);
        left.allow_for_time(&right);
        assert_eq!(left, right);
        left = shown(listed, true);
        left.allow_for_time(&shown(other, true));
        assert_ne!(left, shown(other, true));
        assert_ne!(shown("{}", false), shown("{}\n", false));
        assert_eq!(shown("\"cafe\"", false), shown("\"<member>\"", false));
    }
}
