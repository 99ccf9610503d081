//! A client's program on stage: it tells what it found, and waits for its cues.

use std::{
    io::{BufRead as _, BufReader, Lines, Read as _, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use etcdkit_bench_load::{Failure, SceneJob, understand};
use serde::de::DeserializeOwned;

/// A running program. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Actor {
    child: Child,
    cues: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Actor {
    pub(crate) fn start(path: &Path, job: &SceneJob) -> Result<Self, Failure> {
        let mut child = Command::new(path)
            .arg("scene")
            .arg(serde_json::to_string(job)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot run {}: {error}", path.display()))?;
        let cues = child.stdin.take();
        let stdout = child.stdout.take().ok_or("its output was asked for")?;
        Ok(Self {
            child,
            cues,
            lines: BufReader::new(stdout).lines(),
        })
    }

    /// What it tells next.
    pub(crate) fn hear<T: DeserializeOwned>(&mut self) -> Result<T, Failure> {
        match self.lines.next() {
            Some(line) => understand(&line?),
            None => {
                let mut said = String::new();
                if let Some(stderr) = &mut self.child.stderr {
                    stderr.read_to_string(&mut said)?;
                }
                Err(format!("a program ended early: {}", said.trim()).into())
            }
        }
    }

    /// Gives it a cue.
    pub(crate) fn cue(&mut self, text: &str) -> Result<(), Failure> {
        let cues = self.cues.as_mut().ok_or("its input was asked for")?;
        writeln!(cues, "{text}")?;
        Ok(cues.flush()?)
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        // Both fail only for a program that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
