//! JSON that keeps what parsers drop: the order of fields, and how texts and numbers are written.

use std::fmt;

/// A value, its texts and numbers as they were written.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Json {
    Object(Vec<(String, Json)>),
    Array(Vec<Json>),
    /// A text with its quotes, a number, or a word.
    Plain(String),
}

impl Json {
    /// Reads what has no spaces between its parts; `None` for anything else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut rest = text;
        let value = value(&mut rest, 0)?;
        rest.is_empty().then_some(value)
    }

    /// The value of a field of an object.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        let Self::Object(fields) = self else {
            return None;
        };
        let mut found = fields.iter().filter(|(known, _)| known == name);
        found.next().map(|(_, value)| value)
    }

    /// The fields of an object.
    pub(super) fn fields_mut(&mut self) -> &mut [(String, Self)] {
        match self {
            Self::Object(fields) => fields,
            Self::Array(_) | Self::Plain(_) => &mut [],
        }
    }

    /// The parts of an object or array.
    pub(super) fn parts(&self) -> Vec<&Self> {
        match self {
            Self::Object(fields) => fields.iter().map(|(_, value)| value).collect(),
            Self::Array(values) => values.iter().collect(),
            Self::Plain(_) => Vec::new(),
        }
    }

    /// What a text says.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Plain(written) => serde_json::from_str(written).ok(),
            Self::Object(_) | Self::Array(_) => None,
        }
    }

    /// The number.
    pub(super) fn number(&self) -> Option<i64> {
        match self {
            Self::Plain(written) => written.parse().ok(),
            Self::Object(_) | Self::Array(_) => None,
        }
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(written) => f.write_str(written),
            Self::Array(values) => f.debug_list().entries(values).finish(),
            Self::Object(fields) => {
                f.write_str("{")?;
                for (index, (name, value)) in fields.iter().enumerate() {
                    let comma = if index > 0 { "," } else { "" };
                    write!(f, "{comma}{name:?}:{value:?}")?;
                }
                f.write_str("}")
            }
        }
    }
}

/// No answer is nested deeper.
const DEEPEST: usize = 200;

fn value(rest: &mut &str, depth: usize) -> Option<Json> {
    if depth > DEEPEST {
        return None;
    }
    match rest.bytes().next()? {
        b'{' => {
            let mut fields = Vec::new();
            *rest = &rest[1..];
            if !skip(rest, "}") {
                loop {
                    let name = serde_json::from_str(string(rest)?).ok()?;
                    skip(rest, ":").then_some(())?;
                    fields.push((name, value(rest, depth + 1)?));
                    if skip(rest, "}") {
                        break;
                    }
                    skip(rest, ",").then_some(())?;
                }
            }
            Some(Json::Object(fields))
        }
        b'[' => {
            let mut values = Vec::new();
            *rest = &rest[1..];
            if !skip(rest, "]") {
                loop {
                    values.push(value(rest, depth + 1)?);
                    if skip(rest, "]") {
                        break;
                    }
                    skip(rest, ",").then_some(())?;
                }
            }
            Some(Json::Array(values))
        }
        b'"' => Some(Json::Plain(string(rest)?.to_owned())),
        _ => {
            let end = rest.find([',', ']', '}']).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            serde_json::from_str::<serde_json::Value>(word).ok()?;
            *rest = after;
            (word.trim() == word).then(|| Json::Plain(word.to_owned()))
        }
    }
}

fn skip(rest: &mut &str, expected: &str) -> bool {
    match rest.strip_prefix(expected) {
        Some(after) => {
            *rest = after;
            true
        }
        None => false,
    }
}

/// A text, with its quotes.
fn string<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let inside = rest.strip_prefix('"')?;
    let mut is_escaped = false;
    for (at, byte) in inside.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => {
                let (text, after) = rest.split_at(at + 2);
                *rest = after;
                return Some(text);
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_kept() {
        for text in [
            r#"{"b":1,"a":[],"c":{},"d":["\u003c\"",-1.50,null,true]}"#,
            "[]",
            "7",
            r#""""#,
        ] {
            let json = Json::parse(text).unwrap();
            assert_eq!(format!("{json:?}").replace(", ", ","), text);
        }
        assert_ne!(Json::parse(r#""\u003c""#), Json::parse(r#""<""#));
        let json = Json::parse(r#"{"a":"\u003c","b":-3}"#).unwrap();
        assert_eq!(json.get("a").unwrap().text().unwrap(), "<");
        assert_eq!(json.get("b").unwrap().number(), Some(-3));
    }

    #[test]
    fn what_is_not_exactly_json_is_not_read() {
        for text in [
            "",
            "{",
            "[1",
            "[1 ]",
            "{\"a\" :1}",
            "nul",
            "\"a",
            "1}",
            "[1]\n",
        ] {
            assert_eq!(Json::parse(text), None, "{text}");
        }
    }
}
