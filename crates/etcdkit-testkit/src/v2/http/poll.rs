//! An answer that arrives piece by piece.

use std::io;

use tokio::{sync::watch, task::JoinHandle};

use super::{
    answer::{Framing, Head},
    connection::Stream,
};

/// What has come of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// The body, up to now.
    pub body: Vec<u8>,
    /// How it ended, if it has: properly, or with a broken connection.
    pub end: Option<Result<(), io::ErrorKind>>,
}

/// An answer that is read while it arrives. Dropping it closes its connection.
#[derive(Debug)]
pub struct Poll {
    /// Its head.
    pub head: Head,
    /// How its body ends.
    pub framing: Framing,
    received: watch::Receiver<Received>,
    reading: JoinHandle<()>,
}

impl Poll {
    pub(super) fn start(mut stream: Stream, head: Head, framing: Framing) -> Self {
        let (sender, received) = watch::channel(Received::default());
        let reading = tokio::spawn(async move {
            let mut read = 0;
            let end = loop {
                match stream.next_piece(framing, read).await {
                    Ok(Some(piece)) => {
                        read += piece.len();
                        sender.send_modify(|received| received.body.extend(piece));
                    }
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error.kind()),
                }
            };
            sender.send_modify(|received| received.end = Some(end));
        });
        Self {
            head,
            framing,
            received,
            reading,
        }
    }

    /// What has come by now.
    pub fn received(&self) -> Received {
        self.received.borrow().clone()
    }

    /// Waits until what has come fits, and returns it. Without a time limit of its own.
    pub async fn until(&mut self, fits: impl FnMut(&Received) -> bool) -> Received {
        // It fails when the reader has ended: nothing more comes.
        let _ = self.received.wait_for(fits).await;
        self.received()
    }
}

impl Drop for Poll {
    fn drop(&mut self) {
        self.reading.abort();
    }
}
