//! The KV service as a client sees it: headers, codes, texts and limits.

#![allow(clippy::unwrap_used)]

mod common;

use common::{WAYS, Way, all, channel, get, is, kv, put, start};
use etcdkit_proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use etcdkit_proto::etcdserverpb::request_op::Request as Op;
use etcdkit_proto::etcdserverpb::response_op::Response as OpReply;
use etcdkit_proto::etcdserverpb::{
    CompactionRequest, Compare, DeleteRangeRequest, RangeRequest, RequestOp, TxnRequest,
};
use etcdkit_server::Server;
use tonic::{Code, Request, Status};

#[tokio::test]
async fn reads_see_every_write_that_was_answered() {
    for way in WAYS {
        let server = start().await;
        let mut kv = kv(&server, way).await;

        assert_eq!(
            kv.put(put("a", "1"))
                .await
                .unwrap()
                .into_inner()
                .header
                .unwrap()
                .revision,
            2
        );
        let found = kv.range(get("a")).await.unwrap().into_inner();
        assert_eq!(found.kvs[0].value, "1");
        assert_eq!((found.count, found.more), (1, false));

        let txn = TxnRequest {
            compare: vec![Compare {
                key: "a".into(),
                target: CompareTarget::Version.into(),
                result: CompareResult::Equal.into(),
                target_union: Some(TargetUnion::Version(1)),
                ..Default::default()
            }],
            success: vec![
                RequestOp {
                    request: Some(Op::RequestPut(put("b", "2"))),
                },
                RequestOp {
                    request: Some(Op::RequestRange(all())),
                },
            ],
            failure: vec![],
        };
        let done = kv.txn(txn).await.unwrap().into_inner();
        assert!(done.succeeded);
        let Some(OpReply::ResponseRange(range)) = &done.responses[1].response else {
            panic!("{done:?}")
        };
        assert_eq!(range.count, 2);

        let delete = DeleteRangeRequest {
            key: "a".into(),
            ..Default::default()
        };
        let deleted = kv.delete_range(delete).await.unwrap().into_inner();
        assert_eq!((deleted.deleted, deleted.header.unwrap().revision), (1, 4));

        let compact = CompactionRequest {
            revision: 4,
            physical: true,
        };
        kv.compact(compact).await.unwrap();
        let old = RangeRequest {
            revision: 3,
            ..all()
        };
        is(
            &kv.range(old).await.unwrap_err(),
            Code::OutOfRange,
            "etcdserver: mvcc: required revision has been compacted",
        );
    }
}

#[tokio::test]
async fn every_header_says_who_answered() {
    let server = Server::builder()
        .cluster_id(7)
        .member_id(8)
        .start()
        .await
        .unwrap();
    let mut kv = kv(&server, Way::Tcp).await;
    let compact = CompactionRequest {
        revision: 2,
        physical: false,
    };
    let headers = [
        kv.put(put("a", "1")).await.unwrap().into_inner().header,
        kv.range(get("a")).await.unwrap().into_inner().header,
        kv.txn(TxnRequest::default())
            .await
            .unwrap()
            .into_inner()
            .header,
        kv.compact(compact).await.unwrap().into_inner().header,
        kv.delete_range(DeleteRangeRequest {
            key: "b".into(),
            ..Default::default()
        })
        .await
        .unwrap()
        .into_inner()
        .header,
    ];
    for header in headers.map(Option::unwrap) {
        assert_eq!((header.cluster_id, header.member_id), (7, 8));
        assert_eq!((header.revision, header.raft_term), (2, 2));
    }
}

#[tokio::test]
async fn a_request_is_checked_before_its_size_and_its_size_before_the_engine() {
    for way in WAYS {
        let server = start().await;
        let mut kv = kv(&server, way).await;
        let large = || vec![0; 1_600_000];

        is(
            &kv.put(put("", large())).await.unwrap_err(),
            Code::InvalidArgument,
            "etcdserver: key is not provided",
        );
        let mut unknown_lease = put("k", large());
        unknown_lease.lease = 77;
        is(
            &kv.put(unknown_lease).await.unwrap_err(),
            Code::InvalidArgument,
            "etcdserver: request is too large",
        );
        let mut unknown_lease = put("k", "v");
        unknown_lease.lease = 77;
        is(
            &kv.put(unknown_lease).await.unwrap_err(),
            Code::NotFound,
            "etcdserver: requested lease not found",
        );
        assert_eq!(
            kv.range(all())
                .await
                .unwrap()
                .into_inner()
                .header
                .unwrap()
                .revision,
            1
        );
    }
}

#[tokio::test]
async fn values_may_be_as_large_as_etcds() {
    for way in WAYS {
        let server = start().await;
        let mut kv = kv(&server, way).await;

        let value = vec![b'x'; 1_572_804];
        kv.put(put("k", value.clone())).await.unwrap();
        assert_eq!(
            kv.range(get("k")).await.unwrap().into_inner().kvs[0].value,
            value
        );
        is(
            &kv.put(put("k", vec![b'x'; 1_572_864])).await.unwrap_err(),
            Code::InvalidArgument,
            "etcdserver: request is too large",
        );
        // The message is the value, a key of one byte and the tags and lengths of both.
        is(
            &kv.put(put("k", vec![b'x'; 2_097_152])).await.unwrap_err(),
            Code::ResourceExhausted,
            "grpc: received message larger than max (2097160 vs. 2097152)",
        );
        // Neither breaks the connection.
        kv.put(put("k", "v")).await.unwrap();
    }
}

#[tokio::test]
async fn limits_are_those_of_the_builder() {
    let server = Server::builder()
        .max_request_bytes(1_000)
        .max_txn_ops(2)
        .start()
        .await
        .unwrap();
    let mut kv = kv(&server, Way::Tcp).await;
    kv.put(put("k", vec![0; 900])).await.unwrap();
    is(
        &kv.put(put("k", vec![0; 1_000])).await.unwrap_err(),
        Code::InvalidArgument,
        "etcdserver: request is too large",
    );
    is(
        &kv.put(put("k", vec![0; 1_000 + 512 * 1024]))
            .await
            .unwrap_err(),
        Code::ResourceExhausted,
        "grpc: received message larger than max (525295 vs. 525288)",
    );
    let txn = TxnRequest {
        success: ["a", "b", "c"]
            .map(|key| RequestOp {
                request: Some(Op::RequestPut(put(key, ""))),
            })
            .into(),
        ..Default::default()
    };
    is(
        &kv.txn(txn).await.unwrap_err(),
        Code::InvalidArgument,
        "etcdserver: too many operations in txn request",
    );
}

/// What only reads is not logged, and etcd limits the size of what it logs.
#[tokio::test]
async fn a_transaction_that_only_reads_may_exceed_the_request_limit() {
    let server = Server::builder()
        .max_request_bytes(100)
        .start()
        .await
        .unwrap();
    let mut kv = kv(&server, Way::Tcp).await;
    let mut txn = TxnRequest {
        success: vec![RequestOp {
            request: Some(Op::RequestRange(get(&"k".repeat(200)))),
        }],
        ..Default::default()
    };
    kv.txn(txn.clone()).await.unwrap();
    txn.failure.push(RequestOp {
        request: Some(Op::RequestPut(put("a", ""))),
    });
    is(
        &kv.txn(txn).await.unwrap_err(),
        Code::InvalidArgument,
        "etcdserver: request is too large",
    );
}

#[tokio::test]
async fn metadata_of_etcd_clients_is_accepted() {
    let server = start().await;
    let mut kv = kv(&server, Way::Tcp).await;
    let mut request = Request::new(put("a", "1"));
    request
        .metadata_mut()
        .insert("hasleader", "true".parse().unwrap());
    request
        .metadata_mut()
        .insert("token", "abc.1".parse().unwrap());
    request
        .metadata_mut()
        .insert("client-api-version", "3.6".parse().unwrap());
    kv.put(request).await.unwrap();
}

#[tokio::test]
async fn concurrent_writers_get_a_revision_each() {
    const WRITERS: usize = 8;
    const PUTS: usize = 50;
    let server = start().await;
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let mut kv = kv(&server, if writer % 2 == 0 { Way::Tcp } else { Way::Pipe }).await;
        tasks.spawn(async move {
            let mut revisions = Vec::new();
            for n in 0..PUTS {
                let done = kv.put(put(&format!("{writer}/{n}"), "v")).await.unwrap();
                let revision = done.into_inner().header.unwrap().revision;
                let seen = kv.range(all()).await.unwrap().into_inner();
                assert!(seen.header.unwrap().revision >= revision);
                assert!(seen.count >= revision - 1);
                revisions.push(revision);
            }
            revisions
        });
    }
    let mut revisions = tasks.join_all().await.concat();
    revisions.sort_unstable();
    let expected: Vec<i64> = (2..2 + (WRITERS * PUTS) as i64).collect();
    assert_eq!(revisions, expected);
}

mod range_stream {
    use super::*;
    use etcdkit_proto::etcdserverpb::RangeResponse;

    async fn parts(server: &Server, request: RangeRequest) -> Result<Vec<RangeResponse>, Status> {
        let mut stream = kv(server, Way::Tcp)
            .await
            .range_stream(request)
            .await?
            .into_inner();
        let mut parts = Vec::new();
        while let Some(part) = stream.message().await? {
            parts.push(part.range_response.unwrap());
        }
        Ok(parts)
    }

    async fn filled(keys: usize, value: usize) -> Server {
        let server = start().await;
        let mut kv = kv(&server, Way::Pipe).await;
        for n in 0..keys {
            kv.put(put(&format!("{n:05}"), vec![b'v'; value]))
                .await
                .unwrap();
        }
        server
    }

    #[tokio::test]
    async fn parts_join_to_what_range_gives() {
        let server = filled(200, 20_000).await;
        for request in [
            all(),
            RangeRequest {
                limit: 199,
                ..all()
            },
            RangeRequest { limit: 25, ..all() },
            RangeRequest { limit: 10, ..all() },
            RangeRequest {
                limit: 3,
                keys_only: true,
                ..all()
            },
            RangeRequest {
                revision: 100,
                ..all()
            },
            RangeRequest {
                count_only: true,
                ..all()
            },
            RangeRequest {
                sort_order: 1,
                limit: 20,
                ..all()
            },
            get("00007"),
            get("none"),
        ] {
            let whole = kv(&server, Way::Tcp)
                .await
                .range(request.clone())
                .await
                .unwrap()
                .into_inner();
            let mut parts = parts(&server, request.clone()).await.unwrap();
            let last = parts.pop().unwrap();
            let mut kvs = Vec::new();
            for part in parts {
                assert_eq!((&part.header, part.more, part.count), (&None, false, 0));
                assert!(!part.kvs.is_empty());
                kvs.extend(part.kvs);
            }
            kvs.extend(last.kvs);
            assert_eq!(RangeResponse { kvs, ..last }, whole, "{request:?}");
        }
    }

    #[tokio::test]
    async fn parts_grow_to_the_request_limit() {
        let server = filled(300, 10_000).await;
        let sizes: Vec<usize> = parts(&server, all())
            .await
            .unwrap()
            .iter()
            .map(|part| part.kvs.len())
            .collect();
        // Parts double until one has at least half of 1.5 MiB: 80 keys of 10,000 bytes.
        assert_eq!(sizes, [10, 20, 40, 80, 80, 70]);
    }

    #[tokio::test]
    async fn a_stream_stays_at_its_revision() {
        let server = filled(500, 16_000).await;
        let mut kv = kv(&server, Way::Tcp).await;
        let mut stream = kv.range_stream(all()).await.unwrap().into_inner();
        let first = stream
            .message()
            .await
            .unwrap()
            .unwrap()
            .range_response
            .unwrap();
        assert_eq!(first.kvs.len(), 10);
        // Far more is left than fits into the windows, so the last keys were not read yet.
        kv.put(put("00499", "new")).await.unwrap();
        kv.put(put("00500", "new")).await.unwrap();
        let mut last = first;
        while let Some(part) = stream.message().await.unwrap() {
            last = part.range_response.unwrap();
        }
        assert_eq!((last.count, last.header.unwrap().revision), (500, 501));
        assert_eq!(last.kvs.last().unwrap().mod_revision, 501);
    }

    #[tokio::test]
    async fn what_it_cannot_do_is_refused() {
        let server = start().await;
        for (request, code, text) in [
            (
                RangeRequest {
                    sort_order: 2,
                    ..all()
                },
                Code::Unimplemented,
                "RangeStream does not support custom sort orders",
            ),
            (
                RangeRequest {
                    max_create_revision: 1,
                    ..all()
                },
                Code::Unimplemented,
                "RangeStream does not support revision filters",
            ),
            (
                RangeRequest::default(),
                Code::InvalidArgument,
                "etcdserver: key is not provided",
            ),
            (
                RangeRequest {
                    revision: 9,
                    ..all()
                },
                Code::OutOfRange,
                "etcdserver: mvcc: required revision is a future revision",
            ),
        ] {
            is(&parts(&server, request).await.unwrap_err(), code, text);
        }
    }
}

#[tokio::test]
async fn methods_that_are_not_offered_are_named() {
    let server = start().await;
    let channel = channel(&server, Way::Tcp).await;
    for (path, text) in [
        (
            "/etcdserverpb.KV/Nope",
            "unknown method Nope for service etcdserverpb.KV",
        ),
        (
            "/etcdserverpb.Lease/Nope",
            "unknown method Nope for service etcdserverpb.Lease",
        ),
        ("/nope.Nope/Nope", "unknown service nope.Nope"),
        ("/nope", "malformed method name: \"/nope\""),
    ] {
        let mut grpc = tonic::client::Grpc::new(channel.clone());
        grpc.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<RangeRequest, RangeRequest>::default();
        let error = grpc
            .unary(Request::new(get("a")), path.parse().unwrap(), codec)
            .await
            .unwrap_err();
        is(&error, Code::Unimplemented, text);
    }
}
