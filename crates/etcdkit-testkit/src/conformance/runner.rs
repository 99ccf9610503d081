//! Running the battery.

use std::{fmt, future::Future, pin::Pin, time::Duration};

use etcdkit::Client;

/// No function takes longer unless it hangs.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// One function of a battery over a client `C`.
pub struct Case<C = Client> {
    /// Its theme and name, such as `kv::a_put_can_be_read`.
    pub name: &'static str,
    /// Runs it; panics when the behaviour is not as it must be.
    pub run: fn(C) -> Pin<Box<dyn Future<Output = ()> + Send>>,
}

// Not derived: a case can be copied whatever the client is.
impl<C> Clone for Case<C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for Case<C> {}

impl<C> fmt::Debug for Case<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// A case that did not hold.
#[derive(Debug)]
pub struct CaseFailed {
    /// Its name.
    pub name: &'static str,
    /// What the panic said.
    pub message: String,
}

impl fmt::Display for CaseFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.message)
    }
}

/// Runs cases one after the other and prints each with its result; all of them, also after a
/// failure.
///
/// # Errors
///
/// The cases that failed.
pub async fn run<C: Clone + Send + Sync + 'static>(
    server: &str,
    client: &C,
    cases: impl IntoIterator<Item = &Case<C>> + Send,
) -> Result<(), Vec<CaseFailed>> {
    let mut failed = Vec::new();
    for case in cases {
        // A task of its own turns a panic into a value.
        let task = tokio::spawn((case.run)(client.clone()));
        let abort = task.abort_handle();
        let message = match tokio::time::timeout(TIME_LIMIT, task).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(panic_message(error)),
            Err(_) => {
                abort.abort();
                Some(format!("not done after {} s", TIME_LIMIT.as_secs()))
            }
        };
        let result = if message.is_none() { "ok" } else { "FAILED" };
        println!("{server}: {} ... {result}", case.name);
        failed.extend(message.map(|message| CaseFailed {
            name: case.name,
            message,
        }));
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(failed)
    }
}

fn panic_message(error: tokio::task::JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else {
        return "cancelled".to_owned();
    };
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => match panic.downcast_ref::<&str>() {
            Some(text) => (*text).to_owned(),
            None => "a panic without a text".to_owned(),
        },
    }
}
