//! Waiting for one of several keys to be deleted.

use std::{
    future::{Future, IntoFuture, poll_fn},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_core::Stream;

use super::place::News;
use crate::{Client, Error, ErrorKind, KeyRange, Result, Revision, Watch};

/// Waits until the own key or one of the rivals is deleted, after this revision.
///
/// The watches need a member with a leader, resume by themselves, and what they resume from may be
/// compacted meanwhile; then nobody can tell what has happened.
pub(super) async fn watch_over(
    client: &Client,
    own: &Bytes,
    rivals: &[Bytes],
    after: Revision,
) -> Result<News> {
    let watch = |key| {
        let watch = client.watch(KeyRange::key(key)).filter_puts();
        Guarded::Opening(watch.from_revision(after.saturating_add(1)).into_future())
    };
    let mut own = watch(own);
    let mut rivals: Vec<_> = rivals.iter().map(watch).collect();
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

/// One key and its watch.
enum Guarded<'a> {
    Opening(Pin<Box<dyn Future<Output = Result<Watch>> + Send + 'a>>),
    Open(Watch),
}

impl Guarded<'_> {
    fn poll_deleted(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        loop {
            match self {
                Self::Opening(opening) => match opening.as_mut().poll(cx) {
                    Poll::Ready(Ok(watch)) => *self = Self::Open(watch),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => return Poll::Pending,
                },
                Self::Open(watch) => match Pin::new(watch).poll_next(cx) {
                    Poll::Ready(Some(Ok(update))) if update.is_progress() => {}
                    Poll::Ready(Some(Ok(_))) => return Poll::Ready(Ok(())),
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error.into())),
                    Poll::Ready(None) => {
                        let error = Error::new(ErrorKind::Closed, "the watch has ended");
                        return Poll::Ready(Err(error));
                    }
                    Poll::Pending => return Poll::Pending,
                },
            }
        }
    }
}
