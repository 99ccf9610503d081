//! One direction of a connection.

use std::{io, time::Duration};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::tcp::{ReadHalf, WriteHalf},
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until},
};

use super::{
    Shared,
    conditions::{Direction, End, LinkState},
};

/// How much is read at once.
const CHUNK: usize = 16 * 1024;

/// How many chunks are under way at most, as a network holds only so much.
const UNDER_WAY: usize = 64;

/// A bandwidth is kept in steps.
const STEPS_A_SECOND: u64 = 100;

pub(super) struct Pipe<'a> {
    pub(super) shared: &'a Shared,
    pub(super) direction: Direction,
    pub(super) state: watch::Receiver<LinkState>,
    pub(super) random: fastrand::Rng,
}

/// Something that was read, or how the reading ended.
enum Read {
    Data(Bytes),
    End,
    Broken,
}

impl Pipe<'_> {
    /// Passes on until the sender ends this direction.
    ///
    /// # Errors
    ///
    /// How the whole connection ends, when it does.
    pub(super) async fn run(self, from: ReadHalf<'_>, to: WriteHalf<'_>) -> Result<(), End> {
        let (sender, receiver) = mpsc::channel(UNDER_WAY);
        let reading = read(
            from,
            self.state.clone(),
            self.direction,
            self.random,
            sender,
        );
        let writing = Writing {
            shared: self.shared,
            direction: self.direction,
            state: self.state,
            to,
        };
        let reading = async {
            reading.await;
            Ok(())
        };
        tokio::try_join!(reading, writing.run(receiver)).map(|_| ())
    }
}

/// Reads ahead and says when each thing is due.
async fn read(
    mut from: ReadHalf<'_>,
    state: watch::Receiver<LinkState>,
    direction: Direction,
    mut random: fastrand::Rng,
    to: mpsc::Sender<(Instant, Read)>,
) {
    let mut last_due = Instant::now();
    loop {
        let mut chunk = BytesMut::with_capacity(CHUNK);
        let read = match from.read_buf(&mut chunk).await {
            Ok(0) => Read::End,
            Ok(_) => Read::Data(chunk.freeze()),
            Err(_) => Read::Broken,
        };
        let conditions = state.borrow().paths[direction].conditions;
        last_due = last_due.max(Instant::now() + conditions.draw_delay(&mut random));
        let is_last = !matches!(read, Read::Data(_));
        if to.send((last_due, read)).await.is_err() || is_last {
            return;
        }
    }
}

struct Writing<'a> {
    shared: &'a Shared,
    direction: Direction,
    state: watch::Receiver<LinkState>,
    to: WriteHalf<'a>,
}

impl Writing<'_> {
    async fn run(mut self, mut reads: mpsc::Receiver<(Instant, Read)>) -> Result<(), End> {
        loop {
            let read = tokio::select! {
                read = due(&mut reads) => read,
                () = closed(self.state.clone(), self.direction) => {
                    // Fails only when the receiver has gone already.
                    let _ = self.to.shutdown().await;
                    return swallow(reads).await;
                }
            };
            self.open().await?;
            match read {
                Read::Data(data) => self.pass_on(data).await?,
                Read::End => {
                    let _ = self.to.shutdown().await;
                    return Ok(());
                }
                Read::Broken => return Err(End::Reset),
            }
        }
    }

    /// Waits for conditions under which things arrive.
    async fn open(&mut self) -> Result<(), End> {
        let direction = self.direction;
        let open = self.state.wait_for(|link| link.paths[direction].is_open());
        open.await.map(|_| ()).map_err(|_| End::Close)
    }

    async fn pass_on(&mut self, mut data: Bytes) -> Result<(), End> {
        while !data.is_empty() {
            self.open().await?;
            let bandwidth = self.state.borrow().paths[self.direction]
                .conditions
                .bandwidth;
            let step = match bandwidth {
                None => data.len(),
                Some(bandwidth) => {
                    let bytes = (bandwidth / STEPS_A_SECOND).max(1);
                    data.len().min(usize::try_from(bytes).unwrap_or(usize::MAX))
                }
            };
            let (step, cut) = self.allowed(step);
            let now = data.split_to(step);
            let written: io::Result<()> = async {
                self.to.write_all(&now).await?;
                self.to.flush().await
            }
            .await;
            if cut {
                return Err(End::Close);
            }
            written.map_err(|_| End::Reset)?;
            if let Some(bandwidth) = bandwidth {
                sleep(Duration::from_secs_f64(step as f64 / bandwidth as f64)).await;
            }
        }
        Ok(())
    }

    /// How many of so many bytes may pass, and whether the connection ends after them.
    fn allowed(&self, bytes: usize) -> (usize, bool) {
        let mut state = self.shared.state();
        let after = state.cut_after[self.direction];
        let wanted = bytes as u64;
        let (passing, cut) = match after {
            Some(left) if left <= wanted => (left, true),
            _ => (wanted, false),
        };
        state.passed[self.direction] += passing;
        state.cut_after[self.direction] = match cut {
            true => None,
            false => after.map(|left| left - passing),
        };
        (usize::try_from(passing).unwrap_or(bytes), cut)
    }
}

/// The next thing, when its time has come.
async fn due(reads: &mut mpsc::Receiver<(Instant, Read)>) -> Read {
    // Nothing is lost when the future is dropped in between: the direction is closed then.
    match reads.recv().await {
        Some((due, read)) => {
            if due > Instant::now() {
                sleep_until(due).await;
            }
            read
        }
        None => Read::Broken,
    }
}

async fn closed(mut state: watch::Receiver<LinkState>, direction: Direction) {
    // The sender goes only with the whole connection, which is noticed elsewhere.
    let _ = state.wait_for(|link| link.paths[direction].closed).await;
}

/// Reads on for nobody, so that the sender does not notice.
async fn swallow(mut reads: mpsc::Receiver<(Instant, Read)>) -> Result<(), End> {
    loop {
        match due(&mut reads).await {
            Read::Data(_) => {}
            Read::End => return Ok(()),
            Read::Broken => return Err(End::Reset),
        }
    }
}
