//! A line's words, where commands are read from standard input: plain, `"with Go's escapes"`, or
//! `'as it is'`.

use std::ffi::OsString;

use crate::golang::unquote;

/// Splits a line into arguments of a command.
pub(crate) fn arguments(line: &[u8]) -> Result<Vec<OsString>, &'static str> {
    let words = words(line)?.into_iter().map(os_string);
    let words = words.collect::<Option<Vec<_>>>();
    words.ok_or("not valid text on this system")
}

/// Splits a line where etcdctl splits it. A quote inside a plain word is an ordinary character.
pub(crate) fn words(line: &[u8]) -> Result<Vec<Vec<u8>>, &'static str> {
    let mut words = Vec::new();
    let mut rest = line.trim_ascii_start();
    while let Some(first) = rest.first() {
        let (word, after) = match first {
            b'"' => unquote(rest)?,
            b'\'' => {
                let text = rest.get(1..).unwrap_or_default();
                let end = text
                    .iter()
                    .position(|byte| *byte == b'\'')
                    .ok_or("the quoted string has no end")?;
                let (word, after) = text.split_at(end);
                (word.to_vec(), after.get(1..).unwrap_or_default())
            }
            _ => {
                let end = rest
                    .iter()
                    .position(u8::is_ascii_whitespace)
                    .unwrap_or(rest.len());
                let (word, after) = rest.split_at(end);
                (word.to_vec(), after)
            }
        };
        words.push(word);
        rest = after.trim_ascii_start();
    }
    Ok(words)
}

/// Any bytes on Unix; text elsewhere.
#[cfg(unix)]
fn os_string(bytes: Vec<u8>) -> Option<OsString> {
    Some(std::os::unix::ffi::OsStringExt::from_vec(bytes))
}

#[cfg(not(unix))]
fn os_string(bytes: Vec<u8>) -> Option<OsString> {
    String::from_utf8(bytes).ok().map(OsString::from)
}
