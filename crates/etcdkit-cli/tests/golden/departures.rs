//! Where etcdkit departs from etcdctl, on purpose.

/// A departure from etcdctl, with its reason and both exit codes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Departure {
    pub(crate) args: &'static [&'static str],
    pub(crate) stdin: &'static str,
    pub(crate) env: &'static [(&'static str, &'static str)],
    pub(crate) etcdctl: i32,
    pub(crate) etcdkit: i32,
    #[allow(dead_code, reason = "for readers")]
    pub(crate) why: &'static str,
}

const fn depart(
    args: &'static [&'static str],
    stdin: &'static str,
    [etcdctl, etcdkit]: [i32; 2],
    why: &'static str,
) -> Departure {
    Departure {
        args,
        stdin,
        env: &[],
        etcdctl,
        etcdkit,
        why,
    }
}

/// Every known departure with an exit code of its own. Others, which no exit code shows, or not always:
///
/// - errors of the client itself have more to say, and `version` names etcdkit;
/// - tables that etcdctl up to 3.5 draws in ASCII look as in 3.7;
/// - unhealthy endpoints are listed in the order given;
/// - a format that cannot show a reply is refused before anything is done;
/// - `txn` and the commands about leases and users obey --command-timeout, and a watch must be open by
///   then;
/// - leases in protobuf are whole messages, not only their headers;
/// - an empty password on standard input is refused, and none is asked for without a terminal;
/// - the program that `lock` runs is told to end when the lock is lost, and by SIGTERM; etcdctl lets it run;
/// - `lock` ends when its key is deleted, and a wait as soon as its key or its lease is gone;
/// - a program of one `lock` inside another's has the variables of the inner one;
/// - `elect` ends when its key is deleted, and a wait as soon as its key or its lease is gone; `elect -l` says
///   on standard error when nobody leads, and outlasts lost connections and compactions;
/// - `lock` and `elect` revoke their leases at the end, so that nothing is left to run out.
pub(crate) const ON_PURPOSE: &[Departure] = &[
    depart(
        &["get", "a", "b", "c"],
        "",
        [0, 128],
        "etcdctl ignores the third argument",
    ),
    depart(
        &["put", "a", "b", "c"],
        "",
        [0, 128],
        "etcdctl stores only the first word of an unquoted value",
    ),
    depart(
        &["member", "list", "x"],
        "",
        [0, 128],
        "etcdctl ignores the argument",
    ),
    depart(
        &["endpoint", "status", "x"],
        "",
        [0, 128],
        "etcdctl ignores an endpoint given as an argument",
    ),
    depart(
        &["version", "x"],
        "",
        [0, 128],
        "etcdctl ignores the argument",
    ),
    depart(
        &["endpoint", "bogus"],
        "",
        [0, 1],
        "etcdctl prints help and succeeds",
    ),
    depart(
        &["get", "b", "a"],
        "",
        [0, 1],
        "a range that ends before it begins is a mistake",
    ),
    depart(
        &["txn"],
        "mod(\"a\") > \"0\" && mod(\"b\") > \"0\"\n\n\n\n",
        [0, 3],
        "etcdctl drops the second condition",
    ),
    depart(
        &["txn"],
        "\nput k \"unterminated\n\n\n",
        [0, 3],
        "etcdctl drops the quote",
    ),
    depart(
        &["txn"],
        "mod(\"a\") >= \"0\"\n\n\n\n",
        [2, 3],
        "etcdctl panics",
    ),
    depart(
        &["txn"],
        "lease(\"a\") = \"0\"\n\n\n\n",
        [2, 0],
        "etcdctl panics",
    ),
    depart(
        &["lease", "list", "x"],
        "",
        [0, 128],
        "etcdctl ignores the argument",
    ),
    depart(
        &["defrag", "x"],
        "",
        [0, 128],
        "etcdctl ignores an endpoint given as an argument",
    ),
    Departure {
        env: &[("ETCDCTL_ENDPOINTS", "127.0.0.1:1")],
        ..depart(
            &["get", "a"],
            "",
            [1, 0],
            "the flag wins over the variable; etcdctl refuses both",
        )
    },
    Departure {
        env: &[("ETCDCTL_COMMAND_TIMEOUT", "bad")],
        ..depart(
            &["get", "a"],
            "",
            [0, 1],
            "etcdctl ignores a variable it cannot read",
        )
    },
];
