//! Which key of v3 a key of v2 becomes. Pure.

use crate::v2::path;

/// Beginnings of keys and what takes their place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mapping(Vec<Rule>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    /// Clean, but for a slash at its end, if that is to be replaced, too.
    from: String,
    to: String,
}

impl Mapping {
    pub(super) fn add(&mut self, from: &str, to: &str) {
        let mut clean = path::clean(from);
        if from.ends_with('/') && !clean.ends_with('/') {
            clean.push('/');
        }
        self.0.retain(|rule| rule.from != clean);
        self.0.push(Rule {
            from: clean,
            to: to.to_owned(),
        });
        // The longest beginning is the one that says most.
        self.0
            .sort_by_key(|rule| std::cmp::Reverse(rule.from.len()));
    }

    /// A key of v3 for a key of v2, which keeps its name where nothing else is said.
    pub(super) fn target(&self, key: &str) -> String {
        for Rule { from, to } in &self.0 {
            if let Some(rest) = key.strip_prefix(from.as_str())
                && (rest.is_empty() || rest.starts_with('/') || from.ends_with('/'))
            {
                return format!("{to}{rest}");
            }
        }
        key.to_owned()
    }

    /// What it says, to be recognised by a later run.
    pub(super) fn describe(&self) -> String {
        let rules = self
            .0
            .iter()
            .map(|rule| format!(" {:?}={:?}", rule.from, rule.to));
        rules.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(rules: &[(&str, &str)]) -> Mapping {
        let mut mapping = Mapping::default();
        rules.iter().for_each(|(from, to)| mapping.add(from, to));
        mapping
    }

    #[test]
    fn keys_keep_their_names_unless_something_is_said() {
        assert_eq!(mapping(&[]).target("/app/port"), "/app/port");
        let app = mapping(&[("/app", "config")]);
        for (key, target) in [
            ("/app/port", "config/port"),
            ("/app", "config"),
            ("/apple/port", "/apple/port"),
            ("/other", "/other"),
        ] {
            assert_eq!(app.target(key), target);
        }
    }

    #[test]
    fn slashes_are_replaced_where_they_are_named() {
        assert_eq!(mapping(&[("/", "")]).target("/app/port"), "app/port");
        assert_eq!(mapping(&[("/", "v2/")]).target("/app"), "v2/app");
        let app = mapping(&[("/app/", "config:")]);
        assert_eq!(app.target("/app/db/port"), "config:db/port");
        assert_eq!(app.target("/app"), "/app");
    }

    #[test]
    fn the_longest_beginning_counts_and_the_last_word() {
        let nested = mapping(&[("/app", "a"), ("/app/db", "d"), ("/app/db/x", "y")]);
        assert_eq!(nested.target("/app/web"), "a/web");
        assert_eq!(nested.target("/app/db/port"), "d/port");
        assert_eq!(nested.target("/app/db/x"), "y");
        let again = mapping(&[("/app", "a"), ("app//", "c"), ("/app/", "b")]);
        assert_eq!(again.target("/app/web"), "bweb");
    }
}
