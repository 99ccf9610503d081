//! The token that all requests of a client share.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use etcdkit_proto::etcdserverpb as pb;
use http::{HeaderMap, uri::PathAndQuery};
use prost::Message;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};

use super::{
    credentials::{self, Credentials},
    jwt,
    tokens::{Advice, Issued, Login, Refusal, Ticket, Tokens},
};
use crate::{
    Error, ErrorKind, Result,
    client::Core,
    exec::{Call, Method, Request},
    policy::{self, Class, Ending, Meaning},
    transport::{metadata::Metadata, pick::Tried},
    wire::Frame,
};

static AUTHENTICATE: Method = Method {
    name: "authenticate",
    path: PathAndQuery::from_static("/etcdserverpb.Auth/Authenticate"),
};

/// A login that takes longer is begun anew as long as somebody waits for it, so that none outlasts its
/// client for long.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(5);

/// The token that requests carry: asked before each attempt, told about refusals.
///
/// However many requests need a token, one login is under way at a time; it is a task of its own,
/// so that no request's end ends it for the others.
///
/// Every request and stream goes through two calls of the [`Core`]: [`admission`](Core::admission)
/// (or [`admitted`](Core::admitted), which waits) gives the headers to open it with and the token's
/// generation, and [`refused`](Core::refused) tells that the server did not accept them. The latter
/// says whether another attempt is worth while; that attempt then waits for the next token.
///
/// A stream keeps the token that it was opened with. Servers look at it again with each watch that is
/// created on it, and answer a token that has ended meanwhile by cancelling that watch: such a reason
/// is to be told to [`TokenSource::refused`] with the stream's generation, and the watch created anew
/// on a new stream. Watches that exist already and keep-alives are not bothered by the token's end.
pub(crate) struct TokenSource {
    /// What requests carry as long as nothing is to be decided.
    settled: ArcSwapOption<Settled>,
    tokens: Mutex<Tokens>,
    changed: watch::Sender<()>,
    bare: Metadata,
}

struct Settled {
    metadata: Metadata,
    generation: u64,
    until: Option<Instant>,
}

/// What a request carries.
pub(crate) struct Admitted {
    pub(crate) headers: HeaderMap,
    /// What to name when the server refuses the token.
    pub(crate) generation: u64,
}

/// Whether a request may be sent.
pub(crate) enum Admission {
    Go(Admitted),
    /// Ask again when the future ends.
    Wait(Pin<Box<dyn Future<Output = ()> + Send>>),
    /// The login was refused.
    Fail(Error),
}

impl TokenSource {
    pub(crate) fn new(credentials: Credentials) -> Self {
        let tokens = Tokens::new(credentials);
        let source = Self {
            settled: ArcSwapOption::empty(),
            tokens: Mutex::new(tokens),
            changed: watch::Sender::new(()),
            bare: Metadata::bare(),
        };
        source.settle(&source.tokens());
        source
    }

    /// Begins anew with other credentials.
    pub(crate) fn replace(&self, credentials: Credentials) {
        let mut tokens = self.tokens();
        tokens.replace(credentials);
        self.settle(&tokens);
        self.changed.send_replace(());
    }

    /// A server refused what requests of a generation carry; says whether to try again.
    pub(crate) fn refused(&self, generation: u64, refusal: Refusal) -> bool {
        let mut tokens = self.tokens();
        let before = tokens.generation();
        let again = tokens.refused(generation, refusal, Instant::now());
        if tokens.generation() != before {
            self.settle(&tokens);
        }
        again
    }

    /// Why the latest login failed, until one succeeds.
    pub(crate) fn trouble(&self) -> Option<Error> {
        self.tokens().trouble().map(Error::caused_by)
    }

    fn tokens(&self) -> MutexGuard<'_, Tokens> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets requests go by what was decided, as far as it holds for a while.
    fn settle(&self, tokens: &Tokens) {
        let now = Instant::now();
        let until = tokens.settled_until(now);
        let settled = until.is_none_or(|until| until > now).then(|| Settled {
            metadata: match tokens.token() {
                Some(token) => self.bare.with_token(token),
                None => self.bare.clone(),
            },
            generation: tokens.generation(),
            until,
        });
        self.settled.store(settled.map(Arc::new));
    }

    fn settled(&self, class: Class) -> Option<Admitted> {
        let settled = self.settled.load();
        let settled = settled.as_ref()?;
        if settled.until.is_some_and(|until| until <= Instant::now()) {
            return None;
        }
        Some(Admitted {
            headers: settled.metadata.headers(class),
            generation: settled.generation,
        })
    }

    fn bare(&self, class: Class) -> Admitted {
        Admitted {
            headers: self.bare.headers(class),
            generation: 0,
        }
    }

    /// Decides what is not settled; the ticket is for the caller to use.
    fn decide(&self, class: Class) -> (Admission, Option<Ticket>) {
        // Subscribed before the state is looked at, or a change in between would be missed.
        let mut changes = self.changed.subscribe();
        let mut tokens = self.tokens();
        let now = Instant::now();
        let ticket = tokens.due(now);
        if ticket.is_some() {
            self.settle(&tokens);
        }
        let admission = match tokens.advise(now) {
            Advice::Go => Admission::Go(Admitted {
                headers: match tokens.token() {
                    Some(token) => self.bare.with_token(token).headers(class),
                    None => self.bare.headers(class),
                },
                generation: tokens.generation(),
            }),
            Advice::Wait => Admission::Wait(Box::pin(async move {
                // An error would mean that the source is gone, and with it whoever waits here.
                let _ = changes.changed().await;
            })),
            Advice::Fail(error) => Admission::Fail(Error::caused_by(&error)),
        };
        (admission, ticket)
    }

    fn logged_in(&self, ticket: Ticket, login: Login) {
        let mut tokens = self.tokens();
        tokens.logged_in(ticket, login, Instant::now());
        self.settle(&tokens);
        self.changed.send_replace(());
    }

    /// The request for a login, if it is still wanted.
    fn request(&self, ticket: Ticket) -> Option<Request> {
        let tokens = self.tokens();
        let (name, password) = tokens.user().filter(|_| tokens.wants(ticket))?;
        let message = pb::AuthenticateRequest {
            name: name.to_owned(),
            password: password.0.clone(),
        };
        Some(Request {
            method: &AUTHENTICATE,
            frame: Frame::of(&message),
            class: Class::Login,
            timeout: Some(LOGIN_TIMEOUT),
            only: None,
        })
    }
}

impl Core {
    /// What a request carries, as far as that is known now. Begins a login where one is due.
    pub(crate) fn admission(self: &Arc<Self>, class: Class) -> Admission {
        let source = &self.tokens;
        if !class.carries_token() {
            return Admission::Go(source.bare(class));
        }
        if let Some(admitted) = source.settled(class) {
            return Admission::Go(admitted);
        }
        let (admission, ticket) = source.decide(class);
        if let Some(ticket) = ticket {
            tokio::spawn(log_in(self.home(), Turn::new(source, ticket)));
        }
        admission
    }

    /// What a request carries that goes without a token.
    pub(crate) fn without_token(&self, class: Class) -> Admitted {
        self.tokens.bare(class)
    }

    /// What a request carries; waits for a login if need be, for as long as it takes.
    ///
    /// # Errors
    ///
    /// The login was refused.
    pub(crate) async fn admitted(self: &Arc<Self>, class: Class) -> Result<Admitted> {
        loop {
            match self.admission(class) {
                Admission::Go(admitted) => return Ok(admitted),
                Admission::Wait(change) => change.await,
                Admission::Fail(error) => return Err(error),
            }
        }
    }

    /// Waits until the client can log in, where it has credentials for that.
    pub(crate) async fn first_login(self: &Arc<Self>) -> Result<()> {
        let within = self.config.request_timeout;
        let admitted = timeout(within, self.admitted(Class::Read)).await;
        admitted
            .unwrap_or_else(|_| Err(self.no_login(within)))
            .map(drop)
            .map_err(|error| error.with_operation(AUTHENTICATE.name))
    }

    /// The error of a request or stream that waited in vain for a login.
    pub(crate) fn no_login(&self, waited: Duration) -> Error {
        self.tokens
            .trouble()
            .unwrap_or_else(|| match self.pool.choose(Tried::default(), None) {
                Some(_) => Error::new(ErrorKind::Timeout, format!("no login within {waited:.1?}")),
                None => self.pool.unreachable(None),
            })
    }

    /// Whether a request or stream ended because its token was refused, and deserves another
    /// attempt.
    pub(crate) fn refused(&self, class: Class, generation: u64, error: &Error) -> bool {
        class.carries_token()
            && Refusal::of(error.kind())
                .is_some_and(|refusal| self.tokens.refused(generation, refusal))
    }
}

/// The right to be the one login. Given back if the login does not come to its end, as when its
/// runtime stops.
struct Turn {
    source: Arc<TokenSource>,
    ticket: Option<Ticket>,
}

impl Turn {
    fn new(source: &Arc<TokenSource>, ticket: Ticket) -> Self {
        Self {
            source: Arc::clone(source),
            ticket: Some(ticket),
        }
    }

    fn end(&mut self, login: Login) {
        if let Some(ticket) = self.ticket.take() {
            self.source.logged_in(ticket, login);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.end(Login::Abandoned);
    }
}

async fn log_in(core: Arc<Core>, mut turn: Turn) {
    let Some(ticket) = turn.ticket else { return };
    sleep_until(ticket.not_before).await;
    let Some(request) = turn.source.request(ticket) else {
        return;
    };
    let asked = Instant::now();
    let login = match Call::new(&core, request, decode).await {
        Ok(token) => issued(&token, asked),
        Err(error) => unsuccessful(error),
    };
    match &login {
        Login::Failed(error) | Login::Denied(error) => tracing::debug!(%error, "no login"),
        Login::NotNeeded => tracing::debug!("the server asks for no login"),
        Login::Issued(_) | Login::Abandoned => tracing::debug!("logged in"),
    }
    turn.end(login);
}

fn decode(reply: Bytes) -> Result<String, prost::DecodeError> {
    Ok(pb::AuthenticateResponse::decode(reply)?.token)
}

fn issued(token: &str, asked: Instant) -> Login {
    let Some(value) = credentials::header(token) else {
        let what = "the server sent a token that cannot be sent back";
        return Login::Denied(
            Error::new(ErrorKind::Protocol, what).with_operation(AUTHENTICATE.name),
        );
    };
    let is_jwt = jwt::is_jwt(token);
    let life = jwt::life(token, SystemTime::now()).filter(|_| is_jwt);
    Login::Issued(Issued::new(value, is_jwt, life, asked))
}

/// What a failed login means for the requests that wait for it.
fn unsuccessful(error: Error) -> Login {
    let kind = error.kind();
    let passing = match error.wire_code() {
        Some(code) => policy::judge(Ending::Answered(Meaning::of(kind, code)), Class::Login).retry,
        None => matches!(
            kind,
            ErrorKind::Timeout | ErrorKind::Connect | ErrorKind::Tls | ErrorKind::Disconnected
        ),
    };
    match kind {
        ErrorKind::AuthNotEnabled => Login::NotNeeded,
        _ if passing => Login::Failed(error),
        _ => Login::Denied(error),
    }
}
