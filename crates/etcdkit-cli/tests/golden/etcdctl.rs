//! Finding etcdctl.

use std::{
    collections::HashSet,
    env,
    path::{Path, PathBuf},
};

use etcdkit_testkit::etcd::Binary;

use crate::{
    cases::Case,
    common::{Ran, clean, run},
    ids::Ids,
};

/// The variable that names further etcdctl binaries: a list of paths, separated by colons.
const EXTRA: &str = "ETCDKIT_TEST_ETCDCTL";

/// An etcdctl on this machine.
#[derive(Clone, Debug)]
pub(crate) struct Etcdctl {
    path: PathBuf,
    version: (u32, u32),
}

impl Etcdctl {
    /// Every etcdctl that is named, on `PATH`, or beside an etcd, oldest first. At least one.
    pub(crate) fn all(etcds: &[Binary]) -> Vec<Self> {
        let extra = env::var_os(EXTRA).unwrap_or_default();
        let path = env::var_os("PATH").unwrap_or_default();
        let named = env::split_paths(&extra).filter(|file| !file.as_os_str().is_empty());
        let named: Vec<PathBuf> = named.collect();
        for file in &named {
            assert!(
                file.is_file(),
                "{EXTRA} names {}, which is no file",
                file.display()
            );
        }
        let on_path = env::split_paths(&path).map(|folder| folder.join("etcdctl"));
        let beside = etcds
            .iter()
            .map(|etcd| etcd.path().with_file_name("etcdctl"));
        let mut seen = HashSet::new();
        let mut found: Vec<Self> = named
            .into_iter()
            .chain(on_path)
            .chain(beside)
            .filter_map(|file| file.canonicalize().ok())
            .filter(|file| seen.insert(file.clone()))
            .map(|path| Self {
                version: version(&path),
                path,
            })
            .collect();
        assert!(
            !found.is_empty(),
            "no etcdctl found: run `apt-get install etcd-client`, or name one in {EXTRA}"
        );
        found.sort_by_key(|etcdctl| etcdctl.version);
        found
    }

    /// The one that came with an etcd.
    pub(crate) fn of(etcd: &Binary) -> Self {
        let path = etcd.path().with_file_name("etcdctl");
        assert!(path.is_file(), "there is no etcdctl beside {etcd}");
        Self {
            version: version(&path),
            path,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn version(&self) -> (u32, u32) {
        self.version
    }

    pub(crate) fn run(&self, case: &Case, endpoint: &str, ids: &Ids) -> Ran {
        let mut command = clean(&self.path);
        // Up to 3.5 the v2 commands are still there; 3.4 begins with v3, and later ones complain of
        // the variable on standard error only.
        command.env("ETCDCTL_API", "3");
        run(command, case.args(endpoint, ids), case.stdin.as_bytes())
    }
}

fn version(path: &Path) -> (u32, u32) {
    let mut command = clean(path);
    command.env("ETCDCTL_API", "3");
    let text = run(command, ["version"], b"").stdout();
    let number = text
        .lines()
        .find_map(|line| line.strip_prefix("etcdctl version: "))
        .unwrap_or_else(|| panic!("{} is no etcdctl: {text}", path.display()));
    let mut parts = number.split('.').map(|part| part.parse().ok());
    match (parts.next().flatten(), parts.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor),
        _ => panic!("the version of {} is {number:?}", path.display()),
    }
}
