//! The programs that hold one client each, and how a job is given to them.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use etcdkit_bench_load::{Failure, Job, Sample};

/// One client under comparison.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) plain: PathBuf,
    pub(crate) counted: PathBuf,
}

/// All of them, in the order given by the user.
#[derive(Debug)]
pub(crate) struct Programs(pub(crate) Vec<Program>);

impl Programs {
    /// Looks beside this program, where `cargo xtask bench` builds them.
    pub(crate) fn find(names: &[String]) -> Result<Self, Failure> {
        let own = env::current_exe()?;
        let folder = own.parent().unwrap_or(Path::new("."));
        let existing = |file: String| -> Result<PathBuf, Failure> {
            let path = folder.join(file);
            match path.exists() {
                true => Ok(path),
                false => Err(format!(
                    "{} is missing: `cargo xtask bench` builds all programs of the comparison",
                    path.display()
                )
                .into()),
            }
        };
        let program = |name: &String| -> Result<Program, Failure> {
            Ok(Program {
                name: name.clone(),
                plain: existing(format!("peer-{name}"))?,
                counted: existing(format!("peer-{name}-counted"))?,
            })
        };
        names
            .iter()
            .map(program)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// Runs a client's program, perhaps below a tool that takes it as its last arguments.
pub(crate) fn run(
    path: &Path,
    job: &Job,
    tool: Option<Command>,
) -> Result<(Sample, Output), Failure> {
    let mut command = match tool {
        Some(mut tool) => {
            tool.arg(path);
            tool
        }
        None => Command::new(path),
    };
    let output = command
        .arg(serde_json::to_string(job)?)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot run {}: {error}", path.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{} failed: {}", path.display(), said.trim()).into());
    }
    let sample = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("{} answered nonsense: {error}", path.display()))?;
    Ok((sample, output))
}
