//! Parameters, as a query or a form has them.

use super::path::encode;

/// Names and their values, each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Form(Vec<(&'static str, String)>);

impl Form {
    /// Sets a parameter; of a name that is set twice the last value counts.
    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<String>) {
        let value = value.into();
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name, value)),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn encoded(&self) -> String {
        self.written(|_, value| encode(value))
    }

    /// The same for people who must not see what it holds: without values of keys.
    pub(super) fn redacted(&self) -> String {
        self.written(|name, value| match name {
            "value" | "prevValue" => "...".to_owned(),
            _ => encode(value),
        })
    }

    fn written(&self, shown: impl Fn(&str, &str) -> String) -> String {
        let each = self
            .0
            .iter()
            .map(|(name, value)| format!("{name}={}", shown(name, value)));
        each.collect::<Vec<_>>().join("&")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_carries_any_value() {
        let mut form = Form::default();
        form.set("value", "a&b=c d+é;%");
        form.set("ttl", "5");
        form.set("ttl", "6");
        assert_eq!(form.encoded(), "value=a%26b%3Dc%20d%2B%C3%A9%3B%25&ttl=6");
        assert_eq!(form.redacted(), "value=...&ttl=6");
    }
}
