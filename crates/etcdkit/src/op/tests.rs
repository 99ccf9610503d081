//! Requests written by hand are, byte for byte, what the generated messages write; and requests
//! that are wrong fail before they are sent.

use etcdkit_proto::{
    EtcdError,
    etcdserverpb::{self as pb, request_op::Request as WireOp},
};
use prost::Message;

use super::{delete::DeleteMessage, put::PutMessage, range::RangeMessage};
use crate::{
    Blob, KeyRange, LeaseId, SortOrder, SortTarget,
    types::Invalid,
    wire::{Encode, Frame, PREFIX},
    wrap::namespace::Namespace,
};

const ROUNDS: usize = 20_000;

/// A generator from a seed that is printed if the test fails.
fn random() -> fastrand::Rng {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    fastrand::Rng::with_seed(seed)
}

fn bytes(rng: &mut fastrand::Rng) -> Vec<u8> {
    // Lengths around 128 and 16,384 change the length of the length.
    let length = match rng.u8(..10) {
        0 => 0,
        1 => rng.usize(120..140),
        2 if rng.u8(..20) == 0 => rng.usize(16_380..16_390),
        _ => rng.usize(1..20),
    };
    (0..length)
        .map(|_| match rng.u8(..4) {
            0 => 0xff,
            _ => rng.u8(..),
        })
        .collect()
}

fn number(rng: &mut fastrand::Rng) -> i64 {
    match rng.u8(..4) {
        0 => 0,
        1 => rng.i64(..),
        _ => rng.i64(..) >> rng.u8(..64),
    }
}

fn keys(rng: &mut fastrand::Rng) -> KeyRange<'static> {
    match rng.u8(..6) {
        0 => KeyRange::key(bytes(rng)),
        1 => KeyRange::prefix(bytes(rng)),
        2 => KeyRange::from_key(bytes(rng)),
        3 => KeyRange::range(bytes(rng), bytes(rng)),
        4 => KeyRange::from(bytes(rng)..=bytes(rng)),
        _ => KeyRange::all(),
    }
}

#[track_caller]
fn assert_same(by_hand: &impl Encode, generated: &impl Message) {
    assert_same_in(&Namespace::default(), by_hand, generated);
}

#[track_caller]
fn assert_same_in(namespace: &Namespace, by_hand: &impl Encode, generated: &impl Message) {
    let frame = Frame::build(by_hand, namespace);
    assert_eq!(frame.bytes(), Frame::of(generated).bytes());
    assert_eq!(frame.message_len(), generated.encoded_len());
    assert_eq!(frame.bytes()[PREFIX..], generated.encode_to_vec());
    let length = frame.message_len() as u32;
    assert_eq!(frame.bytes()[1..PREFIX], length.to_be_bytes());
}

#[test]
fn puts_are_encoded_as_generated() {
    let mut rng = random();
    for _ in 0..ROUNDS {
        let message = PutMessage {
            key: bytes(&mut rng).into(),
            value: bytes(&mut rng).into(),
            lease: LeaseId(number(&mut rng)),
            prev_kv: rng.bool(),
            ignore_value: rng.bool(),
            ignore_lease: rng.bool(),
        };
        assert_same(&message, &pb::PutRequest::from(message.clone()));
    }
}

#[test]
fn ranges_are_encoded_as_generated() {
    const TARGETS: [SortTarget; 5] = [
        SortTarget::Key,
        SortTarget::Version,
        SortTarget::CreateRevision,
        SortTarget::ModRevision,
        SortTarget::Value,
    ];
    const ORDERS: [SortOrder; 2] = [SortOrder::Ascending, SortOrder::Descending];
    let mut rng = random();
    for _ in 0..ROUNDS {
        let message = RangeMessage {
            keys: keys(&mut rng),
            limit: number(&mut rng),
            revision: number(&mut rng),
            sort: rng
                .bool()
                .then(|| (TARGETS[rng.usize(..5)], ORDERS[rng.usize(..2)])),
            serializable: rng.bool(),
            keys_only: rng.bool(),
            count_only: rng.bool(),
            min_mod_revision: number(&mut rng),
            max_mod_revision: number(&mut rng),
            min_create_revision: number(&mut rng),
            max_create_revision: number(&mut rng),
        };
        assert_same(&message, &pb::RangeRequest::from(message.clone()));
    }
}

#[test]
fn deletes_are_encoded_as_generated() {
    let mut rng = random();
    for _ in 0..ROUNDS {
        let message = DeleteMessage {
            keys: keys(&mut rng),
            prev_kv: rng.bool(),
        };
        assert_same(&message, &pb::DeleteRangeRequest::from(message.clone()));
    }
}

/// What a transaction's operation becomes in a namespace.
fn entered(namespace: &Namespace, op: WireOp) -> WireOp {
    let mut txn = pb::TxnRequest {
        success: vec![pb::RequestOp { request: Some(op) }],
        ..Default::default()
    };
    namespace.enter_txn(&mut txn);
    txn.success.remove(0).request.expect("just given")
}

#[test]
fn in_a_namespace_requests_are_encoded_as_operations_of_transactions_are() {
    let mut rng = random();
    for _ in 0..ROUNDS {
        let namespace = Namespace::new(&bytes(&mut rng));
        let put = put("key", "value");
        let WireOp::RequestPut(generated) =
            entered(&namespace, WireOp::RequestPut(put.clone().into()))
        else {
            panic!("not a put");
        };
        assert_same_in(&namespace, &put, &generated);

        let range = RangeMessage::new(keys(&mut rng));
        if range.check().is_err() {
            continue;
        }
        let WireOp::RequestRange(generated) =
            entered(&namespace, WireOp::RequestRange(range.clone().into()))
        else {
            panic!("not a range");
        };
        assert_same_in(&namespace, &range, &generated);

        let delete = DeleteMessage {
            keys: range.keys,
            prev_kv: false,
        };
        let WireOp::RequestDeleteRange(generated) = entered(
            &namespace,
            WireOp::RequestDeleteRange(delete.clone().into()),
        ) else {
            panic!("not a delete");
        };
        assert_same_in(&namespace, &delete, &generated);
    }
}

#[test]
fn sort_orders_have_the_numbers_of_the_protocol() {
    use pb::range_request::{SortOrder as Order, SortTarget as Target};
    let wire = |target, order| {
        let mut message = RangeMessage::new(KeyRange::all());
        message.sort = Some((target, order));
        let wire = pb::RangeRequest::from(message);
        (wire.sort_target(), wire.sort_order())
    };
    let ascending = SortOrder::Ascending;
    let descending = SortOrder::Descending;
    // Keys come in ascending order anyway.
    assert_eq!(wire(SortTarget::Key, ascending), (Target::Key, Order::None));
    assert_eq!(
        wire(SortTarget::Key, descending),
        (Target::Key, Order::Descend)
    );
    assert_eq!(
        wire(SortTarget::Version, ascending),
        (Target::Version, Order::Ascend)
    );
    assert_eq!(
        wire(SortTarget::CreateRevision, descending),
        (Target::Create, Order::Descend)
    );
    assert_eq!(
        wire(SortTarget::ModRevision, ascending),
        (Target::Mod, Order::Ascend)
    );
    assert_eq!(
        wire(SortTarget::Value, descending),
        (Target::Value, Order::Descend)
    );
}

fn put<'a>(key: &'a str, value: &'a str) -> PutMessage<'a> {
    PutMessage {
        key: Blob::from(key),
        value: Blob::from(value),
        lease: LeaseId(0),
        prev_kv: false,
        ignore_value: false,
        ignore_lease: false,
    }
}

#[test]
fn wrong_puts_are_refused() {
    assert_eq!(put("k", "").check(), Ok(()));
    assert_eq!(put("", "v").check(), Err(EtcdError::EmptyKey.into()));
    let mut message = put("k", "v");
    message.ignore_value = true;
    assert_eq!(message.check(), Err(EtcdError::ValueProvided.into()));
    message.value = "".into();
    assert_eq!(message.check(), Ok(()));
    message.ignore_lease = true;
    assert_eq!(message.check(), Ok(()));
    message.lease = LeaseId(1);
    assert_eq!(message.check(), Err(EtcdError::LeaseProvided.into()));
}

#[test]
fn negative_options_of_ranges_are_refused() {
    let mut message = RangeMessage::new(KeyRange::all());
    assert_eq!(message.check(), Ok(()));
    message.limit = -1;
    assert_eq!(
        message.check(),
        Err(Invalid::Misuse(
            "limit is -1; give a number above 0, or 0 for none".into()
        ))
    );
    message.limit = 0;
    message.max_create_revision = -7;
    assert!(matches!(message.check(), Err(Invalid::Misuse(_))));
}
