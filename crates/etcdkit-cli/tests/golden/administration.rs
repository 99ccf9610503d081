//! Commands about leases, members, users and roles.

use crate::cases::{Case, FORMATS, read, write};

pub(crate) fn leases() -> Vec<Case> {
    let keep_alive = ["lease", "keep-alive", "--once", "<lease 1>"];
    let mut cases = vec![
        write(&["lease", "grant", "1000"]),
        write(&["lease", "grant", "5"]),
        write(&["lease", "grant", "2000"]),
        write(&["lease", "revoke", "<lease 2>"]),
        read(&["lease", "list"]),
        read(&["lease", "list", "-w", "json"]),
        read(&["lease", "list", "-w", "fields"]),
        read(&["lease", "list", "-w", "fields", "--hex"]).since(3, 6),
        write(&["put", "leased", "1", "--lease", "<lease 1>"]),
        read(&["get", "leased", "-w", "json"]),
        read(&["get", "leased", "-w", "fields"]),
        write(&keep_alive),
        write(&[&keep_alive[..], &["-w", "json"]].concat()),
        write(&[&keep_alive[..], &["-w", "fields"]].concat()),
        write(&[&keep_alive[..], &["-w", "fields", "--hex"]].concat()).since(3, 6),
    ];
    for format in FORMATS.into_iter().filter(|format| *format != "protobuf") {
        for flags in [&[][..], &["--keys"]] {
            for id in ["<lease 1>", "<lease 2>", "77"] {
                let words = [&["lease", "timetolive", id, "-w", format], flags].concat();
                cases.push(write(&words).varies());
            }
        }
    }
    cases.extend([
        write(&["lease", "revoke", "<lease 1>", "-w", "json"]),
        write(&["lease", "revoke", "<lease 3>", "-w", "fields"]),
        read(&["get", "leased"]),
        write(&["lease", "revoke", "<lease 1>"]),
        write(&["lease", "keep-alive", "--once", "<lease 1>", "-w", "simple"]),
        write(&["lease", "keep-alive", "<lease 1>"]),
        write(&["lease", "keep-alive", "<lease 1>", "-w", "json"]),
        read(&["lease", "list", "-w", "simple"]),
        write(&["lease", "grant", "9999999999999"]),
        read(&["lease", "grant"]),
        read(&["lease", "grant", "x"]),
        read(&["lease", "grant", "1", "2"]),
        read(&["lease", "revoke"]),
        read(&["lease", "revoke", "xyz"]),
        read(&["lease", "timetolive"]),
        read(&["lease", "timetolive", "xyz"]),
        read(&["lease", "keep-alive"]),
        read(&["lease", "keep-alive", "xyz", "--once"]),
        read(&["lease", "list", "-w", "table"]),
        read(&["lease", "list", "-w", "bogus"]),
    ]);
    cases
}

pub(crate) fn cluster() -> Vec<Case> {
    let mut cases = vec![
        read(&["alarm", "list"]),
        read(&["alarm", "list", "-w", "json"]),
        // Servers up to 3.4 send no header, which etcdctl up to 3.6 does not survive.
        read(&["alarm", "list", "-w", "fields"]).since(3, 7),
        read(&["alarm", "disarm"]),
        read(&["alarm", "list", "x"]),
        read(&["alarm", "disarm", "x"]),
        write(&["defrag"]).varies().since(3, 6),
        write(&["defrag", "--cluster", "-w", "json"])
            .varies()
            .since(3, 6),
        read(&["move-leader", "1"]),
        read(&["move-leader"]),
        read(&["move-leader", "1", "2"]),
        read(&["move-leader", "xyz"]),
    ];
    let downgrades: [&[&str]; 10] = [
        &["downgrade", "validate", "3.1"],
        &["downgrade", "validate", "x"],
        &["downgrade", "enable", "3.1"],
        &["downgrade", "enable", "x"],
        &["downgrade", "cancel"],
        &["downgrade", "validate"],
        &["downgrade", "validate", "a", "b"],
        &["downgrade", "validate", ""],
        &["downgrade", "enable"],
        &["downgrade", "enable", "a", "b"],
    ];
    let downgrades = downgrades.into_iter().map(write);
    cases.extend(downgrades.map(|case| case.since(3, 6).server(3, 5)));
    cases
}

pub(crate) fn users_and_roles() -> Vec<Case> {
    let mut cases = Vec::new();
    let grant = ["role", "grant-permission", "r"];
    let revoke = ["role", "revoke-permission", "r"];
    let each: [(&[&str], &[&str], &str); 22] = [
        (&["role", "add", "r"], &[], ""),
        (&grant, &["readwrite", "k"], ""),
        (&grant, &["read", "--prefix", "k"], ""),
        (&grant, &["WRITE", "k", "--from-key"], ""),
        (&grant, &["write", "a", "b"], ""),
        (&grant, &["read", "", "--prefix"], ""),
        (&["role", "get", "r"], &[], ""),
        (&["role", "list"], &[], ""),
        (&revoke, &["a", "b"], ""),
        (&revoke, &["k", "--from-key"], ""),
        (&revoke, &["k", "--prefix"], ""),
        (&revoke, &["k"], ""),
        (&revoke, &["", "--from-key"], ""),
        (&["user", "add", "u:secret"], &[], ""),
        (&["user", "grant-role", "u", "r"], &[], ""),
        (&["user", "get", "u"], &[], ""),
        (&["user", "get", "u", "--detail"], &[], ""),
        (&["user", "list"], &[], ""),
        (&["user", "passwd", "u"], &["--interactive=false"], "new\n"),
        (&["user", "revoke-role", "u", "r"], &[], ""),
        (&["user", "delete", "u"], &[], ""),
        (&["role", "delete", "r"], &[], ""),
    ];
    for format in ["simple", "fields", "json"] {
        for (words, more, stdin) in each {
            let words = [&["-w", format], words, more].concat();
            cases.push(Case::new(&words, stdin));
        }
    }
    let passwd = ["user", "passwd", "nobody", "--interactive=false"];
    let add = ["user", "add", "y", "--interactive=false"];
    cases.extend([
        write(&["user", "add", "x", "--new-user-password", "a:b"]),
        Case::new(&add, "secret words\n"),
        Case::new(&passwd, "other\n"),
    ]);
    let others: [&[&str]; 32] = [
        &["user", "add", "z", "--no-password"],
        &["user", "add", "z:again"],
        &["user", "add", ":secret"],
        &["user", "add"],
        &["user", "add", "a", "b"],
        &["user", "get", "nobody"],
        &["user", "delete", "nobody"],
        &["user", "grant-role", "x", "nothing"],
        &["user", "grant-role", "nobody", "root"],
        &["user", "revoke-role", "x", "nothing"],
        &["user", "get"],
        &["user", "delete"],
        &["user", "passwd"],
        &["user", "grant-role", "x"],
        &["user", "revoke-role", "x"],
        &["user", "list", "x"],
        &["role", "get", "nothing"],
        &["role", "delete", "nothing"],
        &["role", "grant-permission", "nothing", "read", "k"],
        &["role", "grant-permission", "nothing", "look", "k"],
        &["role", "grant-permission", "nothing", "read"],
        &[
            "role",
            "grant-permission",
            "r",
            "read",
            "k",
            "--prefix",
            "--from-key",
        ],
        &[
            "role",
            "grant-permission",
            "r",
            "read",
            "k",
            "l",
            "--prefix",
        ],
        &[
            "role",
            "grant-permission",
            "r",
            "read",
            "k",
            "l",
            "--from-key",
        ],
        &["role", "revoke-permission", "nothing", "k"],
        &["role", "revoke-permission", "nothing"],
        &["role", "add"],
        &["role", "delete"],
        &["role", "get"],
        &["role", "list", "x"],
        &["auth", "enable", "x"],
        &["auth", "disable", "x"],
    ];
    cases.extend(others.into_iter().map(write));
    let status = |words| write(words).since(3, 5).server(3, 5);
    cases.extend([
        status(&["auth", "status", "x"]),
        status(&["auth", "status"]),
        status(&["auth", "status", "-w", "json"]),
        status(&["auth", "status", "-w", "fields"]),
        write(&["auth", "enable"]),
    ]);
    cases
}

/// With authentication on, from the middle of this list to its end.
pub(crate) fn authenticated() -> Vec<Case> {
    let root = ["--user", "root:secret"];
    let as_root = |words: &[&'static str]| write(&[&root[..], words].concat());
    vec![
        write(&["user", "add", "root:secret"]),
        write(&["role", "add", "reader"]),
        write(&[
            "role",
            "grant-permission",
            "reader",
            "read",
            "b",
            "--prefix",
        ]),
        write(&["user", "grant-role", "x", "reader"]),
        write(&["auth", "enable", "--hex"]),
        as_root(&["auth", "enable"]),
        as_root(&["put", "b/secret", "1"]),
        write(&["--user", "root", "--password", "secret", "get", "b/secret"]),
        write(&["--user", "x", "--password", "a:b", "get", "b/secret"]),
        write(&["--user", "x:a:b", "get", "b/secret"]),
        write(&["--user", "x:a:b", "put", "b/secret", "2"]),
        write(&["--user", "x:a:b", "get", "a"]),
        write(&["--user", "x:a:b", "user", "list"]),
        write(&["--user", "x:wrong", "get", "b/secret"]),
        write(&["--user", "nobody:secret", "get", "b/secret"]),
        write(&["--password", "secret", "get", "b/secret"]),
        write(&["get", "b/secret"]),
        as_root(&["auth", "status"]).since(3, 5).server(3, 5),
        as_root(&["role", "get", "root"]).since(3, 6),
        as_root(&["role", "add", "root"]),
        as_root(&["user", "delete", "root"]),
        as_root(&["endpoint", "health"]).varies().since(3, 5),
        write(&["--user", "x:a:b", "auth", "disable"]),
        as_root(&["auth", "disable"]),
        as_root(&["get", "b/secret"]),
        write(&["auth", "disable"]),
    ]
}

/// Changes of the members, which cost the cluster no quorum: the new one never votes.
pub(crate) fn members() -> Vec<Case> {
    let url = "http://127.0.0.1:1001";
    let add = ["member", "add", "new", "--learner", "--peer-urls"];
    let changes = [
        write(&[&add[..], &[url]].concat()).since(3, 6),
        write(&["member", "list", "-w", "simple"]),
        write(&["member", "update", "<peer 1>", "--peer-urls", url]),
        write(&[
            "member",
            "update",
            "<peer 1>",
            "-w",
            "json",
            "--peer-urls",
            url,
        ]),
        write(&["member", "promote", "<peer 1>"]),
        write(&["member", "remove", "<peer 1>"]),
        write(&["member", "remove", "<peer 1>", "-w", "json"]),
        write(&[&add[..], &["http://127.0.0.1:1002"]].concat()).since(3, 6),
        write(&["member", "remove", "<peer 2>", "-w", "json", "--hex"]).since(3, 7),
    ];
    // Members come by their ids, which differ from cluster to cluster.
    let changes = changes.into_iter().map(Case::unordered);
    let wrong: [&[&str]; 12] = [
        &["member", "add"],
        &["member", "add", "a"],
        &["member", "add", "a", "http://b:1"],
        &["member", "add", "a", "--peer-urls", "nonsense"],
        &["member", "remove"],
        &["member", "remove", "xyz"],
        &["member", "remove", "1"],
        &["member", "update", "1"],
        &["member", "update", "1", "--peer-urls", url],
        &["member", "update", "--peer-urls", url],
        &["member", "promote"],
        &["member", "promote", "1"],
    ];
    let cases = changes.chain(wrong.into_iter().map(write));
    cases.map(Case::real_only).collect()
}
