//! Where etcdkit departs from etcdctl, on purpose.

use crate::{
    common::run,
    script::words,
    stage::{Place, Program, etcds},
};

/// A departure from etcdctl, with its reason and both exit codes.
struct Departure {
    line: &'static str,
    stdin: &'static [u8],
    etcdctl: i32,
    etcdkit: i32,
    #[allow(dead_code, reason = "for readers")]
    why: &'static str,
}

const fn depart(line: &'static str, [etcdctl, etcdkit]: [i32; 2], why: &'static str) -> Departure {
    Departure {
        line,
        stdin: b"",
        etcdctl,
        etcdkit,
        why,
    }
}

/// Every known departure with an exit code of its own, on a server with the key `k` and the user `u`.
/// Others, which no exit code shows:
///
/// - arguments that are missing have the exit code of etcdctl up to 3.4, and not that of 3.5;
/// - help and refusals of flags are in clap's words, the latter on standard error only; `--version` and
///   `version` name etcdkit;
/// - errors of the client itself (no server, time over, files) have more to say;
/// - asking for the members, as every command does without --no-sync, drops no endpoint that answers for
///   one that does not;
/// - --debug leaves out values, and quotes URLs for shells; queries and forms have no parameters that say
///   nothing;
/// - flags may stand behind arguments, and after another: etcdctl takes `--ttl` in
///   `mk --in-order d v --ttl 9` for the value;
/// - `exec-watch KEY -- COMMAND` watches KEY also without a flag before it, for which etcdctl takes the
///   last word;
/// - of flags and variables that name endpoints, any flag comes first;
/// - the index that `-o extended` shows for a watch is that of the change;
/// - a change that was missed for good ends a watch that goes on, also when the connection was lost;
/// - a write that a member does not answer within --timeout is not sent to the others, since it may still be
///   made; a read goes on, also with one endpoint, until --total-timeout is over; and where --timeout is not
///   given, 2s limit connecting only.
const ON_PURPOSE: &[Departure] = &[
    depart(
        "-o bogus get k",
        [0, 1],
        "etcdctl gets it, and cannot show it",
    ),
    depart("get k x", [0, 1], "etcdctl ignores the second argument"),
    depart(
        "set k a b",
        [0, 1],
        "etcdctl sets the first word of an unquoted value",
    ),
    depart("ls / x", [0, 1], "etcdctl ignores the second argument"),
    depart("set k v --ttl -5", [0, 1], "etcdctl sets it for ever"),
    depart(
        "set k v --swap-with-index -5",
        [4, 1],
        "etcdctl sends 2^64 - 5",
    ),
    depart(
        "get ../k",
        [4, 0],
        "etcdctl does not follow the server's redirect",
    ),
    depart(
        "user add u:new",
        [0, 1],
        "etcdctl changes the password of the user",
    ),
    depart("ls -pr", [1, 0], "etcdctl knows no flags behind one dash"),
    depart("health", [3, 0], "a shorter name"),
    depart("members list", [3, 0], "another name"),
    depart(
        "cas k v --with-value none",
        [3, 4],
        "a command of etcdkit's own",
    ),
    depart(
        "cad k --with-value none",
        [3, 4],
        "a command of etcdkit's own",
    ),
    depart("in-order q v", [3, 0], "a command of etcdkit's own"),
    depart("stats", [3, 0], "a command of etcdkit's own"),
    depart("machines", [3, 0], "a command of etcdkit's own"),
    depart("version", [3, 0], "a command of etcdkit's own"),
    depart("auth status", [3, 0], "a command of etcdkit's own"),
    depart("lock l --try -- true", [3, 0], "a command of etcdkit's own"),
    depart("leader get l", [3, 4], "a command of etcdkit's own"),
    Departure {
        stdin: b"\xff",
        ..depart("set k", [0, 1], "the value would not be read back as it is")
    },
];

#[test]
fn departures_are_the_listed_ones() {
    let etcd = etcds().remove(0);
    let place = Place::real(&etcd);
    place.also(&["set", "k", "v"]);
    place.also(&["user", "add", "u:pw"]);
    let mut wrong = Vec::new();
    for departure in ON_PURPOSE {
        for program in [Program::etcdctl_of(&etcd), Program::Etcdkit] {
            let mut command = program.command();
            command.args(["--endpoints", place.endpoint()]);
            let ran = run(command, words(departure.line), departure.stdin);
            let code = match program {
                Program::Etcdctl(_) => departure.etcdctl,
                Program::Etcdkit => departure.etcdkit,
            };
            if ran.code != Some(code) {
                wrong.push(format!("{program:?} {}: {ran:?}", departure.line));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
