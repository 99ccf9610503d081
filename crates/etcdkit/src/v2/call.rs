//! What a request becomes when it is awaited.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use super::Result;

/// A request under way.
///
/// Nothing is sent before it is first polled. Dropping it breaks off what is under way; a write that was
/// sent by then may or may not be applied.
///
/// # Panics
///
/// Polling panics outside of a tokio runtime that has its I/O and time drivers enabled.
#[must_use = "futures do nothing unless polled"]
pub struct Call<T>(Pin<Box<dyn Future<Output = Result<T>> + Send>>);

impl<T> Call<T> {
    pub(super) fn new(future: impl Future<Output = Result<T>> + Send + 'static) -> Self {
        Self(Box::pin(future))
    }
}

impl<T> Future for Call<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        self.0.as_mut().poll(cx)
    }
}

impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").finish_non_exhaustive()
    }
}
