//! Members, statistics, versions, and what is not there.

use super::Generator;
use crate::v2::{differential::step::Step, http::Request};

const PATHS: &[&str] = &[
    "/v2/members",
    "/v2/members/",
    "/v2/members/leader",
    "/v2/members/leader/",
    "/v2/members/nope",
    "/v2/members/1234",
    "/v2/members/zz",
    "/v2/members/1/2",
    "/v2/machines",
    "/v2/machines/",
    "/v2/stats/self",
    "/v2/stats/self/",
    "/v2/stats/leader",
    "/v2/stats/store/",
    "/v2/stats",
    "/v2/stats/",
    "/v2/stats/nope",
    "/v2/leader",
    "/v2/peers",
    "/v2/admin/config",
    "/v2/auth",
    "/v2/auth/",
    "/v2/auth/enable",
    "/v2/auth/users",
    "/v2/auth/users/",
    "/v2/auth/roles",
    "/v2/nope",
    "/version",
    "/version/",
    "/health",
    "/health/",
    "/mod/v2/lock/x",
];

const METHODS: &[&str] = &[
    "GET", "GET", "GET", "GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH",
];

/// None of them adds a member.
const MEMBERS: &[&str] = &[
    "",
    "{}",
    "[]",
    "null",
    "{",
    "x",
    r#"{"peerURLs":[]}"#,
    r#"{"peerURLs":null}"#,
    r#"{"peerURLs":"http://127.0.0.1:1"}"#,
    r#"{"peerURLs":[""]}"#,
    r#"{"peerURLs":["x"]}"#,
    r#"{"peerURLs":["127.0.0.1:1"]}"#,
    r#"{"peerURLs":["http://127.0.0.1"]}"#,
    r#"{"peerURLs":["http://127.0.0.1:1/path"]}"#,
    r#"{"peerURLs":["ftp://127.0.0.1:1"]}"#,
    r#"{"peerURLs":["http://127.0.0.1:1","y"]}"#,
];

impl Generator {
    pub(super) fn other_step(&mut self) -> Step {
        if self.chance(25) {
            return self.member_step();
        }
        let path = self.pick(PATHS);
        let method = self.pick(METHODS);
        let mut request = Request::new(method, path);
        if path.starts_with("/v2/members") && method == "POST" {
            request = request.content("");
        }
        if self.chance(10) {
            request.target += self.pick(&["?", "?x=1", "?recursive=true"]);
        }
        if self.chance(3) {
            request.is_http_1_0 = true;
        }
        Step::Send(request)
    }

    fn member_step(&mut self) -> Step {
        let (method, target) = match self.random.u32(..4) {
            0 => (
                "PUT",
                self.pick(&[
                    "/v2/members/1234",
                    "/v2/members/zz",
                    "/v2/members/",
                    "/v2/members",
                ]),
            ),
            1 => (
                "DELETE",
                self.pick(&[
                    "/v2/members/1234",
                    "/v2/members/zz",
                    "/v2/members/",
                    "/v2/members/%41",
                ]),
            ),
            _ => ("POST", self.pick(&["/v2/members", "/v2/members/"])),
        };
        let mut request = Request::new(method, target).content(self.pick(MEMBERS));
        if self.chance(92) {
            request = request.header(
                "Content-Type",
                self.pick(&[
                    "application/json",
                    "application/json",
                    "application/json",
                    "application/json; charset=utf-8",
                    "text/plain",
                    "",
                ]),
            );
        }
        Step::Send(request)
    }
}
