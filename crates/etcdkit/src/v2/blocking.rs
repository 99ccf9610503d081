//! The client for programs without `async`.

use super::{Client, ClientBuilder, Error, Result};
use crate::blocking::{Background, Wait};

impl ClientBuilder {
    /// As [`connect`](Self::connect), for programs without `async`: whatever is awaited otherwise ends in
    /// [`.wait()`](Wait::wait), and streams are iterated over by [`.iter()`](crate::blocking::Iterate::iter).
    /// Needs the feature `blocking`.
    ///
    /// The client keeps the thread that its connections live on, and shares it with all others; see
    /// [`blocking`](crate::blocking).
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), and [`InvalidConfig`](super::ErrorKind::InvalidConfig) if the
    /// system lets no thread be started.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = tokio::runtime::Runtime::new()?;
    /// # let server = runtime.block_on(etcdkit_server::Server::builder().enable_v2(true).start())?;
    /// # let endpoint = server.endpoint();
    /// use etcdkit::{
    ///     blocking::{Iterate, Wait},
    ///     v2::Client,
    /// };
    ///
    /// let client = Client::builder().endpoint(endpoint).connect_blocking()?;
    /// let mut watch = client.watch("/jobs").recursive().stream().wait()?;
    /// client.create_in_order("/jobs", "mow the lawn").wait()?;
    /// assert!(client.list("/jobs").wait()?.values().eq(["mow the lawn"]));
    ///
    /// let change = watch.iter().next().expect("there was one")?;
    /// assert_eq!(change.change().and_then(|event| event.value()), Some("mow the lawn"));
    ///
    /// let lock = client.lock("lawn").wait()?;
    /// lock.release().wait()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect_blocking(self) -> Result<Client> {
        let background = Background::shared().map_err(Error::of_config)?;
        let client = self.connect().wait()?;
        // Nobody else has the core yet.
        let _ = client.core.background.set(background);
        Ok(client)
    }
}
