//! The task behind one watch stream: it keeps the stream open and moves bytes between it and the
//! [`Session`].

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use etcdkit_proto::etcdserverpb as pb;
use http::uri::PathAndQuery;
use prost::Message;
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender},
    time::{Instant, Sleep, sleep},
};

use super::{
    hub::Command,
    now,
    session::{Duty, Session},
    version,
};
use crate::{
    Error, ErrorKind, Revision,
    client::Core,
    exec::{Broken, Duplex, Method},
    policy::Class,
    transport::{backoff::Backoff, pick::Tried},
};

static WATCH: Method = Method {
    name: "watch",
    path: PathAndQuery::from_static("/etcdserverpb.Watch/Watch"),
};

/// The pause before a stream is opened again when there is no other member to try.
const PAUSE_FIRST: Duration = Duration::from_millis(25);
const PAUSE_MOST: Duration = Duration::from_secs(2);

/// A stream that lived this long was no failure.
const STABLE_AFTER: Duration = Duration::from_secs(1);

/// How long a stream without watches is kept for the next one.
const LINGER: Duration = Duration::from_millis(500);

/// A question for progress stays without answer while a watch of the stream lags, and is repeated.
const PROGRESS_AGAIN: Duration = Duration::from_millis(250);

/// How many commands are taken at a time.
const BATCH: usize = 1024;

/// How many messages are taken at a time before commands are looked at.
const BURST: usize = 64;

pub(super) struct Lane {
    core: Arc<Core>,
    commands: UnboundedReceiver<Command>,
    own: UnboundedSender<Command>,
    class: Class,
    session: Session,
    out: BytesMut,
    batch: Vec<Command>,
    /// Members that could not serve the stream lately.
    tried: Tried,
    pauses: Backoff,
    /// Whether the client has been told of a trouble that no message has ended yet.
    is_troubled: bool,
}

/// Why a stream is not used any longer.
enum Parting {
    Broken(Broken),
    /// Its token is too old for new watches.
    Renew,
    /// There are no watches.
    Idle,
}

/// What a stream waits for beside messages and commands.
struct Waits {
    /// The end of a stream without watches.
    idle: Option<Pin<Box<Sleep>>>,
    /// What the cluster says about a store that seems to have gone back, and what was seen of it.
    check: Option<(Boxed<Option<Revision>>, Revision)>,
    /// When to ask for progress next, while somebody waits for it.
    progress: Option<Pin<Box<Sleep>>>,
    /// The store's revision, for watches that have come that far already.
    now: Option<Boxed<Option<Revision>>>,
    answers: Answers,
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What is known of the member's answers to questions for progress.
enum Answers {
    Unknown,
    Checking(Boxed<bool>),
    Exact,
    Inexact,
}

impl Lane {
    pub(super) fn new(
        core: &Arc<Core>,
        own: UnboundedSender<Command>,
        commands: UnboundedReceiver<Command>,
        needs_leader: bool,
    ) -> Self {
        Self {
            core: Arc::clone(core),
            commands,
            own,
            class: match needs_leader {
                true => Class::Read,
                false => Class::Local,
            },
            session: Session::default(),
            out: BytesMut::new(),
            batch: Vec::with_capacity(16),
            tried: Tried::default(),
            pauses: Backoff::new(PAUSE_FIRST, PAUSE_MOST),
            is_troubled: false,
        }
    }

    /// Serves until there has been no watch for a while.
    pub(super) async fn run(mut self) {
        loop {
            let Some(opened) = self.connect().await else {
                return;
            };
            let since = Instant::now();
            let (parting, place) = match opened {
                Ok(mut duplex) => {
                    let parting = self.serve(&mut duplex).await;
                    (parting, Some(duplex.connection().place))
                }
                Err(broken) => (Parting::Broken(broken), None),
            };
            if self.core.is_closed() {
                // Whatever is left ends with the lane.
                return;
            }
            self.session.disconnected();
            if since.elapsed() >= STABLE_AFTER {
                self.tried = Tried::default();
                self.pauses.reset();
            }
            match parting {
                Parting::Idle if self.core.watches.leave(&self.own) => return,
                Parting::Idle => {}
                Parting::Renew => self.pause().await,
                Parting::Broken(broken) => self.road_is_bad(broken, place).await,
            }
        }
    }

    /// Opens a stream; `None` if nobody waits for one any longer.
    async fn connect(&mut self) -> Option<Result<Duplex, Broken>> {
        let core = Arc::clone(&self.core);
        let mut opening = std::pin::pin!(Duplex::open(&core, &WATCH, self.class, self.tried));
        loop {
            // Nothing may ever answer again, and the task would hold what all of the client share.
            if self.session.is_empty() && self.core.watches.leave(&self.own) {
                return None;
            }
            tokio::select! {
                opened = &mut opening => return Some(opened),
                _ = self.commands.recv_many(&mut self.batch, BATCH) => self.obey(),
            }
        }
    }

    /// Notes a failure and waits before the next attempt, if there is no other member.
    async fn road_is_bad(&mut self, broken: Broken, place: Option<usize>) {
        let Broken { error, passing } = broken;
        tracing::debug!(%error, passing, watches = self.session.len(), "watch stream broke");
        if let Some(place) = place {
            self.tried.insert(place);
        }
        let has_other = place.is_some() && self.core.streams.has_other(self.tried);
        if has_other {
            return;
        }
        self.tried = Tried::default();
        if passing {
            self.is_troubled = true;
            self.core.watches.note_trouble(Some(error));
        } else {
            // Every member refuses. What was refused at login stays refused; otherwise the members
            // may have been replaced by something else for a while.
            let for_good = matches!(
                error.kind(),
                ErrorKind::AuthFailed | ErrorKind::PermissionDenied
            );
            self.session.refuse(error, for_good);
        }
        self.pause().await;
    }

    async fn pause(&mut self) {
        let mut pause = std::pin::pin!(sleep(self.pauses.next(fastrand::f64())));
        loop {
            tokio::select! {
                () = &mut pause => return,
                _ = self.commands.recv_many(&mut self.batch, BATCH) => self.obey(),
            }
        }
    }

    async fn serve(&mut self, duplex: &mut Duplex) -> Parting {
        self.session.connected(&mut self.out);
        let mut waits = Waits::new();
        let place = duplex.connection().place;
        loop {
            if !self.out.is_empty() {
                duplex.send(self.out.split().freeze());
            }
            waits.update(&self.session);
            tokio::select! {
                message = duplex.next() => {
                    let message = match message {
                        Ok(message) => message,
                        Err(broken) => return Parting::Broken(broken),
                    };
                    match self.receive(message, duplex) {
                        Duty::None => {}
                        Duty::BlameToken { refusal, .. } if duplex.is_token_to_blame(refusal) => {
                            return Parting::Renew;
                        }
                        Duty::BlameToken { key, end, .. } => self.session.end(key, end),
                        Duty::GiveUp(error) => {
                            return Parting::Broken(Broken { error, passing: false });
                        }
                        Duty::CheckRevision { seen } => waits.check_revision(&self.core, seen),
                    }
                }
                _ = self.commands.recv_many(&mut self.batch, BATCH) => self.obey(),
                news = poll_fn(|cx| waits.poll(&self.core, place, &self.session, cx)) => match news {
                    News::Idle => return Parting::Idle,
                    News::Revision { now, seen } => {
                        if let Some(now) = now {
                            self.session.store_is_at(now, seen);
                        }
                    }
                    News::AskForProgress => self.session.ask_for_progress(&mut self.out),
                    News::Now(now) => self.session.tell_progress_at(now, &mut self.out),
                },
            }
        }
    }

    /// Takes a message and those that came with it.
    fn receive(&mut self, first: Bytes, duplex: &mut Duplex) -> Duty {
        let mut message = first;
        for _ in 1..BURST {
            match self.take(message) {
                Duty::None => {}
                duty => return duty,
            }
            match duplex.ready() {
                Some(next) => message = next,
                None => return Duty::None,
            }
        }
        self.take(message)
    }

    fn take(&mut self, message: Bytes) -> Duty {
        if std::mem::take(&mut self.is_troubled) {
            self.core.watches.note_trouble(None);
        }
        let bytes = message.len();
        match pb::WatchResponse::decode(message) {
            Ok(response) => self.session.receive(response, bytes, &mut self.out),
            Err(error) => {
                let what = format!("the server sent something else than a watch's answer: {error}");
                Duty::GiveUp(Error::new(ErrorKind::Protocol, what).with_source(error))
            }
        }
    }

    fn obey(&mut self) {
        for command in self.batch.drain(..) {
            match command {
                Command::Open {
                    key,
                    spec,
                    start,
                    feed,
                    seat,
                } => self
                    .session
                    .open(key, spec, start, feed, seat, &mut self.out),
                Command::Cancel(key) => self.session.cancel(key, &mut self.out),
                Command::Resume(key) => self.session.resume(key, &mut self.out),
                Command::Progress(key) => self.session.want_progress(key),
            }
        }
    }
}

impl Drop for Lane {
    /// Takes what was sent until now, so that the session ends those watches, too.
    fn drop(&mut self) {
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            self.batch.push(command);
        }
        self.obey();
    }
}

/// What happened beside messages and commands.
enum News {
    Idle,
    /// The store's revision, unless it could not be read, and what was seen before.
    Revision {
        now: Option<Revision>,
        seen: Revision,
    },
    /// Progress is to be asked for.
    AskForProgress,
    /// The store's revision after somebody wanted to know the progress.
    Now(Revision),
}

impl Waits {
    fn new() -> Self {
        Self {
            idle: None,
            check: None,
            progress: None,
            now: None,
            answers: Answers::Unknown,
        }
    }

    fn check_revision(&mut self, core: &Arc<Core>, seen: Revision) {
        if self.check.is_none() {
            // Any key will do: a refusal leaves the question open.
            let check = read_now(core, &Bytes::from_static(b"\0"));
            self.check = Some((check, seen));
        }
    }

    /// Starts and stops waiting as the session wants it.
    fn update(&mut self, session: &Session) {
        match (session.is_empty(), &self.idle) {
            (true, None) => self.idle = Some(Box::pin(sleep(LINGER))),
            (false, Some(_)) => self.idle = None,
            _ => {}
        }
        match (session.wants_progress(), &self.progress) {
            (true, None) => self.progress = Some(Box::pin(sleep(Duration::ZERO))),
            (false, Some(_)) => (self.progress, self.now) = (None, None),
            _ => {}
        }
    }

    fn poll(
        &mut self,
        core: &Arc<Core>,
        place: usize,
        session: &Session,
        cx: &mut Context<'_>,
    ) -> Poll<News> {
        if let Some(idle) = &mut self.idle
            && idle.as_mut().poll(cx).is_ready()
        {
            self.idle = None;
            return Poll::Ready(News::Idle);
        }
        if let Some((check, seen)) = &mut self.check
            && let Poll::Ready(now) = check.as_mut().poll(cx)
        {
            let seen = *seen;
            self.check = None;
            return Poll::Ready(News::Revision { now, seen });
        }
        let mut is_time = false;
        while let Some(progress) = &mut self.progress
            && progress.as_mut().poll(cx).is_ready()
        {
            is_time = true;
            progress.as_mut().reset(Instant::now() + PROGRESS_AGAIN);
        }
        if is_time && self.now.is_none() {
            // A server does not answer for a watch that begins after its newest revision.
            self.now = session
                .key_wanting_progress()
                .map(|key| read_now(core, key));
        }
        if is_time && matches!(self.answers, Answers::Unknown) {
            let exact = version::progress_is_exact(Arc::clone(core), place);
            self.answers = Answers::Checking(Box::pin(exact));
        }
        if let Answers::Checking(exact) = &mut self.answers
            && let Poll::Ready(exact) = exact.as_mut().poll(cx)
        {
            is_time = true;
            self.answers = match exact {
                true => Answers::Exact,
                false => Answers::Inexact,
            };
        }
        if is_time && matches!(self.answers, Answers::Exact) {
            return Poll::Ready(News::AskForProgress);
        }
        if let Some(now) = &mut self.now
            && let Poll::Ready(read) = now.as_mut().poll(cx)
        {
            self.now = None;
            if let Some(now) = read {
                return Poll::Ready(News::Now(now));
            }
        }
        Poll::Pending
    }
}

fn read_now(core: &Arc<Core>, key: &Bytes) -> Boxed<Option<Revision>> {
    let read = now::revision(core, key, core.config.request_timeout);
    Box::pin(async move { read.await.ok() })
}
