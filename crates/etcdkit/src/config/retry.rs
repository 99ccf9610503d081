//! How often and how soon a request is sent again.

use std::time::Duration;

/// When a failed request is sent again; [`ClientBuilder::retry`](crate::ClientBuilder::retry) sets it
/// for a client, [`CallOptions::retry`](crate::CallOptions::retry) for one call.
///
/// A policy only limits retries. What may be repeated at all is decided by what is safe: reads, and
/// writes that certainly had no effect. The call's time limit holds in any case. What is refused
/// because a token has ended is sent again with the next token, whatever the policy.
///
/// By default a request is repeated until its time is up. It goes to another endpoint at once if
/// there is one that it has not tried; otherwise it pauses, 25 ms at first and twice as long each
/// time up to 1 s, each pause cut by a random part of up to a half. All calls of a client share a
/// budget, of one retry for ten successes and ten a second besides, so that a cluster in trouble is
/// not hit many times over.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use etcdkit::RetryPolicy;
///
/// let builder = etcdkit::Client::builder()
///     .endpoint("http://127.0.0.1:2379")
///     .retry(RetryPolicy::default().max_attempts(3).pauses(
///         Duration::from_millis(10),
///         Duration::from_millis(200),
///     ));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct RetryPolicy {
    pub(crate) max_attempts: u32,
    pub(crate) pause_first: Duration,
    pub(crate) pause_most: Duration,
    pub(crate) budget: bool,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: u32::MAX,
            pause_first: Duration::from_millis(25),
            pause_most: Duration::from_secs(1),
            budget: true,
        }
    }
}

impl RetryPolicy {
    /// Sends each request once. A read that waits too long for one member is not asked elsewhere
    /// either.
    pub fn never() -> Self {
        Self::default().max_attempts(1)
    }

    /// Sends a request at most this many times, the first included. 0 counts as 1. Default: no limit
    /// but time.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts.max(1);
        self
    }

    /// The longest possible first pause, and the longest of all. Default 25 ms and 1 s; a `most`
    /// below `first` counts as `first`.
    pub fn pauses(mut self, first: Duration, most: Duration) -> Self {
        self.pause_first = first;
        self.pause_most = most.max(first);
        self
    }

    /// Takes retries without asking the client's budget: for the few calls that matter when all
    /// others have to hold back.
    pub fn without_budget(mut self) -> Self {
        self.budget = false;
        self
    }
}
