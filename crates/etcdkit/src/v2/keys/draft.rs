//! Requests of `/v2/keys` while their builders put them together. Pure.

use crate::{
    policy::Class,
    v2::{Error, Result, Ttl, path, request::Request},
};

/// One request, and what is wrong with it.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) request: Request,
    /// Whether something is to be compared.
    conditional: bool,
    /// The first thing that is wrong.
    flaw: Option<String>,
}

impl Draft {
    /// A read of what one member has.
    pub(crate) fn read(operation: &'static str, key: impl Into<String>) -> Self {
        let mut draft = Self::new(key, |path| Request::get(operation, path));
        draft.request.class = Class::Local;
        draft
    }

    pub(crate) fn put(operation: &'static str, key: impl Into<String>) -> Self {
        Self::new(key, |path| Request::put(operation, path))
    }

    pub(crate) fn post(operation: &'static str, dir: impl Into<String>) -> Self {
        Self::new(dir, |path| Request::post(operation, path))
    }

    pub(crate) fn delete(operation: &'static str, key: impl Into<String>) -> Self {
        Self::new(key, |path| Request::delete(operation, path))
    }

    fn new(key: impl Into<String>, request: impl FnOnce(String) -> Request) -> Self {
        Self {
            request: request(path::of_key(&key.into())),
            conditional: false,
            flaw: None,
        }
    }

    /// Gives a parameter its value, instead of one that it had.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.request = self.request.set(name, value);
        self
    }

    /// Servers before etcd 2.0 know `true` in lower case only.
    pub(crate) fn flag(self, name: &'static str) -> Self {
        self.with(name, "true")
    }

    pub(crate) fn ttl(mut self, ttl: Ttl) -> Self {
        match ttl.seconds() {
            Ok(seconds) => self.with("ttl", seconds.to_string()),
            Err(flaw) => {
                self.refuse(flaw);
                self
            }
        }
    }

    /// The condition that the key has this value.
    pub(crate) fn prev_value(mut self, value: String) -> Self {
        if value.is_empty() {
            self.refuse(
                "etcd cannot compare with an empty value: compare with the index that the key was last \
                 modified at",
            );
        }
        self.conditional = true;
        self.with("prevValue", value)
    }

    /// The condition that the key was last modified at this index.
    pub(crate) fn prev_index(mut self, index: u64) -> Self {
        if index == 0 {
            self.refuse(
                "no key was modified at index 0, and etcd takes it for no condition at all: to write only \
                 what does not exist, create it",
            );
        }
        self.conditional = true;
        self.with("prevIndex", index.to_string())
    }

    /// Whether the cluster has to agree on what is read.
    pub(crate) fn quorum(mut self, quorum: bool) -> Self {
        match quorum {
            true => {
                self.request.class = Class::Read;
                self.flag("quorum")
            }
            false => self,
        }
    }

    /// Refuses to go without a condition: servers would write or delete whatever is there.
    pub(crate) fn needs_condition(mut self, instead: &str) -> Self {
        if !self.conditional {
            self.refuse(format!(
                "there is nothing to compare with: give prev_value or prev_index, or use {instead}"
            ));
        }
        self
    }

    fn refuse(&mut self, flaw: impl Into<String>) {
        self.flaw.get_or_insert_with(|| flaw.into());
    }

    /// The request, if there is nothing wrong with it.
    pub(crate) fn finish(self) -> Result<Request> {
        match self.flaw {
            None => Ok(self.request),
            Some(flaw) => Err(Error::invalid_request(flaw).with_operation(self.request.operation)),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::v2::request::Body;

    /// The request as a line of text, or what is wrong with it.
    pub(in crate::v2::keys) fn line(draft: Draft) -> Result<String, String> {
        let request = draft.finish().map_err(|error| error.message().to_owned())?;
        let mut line = format!("{} {}", request.method, request.path_and_query());
        if let Body::Form(form) = &request.body {
            line.push(' ');
            line.push_str(&form.encoded());
        }
        Ok(line.trim_end().to_owned())
    }

    #[test]
    fn parameters_go_where_servers_read_them() {
        let draft = Draft::put("set", "/a b").with("value", "x y").ttl(5.into());
        assert_eq!(line(draft).unwrap(), "PUT /v2/keys/a%20b value=x%20y&ttl=5");
        let draft = Draft::delete("delete", "a")
            .prev_index(7)
            .needs_condition("delete");
        assert_eq!(line(draft).unwrap(), "DELETE /v2/keys/a?prevIndex=7");
        let draft = Draft::post("create in order", "q").with("value", "");
        assert_eq!(line(draft).unwrap(), "POST /v2/keys/q value=");
        let draft = Draft::read("get", "/").flag("recursive");
        assert_eq!(line(draft).unwrap(), "GET /v2/keys/?recursive=true");
    }

    #[test]
    fn the_last_word_counts() {
        let draft = Draft::put("set", "/a").ttl(5.into()).ttl(7.into());
        assert_eq!(line(draft).unwrap(), "PUT /v2/keys/a ttl=7");
    }

    #[test]
    fn the_first_flaw_is_told() {
        let draft = Draft::put("set", "/a").ttl((-5).into()).prev_index(0);
        assert!(line(draft).unwrap_err().contains("negative"));
        let draft = Draft::put("set", "/a").prev_value(String::new());
        assert!(line(draft).unwrap_err().contains("empty value"));
        let draft = Draft::put("set", "/a").prev_index(0);
        assert!(line(draft).unwrap_err().contains("index 0"));
        let draft = Draft::delete("x", "/a").needs_condition("delete");
        assert!(line(draft).unwrap_err().contains("use delete"));
    }

    #[test]
    fn quorum_reads_need_the_cluster() {
        assert_eq!(Draft::read("get", "/a").request.class, Class::Local);
        let draft = Draft::read("get", "/a").quorum(true);
        assert_eq!(draft.request.class, Class::Read);
        assert_eq!(line(draft).unwrap(), "GET /v2/keys/a?quorum=true");
        let draft = Draft::read("get", "/a").quorum(false);
        assert_eq!(line(draft).unwrap(), "GET /v2/keys/a");
    }
}
