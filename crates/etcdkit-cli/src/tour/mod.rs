//! `tour`: what etcd can do, shown on a running server.
//!
//! Each step names its Rust line and its command, sends the request over gRPC, and checks the
//! answer; the tour fails if a check does.
//!
//! Without `--endpoints` the server is embedded. On other servers all keys lie below a prefix of the
//! tour's own, which is deleted at the end, also after a failure or an interrupt. Compaction has no
//! prefix: it drops the history of every key of the cluster, and is left out there unless asked for.

mod coordinating;
mod errors;
mod keeping;
mod leasing;
mod older;
mod reading;
mod relay;
mod screen;
mod watching;
mod writing;

use std::time::{Duration, Instant};

use etcdkit::{Client, ClientBuilder, KeyRange};
use etcdkit_server::Server;

use self::screen::Screen;
use crate::{
    args::{GlobalArgs, TourArgs},
    connect,
    error::{Exit, Failure, Result},
    style::Palette,
};

/// How long the tour waits for its keys to be deleted after an interrupt.
const CLEANUP: Duration = Duration::from_secs(2);

pub(crate) async fn run(global: &GlobalArgs, args: &TourArgs) -> Result {
    if !args.args.is_empty() {
        return Err(Failure::bad_args("tour command does not accept arguments")
            .hint("etcdkit tour --endpoints http://127.0.0.1:2379 visits another server"));
    }
    let begin = Instant::now();
    let mut screen = Screen::new(Palette::for_stdout());
    let server = match global.endpoints_given {
        true => None,
        false => Some(embedded().await?),
    };
    let (builder, endpoint, prefix) = match &server {
        Some(server) => {
            let endpoint = server.endpoint();
            let builder =
                connect::builder(global, std::slice::from_ref(&endpoint))?.endpoint(&endpoint);
            (builder, endpoint, "tour/".to_owned())
        }
        None => {
            let builder = connect::builder(global, &global.endpoints)?.endpoints(&global.endpoints);
            let prefix = format!("etcdkit-tour-{:08x}/", fastrand::u32(..));
            (builder, global.endpoints.join(","), prefix)
        }
    };
    screen.introduce(&[
        (
            "server",
            match &server {
                Some(_) => "the embedded server: one etcd node, in memory, gone after the tour",
                None => "an etcd server of yours; the tour deletes its keys at the end",
            },
        ),
        ("endpoint", &endpoint),
        ("keys", &format!("{prefix}…")),
    ])?;
    let mut tour = Tour {
        client: connect(&mut screen, builder, &endpoint).await?,
        prefix,
        embedded: server.is_some().then_some(endpoint),
        compact: server.is_some() || args.compact,
        screen: &mut screen,
    };

    let outcome = tokio::select! {
        outcome = tour.visit() => outcome,
        _ = tokio::signal::ctrl_c() => Err(Failure::new(Exit::Interrupted, "interrupted")),
    };
    let left = tour.leave().await;
    if let Some(server) = server {
        // A server in memory has nothing to lose.
        let _ = server.shutdown().await;
    }
    outcome.and(left)?;
    screen.summary(begin.elapsed())
}

async fn embedded() -> Result<Server> {
    let server = Server::builder().start().await;
    server.map_err(|error| Failure::new(Exit::Error, format!("embedded server: {error}")))
}

/// The first step, which gives the others their client.
async fn connect(screen: &mut Screen, builder: ClientBuilder, endpoint: &str) -> Result<Client> {
    screen.step(
        "Connect",
        "A client holds connections to every endpoint; its clones share them.",
    )?;
    screen.rust(&format!(
        "let client = Client::connect({endpoint:?}).await?;"
    ))?;
    screen.shell(&format!("etcdkit --endpoints {endpoint} endpoint status"))?;
    let client = builder.connect().await?;
    let first = client.endpoints().next().unwrap_or_default().to_owned();
    let begin = Instant::now();
    let status = client.maintenance().status(first).await?;
    screen.reply(&format!(
        "etcd {}, revision {}, answered in {:.1?}",
        status.version,
        status.header.revision,
        begin.elapsed()
    ))?;
    screen.check(!status.version.is_empty(), "an etcd server answers")?;
    Ok(client)
}

/// What every step needs.
struct Tour<'a> {
    client: Client,
    /// Where all keys of the tour lie.
    prefix: String,
    /// The embedded server's endpoint, unless the tour visits another one.
    embedded: Option<String>,
    /// Whether to compact.
    compact: bool,
    screen: &'a mut Screen,
}

impl Tour<'_> {
    async fn visit(&mut self) -> Result {
        self.put().await?;
        self.get().await?;
        self.range().await?;
        self.scan().await?;
        self.delete().await?;
        self.transaction().await?;
        self.history().await?;
        self.watch().await?;
        if let Some(endpoint) = self.embedded.clone() {
            self.interruption(&endpoint).await?;
        }
        self.lease().await?;
        self.lock().await?;
        self.election().await?;
        self.in_memory().await?;
        self.compaction().await?;
        if self.embedded.is_some() {
            self.keep().await?;
            self.older().await?;
        }
        self.errors().await
    }

    /// A key of the tour.
    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Deletes the tour's keys from a server that lives on.
    async fn leave(&mut self) -> Result {
        if self.embedded.is_some() {
            return Ok(());
        }
        let keys = KeyRange::prefix(&self.prefix);
        let delete = self.client.delete(keys).timeout(CLEANUP);
        match delete.await {
            Ok(reply) => self.screen.note(&format!(
                "cleaned up: {} keys of the tour deleted",
                reply.deleted
            )),
            Err(error) => {
                let prefix = &self.prefix;
                Err(Failure::from(error).with_context(&format!(
                    "keys of the tour may be left over (etcdkit del --prefix {prefix})"
                )))
            }
        }
    }
}
