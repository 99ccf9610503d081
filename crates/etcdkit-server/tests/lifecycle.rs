//! Starting, stopping and everything in between.

#![allow(clippy::unwrap_used)]

mod common;

use std::io;
use std::time::Duration;

use common::{WAYS, Way, all, channel, connect, kv, put, start};
use etcdkit_proto::health::HealthCheckRequest;
use etcdkit_proto::health::health_client::HealthClient;
use etcdkit_server::{AuthToken, Jwt, Server, ServerTls, SignMethod, StartError};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::Code;

/// Far above anything a working server needs.
const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn settings_that_cannot_be_used_are_named() {
    for (builder, expected) in [
        (
            Server::builder().listen("localhost"),
            "`listen`: \"localhost\": expected host:port",
        ),
        (
            Server::builder().listen("https://localhost:1"),
            "`tls`: an address with TLS needs a certificate",
        ),
        (
            Server::builder().listen("a:1").listen("http://a:1"),
            "`listen`: \"http://a:1\": the address is given twice",
        ),
        (
            Server::builder().tls(ServerTls::new()),
            "`tls`: the server's certificate and key are missing",
        ),
        (
            Server::builder().tls(ServerTls::new().identity_files("/nowhere", "/nowhere")),
            "`tls`: the certificate file /nowhere: ",
        ),
        (
            Server::builder().auth_token(AuthToken::Jwt(Jwt::new(SignMethod::Rs256))),
            "`auth_token`: a private key or a public key is missing",
        ),
        (
            Server::builder().version("3.5.12"),
            "`version`: \"3.5.12\": expected three numbers",
        ),
        (Server::builder().version("latest"), "at least 3.5.13"),
        (
            Server::builder().max_request_bytes(0),
            "`max_request_bytes`: 0 would refuse",
        ),
        (Server::builder().max_txn_ops(0), "`max_txn_ops`"),
        (Server::builder().member_id(0), "`member_id`"),
    ] {
        let error = builder.start().await.unwrap_err();
        assert!(matches!(error, StartError::Config { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn an_address_that_is_taken_is_an_error() {
    let first = start().await;
    let address = first.local_addr().unwrap().to_string();
    let error = Server::builder()
        .listen(&address)
        .start()
        .await
        .unwrap_err();
    let StartError::Listen {
        address: named,
        source,
    } = &error
    else {
        panic!("{error:?}")
    };
    assert_eq!((named, source.kind()), (&address, io::ErrorKind::AddrInUse));
}

#[tokio::test]
async fn several_addresses_reach_one_server() {
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .listen("http://127.0.0.1:0")
        .start()
        .await
        .unwrap();
    let [first, second] = server.endpoints() else {
        panic!("{:?}", server.endpoints())
    };
    assert_ne!(first, second);
    assert_eq!(&server.endpoint(), first);
    assert_eq!(format!("http://{}", server.local_addr().unwrap()), *first);

    kv(&server, Way::Tcp)
        .await
        .put(put("k", "v"))
        .await
        .unwrap();
    let mut other = connect(second.clone()).await;
    assert_eq!(other.range(all()).await.unwrap().into_inner().count, 1);
}

#[tokio::test]
async fn a_server_without_a_listener_is_reached_by_its_connector_only() {
    let server = Server::builder().without_listener().start().await.unwrap();
    assert_eq!(server.local_addr(), None);
    kv(&server, Way::Pipe)
        .await
        .put(put("k", "v"))
        .await
        .unwrap();
    // The endpoint is a name that no resolver knows.
    tonic::transport::Endpoint::from_shared(server.endpoint())
        .unwrap()
        .connect()
        .await
        .unwrap_err();
}

#[cfg(unix)]
#[tokio::test]
async fn unix_sockets_work_and_leave_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("etcd.sock");
    let listen = format!("unix:{}", path.display());

    // A socket file that a killed server left behind is in nobody's way.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let server = Server::builder().listen(&listen).start().await.unwrap();
    assert_eq!(server.endpoint(), format!("unix://{}", path.display()));
    let mut kv = connect(server.endpoint()).await;
    kv.put(put("k", "v")).await.unwrap();

    // One in use is not taken over.
    let error = Server::builder().listen(&listen).start().await.unwrap_err();
    assert!(matches!(error, StartError::Listen { .. }), "{error:?}");
    kv.put(put("k", "v")).await.unwrap();

    server.shutdown().await.unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn servers_share_nothing() {
    let mut servers = Vec::new();
    for _ in 0..50 {
        servers.push(Server::builder().without_listener().start().await.unwrap());
    }
    for (n, server) in servers.iter().enumerate() {
        let mut kv = kv(server, Way::Pipe).await;
        for _ in 0..n % 3 {
            kv.put(put("k", "v")).await.unwrap();
        }
    }
    let mut ids = std::collections::HashSet::new();
    for (n, server) in servers.iter().enumerate() {
        let header = kv(server, Way::Pipe)
            .await
            .range(all())
            .await
            .unwrap()
            .into_inner()
            .header
            .unwrap();
        assert_eq!(header.revision, 1 + (n % 3) as i64);
        ids.insert(header.cluster_id);
    }
    assert_eq!(ids.len(), servers.len());
}

#[tokio::test]
async fn shutdown_ends_idle_connections_and_refuses_new_ones() {
    for way in WAYS {
        let server = start().await;
        let address = server.local_addr().unwrap();
        let connector = server.connector();
        let mut kv = kv(&server, way).await;
        kv.put(put("k", "v")).await.unwrap();

        timeout(LONG, server.shutdown()).await.unwrap().unwrap();
        assert_eq!(
            TcpStream::connect(address).await.unwrap_err().kind(),
            io::ErrorKind::ConnectionRefused
        );
        assert_eq!(
            connector.open().unwrap_err().kind(),
            io::ErrorKind::ConnectionRefused
        );
        assert_eq!(
            kv.put(put("k", "v")).await.unwrap_err().code(),
            Code::Unavailable
        );
    }
}

#[tokio::test]
async fn shutdown_lets_a_running_call_finish() {
    let server = start().await;
    let mut kv = kv(&server, Way::Tcp).await;
    for n in 0..100 {
        kv.put(put(&format!("{n:03}"), vec![0; 100_000]))
            .await
            .unwrap();
    }
    // Ten megabytes do not fit into the windows, so the call runs until the reader goes on.
    let mut stream = kv.range_stream(all()).await.unwrap().into_inner();
    let mut keys = stream
        .message()
        .await
        .unwrap()
        .unwrap()
        .range_response
        .unwrap()
        .kvs
        .len();
    let shutdown = tokio::spawn(server.shutdown());
    while let Some(part) = stream.message().await.unwrap() {
        keys += part.range_response.unwrap().kvs.len();
    }
    assert_eq!(keys, 100);
    timeout(LONG, shutdown).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn dropping_the_server_stops_everything() {
    for way in WAYS {
        let server = start().await;
        let address = server.local_addr().unwrap();
        let connector = server.connector();
        let channel = channel(&server, way).await;
        let mut watch = HealthClient::new(channel)
            .watch(HealthCheckRequest::default())
            .await
            .unwrap()
            .into_inner();
        watch.message().await.unwrap().unwrap();

        drop(server);
        assert_eq!(
            connector.open().unwrap_err().kind(),
            io::ErrorKind::ConnectionRefused
        );
        timeout(LONG, watch.message()).await.unwrap().unwrap_err();
        // The listener closes when the runtime next runs its task.
        timeout(LONG, async {
            while TcpStream::connect(address).await.is_ok() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
    }
}
