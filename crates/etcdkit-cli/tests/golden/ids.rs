//! Ids that servers give at random.

/// The ids that a server has given so far, by the names that cases have for them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ids {
    given: Vec<(String, &'static str)>,
}

/// What the sentence that tells a new id begins with, what follows the id, and names for such ids.
const KINDS: [(&str, &str, [&str; 3]); 2] = [
    (
        "lease ",
        " granted with TTL",
        ["<lease 1>", "<lease 2>", "<lease 3>"],
    ),
    ("Member ", " added ", ["<peer 1>", "<peer 2>", "<peer 3>"]),
];

impl Ids {
    /// Learns the id in a command's output, if it has one.
    pub(crate) fn learn(&mut self, stdout: &str) {
        let line = stdout.lines().next().unwrap_or_default();
        for (before, after, names) in KINDS {
            let rest = line.strip_prefix(before);
            let Some((id, rest)) = rest.and_then(|rest| rest.split_once(after)) else {
                continue;
            };
            // The time to live of a lease is told in the same words.
            if rest.contains("remaining") {
                continue;
            }
            let is_free = |name: &&&str| self.given.iter().all(|(_, taken)| taken != *name);
            let name = names.iter().find(is_free).expect("a name is left");
            self.given.push((id.trim().to_owned(), name));
        }
    }

    /// Puts ids in place of their names.
    pub(crate) fn insert(&self, word: &str) -> String {
        let given = self.given.iter();
        given.fold(word.to_owned(), |word, (id, name)| word.replace(name, id))
    }

    /// Puts names in place of ids.
    pub(crate) fn hide(&self, text: &str) -> String {
        self.given.iter().fold(text.to_owned(), |text, (id, name)| {
            let number = u64::from_str_radix(id, 16).expect("ids are hexadecimal");
            text.replace(id, name).replace(&number.to_string(), name)
        })
    }
}
