//! What happens over time rather than call by call: watches, leases, and members that fail.
//!
//! The program plays its part in acts. After each it tells what it found, as one line of JSON, and
//! waits for a cue, a line on its standard input, so that the driver can look at the server or hurt
//! it in between.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Failure, RuntimeKind};

/// One scene.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SceneJob {
    /// The server's client URLs.
    pub endpoints: Vec<String>,
    /// The runtime of the program.
    pub runtime: RuntimeKind,
    /// What it does.
    pub scene: Scene,
}

/// What a program does in a scene.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Scene {
    /// Opens watches of as many keys; tells [`Opened`]. Puts every key and waits until each watch has
    /// seen that; tells [`Received`].
    WatchOpen {
        /// What the keys are below.
        prefix: String,
        /// How many.
        watches: u64,
    },
    /// Opens one watch; tells [`Started`]. Waits for so many events of other writers; tells
    /// [`Received`].
    WatchEvents {
        /// What the keys are below.
        prefix: String,
        /// How many.
        events: u64,
    },
    /// Takes leases and keeps them alive; tells [`Opened`]. Does that for a while; tells [`Kept`].
    Leases {
        /// How many.
        leases: u64,
        /// Their time to live, in seconds.
        ttl_seconds: i64,
        /// How long, in seconds.
        seconds: u64,
    },
    /// Calls as fast as it can for a while, beginning at the cue; tells [`Survived`].
    Calls {
        /// How long, in seconds.
        seconds: f64,
        /// How many callers, each with one call at a time.
        callers: usize,
        /// Whether they read instead of writing.
        reads: bool,
        /// What each call may take, in seconds.
        limit_seconds: f64,
    },
    /// Holds a lock while others queue for it, each with a session of its own. In each round tells
    /// [`Queueing`] when they have begun to; at the cue gives the lock back, as each of the others
    /// does as soon as it has it; tells [`HandedOver`] and waits for a cue.
    HandOver {
        /// The name of the lock.
        name: String,
        /// How many wait.
        waiters: usize,
        /// How often.
        rounds: usize,
    },
    /// Increments numbers as fast as it can for a while; tells [`Incremented`].
    Increment {
        /// What the keys of the numbers are below.
        prefix: String,
        /// How many numbers there are; each increment takes another one at random.
        keys: u64,
        /// How many increment at a time.
        writers: u64,
        /// How long, in seconds.
        seconds: f64,
        /// How they do it.
        how: Increment,
    },
    /// Opens one watch; tells [`Started`]. Follows it until the revision that the cue names; tells
    /// [`Followed`].
    Follow {
        /// What the keys are below.
        prefix: String,
    },
}

/// How a number is incremented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Increment {
    /// By a transaction in memory of the client.
    Memory,
    /// By a loop that reads, and writes if nothing has changed meanwhile.
    Swap,
}

/// Something was opened many times.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Opened {
    /// How long it took until the server had confirmed all.
    pub seconds: f64,
    /// The CPU time of the process meanwhile.
    pub cpu_seconds: f64,
    /// By how much its memory grew, in bytes.
    pub rss_added: u64,
}

/// A watch is open.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Started {
    /// The member that confirmed it.
    pub member: u64,
}

/// Events have come.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Received {
    /// How many.
    pub events: u64,
    /// In how many updates.
    pub updates: u64,
    /// From the first to the last.
    pub seconds: f64,
    /// The CPU time of the process meanwhile.
    pub cpu_seconds: f64,
    /// The most memory it ever held, in bytes.
    pub peak_rss: u64,
}

/// Leases were kept.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Kept {
    /// The CPU time of the process meanwhile.
    pub cpu_seconds: f64,
    /// How many it knows to be lost.
    pub lost: u64,
}

/// Calls were made while members failed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Survived {
    /// How many succeeded.
    pub succeeded: u64,
    /// How many failed and, says the client, without effect.
    pub not_applied: u64,
    /// How many failed and, says the client, perhaps with effect.
    pub unknown: u64,
    /// How many failed, and the client does not say.
    pub unsaid: u64,
    /// The longest time without a success.
    pub longest_gap_seconds: f64,
    /// The longest time that a call took.
    pub longest_call_seconds: f64,
}

/// The lock is held, and the others have begun to queue.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Queueing {}

/// A lock went through the whole queue.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct HandedOver {
    /// For each hand-over, from the call that gives the lock back to when the next one has it, in
    /// microseconds.
    pub micros: Vec<f64>,
    /// All of them together, in seconds.
    pub seconds: f64,
    /// The CPU time of the process meanwhile.
    pub cpu_seconds: f64,
}

/// Numbers were incremented.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Incremented {
    /// How often.
    pub increments: u64,
    /// In how many attempts.
    pub attempts: u64,
    /// How long it took until the last increment under way had ended, too.
    pub seconds: f64,
    /// The CPU time of the process meanwhile.
    pub cpu_seconds: f64,
    /// The median time of an increment, in microseconds.
    pub p50_micros: f64,
    /// The time within which 99 of 100 ended, in microseconds.
    pub p99_micros: f64,
    /// How many the least lucky writer made, as a share of what would have been fair.
    pub least_share: f64,
}

/// A watch was followed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Followed {
    /// The revisions of its events, as they came.
    pub revisions: Vec<i64>,
    /// How it ended, if it did.
    pub died: Option<String>,
    /// The longest time between two updates.
    pub longest_gap_seconds: f64,
}

/// Whether a call that failed had an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// It certainly had none.
    NotApplied,
    /// It may have had one.
    Unknown,
    /// The client does not say.
    Unsaid,
}

/// Reads what a program tells.
///
/// # Errors
///
/// When it is something else.
pub fn understand<T: DeserializeOwned>(line: &str) -> Result<T, Failure> {
    Ok(serde_json::from_str(line)?)
}
