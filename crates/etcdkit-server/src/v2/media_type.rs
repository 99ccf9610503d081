//! The value of `Content-Type`, read as Go reads it: etcd answers with Go's errors.

/// What is wrong with a value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    /// What Go says.
    pub(super) text: &'static str,
    /// The type, which Go goes by nevertheless if only a parameter is malformed; empty otherwise.
    pub(super) media_type: String,
}

/// The type in lower case, without its parameters, which are checked only.
pub(super) fn parse(value: &str) -> Result<String, Malformed> {
    let (media_type, parameters) = match value.find(';') {
        Some(at) => value.split_at(at),
        None => (value, ""),
    };
    let media_type = media_type.trim().to_lowercase();
    let checked = check_type(&media_type).and_then(|()| check_parameters(parameters));
    match checked {
        Ok(()) => Ok(media_type),
        Err(INVALID_PARAMETER) => Err(Malformed {
            text: INVALID_PARAMETER,
            media_type,
        }),
        Err(text) => Err(Malformed {
            text,
            media_type: String::new(),
        }),
    }
}

const INVALID_PARAMETER: &str = "mime: invalid media parameter";

fn check_type(media_type: &str) -> Result<(), &'static str> {
    let (main, rest) = token(media_type);
    if main.is_empty() {
        return Err("mime: no media type");
    }
    if rest.is_empty() {
        return Ok(());
    }
    let Some(rest) = rest.strip_prefix('/') else {
        return Err("mime: expected slash after first token");
    };
    match token(rest) {
        ("", _) => Err("mime: expected token after slash"),
        (_, "") => Ok(()),
        _ => Err("mime: unexpected content after media subtype"),
    }
}

/// A name may come again with the same value. A semicolon may end it all.
fn check_parameters(mut text: &str) -> Result<(), &'static str> {
    let mut seen: Vec<(String, String)> = Vec::new();
    loop {
        text = text.trim_start();
        if matches!(text.trim(), "" | ";") {
            return Ok(());
        }
        let Some((name, value, rest)) = parameter(text) else {
            return Err(INVALID_PARAMETER);
        };
        if seen
            .iter()
            .any(|(known, other)| *known == name && *other != value)
        {
            return Err("mime: duplicate parameter name");
        }
        seen.push((name, value));
        text = rest;
    }
}

/// The name and value after a semicolon, and what follows them.
fn parameter(text: &str) -> Option<(String, String, &str)> {
    let (name, rest) = token(text.strip_prefix(';')?.trim_start());
    if name.is_empty() {
        return None;
    }
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let (value, rest) = match rest.strip_prefix('"') {
        Some(rest) => quoted(rest)?,
        None => match token(rest) {
            ("", _) => return None,
            (value, rest) => (value.to_owned(), rest),
        },
    };
    Some((name.to_lowercase(), value, rest))
}

/// What stands before the closing quote, and what follows it. Only what must be escaped can be.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\r' | '\n' => return None,
            '\\' => match chars.clone().next() {
                Some((_, escaped)) if is_special(escaped) => {
                    value.push(escaped);
                    chars.next();
                }
                _ => value.push(c),
            },
            c => value.push(c),
        }
    }
    None
}

fn token(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_graphic() || is_special(c));
    text.split_at(end.unwrap_or(text.len()))
}

/// What RFC 2045 keeps out of tokens.
fn is_special(c: char) -> bool {
    matches!(
        c,
        '(' | ')' | '<' | '>' | '@' | ',' | ';' | ':' | '\\' | '"' | '/' | '[' | ']' | '?' | '='
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As 3.5.30 answered.
    #[test]
    fn types_and_errors_are_gos() {
        for value in [
            "application/x-www-form-urlencoded;",
            "APPLICATION/x-www-form-URLencoded ; charset=utf-8",
            r#"application/x-www-form-urlencoded; charset="utf\"x" ; b=c;"#,
            "application/x-www-form-urlencoded; a=b; A=b",
        ] {
            let parsed = parse(value);
            assert_eq!(
                parsed.as_deref(),
                Ok("application/x-www-form-urlencoded"),
                "{value}"
            );
        }
        assert_eq!(parse("a").as_deref(), Ok("a"));
        for (value, error) in [
            ("/a", "mime: no media type"),
            ("a b", "mime: expected slash after first token"),
            ("a/", "mime: expected token after slash"),
            ("a/b c", "mime: unexpected content after media subtype"),
            ("a/b; charset", "mime: invalid media parameter"),
            ("a/b; charset=", "mime: invalid media parameter"),
            ("a/b; charset=\"x", "mime: invalid media parameter"),
            ("a/b; a=b; a=c", "mime: duplicate parameter name"),
        ] {
            let malformed = parse(value).unwrap_err();
            assert_eq!(malformed.text, error, "{value}");
            let is_known = error == INVALID_PARAMETER;
            assert_eq!(malformed.media_type == "a/b", is_known, "{value}");
        }
    }
}
