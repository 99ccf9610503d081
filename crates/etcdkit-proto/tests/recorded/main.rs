//! Messages of real servers and of etcd's own clients decode with our types and encode to the very
//! same bytes, and between them they use all but a few named fields; refusals are rows of our table.
//!
//! The transcripts beside this file come from the example `record`, one for each server version.

mod refusals;
mod transcript;

use bytes::Bytes;
use etcdkit_proto::{authpb, etcdserverpb, health, mvccpb, v3electionpb, v3lockpb};
use prost::{DecodeError, Message as _};
use protox::prost_reflect::{
    DescriptorPool, DynamicMessage, Kind, MessageDescriptor, ReflectMessage as _, Value,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};
use transcript::{Direction, Message, Refusal};

/// What no transcript has, and why.
const NOT_RECORDED: &[(&str, &str)] = &[
    ("authpb.Role", STORED),
    ("authpb.Role.keyPermission", STORED),
    ("authpb.Role.name", STORED),
    ("authpb.User", STORED),
    ("authpb.User.name", STORED),
    ("authpb.User.options", STORED),
    ("authpb.User.password", STORED),
    ("authpb.User.roles", STORED),
    (
        "etcdserverpb.AuthUserAddRequest.hashedPassword",
        BETWEEN_SERVERS,
    ),
    (
        "etcdserverpb.AuthUserChangePasswordRequest.hashedPassword",
        BETWEEN_SERVERS,
    ),
    ("etcdserverpb.DefragmentResponse.header", NEVER_SET),
    ("etcdserverpb.LeaseGrantResponse.error", NEVER_SET),
    ("etcdserverpb.MoveLeaderResponse.header", NEVER_SET),
    ("etcdserverpb.SnapshotResponse.header", NEVER_SET),
    ("etcdserverpb.WatchCreateRequest.NODELETE", GO_LIBRARY),
    ("etcdserverpb.WatchCreateRequest.filters", GO_LIBRARY),
    ("etcdserverpb.WatchCreateRequest.fragment", GO_LIBRARY),
    ("etcdserverpb.WatchCreateRequest.watch_id", GO_LIBRARY),
    ("grpc.health.v1.HealthCheckRequest", GO_LIBRARY),
    ("grpc.health.v1.HealthCheckRequest.service", GO_LIBRARY),
    ("grpc.health.v1.HealthCheckResponse.NOT_SERVING", RARE),
];
const STORED: &str = "servers keep it in their storage and do not send it";
const BETWEEN_SERVERS: &str = "the server fills it in before it replicates the request";
const NEVER_SET: &str = "no server sets it";
const GO_LIBRARY: &str = "neither etcdctl nor etcd's gRPC proxy sends it; the recorded answers to our \
                          own request show that servers understand it";
const RARE: &str = "only while a server set up for it defragments";

/// Decodes and encodes with one of our types.
type Again = fn(&[u8]) -> Result<Vec<u8>, DecodeError>;

fn again<M: prost::Message + Default>(bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
    // As from the network: a `Bytes`, of which fields of type `bytes` become slices.
    M::decode(Bytes::copy_from_slice(bytes)).map(|message| message.encode_to_vec())
}

macro_rules! types {
    ($($package:literal $module:ident { $($name:ident)* })*) => {
        /// Every message, by its full name in lower case (prost renames `HashKVRequest`).
        fn types() -> BTreeMap<String, Again> {
            BTreeMap::from([$($((
                concat!($package, ".", stringify!($name)).to_ascii_lowercase(),
                again::<$module::$name> as Again,
            ),)*)*])
        }
    };
}

types! {
    "authpb" authpb { Permission Role User UserAddOptions }
    "etcdserverpb" etcdserverpb {
        AlarmMember AlarmRequest AlarmResponse
        AuthDisableRequest AuthDisableResponse AuthEnableRequest AuthEnableResponse
        AuthRoleAddRequest AuthRoleAddResponse AuthRoleDeleteRequest AuthRoleDeleteResponse
        AuthRoleGetRequest AuthRoleGetResponse
        AuthRoleGrantPermissionRequest AuthRoleGrantPermissionResponse
        AuthRoleListRequest AuthRoleListResponse
        AuthRoleRevokePermissionRequest AuthRoleRevokePermissionResponse
        AuthStatusRequest AuthStatusResponse
        AuthUserAddRequest AuthUserAddResponse
        AuthUserChangePasswordRequest AuthUserChangePasswordResponse
        AuthUserDeleteRequest AuthUserDeleteResponse AuthUserGetRequest AuthUserGetResponse
        AuthUserGrantRoleRequest AuthUserGrantRoleResponse
        AuthUserListRequest AuthUserListResponse
        AuthUserRevokeRoleRequest AuthUserRevokeRoleResponse
        AuthenticateRequest AuthenticateResponse
        CompactionRequest CompactionResponse Compare
        DefragmentRequest DefragmentResponse DeleteRangeRequest DeleteRangeResponse
        DowngradeInfo DowngradeRequest DowngradeResponse
        HashKvRequest HashKvResponse HashRequest HashResponse
        LeaseGrantRequest LeaseGrantResponse LeaseKeepAliveRequest LeaseKeepAliveResponse
        LeaseLeasesRequest LeaseLeasesResponse LeaseRevokeRequest LeaseRevokeResponse LeaseStatus
        LeaseTimeToLiveRequest LeaseTimeToLiveResponse
        Member MemberAddRequest MemberAddResponse MemberListRequest MemberListResponse
        MemberPromoteRequest MemberPromoteResponse MemberRemoveRequest MemberRemoveResponse
        MemberUpdateRequest MemberUpdateResponse
        MoveLeaderRequest MoveLeaderResponse
        PutRequest PutResponse RangeRequest RangeResponse RangeStreamResponse
        RequestOp ResponseHeader ResponseOp
        SnapshotRequest SnapshotResponse StatusRequest StatusResponse
        TxnRequest TxnResponse
        WatchCancelRequest WatchCreateRequest WatchProgressRequest WatchRequest WatchResponse
    }
    "grpc.health.v1" health { HealthCheckRequest HealthCheckResponse }
    "mvccpb" mvccpb { Event KeyValue }
    "v3electionpb" v3electionpb {
        CampaignRequest CampaignResponse LeaderKey LeaderRequest LeaderResponse
        ProclaimRequest ProclaimResponse ResignRequest ResignResponse
    }
    "v3lockpb" v3lockpb { LockRequest LockResponse UnlockRequest UnlockResponse }
}

#[test]
fn every_message_encodes_to_the_bytes_it_was_decoded_from() {
    let (pool, types) = (descriptors(), types());
    let recorded = recordings();
    for (place, message) in &recorded {
        let name = type_of(&pool, message).full_name().to_ascii_lowercase();
        let encoded = types[&name](&message.bytes)
            .unwrap_or_else(|error| panic!("{place}: not a {name}: {error}"));
        let mut expected = message.bytes.clone();
        if place.starts_with("3.7.") && name == "etcdserverpb.txnrequest" {
            // Since 3.7 etcd's Go code puts the members of a oneof behind all other fields, which
            // protobuf allows. Of all messages only `Compare` has a field after its oneof.
            expected = in_field_order(&pool, message);
        }
        assert_eq!(encoded, expected, "{place}: {name} encodes differently");
    }
    assert!(recorded.len() > 800, "only {} messages", recorded.len());
}

#[test]
fn transcripts_use_every_message_field_and_enum_value_but_the_named_ones() {
    let pool = descriptors();
    let mut used = BTreeSet::new();
    for (place, message) in recordings() {
        let descriptor = type_of(&pool, &message);
        let message = DynamicMessage::decode(descriptor, &*message.bytes)
            .unwrap_or_else(|error| panic!("{place}: {error}"));
        collect(&message, &place, &mut used);
    }
    let missing: BTreeSet<String> = everything(&pool).difference(&used).cloned().collect();
    let named = NOT_RECORDED.iter().map(|(name, _)| (*name).to_string());
    assert_eq!(
        missing,
        named.collect(),
        "left: not recorded, right: the list"
    );
}

#[test]
fn the_types_here_are_the_messages_of_the_proto_files() {
    let messages = descriptors()
        .all_messages()
        .map(|message| message.full_name().to_ascii_lowercase())
        .collect::<BTreeSet<_>>();
    assert_eq!(messages, types().into_keys().collect());
}

#[test]
fn each_supported_line_of_servers_is_recorded() {
    let lines = ["3.4.", "3.5.", "3.6.", "3.7."];
    for line in lines {
        let recorded = recordings();
        assert!(
            recorded.iter().any(|(place, _)| place.starts_with(line)),
            "no transcript of etcd {line}x"
        );
    }
}

#[test]
fn lines_of_a_transcript_read_back_as_written() {
    for bytes in [
        vec![],
        vec![7],
        vec![0; 15],
        vec![0; 16],
        [[1; 20], [2; 20]].concat(),
    ] {
        let message = Message {
            direction: Direction::Response,
            method: "a.B/C".into(),
            bytes,
        };
        let line = message.to_line();
        assert_eq!(Message::from_line(&line), Some(message), "{line}");
    }
    for line in [
        "",
        "< a.B/C 0",
        "< a.B/C (00*",
        "= a.B/C 00",
        "< a.B/C 00 00",
        "< a.B/C é",
    ] {
        assert_eq!(Message::from_line(line), None, "{line}");
    }
    let refusal = Refusal {
        method: "a.B/C".into(),
        code: 3,
        text: "some text".into(),
    };
    let line = refusal.to_line();
    assert_eq!(Refusal::from_line(&line), Some(refusal), "{line}");
    assert_eq!(Refusal::from_line("! a.B/C x some text"), None);
}

/// All recorded messages and where they stand.
fn recordings() -> Vec<(String, Message)> {
    let messages = lines().filter(|(_, line)| !line.starts_with('!'));
    messages
        .map(|(place, line)| {
            let message = Message::from_line(&line).expect(&place);
            (place, message)
        })
        .collect()
}

/// All lines of the transcripts but the comments, and where they stand.
fn lines() -> impl Iterator<Item = (String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded");
    let mut lines = Vec::new();
    for file in std::fs::read_dir(folder).expect("the transcripts") {
        let path = file.expect("a folder entry").path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        let version = path.file_stem().expect("a name").to_string_lossy();
        let text = std::fs::read_to_string(&path).expect("a transcript");
        for (index, line) in text.lines().enumerate() {
            let place = format!("{version}.txt:{}", index + 1);
            lines.push((place, line.to_string()));
        }
    }
    lines.into_iter().filter(|(_, line)| !line.starts_with('#'))
}

fn descriptors() -> DescriptorPool {
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    let files = [
        "etcdserverpb/kv.proto",
        "etcdserverpb/watch.proto",
        "etcdserverpb/lease.proto",
        "etcdserverpb/cluster.proto",
        "etcdserverpb/maintenance.proto",
        "etcdserverpb/auth.proto",
        "v3lockpb/lock.proto",
        "v3electionpb/election.proto",
        "grpc/health.proto",
    ];
    let set = protox::compile(files, [proto]).expect("the .proto files compile");
    DescriptorPool::from_file_descriptor_set(set).expect("the descriptors are valid")
}

fn type_of(pool: &DescriptorPool, message: &Message) -> MessageDescriptor {
    let (service, method) = message.method.split_once('/').expect("a method");
    let service = pool.get_service_by_name(service).expect(service);
    let method = service
        .methods()
        .find(|known| known.name() == method)
        .expect(method);
    match message.direction {
        Direction::Request => method.input(),
        Direction::Response => method.output(),
    }
}

/// The same bytes, with the fields of each message by ascending number.
fn in_field_order(pool: &DescriptorPool, message: &Message) -> Vec<u8> {
    let sorted = DynamicMessage::decode(type_of(pool, message), &*message.bytes);
    let sorted = sorted.expect("a message").encode_to_vec();
    assert_eq!(sorted.len(), message.bytes.len());
    sorted
}

/// Full names of all messages, fields and enum values that can be seen on the wire.
fn everything(pool: &DescriptorPool) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for message in pool.all_messages() {
        names.insert(message.full_name().to_string());
        names.extend(message.fields().map(|field| field.full_name().to_string()));
    }
    for values in pool.all_enums() {
        // Zero is the default, which is not sent.
        let sent = values.values().filter(|value| value.number() != 0);
        names.extend(sent.map(|value| value.full_name().to_string()));
    }
    names
}

/// Adds the names that a message and those inside it use.
fn collect(message: &DynamicMessage, place: &str, used: &mut BTreeSet<String>) {
    let name = message.descriptor().full_name().to_string();
    let unknown: Vec<_> = message.unknown_fields().collect();
    assert!(
        unknown.is_empty(),
        "{place}: {name} has unknown fields: {unknown:?}"
    );
    used.insert(name);
    for (field, value) in message.fields() {
        used.insert(field.full_name().to_string());
        let values = match value {
            Value::List(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        for value in values {
            match (value, field.kind()) {
                (Value::Message(inner), _) => collect(inner, place, used),
                (Value::EnumNumber(number), Kind::Enum(kind)) => {
                    let known = kind.get_value(*number);
                    let known = known.unwrap_or_else(|| panic!("{place}: {number} in {field:?}"));
                    used.insert(known.full_name().to_string());
                }
                _ => {}
            }
        }
    }
}
