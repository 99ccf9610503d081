//! A TCP proxy that hurts its connections as networks do, and one that listens for pings.
//!
//! What a [`Proxy`] does is chosen for each [`Direction`] by [`Conditions`], at any time, for the
//! connections that exist and for those to come. What ends or stops connections ([`Proxy::cut`],
//! [`reset`](Proxy::reset), [`half_close`](Proxy::half_close), [`freeze`](Proxy::freeze)) is done to
//! those that exist.
//!
//! Bytes are never lost or reordered inside a connection that lives on, as TCP promises its users:
//! a black hole holds them back until it is gone.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use std::time::Duration;
//! use etcdkit_testkit::proxy::{Conditions, Direction, Proxy};
//!
//! let proxy = Proxy::start("http://127.0.0.1:2379").await?;
//! proxy.set_both(Conditions::pass().delay(Duration::from_millis(20), Duration::from_millis(5)));
//! proxy.set(Direction::ToClient, Conditions::black_hole());
//! proxy.set_both(Conditions::pass());
//! proxy.cut_after(Direction::ToClient, 1_000);
//! # Ok(()) }
//! ```

mod conditions;
mod link;
mod ping_log;
mod pipe;

use std::{
    collections::HashMap,
    io, mem,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::JoinHandle,
};

use conditions::{BothWays, End, LinkState};
pub use conditions::{Conditions, Direction};
pub use ping_log::PingLog;

/// How many connections wait to be accepted.
const BACKLOG: u32 = 1024;

/// Forwards connections to a server under [`Conditions`]. Dropping it cuts all and stops listening;
/// a test that panics meanwhile prints the seed, for [`Proxy::with_seed`].
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    entrance: tokio::sync::Mutex<Entrance>,
}

/// The port: listened on, or held so that connections to it are refused.
#[derive(Debug)]
enum Entrance {
    Open(JoinHandle<()>),
    Refusing(TcpSocket),
    /// While one becomes the other.
    Changing,
}

/// What the proxy and its connections share.
#[derive(Debug)]
struct Shared {
    /// Where new connections lead to.
    target: Mutex<String>,
    seed: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What a new connection starts under.
    conditions: BothWays<Conditions>,
    links: HashMap<u64, watch::Sender<LinkState>>,
    /// How many connections were accepted, which also numbers them.
    accepted: u64,
    passed: BothWays<u64>,
    /// After how many more bytes the connection that carries them ends.
    cut_after: BothWays<Option<u64>>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn target(&self) -> MutexGuard<'_, String> {
        self.target.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn each_link(&self, change: impl Fn(&mut LinkState)) {
        for link in self.links.values() {
            link.send_modify(&change);
        }
    }
}

fn scheme_and_target(endpoint: &str) -> (&'static str, &str) {
    match endpoint.strip_prefix("https://") {
        Some(target) => ("https", target),
        None => ("http", endpoint.trim_start_matches("http://")),
    }
}

impl Proxy {
    /// Starts a proxy for the server at this endpoint, such as `http://127.0.0.1:2379`, which passes
    /// everything on.
    ///
    /// # Errors
    ///
    /// When no port can be listened on.
    pub async fn start(endpoint: &str) -> io::Result<Self> {
        Self::with_seed(endpoint, fastrand::u64(..)).await
    }

    /// As [`start`](Self::start), with the seed of an earlier proxy: each connection then meets the
    /// same delays as the one with its number did.
    ///
    /// # Errors
    ///
    /// As for [`start`](Self::start).
    pub async fn with_seed(endpoint: &str, seed: u64) -> io::Result<Self> {
        let (scheme, target) = scheme_and_target(endpoint);
        // A port that no outgoing connection of this machine can take while it refuses.
        let port = crate::etcd::free_port();
        let socket = bound(SocketAddr::from(([127, 0, 0, 1], port)))?;
        let address = socket.local_addr()?;
        let shared = Arc::new(Shared {
            target: Mutex::new(target.to_owned()),
            seed,
            state: Mutex::default(),
        });
        let entrance = Entrance::open(socket, &shared)?;
        Ok(Self {
            address,
            scheme,
            shared,
            entrance: entrance.into(),
        })
    }

    /// Lets new connections end at another server, as after a restore on another machine.
    pub fn lead_to(&self, endpoint: &str) {
        let (_, target) = scheme_and_target(endpoint);
        *self.shared.target() = target.to_owned();
    }

    /// What a client connects to.
    pub fn endpoint(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// What a run is repeated with.
    pub fn seed(&self) -> u64 {
        self.shared.seed
    }

    /// How many connections were made so far.
    pub fn connections(&self) -> usize {
        usize::try_from(self.shared.state().accepted).unwrap_or(usize::MAX)
    }

    /// How many of them have not ended.
    pub fn open_connections(&self) -> usize {
        self.shared.state().links.len()
    }

    /// How many bytes were passed on in this direction, by all connections together.
    pub fn passed(&self, direction: Direction) -> u64 {
        self.shared.state().passed[direction]
    }

    /// Puts one direction of every connection, and of those to come, under these conditions.
    pub fn set(&self, direction: Direction, conditions: Conditions) {
        let mut state = self.shared.state();
        state.conditions[direction] = conditions;
        state.each_link(|link| link.paths[direction].conditions = conditions);
    }

    /// As [`set`](Self::set), for both directions.
    pub fn set_both(&self, conditions: Conditions) {
        self.set(Direction::ToServer, conditions);
        self.set(Direction::ToClient, conditions);
    }

    /// Lets every connection there is stand still for ever, as by a router that has forgotten them:
    /// none is closed, and nothing arrives any more. New ones work.
    pub fn freeze(&self) {
        self.shared.state().each_link(|link| {
            link.paths[Direction::ToServer].frozen = true;
            link.paths[Direction::ToClient].frozen = true;
        });
    }

    /// Ends every connection there is, in whatever state it is; new ones are accepted.
    pub fn cut(&self) {
        self.end(End::Close);
    }

    /// As [`cut`](Self::cut), by an RST instead of a FIN to both sides, which also takes away what
    /// was sent but not yet read.
    pub fn reset(&self) {
        self.end(End::Reset);
    }

    fn end(&self, how: End) {
        let state = self.shared.state();
        state.each_link(|link| link.end = Some(how));
    }

    /// Ends one direction of every connection there is: its receiver reads what was passed on and
    /// then the end, and what its sender goes on to send is swallowed. The other direction works.
    pub fn half_close(&self, direction: Direction) {
        let state = self.shared.state();
        state.each_link(|link| link.paths[direction].closed = true);
    }

    /// Ends, once, the connection that carries the `bytes`th byte from now in this direction, just
    /// after that byte; 0 takes the next one that has anything to carry. Replaces an earlier call
    /// that has not had its effect.
    pub fn cut_after(&self, direction: Direction, bytes: u64) {
        self.shared.state().cut_after[direction] = Some(bytes);
    }

    /// Whether the last [`cut_after`](Self::cut_after) is still to come.
    pub fn is_cut_pending(&self, direction: Direction) -> bool {
        self.shared.state().cut_after[direction].is_some()
    }

    /// From now on refuses connections, as if nobody listened; those that exist live on.
    ///
    /// # Errors
    ///
    /// When another process took the port, which cannot happen but between two system calls.
    pub async fn refuse(&self) -> io::Result<()> {
        let mut entrance = self.entrance.lock().await;
        match mem::replace(&mut *entrance, Entrance::Changing) {
            Entrance::Open(accepting) => {
                accepting.abort();
                // Only when the task is gone is its socket closed.
                let _ = accepting.await;
                *entrance = Entrance::Refusing(bound(self.address)?);
            }
            other => *entrance = other,
        }
        Ok(())
    }

    /// Accepts connections again after [`refuse`](Self::refuse).
    ///
    /// # Errors
    ///
    /// When the port cannot be listened on.
    pub async fn accept(&self) -> io::Result<()> {
        let mut entrance = self.entrance.lock().await;
        match mem::replace(&mut *entrance, Entrance::Changing) {
            Entrance::Refusing(socket) => *entrance = Entrance::open(socket, &self.shared)?,
            other => *entrance = other,
        }
        Ok(())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Entrance::Open(accepting) = self.entrance.get_mut() {
            accepting.abort();
        }
        self.cut();
        if std::thread::panicking() {
            eprintln!(
                "the seed of the proxy at {} was {}",
                self.address,
                self.seed()
            );
        }
    }
}

impl Entrance {
    fn open(socket: TcpSocket, shared: &Arc<Shared>) -> io::Result<Self> {
        let listener = socket.listen(BACKLOG)?;
        Ok(Self::Open(tokio::spawn(serve(
            listener,
            Arc::clone(shared),
        ))))
    }
}

/// A socket with this address that does not listen: the kernel refuses connections to it.
fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // The ends of earlier connections may still occupy the port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let (number, state) = {
            let mut state = shared.state();
            state.accepted += 1;
            let sender = watch::Sender::new(LinkState::under(state.conditions));
            let receiver = sender.subscribe();
            let number = state.accepted;
            state.links.insert(number, sender);
            (number, receiver)
        };
        tokio::spawn(connection(client, Arc::clone(&shared), number, state));
    }
}

async fn connection(
    client: TcpStream,
    shared: Arc<Shared>,
    number: u64,
    state: watch::Receiver<LinkState>,
) {
    // Whatever becomes of it, the test finds it with its packet sent or not at all.
    let _ = link::run(client, &shared, number, state).await;
    shared.state().links.remove(&number);
}
