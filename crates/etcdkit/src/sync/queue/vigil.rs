//! Waiting for one of several keys to be deleted.

use std::{
    collections::HashSet,
    future::{Future, IntoFuture, poll_fn},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_core::Stream;

use super::place::News;
use crate::{Client, Error, ErrorKind, KeyRange, Result, Revision, Watch, WatchUpdate};

/// More rivals than this are watched as the range that they are in. Of a range, everybody is told of each
/// deletion, and looks whether it concerns them; a watch for each key would be as many watches as there are
/// permits, for everybody who waits.
const SINGLY: usize = 8;

/// Waits until the own key or one of the rivals, which are in this range, is deleted, after this revision.
///
/// The watches need a member with a leader, resume by themselves, and what they resume from may be
/// compacted meanwhile; then nobody can tell what has happened.
pub(super) async fn watch_over(
    client: &Client,
    own: &Bytes,
    rivals: &[Bytes],
    range: &KeyRange<'static>,
    after: Revision,
) -> Result<News> {
    let guard = |key| Guarded::new(client, KeyRange::key(key), after);
    let mut own = guard(own);
    let mut rivals: Vec<_> = match rivals.len() > SINGLY {
        true => vec![Guarded::new(client, range.clone(), after).only(rivals)],
        false => rivals.iter().map(guard).collect(),
    };
    let news = poll_fn(|cx| {
        // The own key first: if it is gone, nothing else matters.
        if let Poll::Ready(deleted) = own.poll_deleted(cx) {
            return Poll::Ready(deleted.map(|()| News::OwnGone));
        }
        for rival in &mut rivals {
            if let Poll::Ready(deleted) = rival.poll_deleted(cx) {
                return Poll::Ready(deleted.map(|()| News::Doubt));
            }
        }
        Poll::Pending
    });
    match news.await {
        Err(error) if error.kind() == ErrorKind::Compacted => Ok(News::Doubt),
        news => news,
    }
}

/// One key and its watch, or the keys of a range that matter.
struct Guarded<'a> {
    watch: Guarding<'a>,
    only: Option<HashSet<&'a Bytes>>,
}

enum Guarding<'a> {
    Opening(Pin<Box<dyn Future<Output = Result<Watch>> + Send + 'a>>),
    Open(Watch),
}

impl<'a> Guarded<'a> {
    fn new(client: &'a Client, keys: KeyRange<'a>, after: Revision) -> Self {
        let watch = client.watch(keys).filter_puts();
        let opening = watch.from_revision(after.saturating_add(1)).into_future();
        let watch = Guarding::Opening(opening);
        let only = None;
        Self { watch, only }
    }

    fn only(mut self, keys: &'a [Bytes]) -> Self {
        self.only = Some(keys.iter().collect());
        self
    }

    fn poll_deleted(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        loop {
            match &mut self.watch {
                Guarding::Opening(opening) => match ready!(opening.as_mut().poll(cx)) {
                    Ok(watch) => self.watch = Guarding::Open(watch),
                    Err(error) => return Poll::Ready(Err(error)),
                },
                Guarding::Open(watch) => match ready!(Pin::new(watch).poll_next(cx)) {
                    Some(Ok(update)) if !self.matters(&update) => {}
                    Some(Ok(_)) => return Poll::Ready(Ok(())),
                    Some(Err(error)) => return Poll::Ready(Err(error.into())),
                    None => {
                        let error = Error::new(ErrorKind::Closed, "the watch has ended");
                        return Poll::Ready(Err(error));
                    }
                },
            }
        }
    }

    fn matters(&self, update: &WatchUpdate) -> bool {
        let mut deleted = update.events().iter().map(|event| &event.kv().key);
        deleted.any(|key| self.only.as_ref().is_none_or(|only| only.contains(key)))
    }
}
