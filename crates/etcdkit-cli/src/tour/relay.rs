//! A network that can be cut.

use std::io;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// Passes connections on to a server of this machine, unless it is cut.
pub(super) struct Relay {
    endpoint: String,
    whole: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Relay {
    /// Listens on a free port and passes on to an endpoint, `http://host:port`.
    pub(super) async fn start(endpoint: &str) -> io::Result<Self> {
        let server = endpoint.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let (whole, state) = watch::channel(true);
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if *state.borrow() {
                    tokio::spawn(pass(near, server.clone(), state.clone()));
                }
            }
        });
        Ok(Self {
            endpoint,
            whole,
            task,
        })
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Ends all connections, and those to come at once.
    pub(super) fn cut(&self) {
        self.whole.send_replace(false);
    }

    /// Lets connections through again.
    pub(super) fn mend(&self) {
        self.whole.send_replace(true);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Passes bytes both ways until either side or the relay ends it.
async fn pass(mut near: TcpStream, server: String, mut whole: watch::Receiver<bool>) {
    if let Ok(mut far) = TcpStream::connect(server).await {
        tokio::select! {
            _ = copy_bidirectional(&mut near, &mut far) => {}
            _ = whole.wait_for(|whole| !whole) => {}
        }
    }
}
