//! An HTTP/1.1 server that does whatever a test says.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// A request as it arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Such as `PUT`.
    pub method: String,
    /// The path and query.
    pub target: String,
    /// The headers, their names in lower case.
    pub headers: Vec<(String, String)>,
    /// What came after them.
    pub body: String,
}

impl Request {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What the fake server does with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Answers with a status, headers besides the length of the body, and a body.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// As [`Reply::Answer`], and closes the connection without having announced it.
    AnswerAndClose(u16, Vec<(&'static str, String)>, String),
    /// Sends exactly these bytes and closes the connection.
    Bytes(Vec<u8>),
    /// Begins an answer with these headers and leaves it at that, as a watch without an event is.
    Begin(Vec<(&'static str, String)>),
    /// Leaves the request open.
    Nothing,
}

impl Reply {
    /// An answer as a key's value would be, at index 7.
    pub fn value(value: &str) -> Self {
        let body = format!(
            r#"{{"action":"get","node":{{"key":"/a","value":"{value}","modifiedIndex":7,"createdIndex":7}}}}"#
        );
        Self::json(200, &body)
    }

    /// An answer in JSON, at index 7.
    pub fn json(status: u16, body: &str) -> Self {
        let headers = vec![
            ("Content-Type", "application/json".to_owned()),
            ("X-Etcd-Index", "7".to_owned()),
        ];
        Self::Answer(status, headers, format!("{body}\n"))
    }

    /// An answer that sends the request on.
    pub fn redirect(status: u16, location: impl Into<String>) -> Self {
        Self::Answer(status, vec![("Location", location.into())], String::new())
    }

    /// Closes the connection without an answer.
    pub fn close() -> Self {
        Self::Bytes(Vec::new())
    }
}

type Script = dyn Fn(&Request) -> Reply + Send + Sync;

/// An HTTP/1.1 server that answers as a function says and remembers what it was asked.
pub struct FakeHttp {
    address: SocketAddr,
    listening: JoinHandle<()>,
    seen: Arc<Seen>,
}

#[derive(Debug)]
struct Seen {
    requests: Mutex<Vec<Request>>,
    /// How many connections have been closed by either side.
    closed: watch::Sender<usize>,
}

impl FakeHttp {
    /// Listens on a free port.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub async fn start(
        script: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let seen = Arc::new(Seen {
            requests: Mutex::default(),
            closed: watch::Sender::new(0),
        });
        let script: Arc<Script> = Arc::new(script);
        let listening = tokio::spawn({
            let seen = Arc::clone(&seen);
            async move {
                let mut connections = JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    let (seen, script) = (Arc::clone(&seen), Arc::clone(&script));
                    connections.spawn(async move {
                        // A client that hangs up has been answered or is not interested.
                        let _ = serve(stream, &seen, &*script).await;
                        seen.closed.send_modify(|closed| *closed += 1);
                    });
                }
            }
        });
        Ok(Self {
            address,
            listening,
            seen,
        })
    }

    /// What a client connects to.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it was asked so far, but for what only finds out whether it serves the v2 API.
    pub fn requests(&self) -> Vec<Request> {
        let requests = self.seen.requests();
        let of_interest = |request: &&Request| request.method != "HEAD";
        requests.iter().filter(of_interest).cloned().collect()
    }

    /// Waits until so many connections have been closed.
    pub async fn closed(&self, connections: usize) {
        let mut closed = self.seen.closed.subscribe();
        let enough = closed.wait_for(|closed| *closed >= connections);
        // The sender lives as long as the server does.
        let _ = enough.await;
    }
}

impl Seen {
    fn requests(&self) -> std::sync::MutexGuard<'_, Vec<Request>> {
        self.requests
            .lock()
            .unwrap_or_else(|broken| broken.into_inner())
    }
}

impl Drop for FakeHttp {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl std::fmt::Debug for FakeHttp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FakeHttp")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

async fn serve(mut stream: TcpStream, seen: &Seen, script: &Script) -> io::Result<()> {
    let mut buffer = Vec::new();
    while let Some(request) = read(&mut stream, &mut buffer).await? {
        seen.requests().push(request.clone());
        let reply = match request.method.as_str() {
            // What a client asks when it connects.
            "HEAD" => Reply::Answer(200, Vec::new(), String::new()),
            _ => script(&request),
        };
        let (status, headers, body, close) = match reply {
            Reply::Answer(status, headers, body) => (status, headers, body, false),
            Reply::AnswerAndClose(status, headers, body) => (status, headers, body, true),
            Reply::Bytes(bytes) => {
                stream.write_all(&bytes).await?;
                return stream.shutdown().await;
            }
            Reply::Begin(headers) => {
                let mut head = "HTTP/1.1 200 Fake\r\nTransfer-Encoding: chunked\r\n".to_owned();
                for (name, value) in headers {
                    head.push_str(&format!("{name}: {value}\r\n"));
                }
                head.push_str("\r\n");
                stream.write_all(head.as_bytes()).await?;
                let _ = stream.read_buf(&mut Vec::with_capacity(1)).await?;
                return Ok(());
            }
            Reply::Nothing => {
                // Until the client hangs up.
                let _ = stream.read_buf(&mut Vec::with_capacity(1)).await?;
                return Ok(());
            }
        };
        let mut answer = format!(
            "HTTP/1.1 {status} Fake\r\nContent-Length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            answer.push_str(&format!("{name}: {value}\r\n"));
        }
        answer.push_str("\r\n");
        answer.push_str(&body);
        stream.write_all(answer.as_bytes()).await?;
        if close {
            return stream.shutdown().await;
        }
    }
    Ok(())
}

/// The next request; `None` at the end of the connection.
async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<Request>> {
    let head = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = buffer.split_off(end + 4);
            let head = std::mem::replace(buffer, rest);
            break String::from_utf8_lossy(&head).into_owned();
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let mut lines = head.lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    let mut request = Request {
        method: words.next().unwrap_or_default().to_owned(),
        target: words.next().unwrap_or_default().to_owned(),
        ..Request::default()
    };
    let headers = lines.filter_map(|line| line.split_once(": "));
    request.headers = headers
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = request.header("content-length");
    let length = length.and_then(|text| text.parse().ok()).unwrap_or(0);
    while buffer.len() < length {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    let rest = buffer.split_off(length);
    let body = std::mem::replace(buffer, rest);
    request.body = String::from_utf8_lossy(&body).into_owned();
    Ok(Some(request))
}
