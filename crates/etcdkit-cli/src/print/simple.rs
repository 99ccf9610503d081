//! The default format: bare keys and values, and rows with commas.

use std::io::{self, Write};

use etcdkit::{AlarmKind, KeyRange, KeyValue, OpResponse, TxnResponse};

use super::{Access, MemberAdd, Permission, Reply, Role, TimeToLive, table};
use crate::golang::quote;

pub(super) fn write(
    out: &mut dyn Write,
    reply: Reply<'_>,
    hex: bool,
    value_only: bool,
) -> io::Result<()> {
    match reply {
        Reply::Put(put) => {
            writeln!(out, "OK")?;
            key_values(out, put.prev_kv.iter(), hex, value_only)
        }
        Reply::Range(range) => key_values(out, &range.kvs, hex, value_only),
        Reply::Delete(delete) => {
            writeln!(out, "{}", delete.deleted)?;
            key_values(out, &delete.prev_kvs, hex, value_only)
        }
        Reply::Txn(txn) => transaction(out, txn, hex),
        Reply::Health(endpoints) => {
            for health in endpoints {
                let (endpoint, took) = (&health.endpoint, &health.took);
                // The unhealthy ones go where errors go.
                match &health.error {
                    None => writeln!(
                        out,
                        "{endpoint} is healthy: successfully committed proposal: took = {took}"
                    )?,
                    Some(error) => {
                        eprintln!("{endpoint} is unhealthy: failed to commit proposal: {error}");
                    }
                }
            }
            Ok(())
        }
        Reply::Members(_) | Reply::Status(_) | Reply::HashKv(_) | Reply::Snapshot(_) => {
            for row in table::rows(reply) {
                writeln!(out, "{}", row.join(", "))?;
            }
            Ok(())
        }
        Reply::Watch(watch) => {
            for event in watch.events {
                writeln!(out, "{}", event.kind.name())?;
                key_values(out, event.prev_kv, hex, value_only)?;
                key_values(out, [event.kv], hex, value_only)?;
            }
            Ok(())
        }
        Reply::LeaseGrant(lease) => {
            let (id, ttl) = (lease.id.0, lease.ttl);
            writeln!(out, "lease {id:016x} granted with TTL({ttl}s)")
        }
        Reply::LeaseKeepAlive(lease) => {
            let (id, ttl) = (lease.id.0, lease.ttl);
            writeln!(out, "lease {id:016x} keepalived with TTL({ttl})")
        }
        Reply::TimeToLive(lease) => time_to_live(out, &lease),
        Reply::Leases(_, ids) => {
            writeln!(out, "found {} leases", ids.len())?;
            for id in ids {
                writeln!(out, "{:016x}", id.0)?;
            }
            Ok(())
        }
        Reply::MemberAdd(added) => member_add(out, &added),
        Reply::Alarms(list) => {
            for alarm in &list.alarms {
                let id = u64::from(alarm.member_id);
                writeln!(out, "memberID:{id} alarm:{} ", alarm_name(alarm.kind))?;
            }
            Ok(())
        }
        Reply::Done(done) | Reply::MemberChange(done, _) => writeln!(out, "{}", done.text),
        Reply::Downgrade(done, version) => {
            writeln!(out, "{}, cluster version {version}", done.text)
        }
        Reply::RoleList(list) | Reply::UserList(list) => {
            for name in list.names {
                writeln!(out, "{name}")?;
            }
            Ok(())
        }
        Reply::User(name, roles) => {
            writeln!(out, "User: {name}")?;
            write!(out, "Roles:")?;
            for role in roles.names {
                write!(out, " {role}")?;
            }
            writeln!(out)
        }
        Reply::Role(role) => permissions(out, &role),
        Reply::AuthStatus(status) => {
            writeln!(out, "Authentication Status: {}", status.enabled)?;
            writeln!(out, "AuthRevision: {}", status.revision)
        }
    }
}

fn time_to_live(out: &mut dyn Write, lease: &TimeToLive<'_>) -> io::Result<()> {
    let (id, ttl, granted) = (lease.id.0, lease.ttl, lease.granted_ttl);
    if lease.is_expired() {
        return writeln!(out, "lease {id:016x} already expired");
    }
    write!(
        out,
        "lease {id:016x} granted with TTL({granted}s), remaining({ttl}s)"
    )?;
    if let Some(keys) = lease.keys {
        write!(out, ", attached keys([")?;
        for (index, key) in keys.iter().enumerate() {
            if index > 0 {
                write!(out, " ")?;
            }
            out.write_all(key)?;
        }
        write!(out, "])")?;
    }
    writeln!(out)
}

/// The variables that start the new member, after what was done.
fn member_add(out: &mut dyn Write, added: &MemberAdd<'_>) -> io::Result<()> {
    let role = if added.member.is_learner {
        " as learner"
    } else {
        ""
    };
    writeln!(
        out,
        "Member {:16x} added{role} to cluster {:16x}",
        added.member.id.0, added.header.cluster_id
    )?;
    let peers = added.members.iter().flat_map(|member| {
        let name = match member.id == added.member.id {
            true => added.name,
            false => &member.name,
        };
        let urls = member.peer_urls.iter();
        urls.map(move |url| format!("{name}={url}"))
    });
    let peers = peers.collect::<Vec<_>>().join(",");
    let quoted = |text: &str| quote(text.as_bytes());
    writeln!(out)?;
    writeln!(out, "ETCD_NAME={}", quoted(added.name))?;
    writeln!(out, "ETCD_INITIAL_CLUSTER={}", quoted(&peers))?;
    writeln!(
        out,
        "ETCD_INITIAL_ADVERTISE_PEER_URLS={}",
        quoted(added.peer_urls)
    )?;
    writeln!(out, "ETCD_INITIAL_CLUSTER_STATE=\"existing\"")
}

/// An alarm by etcd's name for it.
pub(super) fn alarm_name(kind: AlarmKind) -> String {
    match kind {
        AlarmKind::NoSpace => "NOSPACE".to_owned(),
        AlarmKind::Corrupt => "CORRUPT".to_owned(),
        AlarmKind::Other(number) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn permissions(out: &mut dyn Write, role: &Role<'_>) -> io::Result<()> {
    writeln!(out, "Role {}", role.name)?;
    // Up to 3.5 servers list no permissions of the root role, which has them all.
    let all = [Permission {
        access: Access::ReadWrite,
        key: Vec::new(),
        range_end: b"\0".to_vec(),
    }];
    let listed = match role.permissions {
        [] if role.name == "root" => &all,
        listed => listed,
    };
    for (title, other) in [("KV Read:", Access::Write), ("KV Write:", Access::Read)] {
        writeln!(out, "{title}")?;
        for permission in listed.iter().filter(|grant| grant.access != other) {
            write!(out, "\t")?;
            permitted_keys(out, permission)?;
            writeln!(out)?;
        }
    }
    Ok(())
}

fn permitted_keys(out: &mut dyn Write, permission: &Permission) -> io::Result<()> {
    let (key, end) = (&permission.key, &permission.range_end);
    if end.is_empty() {
        return out.write_all(key);
    }
    write!(out, "[")?;
    out.write_all(key)?;
    write!(out, ", ")?;
    if end == b"\0" {
        write!(out, "<open ended>")?;
    } else {
        out.write_all(end)?;
        write!(out, ")")?;
    }
    let prefix = !key.is_empty() && KeyRange::prefix(key).range_end() == *end;
    if prefix {
        write!(out, " (prefix ")?;
        out.write_all(key)?;
        write!(out, ")")?;
    }
    Ok(())
}

fn transaction(out: &mut dyn Write, txn: &TxnResponse, hex: bool) -> io::Result<()> {
    writeln!(out, "{}", if txn.succeeded { "SUCCESS" } else { "FAILURE" })?;
    for response in &txn.responses {
        writeln!(out)?;
        match response {
            OpResponse::Put(put) => write(out, Reply::Put(put), hex, false)?,
            OpResponse::Range(range) => write(out, Reply::Range(range), hex, false)?,
            OpResponse::Delete(delete) => write(out, Reply::Delete(delete), hex, false)?,
            OpResponse::Txn(txn) => transaction(out, txn, hex)?,
            other => writeln!(out, "unexpected response {other:?}")?,
        }
    }
    Ok(())
}

pub(super) fn key_values<'a>(
    out: &mut dyn Write,
    kvs: impl IntoIterator<Item = &'a KeyValue>,
    hex: bool,
    value_only: bool,
) -> io::Result<()> {
    for kv in kvs {
        if !value_only {
            line(out, &kv.key, hex)?;
        }
        line(out, &kv.value, hex)?;
    }
    Ok(())
}

fn line(out: &mut dyn Write, bytes: &[u8], hex: bool) -> io::Result<()> {
    if hex {
        for byte in bytes {
            write!(out, "\\x{byte:02x}")?;
        }
    } else {
        out.write_all(bytes)?;
    }
    writeln!(out)
}
