//! Waiting for what must come, for as long as a slow and busy machine may need.

use std::{
    fmt::{Debug, Display},
    time::{Duration, Instant},
};

use tokio::{
    select,
    time::{sleep, timeout},
};

/// Nothing that certainly comes takes longer.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at the same thing.
const POLL: Duration = Duration::from_millis(5);

/// Something that must come.
///
/// # Panics
///
/// When it does not in a minute.
pub async fn in_time<T>(what: &str, coming: impl IntoFuture<Output = T>) -> T {
    match timeout(PATIENCE, coming).await {
        Ok(it) => it,
        Err(_) => panic!("waited too long for {what}"),
    }
}

/// Goes on with something that must wait while something else happens, which must come.
///
/// # Panics
///
/// When it does not wait, or the other thing does not come in a minute.
pub async fn meanwhile<T>(
    waiting: impl Future<Output: Debug>,
    what: &str,
    coming: impl IntoFuture<Output = T>,
) -> T {
    select! {
        biased;
        early = waiting => panic!("too early for {what}: {early:?}"),
        it = in_time(what, coming) => it,
    }
}

/// Waits until something is so.
///
/// # Panics
///
/// When it is not in a minute.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < PATIENCE, "waited too long for {what}");
        sleep(POLL).await;
    }
}

/// Repeats what may fail now and then, as any request does while members elect a leader, until it
/// succeeds.
///
/// # Panics
///
/// When it has not in a minute, with the last failure.
pub async fn insist<T, E: Display>(
    what: &str,
    mut attempt: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let start = Instant::now();
    loop {
        match attempt().await {
            Ok(done) => return done,
            Err(error) if start.elapsed() > PATIENCE => panic!("{what} never succeeds: {error}"),
            Err(_) => sleep(POLL).await,
        }
    }
}
