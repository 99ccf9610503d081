//! Locks, elections and transactions in memory, which say when they no longer hold.

mod election;
mod held;
mod lock;
mod queue;
mod rwlock;
mod semaphore;
mod session;
mod stm;

pub use election::{Election, Leader, Observation, Observe};
#[cfg(feature = "serde")]
pub use stm::Json;
pub use stm::{Committed, FromValue, IntoValue, Isolation, Stm, Transaction, ValueError, Written};
