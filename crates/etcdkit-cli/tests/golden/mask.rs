//! Hiding what differs from server to server and from run to run.

use crate::{
    cases::Case,
    common::{Ran, etcdkit, run},
    ids::Ids,
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
    /// The server's own error.
    pub(crate) error: String,
    pub(crate) code: i32,
}

impl Mask {
    /// Learns a server's ids and URLs from itself.
    pub(crate) fn of(endpoint: &str) -> Self {
        let args = ["--endpoints", endpoint, "member", "list", "-w", "fields"];
        let fields = run(etcdkit(), args, b"").stdout();
        let field = |name: &str| {
            let start = format!("\"{name}\" : ");
            let value = fields.lines().find_map(|line| line.strip_prefix(&start));
            value
                .unwrap_or_else(|| panic!("{fields}"))
                .trim_matches('"')
                .to_owned()
        };
        let cluster = field("ClusterID");
        let member = field("MemberID");
        let hex = |decimal: &str| format!("{:x}", decimal.parse::<u64>().unwrap());
        let address = endpoint.trim_start_matches("http://").to_owned();
        Self {
            replacements: vec![
                (hex(&cluster), "<cluster>"),
                (hex(&member), "<member>"),
                (cluster, "<cluster>"),
                (member, "<member>"),
                (field("PeerURL"), "<peer>"),
                (endpoint.to_owned(), "<url>"),
                (address, "<address>"),
                (format!("\"{}\"", field("Name")), "\"<name>\""),
                (format!(" {}, ", field("Name")), " <name>, "),
                (format!("│ {} │", field("Name")), "│ <name> │"),
            ],
        }
    }

    pub(crate) fn apply(&self, ran: &Ran, case: &Case, ids: &Ids) -> Masked {
        let mut stdout = ids.hide(&ran.stdout());
        if case.is_table() {
            stdout = squeeze(&stdout);
        }
        for (name, word) in &self.replacements {
            stdout = stdout.replace(name, word);
        }
        // Sentences pad short ids.
        stdout = stdout.replace("  <", " <");
        for name in ["\"raft_term\":", "\"RaftTerm\" : "] {
            stdout = without_number(&stdout, name);
        }
        if case.varies {
            stdout = without_digits(&stdout);
        }
        if case.unordered {
            stdout = with_members_sorted(&stdout);
            let mut words: Vec<_> = stdout.split_inclusive(['"', ',', '\n', ' ']).collect();
            words.sort_unstable();
            stdout = words.concat();
        }
        stdout = visible(&stdout);
        Masked {
            stdout,
            error: server_error(ran),
            code: ran.code.unwrap_or(-1),
        }
    }
}

/// The server's own error, which both must print alike; the client's own words may differ.
pub(crate) fn server_error(ran: &Ran) -> String {
    let errors = ran.stderr.lines().rev();
    let mut errors = errors.filter(|line| line.starts_with("Error: "));
    let error = errors.find(|line| line.contains("etcdserver: "));
    error.unwrap_or_default().to_owned()
}

/// Makes a text fit for a file that people read.
fn visible(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\n' => out.push(c),
            c if c.is_control() => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// Sorts lists of members, which come by their ids, so that what stands between them stays where it is.
fn with_members_sorted(text: &str) -> String {
    let lists = [
        ("ETCD_INITIAL_CLUSTER=\"", ",", "\"\n"),
        ("\"members\":[{", "},{", "}]"),
    ];
    let mut text = text.to_owned();
    for (start, between, end) in lists {
        let Some((before, rest)) = text.split_once(start) else {
            continue;
        };
        let Some((list, after)) = rest.split_once(end) else {
            continue;
        };
        let mut members: Vec<_> = list.split(between).collect();
        members.sort_unstable();
        text = format!("{before}{start}{}{end}{after}", members.join(between));
    }
    text
}

/// Columns are as wide as the ids in them.
fn squeeze(table: &str) -> String {
    let mut out = String::new();
    for c in table.chars() {
        if !(matches!(c, ' ' | '─') && out.ends_with(c)) {
            out.push(c);
        }
    }
    out
}

/// Replaces the number that follows a name.
fn without_number(text: &str, name: &str) -> String {
    let mut parts = text.split(name);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(name);
        out.push('#');
        out.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    out
}

/// Replaces all numbers with their units.
fn without_digits(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '0'..='9' if out.ends_with('#') => {}
            '0'..='9' => out.push('#'),
            c => out.push(c),
        }
    }
    let out = out.replace("#.#", "#");
    ["ms", "µs", "s"]
        .iter()
        .fold(out, |out, unit| out.replace(&format!("#{unit}"), "#"))
        .replace("# kB", "# B")
        .replace("# MB", "# B")
        .replace("# GB", "# B")
}
