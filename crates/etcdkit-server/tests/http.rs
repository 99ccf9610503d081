//! The plain HTTP side of the port, byte for byte where etcd's is known.

#![allow(clippy::unwrap_used)]

mod common;

use common::start;
use etcdkit_server::Server;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

/// One request on a connection of its own, in HTTP/1 and HTTP/2, which must agree.
async fn ask(server: &Server, method: &str, path: &str) -> Response<String> {
    let request = || {
        Request::builder()
            .method(method)
            .uri(format!("{}{path}", server.endpoint()))
            .header("host", "localhost")
            .body(Empty::<Bytes>::new())
            .unwrap()
    };
    let connect = || async {
        TokioIo::new(
            TcpStream::connect(server.local_addr().unwrap())
                .await
                .unwrap(),
        )
    };

    let (mut http1, driver) = hyper::client::conn::http1::handshake(connect().await)
        .await
        .unwrap();
    tokio::spawn(driver);
    let one = read(http1.send_request(request()).await.unwrap()).await;

    let (mut http2, driver) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), connect().await)
            .await
            .unwrap();
    tokio::spawn(driver);
    let two = read(http2.send_request(request()).await.unwrap()).await;

    assert_eq!((one.status(), one.body()), (two.status(), two.body()));
    one
}

async fn read(response: Response<hyper::body::Incoming>) -> Response<String> {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Response::from_parts(parts, String::from_utf8(body.into()).unwrap())
}

#[tokio::test]
async fn v2_is_answered_over_either_version() {
    let server = Server::builder().enable_v2(true).start().await.unwrap();
    for (method, path, status) in [
        ("GET", "/v2/keys", 200),
        ("GET", "/v2/keys/%zz", 400),
        ("GET", "/v2/keys//a", 301),
        ("PUT", "/v2/keys/a?prevIndex=x", 400),
        ("GET", "/v2/machines", 200),
        ("GET", "/v2/stats/leader", 200),
    ] {
        assert_eq!(ask(&server, method, path).await.status(), status, "{path}");
    }
}

#[tokio::test]
async fn health_is_etcds() {
    let server = start().await;
    for path in [
        "/health",
        "/health?serializable=true",
        "/health?exclude=NOSPACE",
    ] {
        let response = ask(&server, "GET", path).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.body(), r#"{"health":"true","reason":""}"#);
        assert_eq!(
            response.headers()["content-type"],
            "text/plain; charset=utf-8"
        );
        assert_eq!(response.headers()["content-length"], "29");
        assert_eq!(response.headers()["access-control-allow-origin"], "*");
    }
}

#[tokio::test]
async fn version_is_that_of_the_builder() {
    for (version, body) in [
        (
            "3.6.9",
            r#"{"etcdserver":"3.6.9","etcdcluster":"3.6.0","storage":"3.6.0"}"#,
        ),
        ("3.5.30", r#"{"etcdserver":"3.5.30","etcdcluster":"3.5.0"}"#),
    ] {
        let server = Server::builder().version(version).start().await.unwrap();
        let response = ask(&server, "GET", "/version").await;
        assert_eq!(response.body(), body);
        assert_eq!(response.headers()["content-type"], "application/json");
    }
}

#[tokio::test]
async fn other_methods_and_paths_are_refused_as_in_go() {
    let server = start().await;
    for path in ["/health", "/version"] {
        let response = ask(&server, "POST", path).await;
        assert_eq!(response.status(), 405);
        assert_eq!(response.body(), "Method Not Allowed\n");
        assert_eq!(response.headers()["allow"], "GET");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        assert_eq!(ask(&server, "OPTIONS", path).await.status(), 200);
        let head = ask(&server, "HEAD", path).await;
        assert_eq!((head.status().as_u16(), head.body().as_str()), (405, ""));
        assert_eq!(head.headers()["content-length"], "19");
    }
    for path in ["/", "/v2/keys", "/health/", "/nope"] {
        let response = ask(&server, "GET", path).await;
        assert_eq!(
            (response.status().as_u16(), response.body().as_str()),
            (404, "404 page not found\n")
        );
    }
}
