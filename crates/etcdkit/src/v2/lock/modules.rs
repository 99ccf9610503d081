//! Locks and leaders that the server keeps: `/mod/v2/lock` and `/mod/v2/leader`.
//!
//! etcd 0.2 and 0.3 have them; this project's server has them on request. A request for a lock is
//! answered when it is granted. Until then the server renews the place, and gives it up when the
//! connection ends.

use std::time::Duration;

use http::Method;
use tokio::time::Instant;

use super::{
    backing::{Backing, Place, Waited},
    named::{LockHolder, LockPlace},
    stamp::Stamp,
};
use crate::{
    Outcome,
    policy::Class,
    v2::{Client, Error, ErrorKind, Result, path, request::Request},
};

/// A time that no request takes.
const EVER: Duration = Duration::from_secs(60 * 60 * 24 * 365);

/// Which of the two modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Lock,
    /// A lock whose value is the leader's name; nothing goes by its index.
    Leader,
}

/// A lock or a leader by its name.
#[derive(Clone, Debug)]
pub(crate) struct Module {
    client: Client,
    kind: Kind,
    path: String,
}

impl Module {
    pub(crate) fn lock(client: Client, name: &str) -> Result<Self> {
        Self::new(client, Kind::Lock, "/mod/v2/lock", name)
    }

    pub(crate) fn leader(client: Client, name: &str) -> Result<Self> {
        Self::new(client, Kind::Leader, "/mod/v2/leader", name)
    }

    fn new(client: Client, kind: Kind, prefix: &str, name: &str) -> Result<Self> {
        let clean = path::clean(name);
        if clean == "/" {
            let what = format!("{name:?} is no name for what is locked");
            return Err(Error::invalid_request(what));
        }
        let segments = clean.split('/').skip(1).map(path::encode);
        let path = segments.fold(prefix.to_owned(), |path, name| format!("{path}/{name}"));
        Ok(Self { client, kind, path })
    }

    fn request(&self, operation: &'static str, method: Method) -> Request {
        let class = match method {
            Method::GET => Class::Read,
            _ => Class::Write,
        };
        Request::new(operation, method, self.path.clone(), class)
    }

    /// Sends a request, whose answer is text.
    async fn text(&self, request: Request) -> Result<String> {
        let answer = self.client.core.call(request).await?;
        Ok(answer.text()?.trim().to_owned())
    }

    async fn index(&self, request: Request) -> Result<u64> {
        let answer = self.client.core.call(request).await?;
        let text = answer.text()?.trim();
        text.parse().map_err(|_| {
            let what = format!("{text:?} is no index of a lock");
            answer.told.error(ErrorKind::Protocol, what)
        })
    }

    pub(super) async fn holder(&self) -> Result<Option<LockHolder>> {
        let get = || self.request("lock holder", Method::GET);
        let value = match self.text(get()).await {
            Ok(value) => value,
            // There never was such a lock.
            Err(error) if error.kind() == ErrorKind::KeyNotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if value.is_empty() {
            return Ok(None);
        }
        let index = match self.kind {
            Kind::Leader => 0,
            // Between the two questions the lock may have passed to somebody else.
            Kind::Lock => match self.text(get().query("field", "index")).await?.parse() {
                Ok(index) => index,
                Err(_) => return Ok(None),
            },
        };
        Ok(Some(LockHolder {
            index,
            value: match value.as_str() {
                // What a lock without a value says.
                "-" => String::new(),
                value => super::stamp::value_of(value).to_owned(),
            },
            ttl: None,
        }))
    }

    pub(super) async fn renew(&self, which: &LockPlace, ttl: Duration) -> Result<()> {
        let request = self.request("renew lock", Method::PUT);
        let request = self.meaning(request, which);
        self.text(request.set("ttl", ttl.as_secs().to_string()))
            .await
            .map(drop)
    }

    pub(super) async fn release(&self, which: &LockPlace) -> Result<()> {
        let request = self.request("release lock", Method::DELETE);
        self.text(self.meaning(request, which)).await.map(drop)
    }

    fn meaning(&self, request: Request, which: &LockPlace) -> Request {
        match (which, self.kind) {
            (LockPlace::Index(index), _) => request.set("index", index.to_string()),
            (LockPlace::Value(value), Kind::Lock) => request.set("value", value),
            (LockPlace::Value(name), Kind::Leader) => request.set("name", name),
        }
    }
}

/// One's own part in a queue that the server keeps.
#[derive(Debug)]
pub(crate) struct ModuleQueue {
    module: Module,
    /// What one's place is known by.
    value: String,
    once: bool,
}

impl ModuleQueue {
    /// A lock without a value gets one that nobody else has, so that it can be released even if the
    /// answer with its index is lost.
    pub(crate) fn new(module: Module, stamp: &Stamp, value: &str, once: bool) -> Self {
        let value = match value.is_empty() {
            true => stamp.as_str(),
            false => value,
        };
        Self {
            module,
            value: value.to_owned(),
            once,
        }
    }

    fn which(&self, place: &Place) -> LockPlace {
        match (place.index, self.module.kind) {
            (0, _) | (_, Kind::Leader) => LockPlace::Value(self.value.clone()),
            (index, Kind::Lock) => LockPlace::Index(index),
        }
    }
}

impl Backing for ModuleQueue {
    const WAITERS_RENEW: bool = false;

    async fn take(&self, _ttl: Duration) -> Result<Option<Place>> {
        // Taking a place and waiting is one request.
        Ok(Some(Place {
            key: String::new(),
            index: 0,
            sent: Instant::now(),
        }))
    }

    async fn wait(&self, place: &Place, ttl: Duration) -> Result<Waited> {
        let method = match self.module.kind {
            Kind::Lock => Method::POST,
            Kind::Leader => Method::PUT,
        };
        let request = self.module.request("lock", method);
        let value = LockPlace::Value(self.value.clone());
        let mut request = self
            .module
            .meaning(request, &value)
            .set("ttl", ttl.as_secs().to_string());
        request.timeout = Some(EVER);
        if self.once {
            request = request.set("timeout", "0");
        }
        let index = match self.module.index(request).await {
            Ok(index) => index,
            // That the time is over has no number.
            Err(error)
                if self.once && error.status() == Some(500) && error.error_code().is_none() =>
            {
                return Ok(Waited::Refused);
            }
            Err(error) => return Err(error),
        };
        // How long ago the server has last renewed it is not known.
        let place = Place {
            key: place.key.clone(),
            index,
            sent: Instant::now(),
        };
        self.module.renew(&self.which(&place), ttl).await?;
        Ok(Waited::First(place))
    }

    async fn renew(&self, place: &Place, ttl: Duration, timeout: Duration) -> Result<()> {
        let which = self.which(place);
        match tokio::time::timeout(timeout, self.module.renew(&which, ttl)).await {
            Ok(renewed) => renewed,
            Err(_) => {
                let what = format!("a renewal was not answered within {timeout:.1?}");
                Err(Error::new(ErrorKind::Timeout, what).with_outcome(Outcome::Unknown))
            }
        }
    }

    async fn leave(&self, place: Option<&Place>) -> Result<()> {
        let Some(place) = place else {
            return Ok(());
        };
        match self.module.release(&self.which(place)).await {
            Err(error) if error.kind() != ErrorKind::KeyNotFound => Err(error),
            _ => Ok(()),
        }
    }
}
