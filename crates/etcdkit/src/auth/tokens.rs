//! What is known about the token that requests carry. Pure: it is told the time, what servers
//! answered and how logins ended, and says what to do.
//!
//! etcd has two kinds of tokens. A simple token is known to all members; each of them forgets it
//! when it has not seen it for `--auth-token-ttl` (300 s by default, which a client cannot ask for),
//! when it restarts, and when the user's password changes. Since etcd 3.5 a follower may get to know it
//! a moment late: a token's number tells members how far they must be to know it, and those servers
//! number it one entry too low. A JWT tells itself when it ends, and is
//! also void once users, roles or permissions have changed.

use std::{sync::Arc, time::Duration};

use http::HeaderValue;
use tokio::time::Instant;

use super::credentials::{Credentials, Secret};
use crate::{Error, ErrorKind};

/// How long a token is taken to live that does not tell: the default of `--auth-token-ttl`.
const LIFE: Duration = Duration::from_secs(300);
/// No token is renewed more often than twice in this time, whatever its claims or refusals say.
const LIFE_LEAST: Duration = Duration::from_secs(2);

/// How long a refused login stands for all calls, so that a wrong password does not keep the servers
/// busy with hashing it.
const DENIED_FOR: Duration = Duration::from_secs(1);

/// A token that is refused sooner than this is not yet known everywhere, and is tried again.
const SETTLING: Duration = Duration::from_millis(500);

/// A token that is refused sooner than this was perhaps never good: logins then keep a growing
/// distance.
const YOUNG: Duration = Duration::from_secs(1);
const APART_FIRST: Duration = Duration::from_millis(50);
const APART_MOST: Duration = Duration::from_secs(1);

/// The state of a client's token.
#[derive(Debug)]
pub(super) struct Tokens {
    credentials: Credentials,
    held: Held,
    /// Counts what requests were told to carry, so that any number of refusals of one token make
    /// one login.
    generation: u64,
    login: Option<Ticket>,
    tickets: u64,
    /// How long a token is taken to live that does not tell.
    life: Duration,
    apart: Duration,
    /// When the latest login ended.
    ended: Option<Instant>,
    /// Why the latest login failed, until one succeeds.
    trouble: Option<Arc<Error>>,
}

#[derive(Debug)]
enum Held {
    /// Requests go without a token: there are no credentials, or the server's authentication is off.
    Nothing,
    /// The token that the user gave.
    Given(HeaderValue),
    Issued(Issued),
    /// Requests wait for a login.
    Awaited,
    /// A login was refused, and no other is tried before this instant.
    Denied(Instant, Arc<Error>),
}

/// A token from a login.
#[derive(Clone, Debug)]
pub(super) struct Issued {
    pub(super) token: HeaderValue,
    /// Whether the token is void once users, roles or permissions change.
    pub(super) is_jwt: bool,
    /// How long it is good, if it tells.
    pub(super) life: Option<Duration>,
    /// When it was asked for, which is when its life began at the earliest.
    since: Instant,
    /// When it arrived.
    held_since: Instant,
    renew_at: Instant,
    ends_at: Instant,
}

impl Issued {
    pub(super) fn new(
        token: HeaderValue,
        is_jwt: bool,
        life: Option<Duration>,
        since: Instant,
    ) -> Self {
        Self {
            token,
            is_jwt,
            life,
            since,
            held_since: since,
            renew_at: since,
            ends_at: since,
        }
    }
}

/// The order to log in, given out once at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    number: u64,
    pub(super) not_before: Instant,
}

/// What a request does now.
#[derive(Debug)]
pub(super) enum Advice {
    Go,
    Wait,
    Fail(Arc<Error>),
}

/// How a server refused what a request carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The token is unknown or has expired, or is missing although the server wants one.
    Unknown,
    /// Users, roles or permissions have changed since the token was made or the request was let in.
    Old,
    /// Not permitted. Old servers also say so when a watch is opened with an expired token: before
    /// etcd 3.4.22 and 3.5.6 they have no other word.
    Denied,
}

impl Refusal {
    /// What a refused call says about its token.
    pub(crate) fn of(kind: ErrorKind) -> Option<Self> {
        match kind {
            ErrorKind::InvalidAuthToken | ErrorKind::UserEmpty => Some(Self::Unknown),
            ErrorKind::AuthOldRevision => Some(Self::Old),
            _ => None,
        }
    }
}

/// How a login ended.
#[derive(Debug)]
pub(super) enum Login {
    Issued(Issued),
    /// The server's authentication is off.
    NotNeeded,
    /// No server could be asked, or none could answer now.
    Failed(Error),
    Denied(Error),
    /// Nobody waits for it any more.
    Abandoned,
}

impl Tokens {
    pub(super) fn new(credentials: Credentials) -> Self {
        let mut tokens = Self {
            credentials: Credentials::None,
            held: Held::Nothing,
            generation: 0,
            login: None,
            tickets: 0,
            life: LIFE,
            apart: Duration::ZERO,
            ended: None,
            trouble: None,
        };
        tokens.replace(credentials);
        tokens
    }

    /// Begins anew with other credentials; a login under way with the old ones will not count.
    pub(super) fn replace(&mut self, credentials: Credentials) {
        let held = match &credentials {
            Credentials::None => Held::Nothing,
            Credentials::Token(token) => Held::Given(token.clone()),
            Credentials::User { .. } => Held::Awaited,
        };
        self.credentials = credentials;
        self.login = None;
        self.life = LIFE;
        self.apart = Duration::ZERO;
        self.trouble = None;
        self.hold(held);
    }

    fn hold(&mut self, held: Held) {
        self.held = held;
        self.generation += 1;
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// The token that requests carry, if any.
    pub(super) fn token(&self) -> Option<&HeaderValue> {
        match &self.held {
            Held::Given(token) => Some(token),
            Held::Issued(issued) => Some(&issued.token),
            Held::Nothing | Held::Awaited | Held::Denied(..) => None,
        }
    }

    pub(super) fn user(&self) -> Option<(&str, &Secret)> {
        match &self.credentials {
            Credentials::User { name, password } => Some((name, password)),
            Credentials::None | Credentials::Token(_) => None,
        }
    }

    /// Whether the login with this ticket still counts.
    pub(super) fn wants(&self, ticket: Ticket) -> bool {
        self.login == Some(ticket)
    }

    pub(super) fn trouble(&self) -> Option<&Arc<Error>> {
        self.trouble.as_ref()
    }

    /// Until when requests may go without asking here; `None` means for good.
    pub(super) fn settled_until(&self, now: Instant) -> Option<Instant> {
        match &self.held {
            Held::Nothing | Held::Given(_) => None,
            // While a login is under way its end brings the next word.
            Held::Issued(issued) if self.login.is_some() => Some(issued.ends_at),
            Held::Issued(issued) => Some(issued.renew_at),
            Held::Awaited | Held::Denied(..) => Some(now),
        }
    }

    /// The order to log in, if it is time and nobody has it.
    pub(super) fn due(&mut self, now: Instant) -> Option<Ticket> {
        if self.login.is_some() || self.user().is_none() {
            return None;
        }
        match &self.held {
            Held::Awaited => {}
            Held::Issued(issued) if issued.renew_at <= now => {}
            Held::Denied(until, _) if *until <= now => self.hold(Held::Awaited),
            Held::Nothing | Held::Given(_) | Held::Issued(_) | Held::Denied(..) => return None,
        }
        let spaced = self.ended.map_or(now, |ended| ended + self.apart);
        self.tickets += 1;
        let ticket = Ticket {
            number: self.tickets,
            not_before: spaced.max(now),
        };
        self.login = Some(ticket);
        Some(ticket)
    }

    pub(super) fn advise(&self, now: Instant) -> Advice {
        match &self.held {
            Held::Nothing | Held::Given(_) => Advice::Go,
            Held::Issued(issued) if issued.ends_at <= now && self.login.is_some() => Advice::Wait,
            Held::Issued(_) => Advice::Go,
            Held::Awaited => Advice::Wait,
            Held::Denied(_, error) => Advice::Fail(Arc::clone(error)),
        }
    }

    /// A server refused what requests of a generation carry. Says whether the request is worth another
    /// attempt.
    pub(super) fn refused(&mut self, generation: u64, refusal: Refusal, now: Instant) -> bool {
        if generation != self.generation {
            return true;
        }
        let issued = match &self.held {
            Held::Issued(issued) => issued,
            // Without a token of its own kind it was the server's state that changed under the
            // request.
            Held::Nothing if refusal == Refusal::Old => return true,
            // The server's authentication was off.
            Held::Nothing if self.user().is_some() => {
                self.hold(Held::Awaited);
                return true;
            }
            Held::Nothing | Held::Given(_) => return false,
            Held::Awaited | Held::Denied(..) => return true,
        };
        let age = now.saturating_duration_since(issued.held_since);
        match refusal {
            Refusal::Old if !issued.is_jwt => return true,
            Refusal::Unknown if age < SETTLING && !issued.is_jwt => return true,
            Refusal::Denied if age < LIFE_LEAST => return false,
            Refusal::Old | Refusal::Denied => {}
            Refusal::Unknown if age < YOUNG => {
                self.apart = (self.apart * 2).clamp(APART_FIRST, APART_MOST);
            }
            Refusal::Unknown => {
                self.apart = Duration::ZERO;
                if issued.life.is_none() {
                    self.life = age.clamp(LIFE_LEAST, self.life);
                }
            }
        }
        self.hold(Held::Awaited);
        true
    }

    /// A login has ended.
    pub(super) fn logged_in(&mut self, ticket: Ticket, login: Login, now: Instant) {
        if !self.wants(ticket) {
            return;
        }
        self.login = None;
        self.ended = Some(now);
        match login {
            Login::Issued(mut issued) => {
                self.trouble = None;
                if matches!(self.held, Held::Issued(_)) {
                    // The one before was good until its renewal.
                    self.life = (self.life * 2).min(LIFE);
                    self.apart = Duration::ZERO;
                }
                let life = issued.life.unwrap_or(self.life).max(LIFE_LEAST);
                issued.held_since = now;
                issued.renew_at = later(issued.since, life / 2);
                issued.ends_at = later(issued.since, life);
                self.hold(Held::Issued(issued));
            }
            Login::NotNeeded => {
                self.trouble = None;
                self.hold(Held::Nothing);
            }
            Login::Abandoned => {}
            Login::Failed(error) => {
                self.trouble = Some(Arc::new(error));
                self.apart = (self.apart * 2).clamp(APART_FIRST, APART_MOST);
                self.keep_on(now);
            }
            Login::Denied(error) => {
                let error = Arc::new(error);
                self.trouble = Some(Arc::clone(&error));
                match self.held {
                    Held::Issued(_) => self.keep_on(now),
                    _ => self.hold(Held::Denied(now + DENIED_FOR, error)),
                }
            }
        }
    }

    /// A token whose renewal failed goes on being used: only a server can say that it is void.
    fn keep_on(&mut self, now: Instant) {
        if let Held::Issued(issued) = &mut self.held {
            let pause = (self.life / 8).max(LIFE_LEAST);
            issued.renew_at = now + pause;
            issued.ends_at = issued.ends_at.max(now + pause * 2);
        }
    }
}

/// A time that is reached in any case; lives beyond what the clock can tell end in a day.
fn later(since: Instant, life: Duration) -> Instant {
    since
        .checked_add(life)
        .unwrap_or_else(|| since + Duration::from_secs(24 * 3600))
}

#[cfg(test)]
mod tests;
