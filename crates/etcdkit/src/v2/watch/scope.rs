//! Which events a watch is about: pure.

use crate::v2::{Action, path};

/// What is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    /// As the program named it: to roles a slash at the end makes a difference.
    named: String,
    /// A clean path, `/` for the root.
    key: String,
    recursive: bool,
}

impl Scope {
    pub(crate) fn new(key: impl Into<String>, recursive: bool) -> Self {
        let named = key.into();
        Self {
            key: path::clean(&named),
            named,
            recursive,
        }
    }

    pub(crate) fn named(&self) -> &str {
        &self.named
    }

    pub(crate) fn is_recursive(&self) -> bool {
        self.recursive
    }

    /// Whether an event on this path belongs to the watch, as a server decides it at the time of the
    /// event.
    ///
    /// From its history etcd answers more: what is below a hidden name, and the removal of `/a` to
    /// those who watch `/ab`. A watch should not differ by how fast it was, so this is left out.
    pub(super) fn takes(&self, path: &str, action: Action) -> bool {
        if path == self.key {
            return true;
        }
        if let Some(rest) = below(path, &self.key) {
            return self.recursive && !rest.split('/').any(|name| name.starts_with('_'));
        }
        // With a directory goes all that it holds.
        let removed = matches!(action, Action::Delete | Action::Expire);
        removed && below(&self.key, path).is_some()
    }
}

/// The rest of a path that is below a directory.
fn below<'a>(path: &'a str, directory: &str) -> Option<&'a str> {
    match directory {
        "/" => path.strip_prefix('/').filter(|rest| !rest.is_empty()),
        _ => path.strip_prefix(directory)?.strip_prefix('/'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_own_events_only() {
        let scope = Scope::new("/a/b", false);
        assert!(scope.takes("/a/b", Action::Set));
        assert!(!scope.takes("/a/b/c", Action::Set));
        assert!(!scope.takes("/a/bc", Action::Set));
        assert!(!scope.takes("/a", Action::Set));
    }

    #[test]
    fn a_directory_that_goes_takes_what_it_holds_along() {
        for recursive in [false, true] {
            let scope = Scope::new("/a/b", recursive);
            assert!(scope.takes("/a", Action::Delete));
            assert!(scope.takes("/a", Action::Expire));
            assert!(!scope.takes("/a", Action::Update));
        }
    }

    #[test]
    fn a_name_that_begins_alike_is_another() {
        // etcd 3.5 answers the removal of /del from its history to who watches /delicious.
        let scope = Scope::new("/delicious", true);
        assert!(!scope.takes("/del", Action::Delete));
        assert!(!scope.takes("/delicious2", Action::Set));
    }

    #[test]
    fn hidden_keys_are_seen_from_inside_only() {
        assert!(!Scope::new("/", true).takes("/_x", Action::Set));
        assert!(!Scope::new("/a", true).takes("/a/b/_x/c", Action::Set));
        assert!(Scope::new("/_x", true).takes("/_x/c", Action::Set));
        assert!(Scope::new("/a/_x", false).takes("/a/_x", Action::Set));
    }

    #[test]
    fn everything_is_below_the_root() {
        assert!(Scope::new("/", true).takes("/a", Action::Set));
        assert!(!Scope::new("/", false).takes("/a", Action::Set));
    }
}
