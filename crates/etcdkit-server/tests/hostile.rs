//! Whatever bytes arrive, the server neither panics nor stops serving others.

#![allow(clippy::unwrap_used)]

mod common;

use common::raw::send;
use common::{Way, all, kv, put, start};
use etcdkit_server::Server;
use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

async fn assert_serves(server: &Server) {
    let mut kv = kv(server, Way::Tcp).await;
    kv.put(put("alive", "yes")).await.unwrap();
    assert_eq!(kv.range(all()).await.unwrap().into_inner().count, 1);
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Headers of a gRPC call, without compression.
fn headers(path: &str) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ] {
        block.extend([0, name.len() as u8]);
        block.extend(name.bytes());
        block.push(value.len() as u8);
        block.extend(value.bytes());
    }
    block
}

/// The start of a connection with one call whose body is `data`.
fn call(path: &str, data: &[u8]) -> Vec<u8> {
    const END_HEADERS: u8 = 4;
    const END_STREAM: u8 = 1;
    let mut bytes = PREFACE.to_vec();
    bytes.extend(frame(4, 0, 0, &[]));
    bytes.extend(frame(1, END_HEADERS, 1, &headers(path)));
    bytes.extend(frame(0, END_STREAM, 1, data));
    bytes
}

#[tokio::test]
async fn random_bytes_break_nothing() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let server = start().await;
    for _ in 0..300 {
        let mut bytes: Vec<u8> = (0..random.usize(..400)).map(|_| random.u8(..)).collect();
        if random.bool() {
            bytes.splice(0..0, PREFACE.iter().copied());
        }
        send(&server, &bytes).await;
    }
    assert_serves(&server).await;
}

#[tokio::test]
async fn a_damaged_call_breaks_nothing() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let server = start().await;
    let message = prost::Message::encode_to_vec(&put("alive", "no"));
    let mut body = vec![0];
    body.extend((message.len() as u32).to_be_bytes());
    body.extend(message);
    for method in ["Txn", "DeleteRange", "Compact", "Range", "RangeStream"] {
        let bytes = call(&format!("/etcdserverpb.KV/{method}"), &body);
        for _ in 0..100 {
            let mut bytes = bytes.clone();
            let at = random.usize(PREFACE.len()..bytes.len());
            match random.u8(..3) {
                0 => bytes.truncate(at),
                1 => bytes[at] ^= 1 << random.u8(..8),
                _ => bytes.insert(at, random.u8(..)),
            }
            send(&server, &bytes).await;
        }
    }
    assert_serves(&server).await;
}

#[tokio::test]
async fn a_call_cut_short_or_of_no_sense_gets_an_answer() {
    let server = start().await;
    let io = TokioIo::new(server.connector().open().unwrap());
    let (mut client, driver) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .unwrap();
    tokio::spawn(driver);
    for (data, text) in [
        (&[][..], "the call ended without a request message"),
        (&[0, 0, 0], "unexpected EOF"),
        (&[0, 0, 0, 0, 9, 1], "unexpected EOF"),
        (
            &[0, 0xff, 0xff, 0xff, 0xff],
            "grpc: received message larger than max (4294967295 vs. 2097152)",
        ),
        (
            &[1, 0, 0, 0, 0],
            "grpc: compressed requests are not supported by this server",
        ),
        (
            &[7, 0, 0, 0, 0],
            "grpc: received unexpected payload format 7",
        ),
        (&[0, 0, 0, 0, 1, 0xff], "grpc: error unmarshalling request"),
        (
            &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            "the call has more than one request message",
        ),
    ] {
        let request = Request::post("http://localhost/etcdserverpb.KV/Put")
            .header("content-type", "application/grpc")
            .body(Full::new(Bytes::from_static(data)))
            .unwrap();
        let response = client.send_request(request).await.unwrap();
        let message = response.headers()["grpc-message"].to_str().unwrap();
        assert!(message.starts_with(text), "{message}");
    }
    assert_serves(&server).await;
}

/// Nesting is bounded before anything recurses into it.
#[tokio::test]
async fn deep_nesting_is_refused() {
    let server = start().await;
    let mut kv = kv(&server, Way::Tcp).await;
    use etcdkit_proto::etcdserverpb::{RequestOp, TxnRequest, request_op::Request};
    let mut txn = TxnRequest::default();
    for _ in 0..60 {
        let op = RequestOp {
            request: Some(Request::RequestTxn(txn)),
        };
        txn = TxnRequest {
            success: vec![op],
            ..Default::default()
        };
    }
    // Two messages a level; the decoder goes 100 deep.
    let error = kv.txn(txn).await.map(drop).unwrap_err();
    assert_eq!(error.code(), tonic::Code::Internal);
    assert!(
        error
            .message()
            .starts_with("grpc: error unmarshalling request"),
        "{error}"
    );
    assert_serves(&server).await;
}

/// A client that drops a batch of calls at once keeps its connection.
#[tokio::test]
async fn many_cancelled_calls_do_not_end_the_connection() {
    let server = start().await;
    let kv = kv(&server, Way::Tcp).await;
    for _ in 0..20 {
        let calls: Vec<_> = (0..200)
            .map(|_| {
                let mut kv = kv.clone();
                tokio::spawn(async move { kv.put(put("alive", "yes")).await.map(drop) })
            })
            .collect();
        tokio::task::yield_now().await;
        for call in calls {
            call.abort();
            if let Ok(result) = call.await {
                result.unwrap();
            }
        }
    }
    kv.clone().range(all()).await.unwrap();
}
