//! Programs, and the servers that they are run on.

use std::{any::Any, fmt, path::PathBuf, process::Command};

use etcdkit_server::Server;
use etcdkit_testkit::etcd::{Binary, Cluster, Version};
use tokio::runtime::Runtime;

use crate::{
    common::{clean, etcdkit, run},
    mask::Mask,
};

/// The first etcd without the v2 API.
const NO_V2: Version = Version::new(3, 6, 0);

/// Every etcd of this machine that has the v2 API. At least one.
pub(crate) fn etcds() -> Vec<Binary> {
    let mut etcds = Binary::all().unwrap_or_else(|error| panic!("{error}"));
    etcds.retain(|etcd| etcd.version() < NO_V2);
    assert!(
        !etcds.is_empty(),
        "no etcd before 3.6: name one in ETCDKIT_TEST_ETCD"
    );
    etcds
}

/// A program with v2 commands.
#[derive(Clone)]
pub(crate) enum Program {
    Etcdctl(PathBuf),
    Etcdkit,
}

impl Program {
    /// The etcdctl that came with an etcd.
    pub(crate) fn etcdctl_of(etcd: &Binary) -> Self {
        let path = etcd.path().with_file_name("etcdctl");
        assert!(path.is_file(), "there is no etcdctl beside {etcd}");
        Self::Etcdctl(path)
    }

    /// The program, ready for arguments.
    pub(crate) fn command(&self) -> Command {
        match self {
            Self::Etcdctl(path) => {
                let mut command = clean(path);
                command.env("ETCDCTL_API", "2");
                command
            }
            Self::Etcdkit => {
                let mut command = etcdkit();
                command.arg("v2");
                command
            }
        }
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Etcdctl(path) => write!(f, "{}", path.display()),
            Self::Etcdkit => f.write_str("etcdkit"),
        }
    }
}

/// A program, and the kind of server that it is run on.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) program: Program,
    on_real: bool,
}

impl Pair {
    /// Those that are compared with the first, which is the etcdctl of an etcd on it.
    pub(crate) fn all(etcd: &Binary) -> [Self; 4] {
        [
            (Program::etcdctl_of(etcd), true),
            (Program::Etcdkit, true),
            (Program::etcdctl_of(etcd), false),
            (Program::Etcdkit, false),
        ]
        .map(|(program, on_real)| Self { program, on_real })
    }

    /// A server to run it on.
    pub(crate) fn place(&self, etcd: &Binary) -> Place {
        match self.on_real {
            true => Place::real(etcd),
            false => Place::embedded(),
        }
    }
}

/// A server with nothing in it.
pub(crate) struct Place {
    endpoint: String,
    /// It runs as long as both are there.
    _server: Box<dyn Any>,
    _runtime: Runtime,
}

impl Place {
    pub(crate) fn real(etcd: &Binary) -> Self {
        let runtime = Runtime::new().unwrap();
        let builder = Cluster::builder(etcd).flag("--enable-v2=true");
        let cluster = runtime.block_on(builder.start()).unwrap();
        let place = Self {
            endpoint: cluster.endpoint().to_owned(),
            _server: Box::new(cluster),
            _runtime: runtime,
        };
        // The member notes the cluster's version in the tree, too: a write before that has another index.
        let mut asked = 0;
        while !place
            .also(&["version", "--server"])
            .contains("cluster version: 3.")
        {
            asked += 1;
            assert!(asked < 1_000, "the cluster never has a version");
        }
        place
    }

    pub(crate) fn embedded() -> Self {
        let runtime = Runtime::new().unwrap();
        let builder = Server::builder().listen("127.0.0.1:0").enable_v2(true);
        let server = runtime.block_on(builder.start()).unwrap();
        Self {
            endpoint: server.endpoint(),
            _server: Box::new(server),
            _runtime: runtime,
        }
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(crate) fn mask(&self) -> Mask {
        Mask::of(&self.endpoint)
    }

    /// Runs another command to its end; by etcdkit, which is not what is compared here.
    pub(crate) fn also(&self, args: &[&str]) -> String {
        let mut command = Program::Etcdkit.command();
        command.args(["--endpoints", &self.endpoint]);
        let ran = run(command, args, b"");
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.stdout()
    }
}
