//! Who a client says it is.

use std::fmt;

use http::HeaderValue;

use crate::{Error, Result};

/// What a client proves its identity with. A client certificate needs nothing here: TLS shows it to
/// the server.
#[derive(Clone, Debug, Default)]
pub(crate) enum Credentials {
    #[default]
    None,
    /// A user that logs in for tokens.
    User { name: String, password: Secret },
    /// A token made elsewhere, which the client cannot renew.
    Token(HeaderValue),
}

/// What a client was given to prove its identity with, before it is checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offered {
    user: Option<(String, Secret)>,
    token: Option<Secret>,
}

impl Offered {
    pub(crate) fn user(&mut self, name: String, password: String) {
        self.user = Some((name, Secret(password)));
    }

    pub(crate) fn token(&mut self, token: String) {
        self.token = Some(Secret(token));
    }

    pub(crate) fn credentials(self) -> Result<Credentials> {
        match (self.user, self.token) {
            (None, None) => Ok(Credentials::None),
            (Some((name, password)), None) => Credentials::user(name, password),
            (None, Some(token)) => Credentials::token(&token.0),
            (Some(_), Some(_)) => Err(Error::invalid_config(
                "both a user and a token; a client with a token does not log in, so give one of them",
            )),
        }
    }
}

impl Credentials {
    pub(crate) fn user(name: String, password: Secret) -> Result<Self> {
        if name.is_empty() {
            return Err(Error::invalid_config("the user's name is empty"));
        }
        Ok(Self::User { name, password })
    }

    pub(crate) fn token(token: &str) -> Result<Self> {
        match header(token) {
            Some(value) => Ok(Self::Token(value)),
            None => Err(Error::invalid_config(
                "the token is empty or has bytes that cannot be sent; give the text as it was issued, \
                 without a line break",
            )),
        }
    }
}

/// A token as it is sent: marked so that neither logs nor header compression keep it.
pub(super) fn header(token: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(token).ok()?;
    value.set_sensitive(true);
    (!value.is_empty()).then_some(value)
}

/// A text that never shows.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn secret(text: &str) -> Secret {
        Secret(text.to_owned())
    }

    #[test]
    fn a_user_and_a_token_exclude_each_other() {
        let mut offered = Offered::default();
        offered.user("root".into(), "pa55word".into());
        offered.token("t0ken".into());
        assert!(!format!("{offered:?}").contains("pa55word"));
        let error = offered.credentials().expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    }

    #[test]
    fn secrets_do_not_show() {
        let user = Credentials::user("root".into(), secret("pa55word")).expect("valid");
        let token = Credentials::token("t0ken.7").expect("valid");
        let shown = format!("{user:?} {user:#?} {token:?}");
        assert!(
            !shown.contains("pa55word") && !shown.contains("t0ken"),
            "{shown}"
        );
    }

    #[test]
    fn what_cannot_be_sent_is_refused_without_being_shown() {
        for token in ["", "t0ken\n", "t0ken\r\nhost: x"] {
            let error = Credentials::token(token).expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::InvalidConfig);
            assert!(!format!("{error} {error:?}").contains("t0ken"));
        }
        assert!(Credentials::user(String::new(), secret("x")).is_err());
    }
}
