//! A connection that sends what it is told.

use std::{fmt, io, io::ErrorKind};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use super::{
    answer::{Answer, Framing, Head},
    poll::Poll,
};

/// A request, each part of which goes out as it is.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The path with the query.
    pub target: String,
    /// Headers besides `Host` and those that frame the body.
    pub headers: Vec<(String, String)>,
    /// The body, which may be empty; `None` sends neither a body nor its length.
    pub body: Option<Vec<u8>>,
    /// Whether the body goes in chunks of so many bytes.
    pub chunks_of: Option<usize>,
    /// Whether it is a request of HTTP/1.0.
    pub is_http_1_0: bool,
}

impl Request {
    /// One without a body.
    pub fn new(method: &str, target: impl Into<String>) -> Self {
        Self {
            method: method.to_owned(),
            target: target.into(),
            ..Self::default()
        }
    }

    /// The same with a form.
    pub fn form(self, form: impl Into<Vec<u8>>) -> Self {
        self.header("Content-Type", "application/x-www-form-urlencoded")
            .content(form)
    }

    /// The same with JSON.
    pub fn json(self, json: impl Into<Vec<u8>>) -> Self {
        self.header("Content-Type", "application/json")
            .content(json)
    }

    /// The same with a body of no particular type.
    pub fn content(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// The same with a further header.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// What goes out.
    fn bytes(&self, host: &str) -> Vec<u8> {
        let version = if self.is_http_1_0 { "1.0" } else { "1.1" };
        let mut head = format!("{} {} HTTP/{version}\r\n", self.method, self.target);
        head += &format!("Host: {host}\r\n");
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        match (&self.body, self.chunks_of) {
            (Some(_), Some(_)) => head += "Transfer-Encoding: chunked\r\n",
            (Some(body), None) => head += &format!("Content-Length: {}\r\n", body.len()),
            (None, _) => {}
        }
        head += "\r\n";
        let mut bytes = head.into_bytes();
        match (&self.body, self.chunks_of) {
            (Some(body), Some(size)) => {
                for chunk in body.chunks(size.max(1)) {
                    bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
                    bytes.extend(chunk);
                    bytes.extend(b"\r\n");
                }
                bytes.extend(b"0\r\n\r\n");
            }
            (Some(body), None) => bytes.extend(body),
            (None, _) => {}
        }
        bytes
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.target)?;
        if self.is_http_1_0 {
            write!(f, " HTTP/1.0")?;
        }
        for (name, value) in &self.headers {
            write!(f, " [{name}: {value}]")?;
        }
        if let Some(body) = &self.body {
            write!(f, " {:?}", String::from_utf8_lossy(body))?;
        }
        if let Some(size) = self.chunks_of {
            write!(f, " (in chunks of {size})")?;
        }
        Ok(())
    }
}

/// A connection to one server, opened anew after the server has closed it.
#[derive(Debug)]
pub struct Connection {
    address: String,
    stream: Option<Stream>,
}

/// The two directions of an open connection.
#[derive(Debug)]
pub(super) struct Stream {
    reading: BufReader<OwnedReadHalf>,
    writing: OwnedWriteHalf,
    /// Whether a request has not gone out in full, so that no other may follow.
    is_cut: bool,
}

impl Connection {
    /// To a server on this machine, by its `http` URL or its address. Opened by the first request.
    pub fn new(endpoint: &str) -> Self {
        Self {
            address: endpoint.trim_start_matches("http://").to_owned(),
            stream: None,
        }
    }

    /// Sends a request and reads all of the answer.
    ///
    /// # Errors
    ///
    /// When there is no connection, or what comes back is not HTTP/1.
    pub async fn exchange(&mut self, request: &Request) -> io::Result<Answer> {
        let (mut stream, head) = self.ask(request).await?;
        let framing = head.framing(&request.method)?;
        let mut body = Vec::new();
        while let Some(piece) = stream.next_piece(framing, body.len()).await? {
            body.extend(piece);
        }
        let closes = head.closes() || framing == Framing::Close || request.is_http_1_0;
        self.stream = (!closes && !stream.is_cut).then_some(stream);
        Ok(Answer {
            head,
            framing,
            body,
        })
    }

    /// Sends a request on a connection of its own whose answer may take as long as it likes, and waits
    /// for its head.
    ///
    /// # Errors
    ///
    /// As [`exchange`](Self::exchange).
    pub async fn open(&self, request: &Request) -> io::Result<Poll> {
        let (stream, head) = Self::new(&self.address).ask(request).await?;
        let framing = head.framing(&request.method)?;
        Ok(Poll::start(stream, head, framing))
    }

    async fn ask(&mut self, request: &Request) -> io::Result<(Stream, Head)> {
        let bytes = request.bytes(&self.address);
        if let Some(mut stream) = self.stream.take() {
            match stream.talk(&bytes).await {
                Ok(head) => return Ok((stream, head)),
                Err(error) if is_stale(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let mut stream = Stream::open(&self.address).await?;
        let head = stream.talk(&bytes).await?;
        Ok((stream, head))
    }
}

/// Whether a server has closed an idle connection instead of answering, as it may.
fn is_stale(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof
    )
}

impl Stream {
    async fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (reading, writing) = stream.into_split();
        Ok(Self {
            reading: BufReader::new(reading),
            writing,
            is_cut: false,
        })
    }

    /// Sends a request and reads the head of its answer, which a server may send before it has read
    /// everything.
    async fn talk(&mut self, bytes: &[u8]) -> io::Result<Head> {
        self.is_cut = true;
        let write = self.writing.write_all(bytes);
        let read = read_head(&mut self.reading);
        tokio::pin!(write, read);
        loop {
            tokio::select! {
                head = &mut read => return head,
                written = &mut write, if self.is_cut => match written {
                    Ok(()) => self.is_cut = false,
                    // What the server has said before it hung up is the answer.
                    Err(_) => return read.await,
                },
            }
        }
    }

    /// The next bytes of a body of which some have been read; `None` at its end.
    pub(super) async fn next_piece(
        &mut self,
        framing: Framing,
        read: usize,
    ) -> io::Result<Option<Vec<u8>>> {
        match framing {
            Framing::Nothing => Ok(None),
            Framing::Length(length) if read >= length => Ok(None),
            Framing::Length(length) => {
                let mut rest = vec![0; length - read];
                self.reading.read_exact(&mut rest).await?;
                Ok(Some(rest))
            }
            Framing::Close => {
                let piece = self.reading.fill_buf().await?.to_vec();
                self.reading.consume(piece.len());
                Ok((!piece.is_empty()).then_some(piece))
            }
            Framing::Chunked => {
                let line = read_line(&mut self.reading).await?;
                let size = str::from_utf8(&line)
                    .ok()
                    .and_then(|line| usize::from_str_radix(line.trim(), 16).ok());
                let size = size.ok_or_else(|| {
                    io::Error::new(ErrorKind::InvalidData, format!("a chunk of size {line:?}"))
                })?;
                let mut piece = vec![0; size + 2];
                self.reading.read_exact(&mut piece).await?;
                piece.truncate(size);
                Ok((size > 0).then_some(piece))
            }
        }
    }
}

async fn read_head(reading: &mut BufReader<OwnedReadHalf>) -> io::Result<Head> {
    loop {
        let mut head = Vec::new();
        loop {
            let line = read_line(reading).await?;
            if line == b"\r\n" {
                break;
            }
            head.extend(line);
        }
        let head = Head::parse(&head)?;
        if head.status >= 200 {
            return Ok(head);
        }
    }
}

async fn read_line(reading: &mut BufReader<OwnedReadHalf>) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    reading.read_until(b'\n', &mut line).await?;
    if line.last() == Some(&b'\n') {
        Ok(line)
    } else {
        Err(ErrorKind::UnexpectedEof.into())
    }
}
