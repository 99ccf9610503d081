//! The little that a client reads in a token of the JWT kind (RFC 7519).

use std::time::{Duration, SystemTime};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

/// Whether a token is a JWT: three parts with dots between them. etcd's simple tokens have two.
pub(super) fn is_jwt(token: &str) -> bool {
    token.matches('.').count() == 2
}

/// How long a token is still good, by its `exp` claim and this clock. Nothing is verified, since it
/// only decides when to ask for the next one.
pub(super) fn life(token: &str, now: SystemTime) -> Option<Duration> {
    let mut parts = token.split('.');
    let (_, payload) = (parts.next()?, parts.next()?);
    let claims = BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?;
    let expires = expiry(std::str::from_utf8(&claims).ok()?)?;
    let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(expires))?;
    at.duration_since(now).ok()
}

/// The number behind `"exp":`. Inside of another string the quotes would be escaped, so that the
/// word with both its quotes is a name.
fn expiry(claims: &str) -> Option<u64> {
    let (_, rest) = claims.split_once("\"exp\"")?;
    let number = rest.trim_start().strip_prefix(':')?.trim_start();
    let end = number.find(|c: char| !c.is_ascii_digit());
    number.get(..end.unwrap_or(number.len()))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn token(claims: &str) -> String {
        format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_life_ends_when_the_claim_says() {
        let claims = r#"{"username":"a\"exp\":9","exp" : 1700000300,"revision":3}"#;
        let life = life(&token(claims), at(1_700_000_000));
        assert_eq!(life, Some(Duration::from_secs(300)));
    }

    #[test]
    fn what_cannot_be_read_says_nothing() {
        for claims in [
            "{}",
            "exp",
            r#"{"exp":"soon"}"#,
            r#"{"exp"}"#,
            r#"{"exp":-1}"#,
        ] {
            assert_eq!(life(&token(claims), at(0)), None, "{claims}");
        }
        let past = token(r#"{"exp":5}"#);
        assert_eq!(life(&past, at(6)), None);
        let far = token(r#"{"exp":99999999999999999999999}"#);
        assert_eq!(life(&far, at(0)), None);
        for text in ["", "abc", "a.b", "..", "a.!.c", "a.e30"] {
            assert_eq!(life(text, at(0)), None, "{text}");
        }
    }

    #[test]
    fn simple_tokens_are_no_jwt() {
        assert!(!is_jwt("NsQIlcMYQnKRIMtb.7"));
        assert!(is_jwt(&token("{}")));
    }
}
