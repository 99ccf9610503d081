//! Users and roles, and keys that not everybody may use.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::Generator;
use crate::v2::{differential::step::Step, http::Request};

const USERS: &[&str] = &["root", "ann", "bob", "c d", "\u{e9}", "nobody"];
const ROLES: &[&str] = &["root", "guest", "r", "w", "nope"];
const PATTERNS: &[&str] = &["/*", "/a", "/d/*", "/d", "/b*", "*", "/_h/*", "/é", "x"];

/// What everybody's password is. The name ends at the first colon.
const PASSWORD: &str = "p:w";

/// Paths on which rules are applied before they are cleaned.
const PATHS: &[&str] = &[
    "/v2/keys",
    "/v2/keys/",
    "/v2/keys/a/",
    "/v2/keys/%61",
    "/v2/keys/d",
    "/v2/keys/d/",
    "/v2/keys/d%2Fa",
    "/v2/keys/d%2F",
    "/v2/keys/%64/a",
    "/v2/keys/d/_x/y",
    "/v2/keys/d//a",
    "/v2/keys/b*",
    "/v2/keys/*",
];

/// Bodies about a user, which Go reads in its own way.
const USER_BODIES: &[&str] = &[
    "",
    "{",
    "null",
    "[]",
    "{}",
    "7",
    r#""ann""#,
    r#"{"user":7}"#,
    r#"{"user":"x","password":"p:w"}"#,
    r#"{"User":"ann","PASSWORD":"p:w"}"#,
    r#"{"user":"ann","user":"bob","password":"p:w"}"#,
    r#"{"user":"ann","password":"p:w"} and more"#,
    r#" {"user":"ann","password":"p:w","other":[{"x":null}]}"#,
    r#"{"user":"ann","password":"p:\u0077","roles":null}"#,
    r#"{"user":"ann","password":null,"grant":["r",null]}"#,
    r#"{"user":"ann","password":"p:w","roles":"r"}"#,
    r#"{"user":"ann","password":"p:w","roles":["w","r","w"]}"#,
    r#"{"user":"ann","password":"p:w",}"#,
    "\u{feff}{\"user\":\"ann\",\"password\":\"p:w\"}",
];

/// Bodies about a role.
const ROLE_BODIES: &[&str] = &[
    "",
    "{",
    "null",
    "[]",
    "{}",
    r#"{"role":7}"#,
    r#"{"role":"x"}"#,
    r#"{"Role":"r","Permissions":{"KV":{"Read":["/a"]}}}"#,
    r#"{"role":"r","permissions":null,"grant":null}"#,
    r#"{"role":"r","permissions":{"kv":null}}"#,
    r#"{"role":"r","permissions":{"kv":{"read":["/b","/a","/a"],"write":["*"]}}}"#,
    r#"{"role":"r","permissions":{"kv":{"read":"/a"}}}"#,
    r#"{"role":"r","permissions":[]}"#,
    r#"{"role":"r","grant":{}}"#,
    r#"{"role":"r","grant":{"kv":{"read":["/a*b","/*/b","<&>"],"write":["/z","/z"]}}}"#,
    r#"{"role":"r","revoke":{"kv":{"read":["/q"]}},"grant":{"kv":{"read":["/q"]}}}"#,
];

impl Generator {
    /// A root, so that authentication can be switched on, and some others.
    pub(super) fn first_users(&mut self) -> Vec<Step> {
        let mut steps = vec![put_user("root", r#"{"user":"root","password":"p:w"}"#)];
        if self.chance(80) {
            steps.extend([
                put_role(
                    "r",
                    r#"{"role":"r","permissions":{"kv":{"read":["/d/*","/a"],"write":["/a"]}}}"#,
                ),
                put_user("ann", r#"{"user":"ann","password":"p:w","roles":["r"]}"#),
            ]);
        }
        if self.chance(75) {
            steps.push(Step::Send(Request::new("PUT", "/v2/auth/enable")));
        }
        if self.chance(60) {
            let form = r#"{"role":"guest","revoke":{"kv":{"read":["/*"],"write":["/*"]}}}"#;
            steps.push(Step::Send(as_user(
                put_role_request("guest", form),
                "root",
                PASSWORD,
            )));
        }
        steps
    }

    /// Authentication is off again, so that everything can be compared.
    pub(super) fn last_users() -> Vec<Step> {
        ["GET", "DELETE"]
            .into_iter()
            .flat_map(|method| {
                ["/v2/auth/users", "/v2/auth/roles", "/v2/auth/enable"]
                    .into_iter()
                    .filter(move |path| method == "GET" || path.ends_with("enable"))
                    .map(move |path| {
                        Step::Send(as_user(Request::new(method, path), "root", PASSWORD))
                    })
            })
            .collect()
    }

    pub(super) fn user_step(&mut self) -> Step {
        let request = match self.random.u32(..20) {
            0..5 => self.user_request(),
            5..9 => self.role_request(),
            9 => Request::new(
                self.pick(&["GET", "GET", "PUT", "DELETE", "HEAD"]),
                "/v2/auth/enable",
            ),
            10 => {
                let target = self.pick(&[
                    "/v2/auth/users",
                    "/v2/auth/users/",
                    "/v2/auth/roles",
                    "/v2/auth/roles/",
                    "/v2/auth/users/a/b",
                    "/v2/auth/roles/a/b",
                    "/v2/members",
                    "/v2/machines",
                    "/v2/stats/leader",
                ]);
                Request::new(self.pick(&["GET", "GET", "PUT", "DELETE"]), target)
            }
            11 | 12 => {
                let mut target = self.pick(PATHS).to_owned();
                target += self.pick(&["", "", "?recursive=true", "?quorum=true"]);
                Request::new(self.pick(&["GET", "GET", "HEAD", "PUT", "DELETE"]), target)
            }
            _ => match self.key_step() {
                Step::Send(request) => request,
                _ => Request::new("GET", "/v2/keys/"),
            },
        };
        Step::Send(self.by_someone(request))
    }

    fn by_someone(&mut self, request: Request) -> Request {
        match self.random.u32(..20) {
            0..6 => request,
            6 => as_user(request, "ann", "wrong"),
            7 => {
                let root = credentials("root", PASSWORD);
                let value = match self.random.u32(..10) {
                    0 => "Basic".to_owned(),
                    1 => "Basic !!".to_owned(),
                    2 => "Bearer x".to_owned(),
                    3 => "Basic YQ==".to_owned(),
                    4 => format!("bASIC {root}"),
                    5 => format!("Basic  {root}"),
                    6 => format!("Basic {} ", root),
                    7 => format!("Basic {}", root.trim_end_matches('=')),
                    8 => format!("Basic {root}="),
                    _ => String::new(),
                };
                let request = request.header("Authorization", value);
                match self.chance(30) {
                    true => as_user(request, "ann", PASSWORD),
                    false => request,
                }
            }
            8..12 => {
                let user = self.pick(USERS);
                as_user(request, user, PASSWORD)
            }
            _ => as_user(request, "root", PASSWORD),
        }
    }

    fn user_request(&mut self) -> Request {
        let user = self.pick(USERS);
        let name = user.replace(' ', "%20").replace('\u{e9}', "%C3%A9");
        let path = format!("/v2/auth/users/{name}");
        match self.random.u32(..10) {
            0..2 => Request::new("GET", path),
            2 => Request::new("DELETE", path),
            3 => {
                let path = if self.chance(60) {
                    "/v2/auth/users/ann"
                } else {
                    &path
                };
                Request::new("PUT", path).json(self.pick(USER_BODIES))
            }
            _ => {
                let name = if self.chance(5) { "other" } else { user };
                let mut body = format!(r#"{{"user":"{name}""#);
                if self.chance(40) {
                    // The password of all, or logging in as anybody would be luck.
                    body += &format!(
                        r#","password":"{}""#,
                        self.pick(&[PASSWORD, PASSWORD, PASSWORD, ""])
                    );
                }
                for (what, percent) in [("roles", 20), ("grant", 40), ("revoke", 25)] {
                    if self.chance(percent) {
                        let roles = self.roles();
                        body += &format!(r#","{what}":{roles}"#);
                    }
                }
                Request::new("PUT", path).json(body + "}")
            }
        }
    }

    fn roles(&mut self) -> String {
        let count = self.random.usize(..3);
        let roles: Vec<String> = (0..count)
            .map(|_| format!("{:?}", self.pick(ROLES)))
            .collect();
        format!("[{}]", roles.join(","))
    }

    fn role_request(&mut self) -> Request {
        let role = self.pick(ROLES);
        let path = format!("/v2/auth/roles/{role}");
        match self.random.u32(..10) {
            0..2 => Request::new("GET", path),
            2 => Request::new("DELETE", path),
            3 => {
                let path = if self.chance(60) {
                    "/v2/auth/roles/r"
                } else {
                    &path
                };
                Request::new("PUT", path).json(self.pick(ROLE_BODIES))
            }
            _ => {
                let name = if self.chance(5) { "other" } else { role };
                let mut body = format!(r#"{{"role":"{name}""#);
                for (what, percent) in [("permissions", 25), ("grant", 40), ("revoke", 25)] {
                    if self.chance(percent) {
                        let (read, write) = (self.patterns(), self.patterns());
                        body += &format!(r#","{what}":{{"kv":{{"read":{read},"write":{write}}}}}"#);
                    }
                }
                Request::new("PUT", path).json(body + "}")
            }
        }
    }

    fn patterns(&mut self) -> String {
        let count = self.random.usize(..4);
        let patterns: Vec<String> = (0..count)
            .map(|_| format!("{:?}", self.pick(PATTERNS)))
            .collect();
        match self.chance(5) {
            true => "null".to_owned(),
            false => format!("[{}]", patterns.join(",")),
        }
    }
}

fn put_user(name: &str, body: &str) -> Step {
    Step::Send(Request::new("PUT", format!("/v2/auth/users/{name}")).json(body))
}

fn put_role(name: &str, body: &str) -> Step {
    Step::Send(put_role_request(name, body))
}

fn put_role_request(name: &str, body: &str) -> Request {
    Request::new("PUT", format!("/v2/auth/roles/{name}")).json(body)
}

fn as_user(request: Request, name: &str, password: &str) -> Request {
    let credentials = credentials(name, password);
    request.header("Authorization", format!("Basic {credentials}"))
}

fn credentials(name: &str, password: &str) -> String {
    STANDARD.encode(format!("{name}:{password}"))
}
