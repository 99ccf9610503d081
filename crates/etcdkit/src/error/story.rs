//! What is known of a failed call, told alike whichever API it was made with.

use std::{fmt, sync::Arc, time::Duration};

use super::Outcome;

/// What, where, how often and how long.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    pub(crate) outcome: Outcome,
    pub(crate) operation: Option<&'static str>,
    pub(crate) endpoint: Option<Arc<str>>,
    pub(crate) attempts: u32,
    pub(crate) elapsed: Option<Duration>,
}

impl Default for Story {
    fn default() -> Self {
        Self {
            outcome: Outcome::NotApplied,
            operation: None,
            endpoint: None,
            attempts: 0,
            elapsed: None,
        }
    }
}

impl Story {
    /// Writes it around a message.
    pub(crate) fn tell(
        &self,
        f: &mut fmt::Formatter<'_>,
        message: &dyn fmt::Display,
    ) -> fmt::Result {
        let Self {
            outcome,
            operation,
            endpoint,
            attempts,
            elapsed,
        } = self;
        if let Some(operation) = operation {
            write!(f, "{operation}")?;
            if let Some(endpoint) = endpoint {
                write!(f, " on {endpoint}")?;
            }
            write!(f, ": ")?;
        }
        message.fmt(f)?;
        if let Some(elapsed) = elapsed {
            match attempts {
                0 => write!(f, " (not sent within {elapsed:.1?}")?,
                1 => write!(f, " (1 attempt in {elapsed:.1?}")?,
                more => write!(f, " ({more} attempts in {elapsed:.1?}")?,
            }
            f.write_str(match outcome {
                Outcome::NotApplied => ", not applied)",
                Outcome::Unknown => ", may have been applied)",
            })?;
        }
        Ok(())
    }
}
