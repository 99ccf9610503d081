//! HTTP/1 by hand, for answers that must be right to the byte.

#![allow(clippy::unwrap_used)]
#![allow(dead_code)] // each test binary uses its part

use std::fmt;
use std::time::Duration;

use etcdkit_server::Server;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Nothing here takes longer unless it hangs.
const LONG: Duration = Duration::from_secs(20);

/// Sends bytes on a pipe of its own, closes it, and reads what comes until the server closes too.
pub(crate) async fn send(server: &Server, bytes: &[u8]) -> Vec<u8> {
    let mut pipe = server.connector().open().unwrap();
    // The server may have closed already; the answer tells.
    let _ = pipe.write_all(bytes).await;
    let _ = pipe.shutdown().await;
    let mut answer = Vec::new();
    let _ = timeout(LONG, pipe.read_to_end(&mut answer))
        .await
        .expect("the server closes");
    answer
}

/// A connection that writes and reads bytes.
pub(crate) struct Raw {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// An answer, as it is compared: headers sorted, without those that every answer has.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: String,
    pub(crate) headers: Vec<String>,
    pub(crate) body: String,
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.status)?;
        for header in &self.headers {
            writeln!(f, "{header}")?;
        }
        write!(f, "\n{}", self.body)
    }
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter().filter_map(|line| line.split_once(": "));
        headers
            .find(|(other, _)| *other == name)
            .map(|(_, value)| value)
    }
}

impl Raw {
    pub(crate) async fn connect(server: &Server) -> Self {
        let address = server.local_addr().unwrap();
        Self {
            stream: TcpStream::connect(address).await.unwrap(),
            unread: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Whether the other side has nothing more to say.
    pub(crate) async fn is_at_end(&mut self) -> bool {
        self.unread.is_empty() && self.stream.read_buf(&mut self.unread).await.unwrap_or(0) == 0
    }

    /// Reads everything up to and with an end.
    pub(crate) async fn until(&mut self, end: &[u8]) -> String {
        let found = loop {
            if let Some(at) = self
                .unread
                .windows(end.len())
                .position(|bytes| bytes == end)
            {
                break at + end.len();
            }
            let read = self.stream.read_buf(&mut self.unread).await.unwrap();
            assert_ne!(read, 0, "the end of the connection after {:?}", self.unread);
        };
        let rest = self.unread.split_off(found);
        String::from_utf8(std::mem::replace(&mut self.unread, rest)).unwrap()
    }

    async fn exactly(&mut self, count: usize) -> String {
        while self.unread.len() < count {
            let read = self.stream.read_buf(&mut self.unread).await.unwrap();
            assert_ne!(read, 0, "the end of the connection after {:?}", self.unread);
        }
        let rest = self.unread.split_off(count);
        String::from_utf8(std::mem::replace(&mut self.unread, rest)).unwrap()
    }

    /// Reads the head of an answer.
    pub(crate) async fn head(&mut self) -> Reply {
        let head = self.until(b"\r\n\r\n").await;
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().to_owned();
        let everywhere = ["Date: ", "Access-Control-"];
        let mut headers: Vec<String> = lines
            .filter(|line| !everywhere.iter().any(|start| line.starts_with(start)))
            .map(str::to_owned)
            .collect();
        headers.sort();
        Reply {
            status,
            headers,
            body: String::new(),
        }
    }

    /// Reads one piece of a body in pieces; the last one is empty.
    pub(crate) async fn chunk(&mut self) -> String {
        let length = self.until(b"\r\n").await;
        let length = usize::from_str_radix(length.trim_end(), 16).unwrap();
        let chunk = self.exactly(length).await;
        assert_eq!(self.exactly(2).await, "\r\n");
        chunk
    }

    /// Reads an answer whose body is of a known length, in pieces, or missing.
    pub(crate) async fn reply(&mut self, has_body: bool) -> Reply {
        let mut reply = self.head().await;
        if !has_body {
            return reply;
        }
        if reply.header("Transfer-Encoding") == Some("chunked") {
            loop {
                let chunk = self.chunk().await;
                if chunk.is_empty() {
                    return reply;
                }
                reply.body.push_str(&chunk);
            }
        }
        let length = reply
            .header("Content-Length")
            .map_or(0, |text| text.parse().unwrap());
        reply.body = self.exactly(length).await;
        reply
    }

    /// A request without a body, or with a form.
    pub(crate) async fn ask(&mut self, method: &str, path: &str, form: Option<&str>) -> Reply {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\n");
        if let Some(form) = form {
            request += "Content-Type: application/x-www-form-urlencoded\r\n";
            request += &format!("Content-Length: {}\r\n\r\n{form}", form.len());
        } else {
            request += "\r\n";
        }
        self.send(request).await;
        self.reply(method != "HEAD").await
    }

    pub(crate) async fn get(&mut self, path: &str) -> Reply {
        self.ask("GET", path, None).await
    }

    pub(crate) async fn put(&mut self, path: &str, form: &str) -> Reply {
        self.ask("PUT", path, Some(form)).await
    }
}
