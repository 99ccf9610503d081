//! What the visitor sees.

use std::{
    fmt::Display,
    io::{self, Write},
    time::Duration,
};

use crate::{
    error::{Exit, Failure, Result},
    style::{Palette, Style},
};

/// Writes the tour to standard output and keeps the score.
#[derive(Debug)]
pub(super) struct Screen {
    palette: Palette,
    steps: usize,
    checks: usize,
    failed: Vec<String>,
}

impl Screen {
    pub(super) fn new(palette: Palette) -> Self {
        Self {
            palette,
            steps: 0,
            checks: 0,
            failed: Vec::new(),
        }
    }

    pub(super) fn introduce(&mut self, facts: &[(&str, &str)]) -> Result {
        self.line(self.palette.paint(Style::Title, "etcdkit tour"))?;
        self.line(
            "Everything below is sent over gRPC to a running server, and its answers checked.\n\
             The shell lines do the same on any server, such as one started by `etcdkit serve`.",
        )?;
        self.line("")?;
        for (name, fact) in facts {
            self.labelled(name, *fact)?;
        }
        Ok(())
    }

    /// Begins a step.
    pub(super) fn step(&mut self, title: &str, about: &str) -> Result {
        self.steps += 1;
        self.line("")?;
        let title = format!("{}. {title}", self.steps);
        self.line(self.palette.paint(Style::Title, title))?;
        self.line(about)
    }

    /// The line of Rust that does it.
    pub(super) fn rust(&mut self, code: &str) -> Result {
        self.labelled("rust", self.palette.paint(Style::Code, code))
    }

    /// The command that does it.
    pub(super) fn shell(&mut self, command: &str) -> Result {
        self.labelled("shell", self.palette.paint(Style::Code, command))
    }

    /// What the server answered.
    pub(super) fn reply(&mut self, reply: &str) -> Result {
        self.labelled("reply", reply)
    }

    /// Something worth knowing.
    pub(super) fn note(&mut self, text: &str) -> Result {
        self.labelled("note", self.palette.paint(Style::Quiet, text))
    }

    /// States what the answer must be, and whether it is.
    pub(super) fn check(&mut self, passed: bool, claim: &str) -> Result {
        self.checks += 1;
        let mark = match passed {
            true => self.palette.paint(Style::Good, "✓"),
            false => {
                self.failed.push(format!("step {}: {claim}", self.steps));
                self.palette.paint(Style::Bad, "✗")
            }
        };
        let line = format!("       {mark} {claim}");
        self.line(line)
    }

    /// Ends the tour, as a failure if a check failed.
    pub(super) fn summary(&mut self, took: Duration) -> Result {
        let Self { steps, checks, .. } = *self;
        let failed = self.failed.len();
        self.line("")?;
        if failed > 0 {
            let score = format!("{failed} of {checks} checks failed in {steps} steps, {took:.1?}");
            self.line(self.palette.paint(Style::Bad, score))?;
            return Err(Failure::new(
                Exit::Error,
                format!("not true on this server: {}", self.failed.join("; ")),
            ));
        }
        let score = format!("{checks} checks in {steps} steps, all true, in {took:.1?}");
        self.line(self.palette.paint(Style::Good, score))?;
        self.line("")?;
        self.line(self.palette.paint(Style::Title, "Where to go next"))?;
        for (command, purpose) in [
            (
                "etcdkit serve",
                "the same server for your own programs, until Ctrl-C",
            ),
            (
                "etcdkit tour --endpoints URL",
                "the same tour on a real etcd",
            ),
            ("etcdkit help", "all commands; they take what etcdctl takes"),
            (
                "crates/etcdkit/examples",
                "the client library, one capability at a time",
            ),
        ] {
            let command = self.palette.paint(Style::Code, format!("{command:<30}"));
            let line = format!("  {command}{purpose}");
            self.line(line)?;
        }
        Ok(())
    }

    fn labelled(&mut self, label: &str, text: impl Display) -> Result {
        let label = self.palette.paint(Style::Quiet, format!("{label:>8}"));
        let line = format!("{label}  {text}");
        self.line(line)
    }

    fn line(&self, text: impl Display) -> Result {
        Ok(writeln!(io::stdout(), "{text}")?)
    }
}
