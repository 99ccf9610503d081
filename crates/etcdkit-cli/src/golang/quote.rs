//! Quoted strings: `"a\n\x00"`.

use std::fmt::Write;

/// Bytes in double quotes, with everything unprintable escaped: Go's `%q`.
pub(crate) fn quote(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            push_char(&mut out, c);
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out.push('"');
    out
}

fn push_char(out: &mut String, c: char) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\u{7}' => out.push_str("\\a"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{b}' => out.push_str("\\v"),
        c if is_printable(c) => out.push(c),
        c => {
            let code = u32::from(c);
            let _ = match code {
                0..0x80 => write!(out, "\\x{code:02x}"),
                0x80..0x1_0000 => write!(out, "\\u{code:04x}"),
                _ => write!(out, "\\U{code:08x}"),
            };
        }
    }
}

/// Letters, marks, numbers, punctuation, symbols and the ASCII space.
fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return matches!(c, ' '..='~');
    }
    // The standard library escapes exactly the other characters, apart from combining marks at the
    // start of a text; hence the letter in front.
    let mut text = [b'a'; 5];
    let Some(tail) = text.get_mut(1..) else {
        return false;
    };
    let len = c.encode_utf8(tail).len();
    let text = text.get(..=len).and_then(|text| str::from_utf8(text).ok());
    text.is_some_and(|text| text.escape_debug().count() == 2)
}

/// What follows the text of a string literal, or why it is none.
pub(crate) fn unquote(text: &[u8]) -> Result<(Vec<u8>, &[u8]), &'static str> {
    match text.split_first() {
        Some((b'`', rest)) => {
            let end = rest
                .iter()
                .position(|byte| *byte == b'`')
                .ok_or(UNTERMINATED)?;
            let (raw, rest) = rest.split_at(end);
            Ok((raw.to_vec(), rest.get(1..).unwrap_or_default()))
        }
        Some((b'"', rest)) => {
            let mut out = Vec::with_capacity(rest.len());
            let mut rest = rest;
            loop {
                match rest {
                    [] => return Err(UNTERMINATED),
                    [b'"', rest @ ..] => return Ok((out, rest)),
                    [b'\\', after @ ..] => rest = unescape(after, &mut out)?,
                    [byte, after @ ..] => {
                        out.push(*byte);
                        rest = after;
                    }
                }
            }
        }
        _ => Err("expected a quoted string"),
    }
}

const UNTERMINATED: &str = "the quoted string has no end";
const BAD_ESCAPE: &str = "invalid escape sequence in quoted string";

/// Reads what follows a backslash.
fn unescape<'a>(text: &'a [u8], out: &mut Vec<u8>) -> Result<&'a [u8], &'static str> {
    let (first, rest) = text.split_first().ok_or(UNTERMINATED)?;
    let plain = match first {
        b'a' => 0x07,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        b'\\' => b'\\',
        b'"' => b'"',
        b'x' => {
            let (code, rest) = code(rest, 2, 16)?;
            out.push(u8::try_from(code).map_err(|_| BAD_ESCAPE)?);
            return Ok(rest);
        }
        b'0'..=b'7' => {
            let (code, rest) = code(text, 3, 8)?;
            out.push(u8::try_from(code).map_err(|_| BAD_ESCAPE)?);
            return Ok(rest);
        }
        b'u' | b'U' => {
            let digits = if *first == b'u' { 4 } else { 8 };
            let (code, rest) = code(rest, digits, 16)?;
            let c = char::from_u32(code).ok_or(BAD_ESCAPE)?;
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            return Ok(rest);
        }
        _ => return Err(BAD_ESCAPE),
    };
    out.push(plain);
    Ok(rest)
}

/// Reads a number of exactly so many digits.
fn code(text: &[u8], digits: usize, radix: u32) -> Result<(u32, &[u8]), &'static str> {
    let (number, rest) = text.split_at_checked(digits).ok_or(BAD_ESCAPE)?;
    let number = str::from_utf8(number).map_err(|_| BAD_ESCAPE)?;
    if number.starts_with('+') {
        return Err(BAD_ESCAPE);
    }
    let number = u32::from_str_radix(number, radix).map_err(|_| BAD_ESCAPE)?;
    Ok((number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_as_go_quotes() {
        for (bytes, text) in [
            (&b"v2"[..], r#""v2""#),
            (b"a b", r#""a b""#),
            (b"\"\\", r#""\"\\""#),
            (
                b"\x00\x07\x08\t\n\x0b\x0c\r\x1f\x7f",
                r#""\x00\a\b\t\n\v\f\r\x1f\x7f""#,
            ),
            (b"\xff\xc3", r#""\xff\xc3""#),
            (
                "é日\u{a0}\u{300}\u{fffd}".as_bytes(),
                "\"é日\\u00a0\u{300}\u{fffd}\"",
            ),
            ("\u{80}".as_bytes(), r#""\u0080""#),
            ("\u{e0001}😀".as_bytes(), "\"\\U000e0001😀\""),
        ] {
            assert_eq!(quote(bytes), text);
        }
    }

    #[test]
    fn unquotes_what_it_quotes() {
        let all: Vec<u8> = (0..=255).collect();
        let quoted = quote(&all);
        let (bytes, rest) = unquote(quoted.as_bytes()).unwrap();
        assert_eq!((bytes, rest), (all, &b""[..]));
    }

    #[test]
    fn unquotes_every_escape() {
        let (bytes, rest) = unquote(br#""\a\n\x41\101\u00e9\U0001F600\"\\" tail"#).unwrap();
        assert_eq!(bytes, "\u{7}\nAAé😀\"\\".as_bytes());
        assert_eq!(rest, b" tail");
        assert_eq!(
            unquote(b"`raw\\n`x").unwrap(),
            (b"raw\\n".to_vec(), &b"x"[..])
        );
    }

    #[test]
    fn refuses_what_is_no_string() {
        for text in [
            "",
            "a",
            "'a'",
            "\"",
            "\"a",
            "`a",
            r#""\"#,
            r#""\q""#,
            r#""\x4""#,
            r#""\x+1""#,
            r#""\400""#,
            r#""\ud800""#,
            r#""\U00110000""#,
            r#""\'""#,
            r#""\u12""#,
        ] {
            assert!(unquote(text.as_bytes()).is_err(), "{text:?}");
        }
    }
}
