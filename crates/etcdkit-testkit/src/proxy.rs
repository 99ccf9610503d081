//! A TCP proxy that can cut its connections.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// Forwards connections to a server until told to cut them. Dropping it cuts all and stops listening.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    /// Each new value ends the connections that were made before it.
    cuts: watch::Sender<u64>,
    listening: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy for the server at this endpoint, such as `http://127.0.0.1:2379`.
    ///
    /// # Errors
    ///
    /// When no port can be listened on.
    pub async fn start(endpoint: &str) -> io::Result<Self> {
        let target = endpoint.trim_start_matches("http://").to_owned();
        let target: Arc<str> = target.into();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let cuts = watch::Sender::new(0);
        let cut = cuts.subscribe();
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, Arc::clone(&target), cut.clone()));
            }
        });
        Ok(Self {
            address,
            cuts,
            listening,
        })
    }

    /// What a client connects to.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends every connection there is, in whatever state it is; new ones are accepted.
    pub fn cut(&self) {
        self.cuts.send_modify(|count| *count += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
        self.cut();
    }
}

async fn forward(mut client: TcpStream, target: Arc<str>, mut cut: watch::Receiver<u64>) {
    // Only cuts from now on count.
    cut.mark_unchanged();
    let Ok(mut server) = TcpStream::connect(&*target).await else {
        return;
    };
    let small_delay = [client.set_nodelay(true), server.set_nodelay(true)];
    if small_delay.iter().any(Result::is_err) {
        return;
    }
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => {}
        _ = cut.changed() => {}
    }
}
