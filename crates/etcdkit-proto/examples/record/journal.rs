//! What was recorded so far.

use crate::transcript::{Direction, Message, Refusal};
use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

/// A list of steps and their messages, filled by the proxies and the script at the same time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journal(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    lines: Vec<String>,
    seen: HashSet<String>,
    responses: usize,
}

impl Journal {
    /// Says what causes the messages that follow.
    pub(crate) fn step(&self, what: &str) {
        self.with(|inner| {
            // A step that brought nothing new is not worth a line.
            if inner.lines.last().is_some_and(|line| line.starts_with('#')) {
                inner.lines.pop();
            }
            inner.lines.push(format!("# {what}"));
        });
    }

    /// Keeps a message, unless the same one is kept already.
    pub(crate) fn message(&self, message: Message) {
        self.with(|inner| {
            if message.direction == Direction::Response {
                inner.responses += 1;
            }
            let line = message.to_line();
            assert_eq!(Message::from_line(&line), Some(message));
            inner.keep(line);
        });
    }

    /// Keeps a refusal, unless the same one is kept already.
    pub(crate) fn refusal(&self, refusal: Refusal) {
        self.with(|inner| {
            let line = refusal.to_line();
            assert_eq!(Refusal::from_line(&line), Some(refusal));
            inner.keep(line);
        });
    }

    /// Number of responses so far, the repeated ones too.
    pub(crate) fn responses(&self) -> usize {
        self.with(|inner| inner.responses)
    }

    /// What the newest messages were caused by.
    pub(crate) fn last_step(&self) -> String {
        self.with(|inner| {
            let mut steps = inner.lines.iter().rev();
            let last = steps.find(|line| line.starts_with('#'));
            last.cloned().unwrap_or_default()
        })
    }

    /// The whole transcript.
    pub(crate) fn text(&self) -> String {
        self.with(|inner| inner.lines.join("\n") + "\n")
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Inner {
    fn keep(&mut self, line: String) {
        if self.seen.insert(line.clone()) {
            self.lines.push(line);
        }
    }
}
