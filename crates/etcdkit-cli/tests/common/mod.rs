//! Running programs the way scripts run them.

use std::{
    env,
    ffi::OsStr,
    fmt,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

/// What a script sees of a program that ended.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
}

impl Ran {
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

impl fmt::Debug for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stderr, code, .. } = self;
        write!(
            f,
            "exits with {code:?}, prints {:?}, says {stderr:?}",
            self.stdout()
        )
    }
}

/// The binary under test.
pub(crate) fn etcdkit() -> Command {
    clean(env!("CARGO_BIN_EXE_etcdkit"))
}

/// A program without the variables that etcd's programs read.
pub(crate) fn clean(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy().into_owned();
        if text.starts_with("ETCDCTL_") || text.starts_with("ETCD_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a program to its end with this on its standard input.
pub(crate) fn run<A: AsRef<OsStr>>(
    mut command: Command,
    args: impl IntoIterator<Item = A>,
    stdin: &[u8],
) -> Ran {
    let mut child = command
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut pipe = child.stdin.take().expect("piped");
    let stdin = stdin.to_vec();
    // A program that does not read its input closes the pipe early, which is its right.
    let writer = std::thread::spawn(move || drop(pipe.write_all(&stdin)));
    let output = child.wait_with_output().expect("the program ends");
    writer.join().expect("the writer ends");
    Ran {
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code(),
    }
}
