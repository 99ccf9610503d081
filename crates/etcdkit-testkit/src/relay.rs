//! A way to a server on which answers are lost and others take their place.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use futures_util::future::try_join;
use h2::{RecvStream, client::SendRequest, server::SendResponse};
use http::{Request, Response};
use prost::Message;
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

use crate::fake::frame;

/// Passes gRPC calls on to a server and its answers back, but for those that a test has changed. The server
/// does all that it is asked, and does not know what it is said to have answered.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    change: Arc<Mutex<Option<Change>>>,
    listening: JoinHandle<()>,
}

/// The message that takes the place of the next answer to calls of this path.
#[derive(Clone, Debug)]
struct Change {
    path: &'static str,
    message: Bytes,
}

impl Relay {
    /// Listens on a free port, and passes everything on to this server, which speaks without TLS.
    ///
    /// # Errors
    ///
    /// When there is no port.
    pub async fn start(endpoint: &str) -> io::Result<Self> {
        let server = endpoint.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let change = Arc::<Mutex<Option<Change>>>::default();
        let listening = tokio::spawn({
            let change = Arc::clone(&change);
            async move {
                let mut connections = JoinSet::new();
                while let Ok((client, _)) = listener.accept().await {
                    let (server, change) = (server.clone(), Arc::clone(&change));
                    connections.spawn(async move {
                        // Whoever is cut off connects again.
                        let _ = connect(client, &server, &change).await;
                    });
                }
            }
        });
        Ok(Self {
            address,
            change,
            listening,
        })
    }

    /// What a client connects to.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets this message take the place of the next answer to calls of a path.
    pub fn answer_once(&self, path: &'static str, message: &impl Message) {
        let message = message.encode_to_vec().into();
        *lock(&self.change) = Some(Change { path, message });
    }

    /// Whether the message has been sent that was given last.
    pub fn has_answered(&self) -> bool {
        lock(&self.change).is_none()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn connect(
    client: TcpStream,
    server: &str,
    change: &Mutex<Option<Change>>,
) -> Result<(), Failure> {
    let mut client = h2::server::handshake(client).await?;
    let server = TcpStream::connect(server).await?;
    let (server, connection) = h2::client::handshake(server).await?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let _ = connection.await;
    });
    while let Some(accepted) = client.accept().await {
        let (request, respond) = accepted?;
        let path = request.uri().path();
        let instead = lock(change).take_if(|change| change.path == path);
        let instead = instead.map(|change| change.message);
        let server = server.clone();
        tasks.spawn(async move {
            // Dropping either side resets the other.
            let _ = pass(request, respond, server, instead).await;
        });
    }
    Ok(())
}

async fn pass(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    server: SendRequest<Bytes>,
    instead: Option<Bytes>,
) -> Result<(), h2::Error> {
    let (head, mut asked) = request.into_parts();
    let mut server = server.ready().await?;
    let (answer, mut asks) = server.send_request(Request::from_parts(head, ()), false)?;
    let asking = async move {
        while let Some(data) = asked.data().await {
            let data = data?;
            asked.flow_control().release_capacity(data.len())?;
            asks.send_data(data, false)?;
        }
        asks.send_data(Bytes::new(), true)
    };
    let answering = async move {
        let (head, mut answered) = answer.await?.into_parts();
        let is_all = answered.is_end_stream();
        let mut answers = respond.send_response(Response::from_parts(head, ()), is_all)?;
        if is_all {
            return Ok(());
        }
        while let Some(data) = answered.data().await {
            let data = data?;
            answered.flow_control().release_capacity(data.len())?;
            if instead.is_none() {
                answers.send_data(data, false)?;
            }
        }
        if let Some(message) = instead {
            answers.send_data(frame(&message), false)?;
        }
        match answered.trailers().await? {
            Some(trailers) => answers.send_trailers(trailers),
            None => answers.send_data(Bytes::new(), true),
        }
    };
    try_join(asking, answering).await.map(drop)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
