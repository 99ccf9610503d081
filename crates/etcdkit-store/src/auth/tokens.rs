//! The tokens that stand for users who gave their password.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

/// etcd's "simple" tokens: known to this server only, and forgotten when they are not used.
///
/// The times are those of the caller's clock, as for leases.
pub struct Tokens {
    by_token: HashMap<String, Token>,
    ttl: Duration,
}

struct Token {
    user: String,
    expiry: Duration,
}

/// Tokens are secrets; only their number is shown.
impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("count", &self.by_token.len())
            .field("ttl", &self.ttl)
            .finish()
    }
}

impl Tokens {
    /// Tokens live for `ttl` after their last use.
    pub fn new(ttl: Duration) -> Self {
        Self {
            by_token: HashMap::new(),
            ttl,
        }
    }

    /// Lets a token stand for a user from now on.
    pub fn assign(&mut self, token: String, user: String, now: Duration) {
        self.by_token.retain(|_, token| token.expiry >= now);
        let expiry = now.saturating_add(self.ttl);
        self.by_token.insert(token, Token { user, expiry });
    }

    /// The user that a token stands for, unless it has expired. Being asked for counts as use.
    pub fn user(&mut self, token: &str, now: Duration) -> Option<&str> {
        let token = self.by_token.get_mut(token)?;
        if token.expiry < now {
            return None;
        }
        token.expiry = now.saturating_add(self.ttl);
        Some(&token.user)
    }

    /// Forgets the tokens of a user.
    pub fn forget_user(&mut self, user: &str) {
        self.by_token.retain(|_, token| token.user != user);
    }

    /// Forgets all tokens.
    pub fn forget_all(&mut self) {
        self.by_token.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn tokens_live_as_long_as_they_are_used() {
        let mut tokens = Tokens::new(at(10));
        tokens.assign("t".into(), "ann".into(), at(100));
        assert_eq!(tokens.user("t", at(109)), Some("ann"));
        assert_eq!(tokens.user("t", at(119)), Some("ann"));
        assert_eq!(tokens.user("t", at(130)), None);
        assert_eq!(tokens.user("x", at(100)), None);
        tokens.assign("u".into(), "bob".into(), at(130));
        assert_eq!(tokens.by_token.len(), 1, "expired ones are not kept");
    }

    #[test]
    fn tokens_are_forgotten_by_user_and_all_together() {
        let mut tokens = Tokens::new(at(10));
        for (token, user) in [("1", "ann"), ("2", "bob"), ("3", "ann")] {
            tokens.assign(token.into(), user.into(), at(0));
        }
        tokens.forget_user("ann");
        assert_eq!(tokens.user("1", at(0)), None);
        assert_eq!(tokens.user("2", at(0)), Some("bob"));
        tokens.forget_all();
        assert_eq!(tokens.user("2", at(0)), None);
    }
}
