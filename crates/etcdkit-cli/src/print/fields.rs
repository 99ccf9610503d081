//! One `"Name" : value` a line.

use std::io::{self, Write};

use etcdkit::{Header, KeyValue, LeaseId, MemberId, OpResponse};

use super::Reply;
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
            let name = format!("{prefix}Lease");
            if self.hex {
                self.plain(&name, format_args!("{:016x}", lease.0))?;
            } else {
                self.plain(&name, lease.0)?;
            }
        }
        Ok(())
    }

    /// Ends an item of a list.
    fn end(&mut self) -> io::Result<()> {
        writeln!(self.out)
    }
}
