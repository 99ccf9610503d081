//! Users and roles, and keys that not everybody may use.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::Generator;
use crate::v2::{differential::step::Step, http::Request};

const USERS: &[&str] = &["root", "ann", "bob", "c d", "nobody"];
const ROLES: &[&str] = &["root", "guest", "r", "w", "nope"];
const PATTERNS: &[&str] = &["/*", "/a", "/d/*", "/d", "/b*", "*", "/_h/*", "/é", "x"];

/// What everybody's password is.
const PASSWORD: &str = "pw";

impl Generator {
    /// A root, so that authentication can be switched on, and some others.
    pub(super) fn first_users(&mut self) -> Vec<Step> {
        let mut steps = vec![put_user("root", r#"{"user":"root","password":"pw"}"#)];
        if self.chance(80) {
            steps.extend([
                put_role(
                    "r",
                    r#"{"role":"r","permissions":{"kv":{"read":["/d/*","/a"],"write":["/a"]}}}"#,
                ),
                put_user("ann", r#"{"user":"ann","password":"pw","roles":["r"]}"#),
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
            7 => request.header(
                "Authorization",
                self.pick(&["Basic", "Basic !!", "Bearer x", "Basic YQ=="]),
            ),
            8..12 => {
                let user = self.pick(USERS);
                as_user(request, user, PASSWORD)
            }
            _ => as_user(request, "root", PASSWORD),
        }
    }

    fn user_request(&mut self) -> Request {
        let user = self.pick(USERS);
        let path = format!("/v2/auth/users/{}", user.replace(' ', "%20"));
        match self.random.u32(..10) {
            0..2 => Request::new("GET", path),
            2 => Request::new("DELETE", path),
            3 => {
                let body = self.pick(&[
                    "",
                    "{",
                    "null",
                    "[]",
                    "{}",
                    r#"{"user":7}"#,
                    r#"{"user":"x","password":"pw"}"#,
                ]);
                Request::new("PUT", path).json(body)
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
                let body = self.pick(&[
                    "",
                    "{",
                    "null",
                    "[]",
                    "{}",
                    r#"{"role":7}"#,
                    r#"{"role":"x"}"#,
                ]);
                Request::new("PUT", path).json(body)
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
    let credentials = STANDARD.encode(format!("{name}:{password}"));
    request.header("Authorization", format!("Basic {credentials}"))
}
