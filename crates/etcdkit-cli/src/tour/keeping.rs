//! The step about data that outlives its server.

use etcdkit::{Client, Revision};
use etcdkit_server::{Server, ServerBuilder};

use super::Tour;
use crate::error::{Exit, Failure, Result};

impl Tour<'_> {
    /// Takes the embedded server's data to a file, and on to a server that is started again.
    pub(super) async fn keep(&mut self) -> Result {
        let key = self.key("kept");
        let directory = tempfile::tempdir()?;
        let (snapshot, data) = (
            directory.path().join("backup.db"),
            directory.path().join("data"),
        );
        let screen = &mut *self.screen;
        screen.step(
            "Keep",
            "A snapshot is a file of etcd's own: it moves to a real cluster, and back. With a data\n\
             directory the embedded server keeps everything in one file, and survives its end.",
        )?;
        screen.rust("client.maintenance().snapshot().save(\"backup.db\").await?;")?;
        screen.rust(
            "let server = Server::builder().data_dir(\"data\").from_snapshot(\"backup.db\").start().await?;",
        )?;
        screen.shell("etcdkit snapshot save backup.db")?;
        screen.shell("etcdkit serve --data-dir data --restore backup.db")?;
        screen.shell("etcdutl snapshot restore backup.db    # a member of a real cluster")?;
        self.client.maintenance().snapshot().save(&snapshot).await?;
        let hash = hash(&self.client).await?;

        let restored = Server::builder().data_dir(&data).from_snapshot(&snapshot);
        let (server, client) = start(restored).await?;
        screen.check(
            hash == self::hash(&client).await?,
            "the restored server has the same history: its checksum is equal",
        )?;
        let written = client.put(&key, "on disk").await?.header.revision;
        stop(server).await?;

        let (server, client) = start(Server::builder().data_dir(&data)).await?;
        let kept = client.get(&key).await?;
        screen.reply(&format!("revision {written} is there after a restart"))?;
        screen.check(
            kept.is_some_and(|kv| kv.mod_revision == written),
            "what was acknowledged is there when the server is started again",
        )?;
        stop(server).await
    }
}

async fn start(builder: ServerBuilder) -> Result<(Server, Client)> {
    let started = builder.without_listener().start().await;
    let server = started.map_err(|error| Failure::new(Exit::Error, error.to_string()))?;
    let client = Client::builder().connector(server.connector());
    Ok((server, client.connect().await?))
}

async fn stop(server: Server) -> Result {
    let stopped = server.shutdown().await;
    stopped.map_err(|error| Failure::new(Exit::Error, error.to_string()))
}

/// What stands for everything that a server has stored.
async fn hash(client: &Client) -> Result<(u32, Revision)> {
    let endpoint = client.endpoints().next().unwrap_or_default().to_owned();
    let hash = client.maintenance().hash_kv(endpoint).await?;
    Ok((hash.hash, hash.header.revision))
}
