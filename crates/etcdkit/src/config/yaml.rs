//! Settings from YAML, with the names that etcd's Go client gives them in its file.
//!
//! The file is a flat list of keys with texts or lists of texts. Texts are taken as they stand, so
//! that a password that looks like a number stays what it is.

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use super::{Draft, Settings, option::Setting};
use crate::{Error, Result};

pub(super) fn settings(text: &str) -> Result<Settings> {
    let mut draft = Draft::default();
    // In such a file bare endpoints speak TLS unless it says otherwise, unlike in etcdctl's variables.
    draft.set(Setting::InsecureTransport, "", &["false"])?;
    let mut reader = Reader(Parser::new_from_str(text));
    match reader.next()? {
        Event::MappingStart(..) => {}
        _ => return bad("is not a list of keys with their values"),
    }
    let mut seen = Vec::new();
    loop {
        let name = match reader.next()? {
            Event::MappingEnd => break,
            Event::Scalar(name, ..) => name,
            _ => return bad("has a key that is not text"),
        };
        let Some(setting) = Setting::named(&name) else {
            return bad(format!("has a key {name:?}, which is not known"));
        };
        if seen.contains(&setting) {
            return bad(format!("has a key {name:?} for what is set already"));
        }
        seen.push(setting);
        let values = reader.values(setting, &name)?;
        // `key:` without a value stands for the default.
        if !values.is_empty() {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            draft.set(setting, &format!("{name} in the YAML"), &values)?;
        }
    }
    match reader.next()? {
        Event::StreamEnd => draft.finish(),
        _ => bad("holds more than one document"),
    }
}

fn bad<T>(what: impl Into<String>) -> Result<T> {
    Err(Error::invalid_config(format!("the YAML {}", what.into())))
}

struct Reader<P>(P);

impl<'a, P: Iterator<Item = std::result::Result<(Event<'a>, Span), ScanError>>> Reader<P> {
    /// The next event that is not only a frame around others.
    fn next(&mut self) -> Result<Event<'a>> {
        loop {
            match self.0.next() {
                None => return Ok(Event::StreamEnd),
                Some(Ok((
                    Event::Nothing
                    | Event::StreamStart
                    | Event::DocumentStart(_)
                    | Event::DocumentEnd,
                    _,
                ))) => {}
                Some(Ok((event, _))) => return Ok(event),
                // What the parser says is left out: it may quote a password.
                Some(Err(error)) => {
                    let (line, column) = (error.marker().line(), error.marker().col() + 1);
                    return bad(format!("cannot be read at line {line}, column {column}"));
                }
            }
        }
    }

    /// The values of a key: one, those of a list, or none.
    fn values(&mut self, setting: Setting, name: &str) -> Result<Vec<String>> {
        let wrong = || bad(format!("has a key {name:?} with a value of the wrong kind"));
        let mut values = Vec::new();
        match self.next()? {
            Event::Scalar(text, style, ..) => values.extend(value(setting, &text, style)),
            Event::SequenceStart(..) => loop {
                match self.next()? {
                    Event::Scalar(text, style, ..) => values.extend(value(setting, &text, style)),
                    Event::SequenceEnd => break,
                    _ => return wrong(),
                }
            },
            _ => return wrong(),
        }
        Ok(values)
    }
}

fn value(setting: Setting, text: &str, style: ScalarStyle) -> Option<String> {
    let plain = style == ScalarStyle::Plain;
    if plain && matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        return None;
    }
    // Go's durations are nanoseconds in such files.
    let is_number = plain && text.bytes().all(|byte| byte.is_ascii_digit());
    Some(match is_number && setting.is_duration() {
        true => format!("{text}ns"),
        false => text.to_owned(),
    })
}
