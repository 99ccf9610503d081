//! JSON, escaped as Go's `encoding/json` escapes it: what etcd's HTTP answers and etcdctl's output hold.

use std::io;

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};

/// Writes a value without spaces. The order of fields is the order of their declaration.
///
/// # Errors
///
/// Those of the writer, and of values that are not JSON, such as maps with keys that are not text.
pub fn to_writer(out: &mut dyn io::Write, value: &impl Serialize) -> io::Result<()> {
    value.serialize(&mut Serializer::with_formatter(out, GoFormatter))?;
    Ok(())
}

/// Escapes what could end a script element or a line of JavaScript, as Go does. U+FFFD stands for bytes that are
/// no text, for which Go writes the escape, too.
struct GoFormatter;

impl Formatter for GoFormatter {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut plain = CompactFormatter;
        let mut rest = fragment;
        while let Some((at, c)) = rest
            .char_indices()
            .find(|(_, c)| matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\u{fffd}'))
        {
            let (before, after) = rest.split_at(at);
            plain.write_string_fragment(writer, before)?;
            write!(writer, "\\u{:04x}", u32::from(c))?;
            rest = after.get(c.len_utf8()..).unwrap_or_default();
        }
        plain.write_string_fragment(writer, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_as_go_escapes() {
        let mut out = Vec::new();
        to_writer(&mut out, &["<a&b>\"é\n\u{2028}x\u{fffd}"]).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "[\"\\u003ca\\u0026b\\u003e\\\"é\\n\\u2028x\\ufffd\"]"
        );
    }
}
