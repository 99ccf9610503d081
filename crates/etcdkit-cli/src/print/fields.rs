//! One `"Name" : value` a line.

use std::io::{self, Write};

use etcdkit::{Header, KeyValue, LeaseId, MemberId, OpResponse};

use super::{LeaseTtl, Reply, simple::alarm_name};
use crate::golang::quote;

pub(super) fn write(out: &mut dyn Write, reply: Reply<'_>, hex: bool) -> io::Result<()> {
    let mut fields = Fields { out, hex };
    match reply {
        Reply::Put(put) => {
            fields.header(&put.header)?;
            fields.key_values("Prev", put.prev_kv.iter())
        }
        Reply::Range(range) => {
            fields.header(&range.header)?;
            fields.key_values("", &range.kvs)?;
            fields.plain("More", range.more)?;
            fields.plain("Count", range.count)
        }
        Reply::Delete(delete) => {
            fields.header(&delete.header)?;
            fields.plain("Deleted", delete.deleted)?;
            fields.key_values("Prev", &delete.prev_kvs)
        }
        Reply::Txn(txn) => {
            fields.header(&txn.header)?;
            fields.plain("Succeeded", txn.succeeded)?;
            for response in &txn.responses {
                match response {
                    OpResponse::Put(put) => write(fields.out, Reply::Put(put), hex)?,
                    OpResponse::Range(range) => write(fields.out, Reply::Range(range), hex)?,
                    OpResponse::Delete(delete) => write(fields.out, Reply::Delete(delete), hex)?,
                    OpResponse::Txn(txn) => write(fields.out, Reply::Txn(txn), hex)?,
                    other => fields.text("Unknown", &format!("{other:?}"))?,
                }
            }
            Ok(())
        }
        Reply::Members(list) => {
            fields.header(&list.header)?;
            for member in &list.members {
                fields.member_id("ID", member.id)?;
                fields.text("Name", &member.name)?;
                for url in &member.peer_urls {
                    fields.text("PeerURL", url)?;
                }
                for url in &member.client_urls {
                    fields.text("ClientURL", url)?;
                }
                fields.plain("IsLearner", member.is_learner)?;
                fields.end()?;
            }
            Ok(())
        }
        Reply::Health(endpoints) => {
            for health in endpoints {
                fields.text("Endpoint", &health.endpoint)?;
                fields.plain("Health", health.error.is_none())?;
                fields.plain("Took", &health.took)?;
                fields.plain("Error", health.error.as_deref().unwrap_or_default())?;
                fields.end()?;
            }
            Ok(())
        }
        Reply::Status(endpoints) => {
            for at in endpoints {
                let status = &at.reply;
                let downgrade = status.downgrade.as_ref();
                let target = downgrade.map_or("", |info| &info.target_version);
                fields.header(&status.header)?;
                fields.text("Version", &status.version)?;
                fields.text("StorageVersion", &status.storage_version)?;
                fields.plain("DBSize", status.db_size)?;
                fields.plain("DBSizeInUse", status.db_size_in_use)?;
                fields.plain("DBSizeQuota", status.db_size_quota)?;
                fields.plain("Leader", status.leader.map_or(0, u64::from))?;
                fields.plain("IsLearner", status.is_learner)?;
                fields.plain("RaftIndex", status.raft_index)?;
                fields.plain("RaftTerm", status.raft_term)?;
                fields.plain("RaftAppliedIndex", status.raft_applied_index)?;
                fields.plain("Errors", format!("[{}]", status.errors.join(" ")))?;
                fields.text("Endpoint", &at.endpoint)?;
                fields.text("DowngradeTargetVersion", target)?;
                fields.plain(
                    "DowngradeEnabled",
                    downgrade.is_some_and(|info| info.enabled),
                )?;
                fields.end()?;
            }
            Ok(())
        }
        Reply::HashKv(endpoints) => {
            for at in endpoints {
                fields.header(&at.reply.header)?;
                fields.text("Endpoint", &at.endpoint)?;
                fields.plain("Hash", at.reply.hash)?;
                fields.plain("HashRevision", at.reply.hash_revision)?;
                fields.end()?;
            }
            Ok(())
        }
        Reply::Watch(watch) => {
            fields.header(watch.header)?;
            for event in watch.events {
                fields.plain("Type", event.kind.name())?;
                fields.key_values("Prev", event.prev_kv)?;
                fields.key_values("", [event.kv])?;
            }
            Ok(())
        }
        Reply::LeaseGrant(lease) | Reply::LeaseKeepAlive(lease) => fields.lease(&lease),
        Reply::TimeToLive(lease) => {
            fields.lease(&LeaseTtl {
                header: lease.header,
                id: lease.id,
                ttl: lease.ttl,
            })?;
            fields.plain("GrantedTTL", lease.granted_ttl)?;
            for key in lease.keys.unwrap_or_default() {
                fields.plain("Key", quote(key))?;
            }
            Ok(())
        }
        Reply::Leases(header, ids) => {
            fields.header(header)?;
            ids.iter().try_for_each(|id| fields.lease_id("ID", *id))
        }
        Reply::Alarms(list) => {
            fields.header(&list.header)?;
            for alarm in &list.alarms {
                fields.member_id("MemberID", alarm.member_id)?;
                fields.plain("AlarmType", alarm_name(alarm.kind))?;
                fields.end()?;
            }
            Ok(())
        }
        Reply::Done(done) => fields.header(done.header),
        Reply::RoleList(roles) => {
            fields.header(roles.header)?;
            let names = roles.names.iter().map(|name| quote(name.as_bytes()));
            fields.plain("Roles", names.collect::<Vec<_>>().join(" "))
        }
        Reply::Role(role) => {
            fields.header(role.header)?;
            for permission in role.permissions {
                // With two spaces, as in etcdctl.
                fields.plain("PermType", format_args!(" {}", permission.access.name()))?;
                fields.plain("Key", quote(&permission.key))?;
                fields.plain("RangeEnd", quote(&permission.range_end))?;
            }
            Ok(())
        }
        Reply::Snapshot(status) => {
            fields.plain("Hash", status.hash)?;
            fields.plain("Revision", status.revision)?;
            fields.plain("Keys", status.live_keys)?;
            fields.plain("Size", status.total_size)?;
            fields.plain("Version", status.version.as_deref().unwrap_or_default())
        }
        // Without fields in etcdctl, so that they are refused before.
        Reply::MemberAdd(_)
        | Reply::MemberChange(..)
        | Reply::Downgrade(..)
        | Reply::UserList(_)
        | Reply::User(..)
        | Reply::AuthStatus(_) => Ok(()),
    }
}

struct Fields<'a> {
    out: &'a mut dyn Write,
    hex: bool,
}

impl Fields<'_> {
    fn plain(&mut self, name: &str, value: impl std::fmt::Display) -> io::Result<()> {
        writeln!(self.out, "\"{name}\" : {value}")
    }

    fn text(&mut self, name: &str, value: &str) -> io::Result<()> {
        self.plain(name, quote(value.as_bytes()))
    }

    fn member_id(&mut self, name: &str, id: MemberId) -> io::Result<()> {
        self.id(name, u64::from(id))
    }

    fn id(&mut self, name: &str, id: u64) -> io::Result<()> {
        if self.hex {
            self.plain(name, format_args!("{id:x}"))
        } else {
            self.plain(name, id)
        }
    }

    fn lease_id(&mut self, name: &str, id: LeaseId) -> io::Result<()> {
        if self.hex {
            self.plain(name, format_args!("{:016x}", id.0))
        } else {
            self.plain(name, id.0)
        }
    }

    fn lease(&mut self, lease: &LeaseTtl<'_>) -> io::Result<()> {
        self.header(lease.header)?;
        self.lease_id("ID", lease.id)?;
        self.plain("TTL", lease.ttl)
    }

    fn header(&mut self, header: &Header) -> io::Result<()> {
        self.id("ClusterID", header.cluster_id)?;
        self.member_id("MemberID", header.member_id)?;
        // Replies that are not about keys carry none.
        if header.revision > 0 {
            self.plain("Revision", header.revision)?;
        }
        self.plain("RaftTerm", header.raft_term)
    }

    fn key_values<'a>(
        &mut self,
        prefix: &str,
        kvs: impl IntoIterator<Item = &'a KeyValue>,
    ) -> io::Result<()> {
        for kv in kvs {
            let lease = kv.lease.unwrap_or(LeaseId(0));
            self.plain(&format!("{prefix}Key"), quote(&kv.key))?;
            self.plain(&format!("{prefix}CreateRevision"), kv.create_revision)?;
            self.plain(&format!("{prefix}ModRevision"), kv.mod_revision)?;
            self.plain(&format!("{prefix}Version"), kv.version)?;
            self.plain(&format!("{prefix}Value"), quote(&kv.value))?;
            self.lease_id(&format!("{prefix}Lease"), lease)?;
        }
        Ok(())
    }

    /// Ends an item of a list.
    fn end(&mut self) -> io::Result<()> {
        writeln!(self.out)
    }
}
