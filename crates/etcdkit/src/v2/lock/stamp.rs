//! What stands in a queue's keys: pure.

/// How long a token is.
const TOKEN: usize = 32;

/// The value of a key in a queue: a token that no other key has, and what the program wants to say.
///
/// By the token a key is known as one's own, even if the answer to its creation was lost, and every
/// change to it is made only while it has that value. The program's text follows after a space, so that
/// both can be read with any client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    text: String,
}

impl Stamp {
    pub(crate) fn new(value: &str) -> Self {
        let mut text = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        if !value.is_empty() {
            text.push(' ');
            text.push_str(value);
        }
        Self { text }
    }

    /// All of it, as it is stored.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

/// The program's text in a stored value; all of it if somebody else has written it.
pub(crate) fn value_of(text: &str) -> &str {
    let Some((token, rest)) = text.split_at_checked(TOKEN) else {
        return text;
    };
    let is_token = token
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    match (is_token, rest) {
        (true, "") => "",
        (true, rest) => rest.strip_prefix(' ').unwrap_or(text),
        (false, _) => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_comes_back() {
        for value in ["", "host-7", " two  words ", "é", "line\nline"] {
            assert_eq!(value_of(Stamp::new(value).as_str()), value);
        }
        assert_ne!(Stamp::new("same"), Stamp::new("same"));
    }

    #[test]
    fn what_others_wrote_is_left_as_it_is() {
        let hex = "0".repeat(TOKEN);
        for text in ["", "-", "host-7", &format!("{hex}x"), &format!("{hex}0 a")] {
            assert_eq!(value_of(text), text);
        }
        assert_eq!(value_of(&"é".repeat(TOKEN)), "é".repeat(TOKEN));
    }
}
