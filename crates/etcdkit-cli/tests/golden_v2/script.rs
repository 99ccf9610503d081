//! The commands that are compared, in order: later ones see what earlier ones wrote.

use crate::{
    common::{Ran, run},
    mask::Masked,
    stage::Program,
};

/// A command, and how it is compared.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    line: &'static str,
    stdin: &'static str,
    env: Vec<(&'static str, &'static str)>,
    /// Fails in etcdkit with words of its own: for its errors, and where etcdctl prints those of Go's
    /// libraries.
    own_words: bool,
    /// Explains the command in words of its own, which etcdctl prints to standard output.
    explains: bool,
    /// Lists what is in a directory in the server's order, which is another each time.
    unordered: bool,
}

impl Step {
    pub(crate) fn title(&self) -> String {
        let env = self
            .env
            .iter()
            .map(|(name, value)| format!("{name}={value} "));
        let stdin = match self.stdin {
            "" => String::new(),
            stdin => format!(" < {stdin:?}"),
        };
        format!("{}{}{stdin}", env.collect::<String>(), self.line)
    }

    /// Runs it on a server, which `<url>` stands for where the line or a variable names it.
    pub(crate) fn run(&self, program: &Program, endpoint: &str) -> Ran {
        let mut command = program.command();
        let named = self.line.contains("<url>");
        let env = self.env.iter();
        let env = env.map(|(name, value)| (*name, value.replace("<url>", endpoint)));
        if !named && !env.clone().any(|(_, value)| value == endpoint) {
            command.args(["--endpoints", endpoint]);
        }
        command.envs(env);
        let words = words(self.line);
        let words = words.iter().map(|word| word.replace("<url>", endpoint));
        run(command, words, self.stdin.as_bytes())
    }

    pub(crate) fn is_same(&self, program: &Program, expected: &Masked, found: &Masked) -> bool {
        let own_words = self.own_words && matches!(program, Program::Etcdkit);
        let stdout = |masked: &Masked| {
            let mut lines: Vec<_> = masked.stdout.lines().map(str::to_owned).collect();
            if self.unordered {
                lines.sort_unstable();
            }
            lines
        };
        let code = |masked: &Masked| match (program, masked.code) {
            // etcdctl 3.5 has v3's code for arguments that are missing; all before it have another.
            (Program::Etcdkit, Some(128)) => Some(1),
            (_, code) => code,
        };
        let explains = self.explains && matches!(program, Program::Etcdkit);
        let own_words = own_words || explains;
        (explains || stdout(expected) == stdout(found))
            && code(expected) == found.code
            && match own_words {
                true => expected.stderr.is_empty() == found.stderr.is_empty(),
                false => expected.stderr == found.stderr,
            }
    }

    fn own_words(mut self) -> Self {
        self.own_words = true;
        self
    }

    fn explains(mut self) -> Self {
        self.explains = true;
        self
    }

    fn unordered(mut self) -> Self {
        self.unordered = true;
        self
    }

    fn stdin(mut self, stdin: &'static str) -> Self {
        self.stdin = stdin;
        self
    }

    fn env(mut self, name: &'static str, value: &'static str) -> Self {
        self.env.push((name, value));
        self
    }
}

fn step(line: &'static str) -> Step {
    Step {
        line,
        stdin: "",
        env: Vec::new(),
        own_words: false,
        explains: false,
        unordered: false,
    }
}

/// Splits a line at spaces, but for what stands in single quotes.
pub(crate) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        match index % 2 {
            0 => words.extend(
                part.split(' ')
                    .filter(|word| !word.is_empty())
                    .map(str::to_owned),
            ),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

fn steps<const N: usize>(lines: [&'static str; N]) -> Vec<Step> {
    lines.map(step).to_vec()
}

pub(crate) fn script() -> Vec<Step> {
    [
        values(),
        directories_and_lists(),
        conditions(),
        in_order(),
        removals(),
        flags(),
        cluster(),
        auth(),
    ]
    .concat()
}

fn values() -> Vec<Step> {
    let mut all = steps([
        "set /a 1",
        "get /a",
        "get a",
        "get //a",
        "get a/",
        "-o simple get a",
        "-o extended get a",
        "-o json get a",
        "--output json get a",
        "get --sort a",
        "get --quorum a",
        "get -q a",
        "get a -q",
        "get --quorum=true a",
        "get",
        "get none",
        "get none/of/this",
        "get a/b",
        "-o json get none",
        "-o extended get none",
        "get /",
        "set",
        "set a 2",
        "-o extended set a 3",
        "-o json set a 4",
        "-o json set /b/c/d 1",
        "get b",
        "-o json get b",
        "set b 1",
        "set a/b 1",
        "set / 1",
        "set 'a b' 'x y'",
        "get 'a b'",
        "set 'ü/é' '日本'",
        "-o json get 'ü/é'",
        "-o json set sign '<&>'",
        "-o json get sign",
        "set a -1",
        "set -- a -x",
        "set -- -a --ttl",
        "get -- -a",
        "set 'q?x=1&y' '1+1=2&3%'",
        "get 'q?x=1&y'",
        "set --ttl 100 t 1",
        "set t 1 --ttl 100",
        "-o json set t 2 --ttl 100",
        "-o json get t",
        "-o extended set t 2 --ttl 100",
        "-o json set t 2",
        "update a 5",
        "-o json update a 6",
        "-o extended update a 7 --ttl 100",
        "update none 1",
        "update b 1",
        "update",
        "mk m 1",
        "mk m 2",
        "-o json mk m2 1",
        "-o extended mk m3 1 --ttl 100",
        "mk b 1",
        "mk",
    ]);
    all.extend([
        step("set a").stdin("from input\n"),
        step("get a"),
        step("update a").stdin("again"),
        step("get a"),
        step("mk m4").stdin("new"),
        step("set a"),
        step("update a"),
        step("mk m5"),
    ]);
    all
}

fn directories_and_lists() -> Vec<Step> {
    let mut all = steps([
        "mkdir d",
        "mkdir d",
        "mkdir a",
        "mkdir",
        "mkdir /",
        "mkdir d/e/f",
        "-o json mkdir d2",
        "-o extended mkdir d3 --ttl 100",
        "setdir d4",
        "setdir d",
        "setdir m",
        "-o json setdir d5 --ttl 100",
        "setdir",
        "set d/1 x",
        "set d/e/2 y",
        "set d/_hidden z",
        "ls --sort",
        "ls --sort /",
        "ls --sort -p",
        "ls --sort -r",
        "ls --sort -r -p d",
        "ls --sort --recursive --quorum d",
        "ls --sort -q d",
        "ls d/_hidden",
        "ls a",
        "ls none",
        "-o json ls --sort d",
        "-o json ls --sort -r d",
        "-o json ls a",
        "-o extended ls d",
        "-o extended ls",
    ]);
    all.extend([
        step("ls").unordered(),
        step("ls -r").unordered(),
        step("ls d").unordered(),
    ]);
    all
}

fn conditions() -> Vec<Step> {
    steps([
        "set c 1",
        "set --swap-with-value 2 c 3",
        "set --swap-with-value 1 c 3",
        "set c 4 --swap-with-value 3",
        "-o json set --swap-with-value 4 c 5",
        "-o extended set --swap-with-value 5 c 6 --ttl 100",
        "set --swap-with-index 1 c 7",
        "set --swap-with-index 1 --swap-with-value 1 c 7",
        "set --swap-with-index 1 --swap-with-value 6 c 7",
        "set --swap-with-value 1 none 7",
        "set --swap-with-value 1 d 7",
        "rm --with-value 1 c",
        "rm --with-index 1 c",
        "rm --with-index 1 --with-value 1 c",
        "rm --with-value 1 none",
        "rm --with-value 1 d",
        "rm --with-value 6 c",
        "set c 1",
        "-o json rm --with-value 1 c",
        "set c 1",
        "-o extended rm --with-value 1 c",
    ])
}

fn in_order() -> Vec<Step> {
    steps([
        "mk --in-order q 1",
        "-o json mk --in-order q 2",
        "-o extended mk --in-order q 3",
        "-o json mk --in-order --ttl 100 q 4",
        "mk --in-order a 1",
        "mk --in-order / root",
        "mk --in-order",
        "ls --sort q",
        "-o json ls --sort q",
    ])
}

fn removals() -> Vec<Step> {
    steps([
        "rm a",
        "rm a",
        "rm",
        "rm /",
        "rm -r /",
        "rm d",
        "rm --dir d",
        "rmdir d",
        "rmdir d2",
        "rmdir d2",
        "rmdir",
        "-o json rmdir d3",
        "-o extended rmdir d4",
        "rmdir m",
        "rm --dir d5",
        "rm --dir m2",
        "-o json rm -r d",
        "rm -r q",
        "-o extended rm --recursive b",
        "rm -r m3",
        "-o json rm m4",
        "-o extended rm t",
        "ls --sort",
    ])
}

/// Where servers are named, and how.
fn flags() -> Vec<Step> {
    let mut all = steps([
        "set k v",
        "--endpoints <url> get k",
        "--endpoints=<url> get k",
        "--endpoint <url> get k",
        "--peers <url> get k",
        "-C <url> get k",
        "--endpoints http://127.0.0.1:1,<url> get k",
        "--no-sync get k",
        "--timeout 5s --total-timeout 7s get k",
        "--total-timeout 1m30s get k",
    ]);
    all.extend([
        step("get k").env("ETCDCTL_ENDPOINTS", "<url>"),
        step("get k").env("ETCDCTL_ENDPOINT", "<url>"),
        step("get k").env("ETCDCTL_PEERS", "<url>"),
        step("--endpoints <url> get k").env("ETCDCTL_ENDPOINTS", "http://127.0.0.1:1"),
        step("--endpoints http://127.0.0.1:1 get k")
            .own_words()
            .env("ETCDCTL_ENDPOINTS", "<url>"),
        step("--endpoints http://127.0.0.1:1 --no-sync get k")
            .own_words()
            .env("ETCDCTL_ENDPOINTS", "<url>"),
        step("--endpoints http://127.0.0.1:1 --no-sync member list")
            .own_words()
            .env("ETCDCTL_ENDPOINTS", "<url>"),
        step("--endpoints http://127.0.0.1:1 cluster-health")
            .own_words()
            .env("ETCDCTL_ENDPOINTS", "<url>"),
        step("--timeout bad get k").explains(),
        step("get --bogus k").explains(),
        step("set --ttl x k v").explains(),
        step("--ca-file /none get k").own_words(),
        step("--cert-file /none --key-file /none get k").own_words(),
        step("--total-timeout 0s get k").own_words(),
        step("bogus").own_words(),
        step("member bogus").own_words(),
        step("put k v").own_words(),
    ]);
    all
}

fn cluster() -> Vec<Step> {
    let mut all = steps([
        "member list",
        "member list x",
        "member add",
        "member add n",
        "member remove",
        "member remove 1",
        "member remove nonsense",
        "member update",
        "member update 1 http://127.0.0.1:1",
        "member update nonsense http://127.0.0.1:1",
        "cluster-health",
    ]);
    all.extend([
        step("member add n nonsense").own_words(),
        step("member update 1 nonsense").own_words(),
    ]);
    all
}

fn auth() -> Vec<Step> {
    let mut all = steps([
        "auth enable x",
        "auth enable",
        "auth disable",
        "user list",
        "user list x",
        "user add",
        "user add u:pw",
        "user get",
        "user get u",
        "user get none",
        "user grant u",
        "user grant",
        "user revoke u",
        "user grant none --roles r",
        "user passwd",
        "user remove",
        "user remove none",
        "role list",
        "role list x",
        "role add",
        "role add r",
        "role add r",
        "role add root",
        "role get",
        "role get r",
        "role get none",
        "role get root",
        "role grant r",
        "role grant r --path k",
        "role grant r --path /a//b/",
        "role grant r --path /k",
        "role grant r --path /k --read --write",
        "role grant --path /k --read",
        "role grant none --path /k --read",
        "role grant r --path '/k/*' --read",
        "role grant r --path '/k/*' --read",
        "role grant --write --path /w r",
        "role grant --rw --path /rw r",
        "role grant r --readwrite --path /rw2",
        "role get r",
        "role revoke r --path /none --read",
        "role revoke r --path /rw --write",
        "role revoke r --path /rw2 --readwrite",
        "role get r",
        "role list",
        "user grant u --roles r",
        "user grant u --roles r",
        "user get u",
        "role add r2",
        "user grant --roles r2 u",
        "user get u",
        "user revoke u --roles none",
        "user revoke u --roles r2",
        "user add root:secret",
        "user get root",
        "user list",
        "auth enable",
        "-u root:secret auth enable",
        "-u root:secret user list",
        "-u root:wrong user list",
        "user list",
        "-u root:secret role list",
        "-u root:secret role get guest",
        "get k",
        "-u root:secret role revoke guest --path '/*' --rw",
        "get k",
        "set k 1",
        "ls",
        "-u u:pw get k",
        "-u u:pw set w 1",
        "-u u:pw set x 1",
        "-u u:wrong get k",
        "--username root:secret get k",
        "-u root:secret user remove root",
        "member list",
        "-u root:secret role remove r2",
        "-u root:secret role remove root",
        "-u root:secret role remove none",
        "cluster-health",
    ]);
    all.extend([
        step("get k").env("ETCDCTL_USERNAME", "root:secret"),
        step("-u u:pw get k").env("ETCDCTL_USERNAME", "root:secret"),
        // etcdctl does not read this refusal.
        step("role list").own_words(),
        // etcdctl's messages of Go's own.
        step("auth disable"),
        step("-u root:secret auth disable"),
        step("user add e:").own_words(),
        step("user remove u"),
        step("user remove root"),
        step("user list"),
    ]);
    all
}

/// What etcd 3.5 cannot do.
pub(crate) fn directories() -> Vec<Step> {
    steps([
        "mkdir dt",
        "setdir dt --ttl 100",
        "updatedir dt --ttl 100",
        "updatedir dt",
        "-o json updatedir dt --ttl 100",
        "-o extended updatedir dt",
        "updatedir none",
        "updatedir",
        "set dt/k v",
        "updatedir dt/k",
        "get dt/k",
    ])
}
