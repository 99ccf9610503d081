//! The numbers that a real etcd gave, kept in `golden/`.

use etcdkit_proto::etcdserverpb::request_op::Request;
use etcdkit_proto::etcdserverpb::{
    CompactionRequest, DeleteRangeRequest, PutRequest, RequestOp, TxnRequest,
};
use etcdkit_store::Store;

#[test]
fn hash_kv_is_that_of_a_real_etcd() {
    let mut store = Store::new();
    let mut hashes = 0;
    for (number, line) in include_str!("golden/hash_kv.txt").lines().enumerate() {
        let line_name = format!("line {}: {line}", number + 1);
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[0] {
            "#" => {}
            "put" => drop(store.put(put(&words)).expect(&line_name)),
            "delete" => drop(store.delete_range(delete(&words)).expect(&line_name)),
            "txn" => {
                let ops = line
                    .trim_start_matches("txn")
                    .split(';')
                    .map(operation)
                    .collect();
                let txn = TxnRequest {
                    success: ops,
                    ..Default::default()
                };
                store.txn(txn).expect(&line_name);
            }
            "compact" => {
                let revision = words[1].parse().unwrap();
                let request = CompactionRequest {
                    revision,
                    physical: true,
                };
                store.compact(&request).expect(&line_name);
            }
            "hash" => {
                hashes += 1;
                let revision = words[1].parse().unwrap();
                let answer = match store.hash_kv(revision) {
                    Ok(answer) => {
                        format!("{} compacted {}", answer.hash, answer.compact_revision)
                    }
                    Err(error) => format!("error {error}"),
                };
                assert_eq!(line, format!("hash {revision} = {answer}"), "{line_name}");
            }
            other => panic!("unknown word {other} in {line_name}"),
        }
    }
    assert!(hashes > 30, "the file is incomplete");
}

fn put(words: &[&str]) -> PutRequest {
    PutRequest {
        key: words[1].to_owned().into(),
        value: words[2].to_owned().into(),
        ..Default::default()
    }
}

fn delete(words: &[&str]) -> DeleteRangeRequest {
    DeleteRangeRequest {
        key: words[1].to_owned().into(),
        range_end: words.get(2).copied().unwrap_or_default().to_owned().into(),
        ..Default::default()
    }
}

fn operation(text: &str) -> RequestOp {
    let words: Vec<&str> = text.split_whitespace().collect();
    let request = match words[0] {
        "put" => Request::RequestPut(put(&words)),
        "delete" => Request::RequestDeleteRange(delete(&words)),
        other => panic!("unknown operation {other}"),
    };
    RequestOp {
        request: Some(request),
    }
}
