//! The parameters of a request, read as Go reads forms, whose errors etcd passes on.

use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, Method};

use super::media_type::{self, Malformed};
use crate::incoming::{Incoming, Unread};

/// Go's limit for the body of a form.
const LONGEST_BODY: usize = 10 * 1024 * 1024;

/// Go's limit for the number of parameters in one place.
const MOST_PARAMETERS: usize = 10_000;

const FORM: &str = "application/x-www-form-urlencoded";

/// Names with their values, which need not be text. Of a name that occurs several times the first counts.
#[derive(Default)]
pub(super) struct Form(Vec<(Vec<u8>, Vec<u8>)>);

impl Form {
    /// Reads the query and, of requests that write, the body, whose parameters come first. A body that is no form is
    /// passed over.
    ///
    /// # Errors
    ///
    /// What Go says, which reads on after an error and tells of the one in the body.
    pub(super) async fn read(parts: &Parts, body: &mut Incoming) -> Result<Self, String> {
        let mut form = Self::default();
        let query = parts.uri.query().unwrap_or_default();
        if matches!(parts.method, Method::POST | Method::PUT) {
            let (is_form, checked) = is_form(&parts.headers);
            // A body whose type has a malformed parameter is read, though nothing comes of it.
            let body = match is_form {
                true => body.read(LONGEST_BODY).await,
                false => Ok(Vec::new()),
            };
            checked?;
            let body = body.map_err(|unread| match unread {
                Unread::TooLong => "http: POST too large",
                Unread::Broken => "unexpected EOF",
            })?;
            form.add(&body)?;
        }
        form.add(query.as_bytes())?;
        Ok(form)
    }

    /// The value of a name; `None` if it does not occur.
    pub(super) fn get(&self, name: &str) -> Option<&[u8]> {
        let name = name.as_bytes();
        let (_, value) = self.0.iter().find(|(other, _)| other == name)?;
        Some(value)
    }

    /// The same, empty if it does not occur.
    pub(super) fn value(&self, name: &str) -> &[u8] {
        self.get(name).unwrap_or_default()
    }

    #[cfg(test)]
    pub(super) fn of_query(query: &str) -> Self {
        let mut form = Self::default();
        form.add(query.as_bytes()).unwrap();
        form
    }

    /// Adds the pairs of an encoded text. As in Go, a semicolon anywhere outdoes other errors, and of those the
    /// first is told.
    fn add(&mut self, encoded: &[u8]) -> Result<(), String> {
        if encoded.iter().filter(|byte| **byte == b'&').count() >= MOST_PARAMETERS {
            return Err("number of URL query parameters exceeded limit".to_owned());
        }
        let mut first_error = None;
        for pair in encoded.split(|byte| *byte == b'&') {
            if pair.contains(&b';') {
                first_error = Some("invalid semicolon separator in query".to_owned());
                continue;
            }
            if pair.is_empty() {
                continue;
            }
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let [name, value] = [halves.next(), halves.next()].map(Option::unwrap_or_default);
            match (decode(name), decode(value)) {
                (Ok(name), Ok(value)) => self.0.push((name, value)),
                (Err(error), _) | (_, Err(error)) => {
                    first_error.get_or_insert(error);
                }
            }
        }
        first_error.map_or(Ok(()), Err)
    }
}

/// Whether the body is a form, and what is wrong with its type. Without a type it is none.
fn is_form(headers: &HeaderMap) -> (bool, Result<(), &'static str>) {
    let value = headers.get(CONTENT_TYPE).map(|value| value.as_bytes());
    let value = String::from_utf8_lossy(value.unwrap_or_default());
    if value.is_empty() {
        return (false, Ok(()));
    }
    match media_type::parse(&value) {
        Ok(media_type) => (media_type == FORM, Ok(())),
        Err(Malformed { text, media_type }) => (media_type == FORM, Err(text)),
    }
}

/// Takes the escapes out of a name or value.
fn decode(encoded: &[u8]) -> Result<Vec<u8>, String> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((byte, after)) = rest.split_first() {
        rest = match byte {
            b'%' => {
                let (byte, after) = unescape(after)
                    .ok_or_else(|| format!("invalid URL escape {}", quoted(rest)))?;
                decoded.push(byte);
                after
            }
            b'+' => {
                decoded.push(b' ');
                after
            }
            byte => {
                decoded.push(*byte);
                after
            }
        };
    }
    Ok(decoded)
}

/// The byte that the two digits after a percent sign stand for, and what follows them.
pub(super) fn unescape(text: &[u8]) -> Option<(u8, &[u8])> {
    let (&[high, low], after) = text.split_first_chunk()?;
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = u8::try_from(digit(high)? * 16 + digit(low)?).ok()?;
    Some((byte, after))
}

/// The first three bytes of a text as a literal of Go.
fn quoted(text: &[u8]) -> String {
    let text = text.get(..3).unwrap_or(text);
    let mut quoted = String::from('"');
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\\' => quoted.extend(['\\', c]),
                '\n' => quoted.push_str("\\n"),
                '\r' => quoted.push_str("\\r"),
                '\t' => quoted.push_str("\\t"),
                c if c.is_ascii_control() => quoted.push_str(&format!("\\x{:02x}", u32::from(c))),
                c => quoted.push(c),
            }
        }
        for byte in chunk.invalid() {
            quoted.push_str(&format!("\\x{byte:02x}"));
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(encoded: &str) -> Result<Form, String> {
        let mut form = Form::default();
        form.add(encoded.as_bytes()).map(|()| form)
    }

    fn refusal(encoded: &[u8]) -> String {
        Form::default().add(encoded).unwrap_err()
    }

    #[test]
    fn the_first_of_a_name_counts() {
        let mut form = form("value=body&b=1+%2B%c3%a9").unwrap();
        form.add(b"&&value=query&=x&c").unwrap();
        assert_eq!(form.get("value"), Some(&b"body"[..]));
        assert_eq!(form.get("b"), Some("1 +é".as_bytes()));
        assert_eq!(form.get("c"), Some(&b""[..]));
        assert_eq!(form.get(""), Some(&b"x"[..]));
        assert_eq!(form.get("d"), None);
        assert_eq!(form.value("d"), b"");
    }

    #[test]
    fn errors_are_gos() {
        for (encoded, error) in [
            ("a=%", r#"invalid URL escape "%""#),
            ("a=%1", r#"invalid URL escape "%1""#),
            ("a=%41%4", r#"invalid URL escape "%4""#),
            ("%zz=1&recursive=x", r#"invalid URL escape "%zz""#),
            ("a=%zz&b=%yy", r#"invalid URL escape "%zz""#),
            ("a=%\"\n", r#"invalid URL escape "%\"\n""#),
            ("a=%zz;&b=%yy", "invalid semicolon separator in query"),
            ("b=%yy&x;y", "invalid semicolon separator in query"),
        ] {
            assert_eq!(refusal(encoded.as_bytes()), error, "{encoded}");
        }
        let of_bytes = refusal(b"a=%\xe9\xe9");
        assert_eq!(of_bytes, r#"invalid URL escape "%\xe9\xe9""#);
        let most = vec!["a"; MOST_PARAMETERS].join("&");
        assert!(form(&most).is_ok());
        assert!(form(&format!("{most}&a")).is_err());
    }

    #[test]
    fn a_body_is_a_form_only_if_it_says_so() {
        let is_form = |content_type: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
            is_form(&headers)
        };
        for (content_type, expected) in [
            (
                "Application/x-www-form-URLencoded ; charset=utf-8",
                (true, Ok(())),
            ),
            ("text/plain", (false, Ok(()))),
            ("", (false, Ok(()))),
            ("/a", (false, Err("mime: no media type"))),
            (
                "application/x-www-form-urlencoded; ;",
                (true, Err("mime: invalid media parameter")),
            ),
        ] {
            assert_eq!(is_form(content_type), expected, "{content_type}");
        }
        assert_eq!(super::is_form(&HeaderMap::new()), (false, Ok(())));
    }
}
