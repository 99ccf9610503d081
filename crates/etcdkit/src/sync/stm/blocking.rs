//! Transactions in memory for programs without `async`.

use super::{Committed, Run, Stm, Transaction};
use crate::{
    Error, Result,
    blocking::{Client, Wait as _},
};

impl Client {
    /// Runs a transaction in memory: [`Client::stm`](crate::Client::stm) with a plain closure, in which
    /// reads end in [`.wait()`](crate::blocking::Wait::wait). With options,
    /// [`Stm::run_blocking`] does the same.
    ///
    /// # Errors
    ///
    /// As [`Stm::run`].
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = tokio::runtime::Runtime::new()?;
    /// # let server = runtime.block_on(etcdkit_server::Server::builder().start())?;
    /// # let client = etcdkit::blocking::Client::connect(server.endpoint())?;
    /// use etcdkit::blocking::Wait;
    ///
    /// let total = client.stm(|tx| {
    ///     let n: i64 = tx.get("n").wait()?.unwrap_or(0);
    ///     tx.put("n", n + 1);
    ///     Ok(n + 1)
    /// })?;
    /// assert_eq!(total, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn stm<T>(&self, f: impl FnMut(&mut Transaction) -> Result<T>) -> Result<T> {
        self.stm_builder().run_blocking(f)
    }
}

impl Stm<'_> {
    /// As [`run`](Self::run), in a program without `async`. Needs the feature `blocking`.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_blocking<T>(self, f: impl FnMut(&mut Transaction) -> Result<T>) -> Result<T> {
        self.try_run_blocking(f)
    }

    /// As [`try_run`](Self::try_run), in a program without `async`. Needs the feature `blocking`.
    ///
    /// # Errors
    ///
    /// As [`try_run`](Self::try_run).
    pub fn try_run_blocking<T, E: From<Error>>(
        self,
        f: impl FnMut(&mut Transaction) -> Result<T, E>,
    ) -> Result<T, E> {
        Ok(self.try_commit_blocking(f)?.value)
    }

    /// As [`commit`](Self::commit), in a program without `async`. Needs the feature `blocking`.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn commit_blocking<T>(
        self,
        f: impl FnMut(&mut Transaction) -> Result<T>,
    ) -> Result<Committed<T>> {
        self.try_commit_blocking(f)
    }

    /// As [`try_commit`](Self::try_commit), in a program without `async`. Needs the feature `blocking`.
    ///
    /// # Errors
    ///
    /// As [`try_run`](Self::try_run).
    pub fn try_commit_blocking<T, E: From<Error>>(
        self,
        mut f: impl FnMut(&mut Transaction) -> Result<T, E>,
    ) -> Result<Committed<T>, E> {
        let mut run = Run::new(self);
        loop {
            let mut transaction = run.begin().wait()?;
            let result = f(&mut transaction);
            if let Some(committed) = run.end(transaction, result).wait()? {
                return Ok(committed);
            }
        }
    }
}
