//! The requests of a queue, and what their answers say.

use bytes::Bytes;

use super::place::{Checked, Entered, Own, Rival};
use crate::{
    Client, Compare, KeyRange, KeyValue, LeaseId, Op, RangeResponse, Result, Revision, SortOrder,
    SortTarget, sync::answer::range,
};

/// Where a place is, and all that is needed to take it.
#[derive(Debug)]
pub(super) struct Spot {
    pub(super) client: Client,
    pub(super) key: Bytes,
    pub(super) value: Bytes,
    pub(super) lease: LeaseId,
    pub(super) rivals: KeyRange<'static>,
    pub(super) limit: usize,
    /// Whether the values of rivals matter.
    pub(super) reads_values: bool,
    /// Whether a key that is there may have another value.
    pub(super) keeps_value: bool,
}

impl Spot {
    pub(super) async fn enter(&self, newest: Option<Revision>) -> Result<Entered> {
        let is_old = newest.map(|newest| {
            let is_created = Compare::create_revision(self.rivals.clone());
            is_created.lt(newest.saturating_add(1))
        });
        let answer = self
            .client
            .txn()
            .when([Compare::missing(&self.key)])
            .when(is_old)
            .then([self.put(), self.window(None)])
            .or_else([Op::get(&self.key), self.window(None)])
            .await?;
        let revision = answer.header.revision;
        let (own, others) = match (answer.succeeded, &mut answer.responses.into_iter()) {
            (true, responses) => {
                let _put = responses.next();
                (Own::Created, range(responses.next())?)
            }
            (false, responses) => {
                let own = range(responses.next())?.kvs.into_iter().next();
                let own = own.map_or(Own::Missing, |own| Own::Found {
                    created: own.create_revision,
                    changed: own.mod_revision,
                    is_right: self.is_right(&own),
                });
                (own, range(responses.next())?)
            }
        };
        Ok(Entered {
            revision,
            own,
            others: self.others(others),
        })
    }

    /// Whether the key is right now, and the revision of its last change; `None` if it is gone.
    pub(super) async fn rewrite(
        &self,
        created: Revision,
        changed: Revision,
    ) -> Result<Option<(Revision, bool)>> {
        let answer = self
            .client
            .txn()
            .when([
                Compare::create_revision(&self.key).eq(created),
                Compare::mod_revision(&self.key).eq(changed),
            ])
            .then([self.put()])
            .or_else([Op::get(&self.key)])
            .await?;
        if answer.succeeded {
            return Ok(Some((answer.header.revision, true)));
        }
        let own = range(answer.responses.into_iter().next())?.kvs.into_iter();
        let mut own = own.filter(|own| own.create_revision == created);
        Ok(own
            .next()
            .map(|own| (own.mod_revision, self.is_right(&own))))
    }

    fn is_right(&self, own: &KeyValue) -> bool {
        let has_value = self.keeps_value || own.value == self.value;
        has_value && own.lease == Some(self.lease)
    }

    pub(super) async fn check(&self, created: Revision) -> Result<Checked> {
        let answer = self
            .client
            .txn()
            .when([Compare::create_revision(&self.key).eq(created)])
            .then([self.window(Some(created.saturating_sub(1)))])
            .or_else([Op::get(&self.key).keys_only()])
            .await?;
        let older = match answer.succeeded {
            true => Some(self.others(range(answer.responses.into_iter().next())?)),
            false => None,
        };
        Ok(Checked {
            revision: answer.header.revision,
            older,
        })
    }

    fn put(&self) -> Op {
        Op::put(&self.key, &self.value).lease(self.lease)
    }

    /// The newest of the range up to this revision, one more than the limit: it may be the own key.
    fn window(&self, newest: Option<Revision>) -> Op {
        let limit = i64::try_from(self.limit).unwrap_or(i64::MAX);
        let window = Op::range(self.rivals.clone())
            .sort_by(SortTarget::CreateRevision, SortOrder::Descending)
            .limit(limit.saturating_add(1));
        let window = match newest {
            Some(newest) => window.max_create_revision(newest),
            None => window,
        };
        match self.reads_values {
            true => window,
            false => window.keys_only(),
        }
    }

    fn others(&self, window: RangeResponse) -> Vec<Rival> {
        let others = window.kvs.into_iter().filter(|kv| kv.key != self.key);
        // In memory of their own, since they are waited for.
        let others = others.map(|kv| kv.detach());
        let rivals = others.map(|kv| Rival {
            key: kv.key,
            value: kv.value,
        });
        rivals.collect()
    }
}

/// The revision of the store, and the one that created the key.
pub(in crate::sync) async fn look(
    client: &Client,
    key: &Bytes,
) -> Result<(Revision, Option<Revision>)> {
    let own = client.range(KeyRange::key(key)).keys_only();
    let answer = own.linearizable().await?;
    let created = answer.kvs.first().map(|own| own.create_revision);
    Ok((answer.header.revision, created))
}

/// Deletes a key that was created at this revision. The revision of the store, and whether the key was
/// there.
pub(super) async fn remove(
    client: &Client,
    key: &Bytes,
    created: Revision,
) -> Result<(Revision, bool)> {
    let answer = client
        .txn()
        .when([Compare::create_revision(key).eq(created)])
        .then([Op::delete(key)])
        .await?;
    Ok((answer.header.revision, answer.succeeded))
}
