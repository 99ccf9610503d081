//! Calls that servers refuse, for the texts and codes.

use super::{
    Stage,
    calls::{operation, put, range, refused},
};
use crate::Failure;
use bytes::Bytes;
use etcdkit_proto::{
    authpb::Permission,
    etcdserverpb::{
        alarm_request::AlarmAction, auth_client::AuthClient, cluster_client::ClusterClient,
        downgrade_request::DowngradeAction, kv_client::KvClient, lease_client::LeaseClient,
        maintenance_client::MaintenanceClient, request_op, *,
    },
    v3electionpb::{LeaderKey, LeaderRequest, ProclaimRequest, election_client::ElectionClient},
    v3lockpb::{LockRequest, lock_client::LockClient},
};
use tonic::{Request, metadata::MetadataValue, transport::Channel};

/// Everything that needs neither users nor other members.
pub(super) async fn without_auth(stage: &Stage<'_>) -> Result<(), Failure> {
    keys(stage).await?;
    leases(stage).await?;
    recipes(stage).await?;
    members(stage).await?;
    maintenance(stage).await
}

async fn keys(stage: &Stage<'_>) -> Result<(), Failure> {
    stage.journal.step("direct: refused reads");
    let mut kv = KvClient::new(stage.direct.clone());
    refused(kv.range(range("", "")).await)?;
    for revision in [2, 1_000_000] {
        let request = RangeRequest {
            revision,
            ..range("k1", "")
        };
        refused(kv.range(request).await)?;
    }
    if stage.binaries.minor >= (3, 6) {
        // Older servers crash.
        let request = RangeRequest {
            sort_target: 9,
            ..range("k1", "")
        };
        refused(kv.range(request).await)?;
    }

    stage.journal.step("direct: refused writes");
    let ignore_value = PutRequest {
        ignore_value: true,
        ..put("missing", "")
    };
    refused(kv.put(ignore_value.clone()).await)?;
    let value_too = PutRequest {
        value: "x".into(),
        ..ignore_value
    };
    refused(kv.put(value_too).await)?;
    let lease_too = PutRequest {
        lease: 7,
        ignore_lease: true,
        ..put("k1", "")
    };
    refused(kv.put(lease_too).await)?;
    let leased = PutRequest {
        lease: 7,
        ..put("k1", "")
    };
    refused(kv.put(leased).await)?;
    refused(kv.put(put("k1", "x".repeat(1_600_000))).await)?;

    stage
        .journal
        .step("direct: refused transactions and compactions");
    let twice = operation(request_op::Request::RequestPut(put("k1", "")));
    for operations in [vec![twice.clone(), twice.clone()], vec![twice; 129]] {
        let transaction = TxnRequest {
            success: operations,
            ..Default::default()
        };
        refused(kv.txn(transaction).await)?;
    }
    for revision in [1, 1_000_000] {
        let request = CompactionRequest {
            revision,
            ..Default::default()
        };
        refused(kv.compact(request).await)?;
    }
    Ok(())
}

async fn leases(stage: &Stage<'_>) -> Result<(), Failure> {
    stage.journal.step("direct: refused leases");
    let mut lease = LeaseClient::new(stage.direct.clone());
    let forever = LeaseGrantRequest {
        ttl: 9_000_000_001,
        id: 0,
    };
    refused(lease.lease_grant(forever).await)?;
    let taken = LeaseGrantRequest { ttl: 60, id: 4242 };
    refused(lease.lease_grant(taken).await)?;
    refused(lease.lease_revoke(LeaseRevokeRequest { id: 7 }).await)
}

async fn recipes(stage: &Stage<'_>) -> Result<(), Failure> {
    stage.journal.step("direct: refused lock and election");
    let request = LockRequest {
        name: "orders".into(),
        lease: 7,
    };
    refused(LockClient::new(stage.direct.clone()).lock(request).await)?;
    let mut election = ElectionClient::new(stage.direct.clone());
    let nobody = LeaderRequest {
        name: "jobs".into(),
    };
    refused(election.leader(nobody).await)?;
    refused(election.proclaim(ProclaimRequest::default()).await)?;
    let over = ProclaimRequest {
        leader: Some(LeaderKey {
            name: "jobs".into(),
            key: "jobs/1092".into(),
            rev: 3,
            lease: 4242,
        }),
        value: Bytes::new(),
    };
    refused(election.proclaim(over).await)
}

async fn members(stage: &Stage<'_>) -> Result<(), Failure> {
    stage.journal.step("direct: refused changes of members");
    let mut cluster = ClusterClient::new(stage.direct.clone());
    let members = cluster.member_list(MemberListRequest::default()).await?;
    let member = members.into_inner().members.pop().ok_or("no member")?;
    refused(cluster.member_add(MemberAddRequest::default()).await)?;
    let taken = MemberAddRequest {
        peer_ur_ls: member.peer_ur_ls.clone(),
        is_learner: true,
    };
    refused(cluster.member_add(taken).await)?;
    let request = MemberRemoveRequest { id: member.id };
    refused(cluster.member_remove(request).await)?;
    refused(cluster.member_remove(MemberRemoveRequest { id: 7 }).await)?;
    let request = MemberPromoteRequest { id: member.id };
    refused(cluster.member_promote(request).await)
}

async fn maintenance(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut maintenance = MaintenanceClient::new(stage.direct.clone());
    let mut kv = KvClient::new(stage.direct.clone());
    for alarm in [AlarmType::Nospace, AlarmType::Corrupt] {
        let step = format!("direct: a write under the alarm {alarm:?}");
        stage.journal.step(&step);
        let request = |action: AlarmAction| AlarmRequest {
            action: action.into(),
            member_id: 7,
            alarm: alarm.into(),
        };
        maintenance.alarm(request(AlarmAction::Activate)).await?;
        refused(kv.put(put("k1", "")).await)?;
        maintenance.alarm(request(AlarmAction::Deactivate)).await?;
    }

    stage.journal.step("direct: refused maintenance");
    let nobody = MoveLeaderRequest { target_id: 7 };
    refused(maintenance.move_leader(nobody).await)?;
    let request = HashKvRequest {
        revision: 1_000_000,
    };
    refused(maintenance.hash_kv(request).await)?;
    for (action, version) in [
        (DowngradeAction::Validate, "three"),
        (DowngradeAction::Validate, "1.0.0"),
    ] {
        refused(maintenance.downgrade(downgrade(action, version)).await)?;
    }
    if stage.binaries.minor <= (3, 5) {
        // Since 3.6 there need not be a downgrade to cancel.
        let cancel = downgrade(DowngradeAction::Cancel, "");
        refused(maintenance.downgrade(cancel).await)?;
    }
    Ok(())
}

fn downgrade(action: DowngradeAction, version: &str) -> DowngradeRequest {
    DowngradeRequest {
        action: action.into(),
        version: version.into(),
    }
}

/// A downgrade during another one.
pub(super) async fn during_downgrade(stage: &Stage<'_>, target: &str) -> Result<(), Failure> {
    stage.journal.step("direct: a second downgrade");
    let mut maintenance = MaintenanceClient::new(stage.direct.clone());
    let request = downgrade(DowngradeAction::Enable, target);
    refused(maintenance.downgrade(request).await)
}

/// The new learner (its id in hex) was never started, and there is no room for another one.
pub(super) async fn before_learner_starts(stage: &Stage<'_>, id: &str) -> Result<(), Failure> {
    stage
        .journal
        .step("direct: promote a learner not started, add a second one");
    let mut cluster = ClusterClient::new(stage.direct.clone());
    let id = u64::from_str_radix(id, 16)?;
    let request = MemberPromoteRequest { id };
    refused(cluster.member_promote(request).await)?;
    let another = MemberAddRequest {
        peer_ur_ls: vec!["http://127.0.0.1:1".into()],
        is_learner: true,
    };
    refused(cluster.member_add(another).await)
}

/// Another member leads.
pub(super) async fn as_follower(stage: &Stage<'_>) -> Result<(), Failure> {
    stage
        .journal
        .step("direct: move the leadership away from a follower");
    let mut maintenance = MaintenanceClient::new(stage.direct.clone());
    let request = MoveLeaderRequest { target_id: 7 };
    refused(maintenance.move_leader(request).await)
}

/// Authentication cannot be enabled yet.
pub(super) async fn without_root(stage: &Stage<'_>) -> Result<(), Failure> {
    stage
        .journal
        .step("direct: enable authentication without root");
    let mut auth = AuthClient::new(stage.direct.clone());
    refused(auth.authenticate(login("root", "secret")).await)?;
    refused(auth.auth_enable(AuthEnableRequest {}).await)?;
    stage.ctl("user add root:secret").await?;
    stage
        .journal
        .step("direct: enable authentication without the role root");
    refused(auth.auth_enable(AuthEnableRequest {}).await)
}

fn login(name: &str, password: &str) -> AuthenticateRequest {
    AuthenticateRequest {
        name: name.into(),
        password: password.into(),
    }
}

/// There are the users root, ann and ben (without password), and the roles root and reader.
pub(super) async fn before_auth_is_enabled(stage: &Stage<'_>) -> Result<(), Failure> {
    stage.journal.step("direct: refused users and roles");
    let mut auth = AuthClient::new(stage.direct.clone());
    for name in ["", "ann"] {
        let request = AuthUserAddRequest {
            name: name.into(),
            password: "x".into(),
            ..Default::default()
        };
        refused(auth.user_add(request).await)?;
    }
    for name in ["", "reader"] {
        let request = AuthRoleAddRequest { name: name.into() };
        refused(auth.role_add(request).await)?;
    }
    let request = AuthUserGetRequest {
        name: "nobody".into(),
    };
    refused(auth.user_get(request).await)?;
    let request = AuthRoleGetRequest {
        role: "nothing".into(),
    };
    refused(auth.role_get(request).await)?;
    let request = AuthUserRevokeRoleRequest {
        name: "ann".into(),
        role: "root".into(),
    };
    refused(auth.user_revoke_role(request).await)?;
    let request = AuthRoleRevokePermissionRequest {
        role: "reader".into(),
        key: "never".into(),
        ..Default::default()
    };
    refused(auth.role_revoke_permission(request).await)?;
    if stage.binaries.minor >= (3, 5) {
        // 3.4 takes an empty key and crashes without a permission.
        for perm in [None, Some(Permission::default())] {
            let request = AuthRoleGrantPermissionRequest {
                name: "reader".into(),
                perm,
            };
            refused(auth.role_grant_permission(request).await)?;
        }
    }
    Ok(())
}

/// As root, as ann (who may read `a`), with a wrong token, and as nobody.
pub(super) async fn with_auth(stage: &Stage<'_>) -> Result<(), Failure> {
    stage.journal.step("direct: refused logins");
    let mut auth = AuthClient::new(stage.direct.clone());
    refused(auth.authenticate(login("ann", "wrong")).await)?;
    refused(auth.authenticate(login("ben", "any")).await)?;
    let root = auth.authenticate(login("root", "secret")).await?;
    let ann = auth.authenticate(login("ann", "other")).await?;
    let (root, ann) = (root.into_inner().token, ann.into_inner().token);

    stage
        .journal
        .step("direct: refused changes that lock root out");
    let request = AuthUserDeleteRequest {
        name: "root".into(),
    };
    refused(auth.user_delete(with_token(request, &root)?).await)?;
    for (who, token) in [("nobody", ""), ("a wrong token", "wrong.1"), ("ann", &ann)] {
        stage.journal.step(&format!("direct: refused to {who}"));
        refused_to(&stage.direct, token).await?;
    }
    Ok(())
}

async fn refused_to(channel: &Channel, token: &str) -> Result<(), Failure> {
    let mut kv = KvClient::new(channel.clone());
    refused(kv.put(with_token(put("h", ""), token)?).await)?;
    let mut auth = AuthClient::new(channel.clone());
    let request = AuthUserListRequest {};
    refused(auth.user_list(with_token(request, token)?).await)?;
    let mut maintenance = MaintenanceClient::new(channel.clone());
    let request = DefragmentRequest {};
    refused(maintenance.defragment(with_token(request, token)?).await)
}

fn with_token<T>(message: T, token: &str) -> Result<Request<T>, Failure> {
    let mut request = Request::new(message);
    if !token.is_empty() {
        let token = MetadataValue::try_from(token)?;
        request.metadata_mut().insert("token", token);
    }
    Ok(request)
}
