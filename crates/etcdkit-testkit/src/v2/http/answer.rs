//! What arrives.

use std::io;

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    Nothing,
    /// After so many bytes.
    Length(usize),
    /// In chunks, of which the last is empty.
    Chunked,
    /// With the connection.
    Close,
}

/// The head of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of the status.
    pub status: u16,
    /// The words after it.
    pub reason: String,
    /// The headers as they came, names in small letters.
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// Reads what comes before the empty line.
    pub(super) fn parse(text: &[u8]) -> io::Result<Self> {
        let wrong = |what: &str| {
            let shown = String::from_utf8_lossy(text);
            io::Error::new(io::ErrorKind::InvalidData, format!("{what}: {shown:?}"))
        };
        let text = str::from_utf8(text).map_err(|_| wrong("a head that is not text"))?;
        let mut lines = text.split("\r\n");
        let mut words = lines.next().unwrap_or_default().splitn(3, ' ');
        if !words.next().is_some_and(|word| word.starts_with("HTTP/1.")) {
            return Err(wrong("not HTTP/1"));
        }
        let status = words.next().and_then(|word| word.parse().ok());
        let status = status.ok_or_else(|| wrong("no status"))?;
        let reason = words.next().unwrap_or_default().to_owned();
        let mut headers = Vec::new();
        for line in lines.filter(|line| !line.is_empty()) {
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| wrong("not a header line"))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Ok(Self {
            status,
            reason,
            headers,
        })
    }

    /// The first header of this name, in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        found.next().map(|(_, value)| value.as_str())
    }

    /// How the body of this answer to a request with `method` ends.
    pub(super) fn framing(&self, method: &str) -> io::Result<Framing> {
        if method == "HEAD" || self.status < 200 || matches!(self.status, 204 | 304) {
            return Ok(Framing::Nothing);
        }
        if self.header("transfer-encoding") == Some("chunked") {
            return Ok(Framing::Chunked);
        }
        match self.header("content-length") {
            None => Ok(Framing::Close),
            Some(length) => length
                .parse()
                .map(Framing::Length)
                .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a wrong content-length")),
        }
    }

    /// Whether nothing more can be asked on the connection.
    pub(super) fn closes(&self) -> bool {
        self.header("connection") == Some("close")
    }
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its head.
    pub head: Head,
    /// How its body was sent.
    pub framing: Framing,
    /// Its body.
    pub body: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read() {
        let head =
            Head::parse(b"HTTP/1.1 404 Not Found\r\nX-Etcd-Index:  7 \r\nDate: now").unwrap();
        assert_eq!((head.status, head.reason.as_str()), (404, "Not Found"));
        assert_eq!(head.header("x-etcd-index"), Some("7"));
        assert_eq!(head.framing("GET").unwrap(), Framing::Close);
        assert_eq!(head.framing("HEAD").unwrap(), Framing::Nothing);
        assert!(Head::parse(b"SMTP").is_err());
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\nno colon").is_err());
    }
}
