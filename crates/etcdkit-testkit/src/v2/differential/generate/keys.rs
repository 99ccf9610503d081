//! Keys and directories, read and written as a client would.

use super::Generator;
use crate::v2::{differential::step::Step, http::Request};

/// As they are in the path of a URL, and as answers name them.
const KEYS: &[(&str, &str)] = &[
    ("/a", "/a"),
    ("/b", "/b"),
    ("/B", "/B"),
    ("/d", "/d"),
    ("/d/a", "/d/a"),
    ("/d/b", "/d/b"),
    ("/d/e", "/d/e"),
    ("/d/e/f", "/d/e/f"),
    ("/d/e/f/g/h", "/d/e/f/g/h"),
    ("/d/_x", "/d/_x"),
    ("/d/_x/y", "/d/_x/y"),
    ("/_h", "/_h"),
    ("/_h/x", "/_h/x"),
    ("/de", "/de"),
    ("/%C3%A9%20%3F", "/é ?"),
    ("/a+b%26%3C", "/a+b&<"),
];

const VALUES: &[&str] = &[
    "",
    "x",
    "y",
    "1+2",
    "%3Cb%3E%26",
    "%E2%80%A8%E2%82%AC",
    "%00%01%09%0A%22%5C",
    "true",
];

impl Generator {
    pub(super) fn key(&mut self) -> &'static str {
        self.path_and_key().0
    }

    fn path_and_key(&mut self) -> (&'static str, &'static str) {
        // A few of them are met often, so that conditions can hold.
        match self.chance(55) {
            true => {
                let often = self.random.usize(..7);
                KEYS[often]
            }
            false => self.pick(KEYS),
        }
    }

    /// A request on a key.
    pub(super) fn key_step(&mut self) -> Step {
        let request = match self.random.u32(..100) {
            0..45 => self.put(),
            45..57 => self.post(),
            57..78 => self.delete(),
            78..81 => self.get("HEAD"),
            _ => self.get("GET"),
        };
        Step::Send(request)
    }

    /// Any write but one with a time to live that ends soon.
    fn put(&mut self) -> Request {
        let (path, key) = self.path_and_key();
        let path = if self.chance(2) { "/" } else { path };
        let mut form = Vec::new();
        let refreshes = self.chance(6);
        if self.chance(if refreshes { 5 } else { 80 }) {
            form.push(format!("value={}", self.value()));
        }
        if self.chance(if refreshes { 85 } else { 12 }) {
            form.push(format!(
                "ttl={}",
                self.pick(&["5000", "3000", "", "9999999999999"])
            ));
        }
        if refreshes {
            form.push(format!(
                "refresh={}",
                self.pick(&["true", "true", "true", "false"])
            ));
        }
        if self.chance(12) {
            form.push(format!(
                "dir={}",
                self.pick(&["true", "true", "true", "false"])
            ));
        }
        if self.chance(25) {
            form.push(format!(
                "prevExist={}",
                self.pick(&["true", "true", "false"])
            ));
        }
        form.extend(self.condition(key, 12));
        if self.chance(8) {
            form.push(format!(
                "noValueOnSuccess={}",
                self.pick(&["true", "false"])
            ));
        }
        // 3.5 cannot update a directory, which would end the case each time.
        let updates_directory = form.iter().any(|part| part == "dir=true")
            && form.iter().any(|part| part == "prevExist=true");
        if updates_directory && !self.chance(5) {
            form.retain(|part| part != "dir=true");
        }
        self.with_parameters("PUT", path, form)
    }

    /// Now and then one with which the answer is about as long as what Go buffers, which shows in its head.
    fn value(&mut self) -> String {
        match self.chance(3) {
            true => "v".repeat(self.random.usize(1_900..2_050)),
            false => self.pick(VALUES).to_owned(),
        }
    }

    /// Conditions, most of which hold.
    fn condition(&mut self, key: &str, percent: u32) -> Vec<String> {
        let mut form = Vec::new();
        if self.chance(percent) {
            form.push(match self.chance(65) {
                true => format!("prevValue={{value {key}}}"),
                false => format!("prevValue={}", self.pick(&["x", "y", "no", "%3C"])),
            });
        }
        if self.chance(percent) {
            form.push(match self.random.u32(..10) {
                0..6 => format!("prevIndex={{index {key}}}"),
                6..8 => format!("prevIndex={{created {key}}}"),
                8 => "prevIndex=0".to_owned(),
                _ => "prevIndex={now+5}".to_owned(),
            });
        }
        form
    }

    fn post(&mut self) -> Request {
        let (path, key) = self.path_and_key();
        let path = if self.chance(15) { "/" } else { path };
        let mut form = Vec::new();
        if self.chance(85) {
            form.push(format!("value={}", self.pick(VALUES)));
        }
        if self.chance(15) {
            form.push("ttl=1000".to_owned());
        }
        if self.chance(15) {
            form.push("dir=true".to_owned());
        }
        form.extend(self.condition(key, 4));
        if self.chance(5) {
            form.push(format!("prevExist={}", self.pick(&["true", "false"])));
        }
        if self.chance(5) {
            form.push("noValueOnSuccess=true".to_owned());
        }
        self.with_parameters("POST", path, form)
    }

    fn delete(&mut self) -> Request {
        let (path, key) = self.path_and_key();
        let path = if self.chance(2) { "/" } else { path };
        let mut query = Vec::new();
        if self.chance(25) {
            query.push("dir=true".to_owned());
        }
        if self.chance(25) {
            query.push("recursive=true".to_owned());
        }
        query.extend(self.condition(key, 15));
        if self.chance(4) {
            query.push("prevExist=true".to_owned());
        }
        if self.chance(4) {
            query.push("noValueOnSuccess=true".to_owned());
        }
        Request::new("DELETE", target(path, &query))
    }

    fn get(&mut self, method: &str) -> Request {
        let mut path = self.key();
        if self.chance(25) {
            path = self.pick(&["", "/", "/d/", "/nope", "/nope/deep"]);
        }
        let mut query = Vec::new();
        for (name, percent) in [
            ("recursive", 40),
            ("sorted", 50),
            ("quorum", 15),
            ("noValueOnSuccess", 3),
        ] {
            if self.chance(percent) {
                query.push(format!("{name}=true"));
            }
        }
        Request::new(method, target(path, &query))
    }

    /// Parameters go into the body, the query, or some into either.
    fn with_parameters(&mut self, method: &str, path: &str, parameters: Vec<String>) -> Request {
        let (mut query, mut form) = (Vec::new(), Vec::new());
        let in_query = self.pick(&[0, 0, 0, 100, 40]);
        for parameter in parameters {
            match self.chance(in_query) {
                true => query.push(parameter),
                false => form.push(parameter),
            }
        }
        let mut request = Request::new(method, target(path, &query));
        if !form.is_empty() || self.chance(70) {
            request = request.form(form.join("&"));
        }
        if self.chance(4) {
            request.chunks_of = request.body.as_ref().map(|_| 3);
        }
        request
    }
}

fn target(path: &str, query: &[String]) -> String {
    match query.is_empty() {
        true => format!("/v2/keys{path}"),
        false => format!("/v2/keys{path}?{}", query.join("&")),
    }
}
