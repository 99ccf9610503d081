//! Users and roles of the v2 API over restarts, without a leader, and many at once.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::raw::{Raw, Reply};
use etcdkit_server::{Server, ServerBuilder};

/// root:pw
const ROOT: &str = "Authorization: Basic cm9vdDpwdw==\r\n";

fn builder() -> ServerBuilder {
    Server::builder().enable_v2(true).bcrypt_cost(4)
}

async fn ask(raw: &mut Raw, method: &str, path: &str, headers: &str, body: &str) -> Reply {
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {length}");
    raw.send(format!("{head}\r\n\r\n{body}")).await;
    raw.reply(true).await
}

/// Creates root, a guest who may do nothing, and asks from now on.
async fn enable(raw: &mut Raw) {
    for (path, json) in [
        ("/v2/auth/users/root", r#"{"user":"root","password":"pw"}"#),
        ("/v2/auth/roles/guest", r#"{"role":"guest"}"#),
        ("/v2/auth/enable", ""),
    ] {
        let reply = ask(raw, "PUT", path, "", json).await;
        assert!(reply.status.starts_with("HTTP/1.1 20"), "{reply}");
    }
}

#[cfg(feature = "durable")]
#[tokio::test]
async fn users_outlive_the_server() {
    let directory = tempfile::tempdir().unwrap();
    let builder = builder().data_dir(directory.path());
    let server = builder.clone().start().await.unwrap();
    enable(&mut Raw::connect(&server).await).await;
    server.shutdown().await.unwrap();

    let server = builder.clone().start().await.unwrap();
    let mut raw = Raw::connect(&server).await;
    let guest = raw.get("/v2/keys/").await;
    assert_eq!(guest.status, "HTTP/1.1 401 Unauthorized");
    let root = ask(&mut raw, "GET", "/v2/keys/", ROOT, "").await;
    assert_eq!(root.status, "HTTP/1.1 200 OK");
    // 3 of the member, 4 and 3 of what was done, 1 of the restart.
    assert_eq!(root.header("X-Etcd-Index"), Some("11"));
    let off = ask(&mut raw, "DELETE", "/v2/auth/enable", ROOT, "").await;
    assert_eq!(off.status, "HTTP/1.1 200 OK");
    server.shutdown().await.unwrap();

    let server = builder.start().await.unwrap();
    let mut raw = Raw::connect(&server).await;
    assert_eq!(raw.get("/v2/keys/").await.status, "HTTP/1.1 200 OK");
}

#[tokio::test]
async fn without_a_leader_users_are_known_and_not_changed() {
    let server = builder().start().await.unwrap();
    let mut raw = Raw::connect(&server).await;
    enable(&mut raw).await;
    let faults = server.faults();
    faults.request_timeout(Duration::from_millis(20));
    faults.lose_leader();
    let users = ask(&mut raw, "GET", "/v2/auth/users/root", ROOT, "").await;
    assert_eq!(users.status, "HTTP/1.1 200 OK");
    assert_eq!(
        raw.get("/v2/keys/").await.status,
        "HTTP/1.1 401 Unauthorized"
    );
    for (method, path, body) in [
        ("PUT", "/v2/auth/users/u", r#"{"user":"u","password":"p"}"#),
        ("PUT", "/v2/auth/roles/r", r#"{"role":"r"}"#),
        ("DELETE", "/v2/auth/roles/guest", ""),
        ("DELETE", "/v2/auth/enable", ""),
    ] {
        let reply = ask(&mut raw, method, path, ROOT, body).await;
        assert_eq!(reply.status, "HTTP/1.1 500 Internal Server Error");
        assert_eq!(reply.body, r#"{"message":"Internal Server Error"}"#);
    }
    faults.regain_leader();
    let missing = ask(&mut raw, "GET", "/v2/auth/users/u", ROOT, "").await;
    assert_eq!(missing.status, "HTTP/1.1 404 Not Found");
    let off = ask(&mut raw, "DELETE", "/v2/auth/enable", ROOT, "").await;
    assert_eq!(off.status, "HTTP/1.1 200 OK");
}

/// Each change is one step, so that none of those that come at the same time is lost.
#[tokio::test]
async fn grants_at_the_same_time_all_count() {
    let server = builder().start().await.unwrap();
    let mut raw = Raw::connect(&server).await;
    let user = r#"{"user":"u","password":"p"}"#;
    ask(&mut raw, "PUT", "/v2/auth/users/u", "", user).await;
    let mut granting = Vec::new();
    for role in 0..16 {
        let mut raw = Raw::connect(&server).await;
        granting.push(tokio::spawn(async move {
            let json = format!(r#"{{"user":"u","password":"p{role}","grant":["{role:02}"]}}"#);
            ask(&mut raw, "PUT", "/v2/auth/users/u", "", &json).await
        }));
    }
    for grant in granting {
        assert_eq!(grant.await.unwrap().status, "HTTP/1.1 200 OK");
    }
    let nothing = r#"{"user":"u","grant":["x"],"revoke":["x"],"password":"p"}"#;
    let reply = ask(&mut raw, "PUT", "/v2/auth/users/u", "", nothing).await;
    let roles: Vec<String> = (0..16).map(|role| format!("\"{role:02}\"")).collect();
    let expected = format!("{{\"user\":\"u\",\"roles\":[{}]}}\n", roles.join(","));
    assert_eq!(reply.body, expected);
}

/// What makes a real etcd drop the connection, or reads something else.
#[tokio::test]
async fn strange_names_are_nobody() {
    let server = builder().start().await.unwrap();
    let mut raw = Raw::connect(&server).await;
    let user = r#"{"user":"u","password":"p","roles":["","..","../users/u","a/b"]}"#;
    let reply = ask(&mut raw, "PUT", "/v2/auth/users/u", "", user).await;
    assert_eq!(reply.status, "HTTP/1.1 200 OK");
    let users = raw.get("/v2/auth/users").await;
    assert_eq!(users.body, "{\"users\":[{\"user\":\"u\"}]}\n");
    let user = raw.get("/v2/auth/users/u").await;
    assert_eq!(user.body, r#"{"message":"auth: Role  does not exist."}"#);
    // An empty pattern.
    let role = r#"{"role":"r","permissions":{"kv":{"read":["", "*"]}}}"#;
    let reply = ask(&mut raw, "PUT", "/v2/auth/roles/r", "", role).await;
    assert_eq!(reply.status, "HTTP/1.1 201 Created");
    // More than anybody needs.
    let long = format!(
        "{{\"user\":\"v\",\"password\":\"{}\"}}",
        "p".repeat(11 << 20)
    );
    let reply = ask(&mut raw, "PUT", "/v2/auth/users/v", "", &long).await;
    assert_eq!(reply.status, "HTTP/1.1 400 Bad Request");
    assert_eq!(reply.body, r#"{"message":"Invalid JSON in request body."}"#);
}
