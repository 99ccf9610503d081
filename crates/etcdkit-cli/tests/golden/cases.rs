//! The commands that are compared, in order: later ones see what earlier ones wrote.

use crate::{administration, ids::Ids};

/// A command, and how it is compared.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    words: Vec<&'static str>,
    pub(crate) stdin: &'static str,
    /// Writes nothing, so that both programs run on one server and must print the same bytes.
    pub(crate) reads: bool,
    /// Prints times or sizes, whose digits are not compared.
    pub(crate) varies: bool,
    /// The first version of etcdctl that behaves like this.
    pub(crate) since: (u32, u32),
    /// The first version of etcd that has the request.
    pub(crate) server: (u64, u64),
    /// Prints a list in an order that differs from server to server.
    pub(crate) unordered: bool,
    /// Nothing that the embedded server does.
    pub(crate) real_only: bool,
}

impl Case {
    pub(crate) fn new(words: &[&'static str], stdin: &'static str) -> Self {
        Self {
            words: words.to_vec(),
            stdin,
            reads: false,
            varies: false,
            since: (3, 4),
            server: (3, 4),
            unordered: false,
            real_only: false,
        }
    }

    pub(crate) fn since(mut self, major: u32, minor: u32) -> Self {
        self.since = (major, minor);
        self
    }

    pub(crate) fn server(mut self, major: u64, minor: u64) -> Self {
        self.server = (major, minor);
        self
    }

    pub(crate) fn unordered(mut self) -> Self {
        self.unordered = true;
        self
    }

    pub(crate) fn real_only(mut self) -> Self {
        self.real_only = true;
        self
    }

    pub(crate) fn varies(mut self) -> Self {
        self.varies = true;
        self
    }

    pub(crate) fn title(&self) -> String {
        let stdin = match self.stdin {
            "" => String::new(),
            stdin => format!(" < {}", stdin.escape_debug()),
        };
        format!("{}{stdin}", self.words.join(" ").escape_debug())
    }

    pub(crate) fn is_table(&self) -> bool {
        self.words.contains(&"table")
    }

    pub(crate) fn is_binary(&self) -> bool {
        self.words.contains(&"protobuf")
    }

    /// The command line for a server, with ids of its own.
    pub(crate) fn args(&self, endpoint: &str, ids: &Ids) -> Vec<String> {
        let own = self
            .words
            .iter()
            .any(|word| word.starts_with("--endpoints"));
        let server = ["--endpoints", endpoint].into_iter().filter(|_| !own);
        let words = self.words.iter().map(|word| ids.insert(word));
        server.map(str::to_owned).chain(words).collect()
    }
}

/// A command that writes.
pub(crate) fn write(words: &[&'static str]) -> Case {
    Case::new(words, "")
}

/// A command that reads.
pub(crate) fn read(words: &[&'static str]) -> Case {
    Case {
        reads: true,
        ..Case::new(words, "")
    }
}

/// A transaction that writes.
fn txn(stdin: &'static str, flags: &[&'static str]) -> Case {
    Case::new(&[&["txn"], flags].concat(), stdin)
}

/// A command for a server that is not there.
fn lost(words: &[&'static str]) -> Case {
    let nowhere = ["--endpoints", "127.0.0.1:1", "--command-timeout", "200ms"];
    read(&[&nowhere, words].concat())
}

pub(crate) const FORMATS: [&str; 4] = ["simple", "fields", "json", "protobuf"];

pub(crate) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(puts());
    cases.extend(gets());
    cases.extend(transactions());
    cases.extend(deletes());
    cases.extend(compactions());
    cases.extend(maintenance());
    cases.extend(wrong_arguments());
    cases.extend(administration::leases());
    cases.extend(administration::cluster());
    cases.extend(administration::users_and_roles());
    cases.extend(administration::authenticated());
    cases.extend(administration::members());
    cases
}

fn puts() -> Vec<Case> {
    vec![
        write(&["put", "a", "1"]),
        write(&["put", "a", "2", "--prev-kv"]),
        write(&["put", "a", "3", "--prev-kv", "-w", "json"]),
        write(&["put", "a", "4", "--prev-kv", "-w", "fields"]),
        write(&["put", "a", "5", "-w", "json"]),
        write(&["put", "a", "6", "-w", "fields"]),
        write(&["put", "a", "7", "--prev-kv", "--hex"]),
        write(&["put", "a", "8", "--prev-kv", "--hex", "-w", "fields"]).since(3, 6),
        write(&["put", "a", "--ignore-value", "--prev-kv"]),
        write(&["put", "a", "9", "--ignore-lease"]),
        write(&["put", "a", "10", "--prev-kv=false"]),
        write(&["put", "b", "é <&> \"quoted\" \\ tab\t日"]),
        write(&["put", "b/1", "one"]),
        write(&["put", "b/2", ""]),
        write(&["put", "b/3", "three"]),
        write(&["p", "c", "3"]),
        Case::new(&["put", "d"], "from\nstdin"),
        Case::new(&["put", "line"], "one line\n"),
        Case::new(
            &["put", "binary"],
            "\0\u{1}\u{7f}\u{80}\u{a0}\u{300}\u{e0001}😀\r\n",
        ),
        write(&["put", "--", "-dash", "-value"]),
        write(&["--write-out=json", "put", "e", "5"]),
        write(&["put", "none", "--ignore-value"]),
        write(&["put", "none", "v", "--lease", "7"]),
        write(&["put", "", "v"]),
    ]
}

fn gets() -> Vec<Case> {
    let mut cases = Vec::new();
    let each: [&[&str]; 30] = [
        &["get", "a"],
        &["get", "none"],
        &["get", "b"],
        &["get", "binary"],
        &["get", "--", "-dash"],
        &["get", "b", "--prefix"],
        &["get", "b/", "--prefix", "--limit", "2"],
        &["get", "b/", "--prefix", "--limit=0x2"],
        &["get", "b/", "--prefix", "--limit", "-1"],
        &["get", "", "--prefix"],
        &["get", "", "--from-key"],
        &["get", "c", "--from-key"],
        &["get", "b", "d"],
        &["get", "b", "b"],
        &["get", "b", "--prefix", "--keys-only"],
        &["get", "b", "--prefix", "--keys-only=false"],
        &["get", "", "--prefix", "--order", "DESCEND"],
        &["get", "", "--prefix", "--order", "ascend"],
        &["get", "", "--prefix", "--sort-by", "MODIFY"],
        &[
            "get",
            "",
            "--prefix",
            "--sort-by",
            "create",
            "--order",
            "descend",
        ],
        &[
            "get",
            "",
            "--prefix",
            "--sort-by",
            "VALUE",
            "--order",
            "DESCEND",
        ],
        &[
            "get",
            "",
            "--prefix",
            "--sort-by",
            "VERSION",
            "--limit",
            "3",
        ],
        &[
            "get",
            "",
            "--prefix",
            "--sort-by",
            "KEY",
            "--order",
            "ASCEND",
        ],
        &["get", "a", "--rev", "3"],
        &["get", "a", "--rev", "-3"],
        &["get", "none", "--rev", "3"],
        &["get", "a", "--consistency", "s"],
        &["get", "a", "--consistency=l"],
        &[
            "get", "b", "--prefix", "--rev", "16", "--limit", "1", "--order", "DESCEND",
        ],
        &["g", "a"],
    ];
    for words in each {
        for format in FORMATS {
            cases.push(read(&[&["-w", format], words].concat()));
        }
    }
    for format in FORMATS {
        let hex = read(&["get", "b", "--prefix", "--hex", "-w", format]);
        cases.push(if format == "fields" {
            hex.since(3, 6)
        } else {
            hex
        });
        for filter in [
            "--min-mod-rev",
            "--max-mod-rev",
            "--min-create-rev",
            "--max-create-rev",
        ] {
            let words = ["get", "", "--prefix", filter, "14", "-w", format];
            cases.push(read(&words).since(3, 6));
        }
    }
    cases.extend([
        read(&["get", "b", "--prefix", "--count-only", "-w", "fields"]).since(3, 5),
        read(&["get", "none", "--count-only", "-w", "fields"]).since(3, 5),
        read(&["get", "b", "--prefix", "--print-value-only"]),
        read(&["get", "b", "--prefix", "--print-value-only", "--hex"]),
        read(&["get", "b", "--prefix", "--print-value-only", "--keys-only"]),
        read(&["get", "a", "--rev", "99999"]),
        read(&["get", ""]),
        read(&[
            "--command-timeout",
            "1m0.5s",
            "--dial-timeout=500ms",
            "get",
            "a",
        ]),
        read(&[
            "--keepalive-time",
            "1s",
            "--keepalive-timeout",
            "1s",
            "get",
            "a",
        ]),
        read(&[
            "--insecure-transport=true",
            "--insecure-discovery",
            "get",
            "a",
        ]),
        read(&["get", "a", "--prefix", "--prefix=0"]),
    ]);
    cases
}

fn transactions() -> Vec<Case> {
    let mut cases = vec![
        txn("\n\n\n", &[]),
        txn("mod(\"a\") > \"0\"\n\nput t 1\n\nput t 2\n\n", &[]),
        txn(
            "mod(\"a\") < \"0\"\n\nput t 1\n\nput t 2\nget t2\n\n",
            &["-i"],
        ),
        txn(
            "ver(\"t\") = \"2\"\n\nput t 3 --prev-kv\nget a\n\n\n",
            &["--interactive"],
        ),
        txn(
            "version(\"none\") = \"0\"\ncreate(\"none\") = \"0\"\n\nget b --prefix --limit 2\n\n\n",
            &[],
        ),
        // Early patches of 3.5 lose a quoted key that holds a space.
        txn(
            "c(\"a\") != \"0\"\nm(\"a\") != \"0\"\n\nput 'k q' \"v\\t\\x41\\u00e9\\101\"\nget 'k q'\n\n\n",
            &[],
        ).since(3, 6),
        txn(
            "val(\"t\") = \"3\"\nvalue(\"t\") != `x`\n\ndel t --prev-kv\ndel none\n\n\n",
            &[],
        ),
        txn(
            "val(\"a\") > \"0\"\nval(\"a\") < \"9\"\n\np t 4\ng a\nd none\n\n\n",
            &[],
        ),
        txn(
            "  mod(  \"a\") >   \"0\"  \n\n  put   t \t 5  \n \t \n\n",
            &[],
        ),
        txn("\nput t a\"b\"c\nput \"q\"'r'\n\n\n", &[]),
        txn("\nput t \"\"\nget t\n\n\n", &[]),
        txn(
            "\nget a --print-value-only\nget b --prefix --count-only\n\n\n",
            &[],
        ).since(3, 5),
        txn(
            "\nget a --order descend --sort-by value --rev 4 --consistency s\n\n\n",
            &[],
        ),
        txn("\nput u 1\nput u 2\n\n\n", &[]),
        txn("\nput u 1\ndel u\n\n\n", &[]),
        txn("\nput u v --lease 7\n\n\n", &[]),
        txn("\nget a --rev 99999\n\n\n", &[]),
        txn("mod(\"\") > \"0\"\n\n\n\n", &[]),
        txn("", &[]),
        txn("\nput u v", &[]),
        txn("\nput u v\n\n", &[]),
        txn("mod(\"a\")> \"0\"\n\n\n\n", &[]),
        txn("mod(\"a\") > 0\n\n\n\n", &[]),
        txn("mod(a) > \"0\"\n\n\n\n", &[]),
        txn("mod\n\n\n\n", &[]),
        txn("bar(\"a\") > \"0\"\n\n\n\n", &[]),
        txn("mod(\"a\") > \"x\"\n\n\n\n", &[]),
        txn("\nput\n\n\n", &[]),
        txn("\nput k\n\n\n", &[]),
        txn("\nbar k\n\n\n", &[]),
        txn("\nput k v --bogus\n\n\n", &[]),
        txn("\nput k \"\\q\"\n\n\n", &[]),
        txn("\nget k --order bogus\n\n\n", &[]),
        txn("\nget k --prefix --from-key\n\n\n", &[]),
        txn("\ndel a b c\n\n\n", &[]),
        Case::new(&["txn", "x"], "\n\n\n"),
    ];
    for format in FORMATS {
        let stdin = "mod(\"a\") > \"0\"\n\nget a\nget none\nget b --prefix --keys-only\n\n\n";
        cases.push(Case {
            reads: true,
            since: if format == "json" { (3, 5) } else { (3, 4) },
            ..txn(stdin, &["-w", format])
        });
    }
    for (format, since) in [("fields", 4), ("json", 5)] {
        let stdin =
            "mod(\"a\") > \"0\"\n\nput t x --prev-kv\nget a\ndel none\ndel t2 --prev-kv\n\n\n";
        cases.push(txn(stdin, &["-w", format]).since(3, since));
        let other = txn("mod(\"a\") < \"0\"\n\n\nput t2 y\n\n", &["-w", format]);
        cases.push(other.since(3, since));
    }
    cases
}

fn deletes() -> Vec<Case> {
    vec![
        write(&["del", "none"]),
        write(&["del", "c"]),
        write(&["del", "d", "--prev-kv"]),
        write(&["del", "b/", "--prefix", "--prev-kv", "-w", "fields"]),
        write(&["del", "e", "--prev-kv", "-w", "json"]),
        write(&["del", "none", "-w", "json"]),
        write(&["put", "x1", "1"]),
        write(&["put", "x2", "2"]),
        write(&["put", "x3", "3"]),
        write(&["del", "x1", "x3", "--range", "--prev-kv"]).since(3, 5),
        write(&["del", "x", "--from-key"]),
        write(&["del", ""]),
    ]
}

fn compactions() -> Vec<Case> {
    vec![
        write(&["compaction", "4"]),
        write(&["compaction", "4"]).since(3, 4),
        write(&["compaction", "--", "-1"]),
        write(&["compaction", "99999"]),
        write(&["compaction", "--physical", "6"]),
        write(&["compaction", "-w", "json", "7"]),
        read(&["get", "a", "--rev", "6"]),
        read(&["get", "a", "--rev", "7"]),
    ]
    .into_iter()
    .enumerate()
    // The same compaction twice is two cases with one title.
    .filter(|(index, _)| *index != 1)
    .map(|(_, case)| case)
    .collect()
}

fn maintenance() -> Vec<Case> {
    let mut cases = vec![
        read(&["member", "list"]),
        read(&["mem", "l"]),
        read(&["member", "list", "-w", "json"]),
        read(&["member", "list", "-w", "protobuf"]),
        read(&["member", "list", "-w", "json", "--hex"]).since(3, 6),
        read(&["member", "list", "-w", "fields"]).since(3, 6),
        read(&["member", "list", "-w", "fields", "--hex"]).since(3, 6),
        read(&["member", "list", "--consistency", "s"]).since(3, 6),
        read(&["member", "list", "-w", "table"]).since(3, 7),
        read(&["endpoint", "hashkv", "--rev", "99999"]),
        read(&["endpoint", "hashkv", "--rev", "2"]),
        read(&["endpoint", "hashkv"]).since(3, 6),
        read(&["endpoint", "hashkv", "-w", "json"]).since(3, 6),
        read(&["endpoint", "hashkv", "-w", "fields"]).since(3, 6),
        read(&["endpoint", "hashkv", "--rev", "8"]).since(3, 6),
        read(&["endpoint", "hashkv", "--cluster", "-w", "json"]).since(3, 6),
        read(&["endpoint", "--cluster", "hashkv"]).since(3, 6),
        read(&["endpoint", "hashkv", "-w", "table"]).since(3, 7),
        // 3.4 prints the healthy ones on standard error, too.
        read(&["endpoint", "health"]).varies().since(3, 5),
    ];
    for format in ["fields", "json"] {
        cases.push(read(&["endpoint", "health", "-w", format]).varies());
    }
    for format in ["simple", "fields", "json"] {
        let status = read(&["endpoint", "status", "-w", format]).varies();
        cases.push(status.since(3, 6));
    }
    // Up to 3.6 tables are drawn in ASCII.
    for command in ["health", "status"] {
        let table = read(&["endpoint", command, "-w", "table"]).varies();
        cases.push(table.since(3, 7));
    }
    cases
}

fn wrong_arguments() -> Vec<Case> {
    // Up to 3.6 these are explained on standard output.
    let flags: [&[&str]; 15] = [
        &["get", "a", "--bogus"],
        &["get", "a", "-x"],
        &["get", "-5"],
        &["get", "a", "--limit"],
        &["get", "a", "--limit", "x"],
        &["get", "a", "--limit", "1.5"],
        &["get", "a", "--prefix=maybe"],
        &["--command-timeout", "5", "get", "a"],
        &["--dial-timeout", "x", "get", "a"],
        &["--hex=x", "get", "a"],
        &["compaction", "-1"],
        &["watch", "--bogus"],
        &["watch", "a", "--rev", "x"],
        &["lock", "a", "--ttl", "x"],
        &["lease", "grant", "--bogus"],
    ];
    let others: [&[&str]; 41] = [
        &["bogus"],
        &["get"],
        &["get", "a", "--prefix", "--from-key"],
        &["get", "a", "b", "--prefix"],
        &["get", "a", "b", "--from-key"],
        &["get", "a", "--order", "x"],
        &["get", "a", "--sort-by", "x"],
        &["get", "a", "--consistency", "x"],
        &["get", "a", "-w", "bogus"],
        &["get", "a", "-w", "table"],
        &["get", "a", "--print-value-only", "-w", "json"],
        &["--command-timeout", "0", "get", "a"],
        &["put"],
        &["put", "a"],
        &["put", "a", "b", "--lease", "xyz"],
        &["put", "a", "b", "--ignore-value"],
        &["del"],
        &["del", "a", "b", "c"],
        &["del", "a", "--prefix", "--from-key"],
        &["del", "a", "b", "--prefix"],
        &["compaction"],
        &["compaction", "1", "2"],
        &["compaction", "x"],
        &["compaction", "0x10"],
        &["endpoint", "health", "-w", "protobuf"],
        &["endpoint", "status", "-w", "protobuf"],
        &["endpoint", "hashkv", "-w", "bogus"],
        &["e", "health"],
        &["m", "list"],
        &["watch"],
        &["watch", "--", "echo"],
        &["watch", "a", "--"],
        &["watch", "a", "b", "--prefix"],
        &["watch", "a", "-w", "bogus"],
        &["snapshot", "save"],
        &["snapshot", "save", "a", "b"],
        &["lock"],
        &["elect"],
        &["elect", "a"],
        &["elect", "a", "b", "-l"],
        &["elect", "a", "b", "c"],
    ];
    let flags = flags.into_iter().map(|words| read(words).since(3, 7));
    let mut cases: Vec<Case> = flags.chain(others.into_iter().map(read)).collect();
    cases.extend([
        read(&["get", "a", "--keys-only", "--count-only"]).since(3, 5),
        read(&["get", "a", "--count-only"]).since(3, 5),
        read(&["get", "a", "--min-mod-rev", "5", "--max-mod-rev", "3"]).since(3, 6),
        read(&["get", "a", "--min-create-rev", "5", "--max-create-rev", "3"]).since(3, 6),
        read(&["member", "list", "--consistency", "x"]).since(3, 6),
        read(&["--endpoints", "", "get", "a"]),
        read(&["--cert", "", "get", "a"]),
        read(&["--cert", "/nonexistent", "get", "a"]),
        read(&["--cacert", "/nonexistent", "get", "a"]),
    ]);
    cases.extend([
        lost(&["get", "a"]),
        lost(&["put", "a", "b"]),
        lost(&["member", "list"]),
        lost(&["endpoint", "health"]),
        lost(&["endpoint", "status"]),
        lost(&["endpoint", "hashkv"]),
        lost(&["endpoint", "status", "-w", "json"]).since(3, 6),
        lost(&["endpoint", "hashkv", "-w", "table"]).since(3, 7),
    ]);
    cases
}
