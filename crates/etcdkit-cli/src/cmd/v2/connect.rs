//! From the flags of the v2 commands to a client.

use std::{path::Path, time::Duration};

use etcdkit::{
    Tls,
    v2::{Client, ClientBuilder, Error, ErrorKind},
};
use etcdkit_server::Server;
use tokio::{
    runtime::Handle,
    time::{sleep, timeout},
};

use super::{
    debug,
    failure::{Code, marked, plain},
};
use crate::{
    args::v2::{GlobalArgs, TlsFiles},
    cmd::password,
    connect::{check_file, close, embedded, start},
    error::{Failure, Result},
};

/// How long to wait for what goes on in the background, and how often to look.
const TIDY_LONGEST: Duration = Duration::from_secs(2);
const TIDY_POLL: Duration = Duration::from_millis(5);

/// A client, and the server it talks to if that runs inside this process.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) client: Client,
    server: Option<Server>,
}

impl Session {
    /// Makes a client, and lets it ask for the members of the cluster unless that is not wanted.
    pub(super) async fn open(global: &GlobalArgs) -> Result<Self> {
        let session = Self::open_as_named(global).await?;
        if !global.no_sync && session.server.is_none() {
            session.sync(global).await?;
        }
        if global.debug {
            debug::endpoints("Cluster-Endpoints:", &session.client);
        }
        Ok(session)
    }

    /// Makes a client of the endpoints that flags or DNS name, and no others.
    pub(super) async fn open_as_named(global: &GlobalArgs) -> Result<Self> {
        let mut builder = builder(global)?;
        let endpoints = match global.discovery() {
            Some(discovery) => discovery
                .resolve()
                .await
                .map_err(|error| plain(Code::BadArgs, error.to_string()).caused_by(error))?,
            None => global.endpoints(),
        };
        let mut server = None;
        if let Some(place) = embedded(&endpoints)? {
            let running = start(place, true).await?;
            builder = builder.connector(running.connector());
            server = Some(running);
        } else {
            builder = builder.endpoints(endpoints);
        }
        let client = builder.connect_lazy().map_err(unusable)?;
        Ok(Self { client, server })
    }

    /// A client for one URL, with everything else as the flags say.
    pub(super) fn at(&self, global: &GlobalArgs, url: &str) -> Result<Client> {
        let mut builder = builder(global)?.endpoint(url);
        if let Some(server) = &self.server {
            builder = builder.connector(server.connector());
        }
        builder.connect_lazy().map_err(unusable)
    }

    /// Finds the endpoints of all members. Servers that do not tell them are used as they are named.
    async fn sync(&self, global: &GlobalArgs) -> Result {
        if global.debug {
            debug::endpoints("start to sync cluster using", &self.client);
        }
        if let Err(error) = self.client.sync_endpoints().await {
            let unreachable = matches!(
                error.kind(),
                ErrorKind::Connect | ErrorKind::Timeout | ErrorKind::Disconnected
            );
            if unreachable {
                return Err(marked(Code::BadConnection, error.to_string())
                    .hint("name a server that runs by --endpoints")
                    .caused_by(error));
            }
        }
        if global.debug {
            debug::endpoints("after sync:", &self.client);
        }
        Ok(())
    }

    /// Ends the embedded server, if there is one.
    pub(super) async fn close(self) {
        let Self { client, server } = self;
        drop(client);
        close(server).await;
    }

    /// The same, once what goes on in the background has ended: whoever no longer waits for a lock leaves
    /// a place in a queue, which is to be given up before the process goes.
    pub(super) async fn close_tidily(self) {
        let Self { client, server } = self;
        drop(client);
        let metrics = Handle::current().metrics();
        let ended = async {
            while metrics.num_alive_tasks() > 0 {
                sleep(TIDY_POLL).await;
            }
        };
        // Not with an embedded server, whose tasks never end, and in whose queues nobody else stands. A
        // place that cannot be given up expires.
        if server.is_none() {
            let _ = timeout(TIDY_LONGEST, ended).await;
        }
        close(server).await;
    }
}

/// Everything but the endpoints.
fn builder(global: &GlobalArgs) -> Result<ClientBuilder> {
    if global.total_timeout.is_zero() {
        return Err(marked(
            Code::BadConnection,
            "a timeout of 0s leaves no time for the request: set --total-timeout to more",
        ));
    }
    let (connecting, attempt) = global.timeouts();
    let mut builder = Client::builder()
        .connect_timeout(connecting)
        .request_timeout(global.total_timeout);
    if let Some(limit) = attempt {
        builder = builder.attempt_timeout(limit);
    }
    if let Some(tls) = tls(global)? {
        builder = builder.tls(tls);
    }
    let ask =
        || password::ask("Password: ").map_err(|failure| failure.with_exit(Code::BadArgs.exit()));
    if let Some((name, password)) = global.credentials(ask)? {
        builder = builder.user(name, password);
    }
    if global.debug {
        builder = builder.on_exchange(debug::request);
    }
    Ok(builder)
}

/// TLS settings, if any flag asks for TLS.
fn tls(global: &GlobalArgs) -> Result<Option<Tls>> {
    let TlsFiles { ca, cert, key } = global.tls_files();
    for (flag, file) in [
        ("--ca-file", &ca),
        ("--cert-file", &cert),
        ("--key-file", &key),
    ] {
        if let Some(file) = file {
            let checked = check_file(flag, Path::new(file));
            checked.map_err(|failure| failure.marked("").with_exit(Code::BadArgs.exit()))?;
        }
    }
    let mut tls = Tls::new();
    if let Some(file) = &ca {
        tls = tls.ca_file(file);
    }
    match (&cert, &key) {
        (Some(cert), Some(key)) => tls = tls.identity_files(cert, key),
        (None, None) => {}
        _ => {
            return Err(plain(
                Code::BadArgs,
                "--cert-file and --key-file are given together or not at all",
            ));
        }
    }
    if global.insecure_skip_tls_verify {
        tls = tls.danger_accept_invalid_certificates();
    }
    let name = global.server_name();
    let asked = [
        ca.is_some(),
        cert.is_some(),
        name.is_some(),
        global.insecure_skip_tls_verify,
    ];
    if let Some(name) = name {
        tls = tls.server_name(name);
    }
    Ok(asked.contains(&true).then_some(tls))
}

/// Why there is no client.
fn unusable(error: Error) -> Failure {
    plain(Code::BadArgs, error.to_string()).caused_by(error)
}
