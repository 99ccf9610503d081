//! A proxy that listens for pings.

use std::{io, net::SocketAddr, time::Instant};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// Forwards HTTP/2 connections in the clear, and notes when the client sends pings. Dropping it cuts
/// all connections.
#[derive(Debug)]
pub struct PingLog {
    address: SocketAddr,
    pings: watch::Sender<Vec<Instant>>,
    listening: JoinHandle<()>,
}

impl PingLog {
    /// Starts a proxy for the server at this endpoint, such as `http://127.0.0.1:2379`.
    ///
    /// # Errors
    ///
    /// When no port can be listened on.
    pub async fn start(endpoint: &str) -> io::Result<Self> {
        let target = endpoint.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let pings = watch::Sender::new(Vec::new());
        let log = pings.clone();
        let listening = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (target, log) = (target.clone(), log.clone());
                connections.spawn(async move {
                    let server = TcpStream::connect(target).await?;
                    let (mut from_client, mut to_client) = client.into_split();
                    let (mut from_server, mut to_server) = server.into_split();
                    tokio::select! {
                        ended = copy_frames(&mut from_client, &mut to_server, &log) => ended,
                        ended = copy(&mut from_server, &mut to_client) => ended.map(|_| ()),
                    }
                });
            }
        });
        Ok(Self {
            address,
            pings,
            listening,
        })
    }

    /// What a client connects to.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// When pings were sent so far, on all connections.
    pub fn pings(&self) -> Vec<Instant> {
        self.pings.borrow().clone()
    }

    /// Waits until so many pings were sent.
    pub async fn wait_for(&self, pings: usize) {
        let mut log = self.pings.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = log.wait_for(|log| log.len() >= pings).await;
    }
}

impl Drop for PingLog {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Copies what a client sends frame by frame (RFC 9113, 4.1).
async fn copy_frames(
    client: &mut (impl AsyncRead + Unpin),
    server: &mut (impl AsyncWrite + Unpin),
    log: &watch::Sender<Vec<Instant>>,
) -> io::Result<()> {
    const PING: u8 = 6;
    const ACK: u8 = 1;

    let mut preface = [0; 24];
    client.read_exact(&mut preface).await?;
    server.write_all(&preface).await?;
    loop {
        let mut frame = vec![0; 9];
        client.read_exact(&mut frame).await?;
        let length = u32::from_be_bytes([0, frame[0], frame[1], frame[2]]) as usize;
        if frame[3] == PING && frame[4] & ACK == 0 {
            log.send_modify(|pings| pings.push(Instant::now()));
        }
        frame.resize(9 + length, 0);
        client.read_exact(&mut frame[9..]).await?;
        server.write_all(&frame).await?;
    }
}
