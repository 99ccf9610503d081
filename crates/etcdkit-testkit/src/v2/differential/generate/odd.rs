//! Parameters, paths and bodies that are wrong or unusual.

use super::Generator;
use crate::v2::{differential::step::Step, http::Request};

const NAMES: &[&str] = &[
    "prevIndex",
    "waitIndex",
    "recursive",
    "sorted",
    "wait",
    "dir",
    "quorum",
    "stream",
    "prevValue",
    "noValueOnSuccess",
    "ttl",
    "prevExist",
    "refresh",
    "value",
    "consistent",
    "Recursive",
    "PREVEXIST",
    "",
];

const VALUES: &[&str] = &[
    "",
    "0",
    "1",
    "t",
    "T",
    "TRUE",
    "true",
    "True",
    "f",
    "F",
    "false",
    "FALSE",
    "False",
    "tRue",
    "yes",
    "-1",
    "+1",
    "%2B1",
    "1.5",
    "01",
    "0x1",
    "1e3",
    "1_0",
    "%201",
    "18446744073709551615",
    "18446744073709551616",
    "9223372036854775807",
    "9223372036854775808",
    "9223372037",
    "%",
    "%zz",
    "a;b",
    "a%3Bb",
    "a=b",
    "{now}",
    "abc",
    "\"",
];

/// Those that are times to live which may end before the case does, also because Go's sums wrap around, and
/// then at a moment that each server chooses for itself.
const SHORT_TIMES: &[&str] = &[
    "0",
    "1",
    "01",
    "{now}",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
];

const PATHS: &[&str] = &[
    "/v2/keys",
    "/v2/keys/",
    "/v2/keys//",
    "/v2/keys//a",
    "/v2/keys/a/",
    "/v2/keys/a//b",
    "/v2/keys/./a",
    "/v2/keys/a/.",
    "/v2/keys/a/..",
    "/v2/keys/../keys/a",
    "/v2/keys/%2e%2e/a",
    "/v2/keys/a%2F%2Fb",
    "/v2/keys/d%2Fa",
    "/v2/keys/%2F",
    "/v2/keys/%00",
    "/v2/keys/%0A",
    "/v2/keys/%FF",
    "/v2/keys/a+b",
    "/v2/keys/a%20b",
    "/v2/keys/a:b",
    "/v2/keys/a@b,c;d=e",
    "/v2/keys/a%23b",
    "/v2/keys/a?",
    "/v2/keys/a?&",
    "/v2/keys/a??",
    "/v2/keys/a%3Fb",
    "/v2/keys/a\"<>",
    "/v2/keys/é",
    "/v2/keysfoo",
    "/v2/key",
    "/v2/KEYS/a",
    "/v2//keys/a",
    "//v2/keys/a",
    "/v2/./keys/a",
    "/v2",
    "/v2/",
    "/",
    "/v1/keys/a",
    "http://else.where/v2/keys/a",
    "/v2/keys/_etcd",
    "/v2/keys/0",
];

/// Heads that are unusual, or that Go's HTTP server refuses by itself.
const HEADS: &[(&str, &str)] = &[
    ("Host", "other"),
    ("Expect", "100-Continue"),
    ("Expect", "bananas"),
    ("Expect", ""),
    ("Transfer-Encoding", "gzip, chunked"),
    ("Connection", "close"),
    ("Connection", "x, Close"),
    ("Connection", "keep-alive"),
    ("Upgrade", "websocket"),
    ("Accept-Encoding", "gzip"),
    ("Content-Encoding", "gzip"),
    ("Content-Type", "text/plain"),
    ("Range", "bytes=0-3"),
    ("If-None-Match", "*"),
    ("Origin", "http://else.where"),
    ("X-HTTP-Method-Override", "DELETE"),
    ("Authorization", "Basic YTpi"),
    ("X-Odd", "\u{e9}"),
];

/// Names that conditions and content are told by.
const MIXED: &[(&str, &[&str])] = &[
    ("value", &["x", "y", ""]),
    ("ttl", &["3000", "", "5000"]),
    ("dir", &["true", "false"]),
    ("prevExist", &["true", "false"]),
    ("prevValue", &["x", "y"]),
    ("prevIndex", &["{now}", "0", "4"]),
    ("refresh", &["true", "false"]),
    ("noValueOnSuccess", &["true", "false"]),
    ("recursive", &["true", "false"]),
];

const METHODS: &[&str] = &[
    "GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH", "get", "TRACE", "QGET", "SYNC",
];

const CONTENT_TYPES: &[&str] = &[
    "application/x-www-form-urlencoded",
    "application/x-www-form-urlencoded; charset=utf-8",
    "APPLICATION/X-WWW-FORM-URLENCODED",
    "application/x-www-form-urlencoded;",
    "application/x-www-form-urlencoded; ;",
    "application/json",
    "text/plain",
    "multipart/form-data; boundary=x",
    "application/octet-stream",
    "",
    "/",
    "nonsense",
    "a/b; c",
];

impl Generator {
    pub(super) fn odd_step(&mut self) -> Step {
        let request = match self.random.u32(..13) {
            0..5 => self.odd_parameters(),
            5..8 => self.odd_path(),
            8..10 => self.odd_body(),
            10..12 => self.in_both_places(),
            _ => self.odd_head(),
        };
        // What waits has to be open, or the case would end with it.
        match request.method == "GET" && may_wait(&request) {
            true => Step::Open { slot: 9, request },
            false => Step::Send(request),
        }
    }

    fn odd_parameter(&mut self) -> String {
        let name = self.pick(NAMES);
        let value = self.odd_value(name);
        match self.random.u32(..12) {
            0 => name.to_owned(),
            1 => format!("{name}={value}&{name}={}", self.odd_value(name)),
            _ => format!("{name}={value}"),
        }
    }

    fn odd_value(&mut self, name: &str) -> &'static str {
        match self.pick(VALUES) {
            short if name == "ttl" && SHORT_TIMES.contains(&short) => "03000",
            value => value,
        }
    }

    fn odd_parameters(&mut self) -> Request {
        let method = match self.chance(85) {
            true => self.pick(&["GET", "PUT", "PUT", "POST", "DELETE"]),
            false => self.pick(METHODS),
        };
        let mut target = format!("/v2/keys{}", self.key());
        let mut form = String::new();
        let mut separator = '?';
        for _ in 0..self.random.u32(1..=3) {
            let parameter = self.odd_parameter();
            if self.chance(60) || matches!(method, "GET" | "HEAD" | "DELETE") {
                target.push(separator);
                target += &parameter;
                separator = '&';
            } else {
                if !form.is_empty() {
                    form.push('&');
                }
                form += &parameter;
            }
        }
        // It is the real server's limit on headers that would answer.
        let target = target.replace('"', "%22");
        let request = Request::new(method, target);
        match form.is_empty() {
            true => request,
            false => request.form(form),
        }
    }

    fn odd_path(&mut self) -> Request {
        let method = match self.chance(80) {
            true => self.pick(&["GET", "PUT", "POST", "DELETE"]),
            false => self.pick(METHODS),
        };
        let mut target = self.pick(PATHS).to_owned();
        if self.chance(30) && !target.contains(['?', '#']) {
            target += self.pick(&["?recursive=true", "?dir=true", "?x=1&y=%20"]);
        }
        let mut request = Request::new(method, target);
        if matches!(method, "PUT" | "POST") {
            request = request.form("value=odd");
        }
        if self.chance(5) {
            request.is_http_1_0 = true;
        }
        request
    }

    /// The same names in the query and in the form, each more than once, with other values.
    fn in_both_places(&mut self) -> Request {
        let mut places = [Vec::new(), Vec::new()];
        for _ in 0..self.random.usize(2..=6) {
            let (name, values) = self.pick(MIXED);
            let parameter = format!("{name}={}", self.pick(values));
            places[self.random.usize(..2)].push(parameter);
        }
        let [query, form] = places.map(|place| place.join("&"));
        let method = self.pick(&["PUT", "PUT", "PUT", "POST", "DELETE"]);
        let target = format!("/v2/keys{}?{query}", self.key());
        Request::new(method, target).form(form)
    }

    /// A request that is fine but for one or two headers.
    fn odd_head(&mut self) -> Request {
        let target = format!("/v2/keys{}", self.key());
        let mut request = match self.chance(60) {
            true => Request::new("PUT", target).form("value=x"),
            false => Request::new("GET", target),
        };
        if self.chance(20) {
            // Chunks do not belong here, and what ends the connection says so in its own way.
            let (name, value) = self.pick(HEADS);
            request.is_http_1_0 = name != "Transfer-Encoding";
            return request.header(name, value);
        }
        for _ in 0..self.random.u32(1..=2) {
            let (name, value) = self.pick(HEADS);
            request = request.header(name, value);
        }
        request
    }

    fn odd_body(&mut self) -> Request {
        let method = self.pick(&["PUT", "PUT", "PUT", "POST", "DELETE", "GET"]);
        let target = match self.chance(30) {
            true => format!("/v2/keys{}?value=query", self.key()),
            false => format!("/v2/keys{}", self.key()),
        };
        let body: &[u8] = self.pick(&[
            &b"value=x"[..],
            b"value=x&value=y",
            b"value=1+1%2B1",
            b"value",
            b"value=%",
            b"value=a;b",
            b"\xff\xfe",
            b"&&value=x&",
            b"=x",
            b"value=x&dir=true",
            b"{\"value\":\"x\"}",
            b"--x\r\nContent-Disposition: form-data; name=\"value\"\r\n\r\nx\r\n--x--\r\n",
            b"",
        ]);
        let mut request = Request::new(method, target).content(body);
        if self.chance(85) {
            request = request.header("Content-Type", self.pick(CONTENT_TYPES));
        }
        if self.chance(20) {
            request.chunks_of = Some(self.random.usize(1..5));
        } else if self.chance(3) {
            let mut long = b"value=".to_vec();
            long.resize(self.pick(&[3_000, 100_000, 2_000_000]), b'x');
            request.body = Some(long);
        }
        if self.chance(5) {
            request = request.header("Expect", "100-continue");
        }
        request
    }
}

/// Whether a server may keep the request open.
fn may_wait(request: &Request) -> bool {
    request.target.contains("wait=")
}
