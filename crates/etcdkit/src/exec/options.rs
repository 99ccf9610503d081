//! Limits that every call takes, whatever its operation.

use std::{future::IntoFuture, time::Instant};

use super::Call;
use crate::RetryPolicy;

/// Limits for one call beyond those of its own builder: for every operation that is one request.
///
/// They come last, after the options of the operation. Each operation also has a `timeout`, which is
/// a time from when it is sent.
///
/// # Examples
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = etcdkit_server::Server::builder().start().await?;
/// # let client = etcdkit::Client::connect(server.endpoint()).await?;
/// use std::time::{Duration, Instant};
///
/// use etcdkit::{CallOptions, RetryPolicy};
///
/// // Several calls that must be done by the same time.
/// let deadline = Instant::now() + Duration::from_secs(10);
/// client.put("a", "1").prev_kv().deadline(deadline).await?;
/// let kv = client.get("a").deadline(deadline).retry(RetryPolicy::never()).await?;
/// # assert!(kv.is_some());
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
/// ```
pub trait CallOptions: IntoFuture + Sized {
    /// Ends the call by this time, whatever the client's request timeout is; by the earlier one if
    /// the call has a timeout of its own. A call whose time has passed already is not sent.
    fn deadline(self, deadline: Instant) -> Self::IntoFuture;

    /// Sends the request again as this policy says instead of the
    /// [client's](crate::ClientBuilder::retry).
    fn retry(self, policy: RetryPolicy) -> Self::IntoFuture;
}

impl<T, O> CallOptions for O
where
    O: IntoFuture<IntoFuture = Call<T>, Output = crate::Result<T>>,
{
    fn deadline(self, deadline: Instant) -> Call<T> {
        self.into_future().by(deadline)
    }

    fn retry(self, policy: RetryPolicy) -> Call<T> {
        self.into_future().retried(policy)
    }
}
