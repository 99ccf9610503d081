//! Hiding what differs from server to server and from run to run.

use crate::{
    common::{Ran, run},
    stage::Program,
};

/// The names of one server, to be replaced by words.
#[derive(Clone, Debug)]
pub(crate) struct Mask {
    replacements: Vec<(String, &'static str)>,
}

/// What is left to compare.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Masked {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
}

impl Mask {
    /// Learns a server's names from itself.
    pub(crate) fn of(endpoint: &str) -> Self {
        let mut command = Program::Etcdkit.command();
        command.args(["--endpoints", endpoint]);
        // ID: name=N peerURLs=P clientURLs=C isLeader=true
        let ran = run(command, ["member", "list"], b"");
        let list = ran.stdout();
        let mut words = list.split_whitespace();
        let id = words.next().and_then(|id| id.strip_suffix(':'));
        let mut fields = words.filter_map(|word| word.split_once('='));
        let mut field = |name| {
            let found = fields.find(|(known, _)| *known == name);
            found.unwrap_or_else(|| panic!("{ran:?}")).1.to_owned()
        };
        let id = id.unwrap_or_else(|| panic!("{ran:?}")).to_owned();
        let (name, peer) = (field("name"), field("peerURLs"));
        Self {
            replacements: vec![
                (id, "<member>"),
                (format!("name={name} "), "name=<name> "),
                (format!("named {name};"), "named <name>;"),
                (peer, "<peer>"),
                (endpoint.to_owned(), "<url>"),
            ],
        }
    }

    pub(crate) fn apply(&self, ran: &Ran) -> Masked {
        let hide = |text: &str| {
            let text = self
                .replacements
                .iter()
                .fold(text.to_owned(), |text, (name, word)| {
                    text.replace(name, word)
                });
            without(&without(&text, "\"expiration\":\"", '"'), "\"ttl\":", ',')
        };
        Masked {
            stdout: hide(&ran.stdout()),
            stderr: hide(&ran.stderr),
            code: ran.code,
        }
    }
}

/// Replaces what follows a name, up to a character. A time to live shrinks while the script runs.
fn without(text: &str, name: &str, end: char) -> String {
    let mut parts = text.split(name);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(name);
        out.push('#');
        let rest = part.trim_start_matches(|c: char| c != end && c != '}');
        out.push_str(rest);
    }
    out
}
