//! Finding etcd binaries and asking them what they are.

use std::{
    collections::HashSet,
    env, fmt, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    str::FromStr,
};

/// The variable that names further etcd binaries: a list of paths, separated by colons.
const EXTRA_BINARIES: &str = "ETCDKIT_TEST_ETCD";

/// An etcd binary on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binary {
    path: PathBuf,
    version: Version,
    unsafe_no_fsync: bool,
}

impl Binary {
    /// Every etcd on `PATH` and in `ETCDKIT_TEST_ETCD`, oldest version first, each file once.
    ///
    /// # Errors
    ///
    /// [`NoEtcd`] when there is none, or when an entry of `ETCDKIT_TEST_ETCD` does not run: what was
    /// named on purpose must not be left out silently.
    pub fn all() -> Result<Vec<Self>, NoEtcd> {
        let path = env::var_os("PATH").unwrap_or_default();
        let extra = env::var_os(EXTRA_BINARIES).unwrap_or_default();

        let mut found = Vec::new();
        let mut seen = HashSet::new();
        for file in env::split_paths(&extra).filter(|file| !file.as_os_str().is_empty()) {
            let broken = |cause: io::Error| NoEtcd::Broken {
                path: file.clone(),
                cause: cause.to_string(),
            };
            if seen.insert(file.canonicalize().map_err(broken)?) {
                found.push(Self::at(&file).map_err(broken)?);
            }
        }
        for file in env::split_paths(&path).map(|folder| folder.join("etcd")) {
            let Ok(resolved) = file.canonicalize() else {
                continue;
            };
            if seen.insert(resolved)
                && let Ok(binary) = Self::at(&file)
            {
                found.push(binary);
            }
        }

        if found.is_empty() {
            return Err(NoEtcd::Missing);
        }
        found.sort_by_key(|binary| binary.version);
        Ok(found)
    }

    /// Those of [`Binary::all`] that have the v2 API, which 3.6 has not.
    ///
    /// # Errors
    ///
    /// As [`Binary::all`], and when all that there are lack it.
    pub fn all_with_v2() -> Result<Vec<Self>, NoEtcd> {
        let mut found = Self::all()?;
        found.retain(|binary| binary.version < Version::new(3, 6, 0));
        match found.is_empty() {
            true => Err(NoEtcd::WithoutV2),
            false => Ok(found),
        }
    }

    /// The newest of [`Binary::all`].
    ///
    /// # Errors
    ///
    /// As [`Binary::all`].
    pub fn newest() -> Result<Self, NoEtcd> {
        Self::all()?.pop().ok_or(NoEtcd::Missing)
    }

    /// The etcd at `path`.
    ///
    /// # Errors
    ///
    /// When the file does not run, or does not answer `--version` as etcd does.
    pub fn at(path: &Path) -> io::Result<Self> {
        let output = Command::new(path).arg("--version").output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = text
            .lines()
            .find_map(|line| line.strip_prefix("etcd Version: "))
            .and_then(|version| version.trim().parse().ok())
            .ok_or_else(|| io::Error::other(format!("`--version` answered {text:?}")))?;
        // Debian's 3.4 has the flag, upstream's early 3.4 releases do not: ask instead of comparing
        // versions. An unknown flag makes etcd exit with 2.
        let unsafe_no_fsync = Command::new(path)
            .args(["--unsafe-no-fsync", "--version"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?
            .success();
        Ok(Self {
            path: path.to_path_buf(),
            version,
            unsafe_no_fsync,
        })
    }

    /// Where the binary is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it calls itself.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The subcommands of `snapshot` of the tool beside the binary that reads and restores files:
    /// `etcdutl` or, before 3.5, `etcdctl`.
    pub fn snapshot_tool(&self) -> Command {
        let tool = match self.version.minor {
            ..=4 => "etcdctl",
            _ => "etcdutl",
        };
        let mut command = Command::new(self.path.with_file_name(tool));
        // Its flags can come from variables, too; the tester's must not leak in.
        command.env_clear().env("ETCDCTL_API", "3").arg("snapshot");
        command
    }

    /// Whether it can leave out fsync, which makes tests several times faster.
    pub fn has_unsafe_no_fsync(&self) -> bool {
        self.unsafe_no_fsync
    }
}

impl fmt::Display for Binary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "etcd {} ({})", self.version, self.path.display())
    }
}

/// A release of etcd. Compares as versions do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The 3 of 3.5.16.
    pub major: u32,
    /// The 5 of 3.5.16.
    pub minor: u32,
    /// The 16 of 3.5.16.
    pub patch: u32,
}

impl Version {
    /// The version `major.minor.patch`.
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self {
            major,
            minor,
            patch,
        }
    }
}

impl FromStr for Version {
    type Err = String;

    /// Reads `3.5.16`, and `3.6.0-rc.1` as `3.6.0`.
    fn from_str(text: &str) -> Result<Self, String> {
        let release = text.split(['-', '+']).next().unwrap_or_default();
        let numbers: Vec<u32> = release
            .split('.')
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map_err(|error| format!("{text:?} is not a version: {error}"))?;
        match numbers[..] {
            [major, minor, patch] => Ok(Self::new(major, minor, patch)),
            _ => Err(format!("{text:?} is not a version of three numbers")),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// No real etcd to test against. Tests fail with this; they never pass by skipping.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoEtcd {
    /// None on `PATH`, and `ETCDKIT_TEST_ETCD` is empty.
    #[error(
        "this test needs a real etcd and found none; `cargo xtask test` fetches one on Debian, or \
         run `apt-get install etcd-server`, or name binaries in ETCDKIT_TEST_ETCD (colon-separated)"
    )]
    Missing,
    /// Only 3.6 or newer.
    #[error("this test needs a real etcd with the v2 API, so one before 3.6, and found none")]
    WithoutV2,
    /// An entry of `ETCDKIT_TEST_ETCD` is not a working etcd.
    #[error("ETCDKIT_TEST_ETCD names {}, which is not a working etcd: {cause}", path.display())]
    Broken {
        /// The entry.
        path: PathBuf,
        /// What happened when it was run.
        cause: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_ordered() {
        let read = |text: &str| text.parse::<Version>();
        assert_eq!(read("3.4.23"), Ok(Version::new(3, 4, 23)));
        assert_eq!(read("3.6.0-rc.1"), Ok(Version::new(3, 6, 0)));
        assert!(read("3.4.23") < read("3.4.100"));
        assert!(read("3.5").is_err());
        assert!(read("three").is_err());
    }

    #[test]
    fn a_file_that_is_not_etcd_is_refused() {
        let error = Binary::at(Path::new("/bin/true")).expect_err("/bin/true is no etcd");
        assert!(error.to_string().contains("--version"), "{error}");
    }
}
