//! From flags to a client.

use std::{fs::File, path::Path, time::Duration};

use etcdkit::{Client, ClientBuilder, Tls};
use etcdkit_server::{DataError, Server, StartError};

use crate::{
    args::{Credentials, GlobalArgs},
    error::{Exit, Failure, Result},
};

/// The endpoint that stands for a server inside this process, in memory or in the directory that follows.
const EMBEDDED: &str = "embedded:";

/// The shortest interval between pings that is used. etcd refuses less than five seconds, and
/// etcdctl's own transport lifts its default of two seconds to this.
const LEAST_KEEPALIVE: Duration = Duration::from_secs(10);

/// A client, and the server it talks to if that runs inside this process.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client: Client,
    server: Option<Server>,
}

impl Session {
    /// Makes a client of the endpoints that the flags name, or DNS. Nothing is sent to servers yet, but
    /// for discovered ones, of which one must answer.
    pub(crate) async fn open(global: &GlobalArgs) -> Result<Self> {
        let Some(discovery) = global.discovery() else {
            return Self::open_to(global, &global.endpoints).await;
        };
        let client = builder(global, &[])?.discover(discovery).connect().await?;
        let server = None;
        Ok(Self { client, server })
    }

    /// Makes a client of some endpoints, with everything else as the flags say.
    pub(crate) async fn open_to(global: &GlobalArgs, endpoints: &[String]) -> Result<Self> {
        let mut builder = builder(global, endpoints)?;
        let mut server = None;
        if let Some(place) = embedded(endpoints)? {
            let running = start(place, false).await?;
            builder = builder.connector(running.connector());
            server = Some(running);
        } else {
            builder = builder.endpoints(endpoints);
        }
        let client = builder.connect_lazy()?;
        Ok(Self { client, server })
    }

    /// The first endpoint, as the client names it.
    pub(crate) fn endpoint(&self) -> String {
        self.client
            .endpoints()
            .next()
            .unwrap_or_default()
            .to_owned()
    }

    /// Ends the embedded server, if there is one.
    pub(crate) async fn close(self) {
        let Self { client, server } = self;
        drop(client);
        close(server).await;
    }
}

/// Ends the embedded server, if there is one.
pub(crate) async fn close(server: Option<Server>) {
    if let Some(server) = server
        && let Err(error) = server.shutdown().await
    {
        // What was answered is on the disk; what was not has failed already.
        eprintln!("Warning: the embedded server did not end well: {error}");
    }
}

/// Where a server inside this process keeps its data.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Embedded<'a> {
    Memory,
    Directory(&'a Path),
}

/// The embedded server that the endpoints are, if they are one.
pub(crate) fn embedded(endpoints: &[String]) -> Result<Option<Embedded<'_>>> {
    let mut places = endpoints
        .iter()
        .filter_map(|endpoint| endpoint.trim().strip_prefix(EMBEDDED));
    match places.next() {
        None => Ok(None),
        Some(_) if endpoints.len() > 1 => Err(Failure::bad_args(
            "embedded: is an endpoint of its own; give no others beside it",
        )),
        Some("") => Ok(Some(Embedded::Memory)),
        Some(directory) => Ok(Some(Embedded::Directory(Path::new(directory)))),
    }
}

/// Starts it, reachable from this process only; on request with the v2 API.
pub(crate) async fn start(place: Embedded<'_>, v2: bool) -> Result<Server> {
    let mut builder = Server::builder().without_listener().enable_v2(v2);
    if let Embedded::Directory(directory) = place {
        if !directory.exists() {
            // It may be that the name is not the one that was meant.
            eprintln!("Making {} for a new server", directory.display());
        }
        builder = builder.data_dir(directory);
    }
    builder.start().await.map_err(|error| {
        let in_use = matches!(
            error,
            StartError::Data {
                source: DataError::InUse,
                ..
            }
        );
        let failure = Failure::new(Exit::BadConnection, format!("embedded server: {error}"));
        match in_use {
            true => failure.with_context("or give the --endpoints that it listens on"),
            false => failure,
        }
    })
}

/// Everything but the endpoints.
pub(crate) fn builder(global: &GlobalArgs, endpoints: &[String]) -> Result<ClientBuilder> {
    if global.command_timeout.is_zero() || global.dial_timeout.is_zero() {
        return Err(Failure::new(
            Exit::Error,
            "a timeout of 0s leaves no time for the request: set --command-timeout and --dial-timeout to more",
        ));
    }
    let mut builder = Client::builder()
        .connect_timeout(global.dial_timeout)
        .request_timeout(global.command_timeout)
        .keep_alive(
            global.keepalive_time.max(LEAST_KEEPALIVE),
            global.keepalive_timeout,
        );
    if global.max_request_bytes > 0 {
        builder = builder.max_send_bytes(global.max_request_bytes);
    }
    if global.max_recv_bytes > 0 {
        builder = builder.max_receive_bytes(global.max_recv_bytes);
    }
    if let Some(tls) = tls(global, endpoints)? {
        builder = builder.tls(tls);
    }
    match global.credentials()? {
        Some(Credentials::User { name, password }) => builder = builder.user(name, password),
        Some(Credentials::Token(token)) => builder = builder.token(token),
        None => {}
    }
    Ok(builder)
}

/// TLS settings, if any flag asks for TLS.
fn tls(global: &GlobalArgs, endpoints: &[String]) -> Result<Option<Tls>> {
    let files = [
        ("--cacert", &global.cacert),
        ("--cert", &global.cert),
        ("--key", &global.key),
    ];
    for (flag, file) in files {
        if let Some(file) = file {
            check_file(flag, Path::new(file))?;
        }
    }
    let mut tls = Tls::new();
    if let Some(file) = &global.cacert {
        tls = tls.ca_file(file);
    }
    match (&global.cert, &global.key) {
        (Some(cert), Some(key)) => tls = tls.identity_files(cert, key),
        (None, None) => {}
        _ => {
            return Err(Failure::bad_args(
                "--cert and --key are given together or not at all",
            ));
        }
    }
    if global.insecure_skip_tls_verify {
        tls = tls.danger_accept_invalid_certificates();
    }
    if files.iter().all(|(_, file)| file.is_none()) {
        // Endpoints that name no scheme stay in the clear, as with etcdctl, whatever is skipped.
        let named = endpoints
            .iter()
            .any(|endpoint| endpoint.trim().starts_with("https://"));
        let skipped = global.insecure_skip_tls_verify && named;
        let secure = global.insecure_transport == Some(false) || skipped;
        return Ok(secure.then_some(tls));
    }
    // The client builds TLS only where an endpoint needs it; a wrong file is wrong in any case, and
    // etcdctl's exit code for it is not the one for endpoints.
    Client::builder()
        .endpoint("https://localhost")
        .tls(tls.clone())
        .connect_lazy()
        .map_err(|error| Failure::from(error).with_exit(Exit::BadArgs))?;
    Ok(Some(tls))
}

pub(crate) fn check_file(flag: &str, file: &Path) -> Result {
    if file.as_os_str().is_empty() {
        return Err(Failure::bad_args(format!(
            "empty string is passed to {flag} option"
        )));
    }
    match File::open(file) {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::bad_args(format!(
            "{flag}: open {}: {error}",
            file.display()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_embedded_server_is_in_memory_or_in_a_directory() {
        let read = |endpoints: &[&str]| {
            let endpoints: Vec<String> = endpoints.iter().map(ToString::to_string).collect();
            embedded(&endpoints).map(|place| place.map(|place| format!("{place:?}")))
        };
        assert_eq!(read(&["127.0.0.1:2379", "b"]).unwrap(), None);
        assert_eq!(read(&[" embedded:"]).unwrap().unwrap(), "Memory");
        let place = read(&["embedded:./data"]).unwrap().unwrap();
        assert_eq!(place, "Directory(\"./data\")");
        for several in [
            ["embedded:", "a"],
            ["a", "embedded:"],
            ["embedded:a", "embedded:b"],
        ] {
            assert_eq!(read(&several).unwrap_err().exit(), Exit::BadArgs);
        }
    }
}
