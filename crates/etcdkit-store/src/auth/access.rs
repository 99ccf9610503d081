//! Who may do what.

use etcdkit_proto::EtcdError;
use etcdkit_proto::etcdserverpb::request_op::Request;
use etcdkit_proto::etcdserverpb::{DeleteRangeRequest, PutRequest, RequestOp, TxnRequest};

use super::permissions::Access;
use super::{Auth, ROOT};
use crate::span::Span;
use crate::store::Store;

/// Who makes a request, as far as its token says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The user, and the revision of authentication that the token is of.
    user: Option<(String, u64)>,
}

impl Caller {
    /// A caller without a token, or while authentication is off.
    pub fn nobody() -> Self {
        Self::default()
    }

    /// A user, by a token that is as old as a revision of authentication.
    pub fn user(name: impl Into<String>, auth_revision: u64) -> Self {
        Self {
            user: Some((name.into(), auth_revision)),
        }
    }

    fn name(&self) -> Option<&str> {
        self.user.as_ref().map(|(name, _)| name.as_str())
    }

    /// Certificates need not name anybody; who has no name is no user where one is asked for.
    fn nonempty_name(&self) -> Option<&str> {
        self.name().filter(|name| !name.is_empty())
    }
}

impl Auth {
    /// Refuses callers that are no user.
    ///
    /// # Errors
    ///
    /// `UserEmpty`.
    pub fn check_user(&self, caller: &Caller) -> Result<(), EtcdError> {
        if self.enabled && caller.user.is_none() {
            return Err(EtcdError::UserEmpty);
        }
        Ok(())
    }

    /// Refuses callers that do not have the role root.
    ///
    /// # Errors
    ///
    /// `UserEmpty`; `UserNotFound` if the user is deleted; `PermissionDenied`.
    pub fn check_root(&self, caller: &Caller) -> Result<(), EtcdError> {
        if !self.enabled {
            return Ok(());
        }
        let name = caller.nonempty_name().ok_or(EtcdError::UserEmpty)?;
        let user = self.users.get(name).ok_or(EtcdError::UserNotFound)?;
        if user.roles.contains(ROOT) {
            Ok(())
        } else {
            Err(EtcdError::PermissionDenied)
        }
    }

    /// Refuses callers that ask for a user other than themselves and do not have the role root.
    ///
    /// # Errors
    ///
    /// Those of [`check_root`](Self::check_root).
    pub fn check_user_get(&self, caller: &Caller, user: &str) -> Result<(), EtcdError> {
        match self.check_root(caller) {
            Err(_) if caller.name().unwrap_or_default() == user => Ok(()),
            checked => checked,
        }
    }

    /// Refuses callers that ask for a role that they do not have and do not have the role root.
    ///
    /// # Errors
    ///
    /// Those of [`check_root`](Self::check_root).
    pub fn check_role_get(&self, caller: &Caller, role: &str) -> Result<(), EtcdError> {
        let user = caller.name().and_then(|name| self.users.get(name));
        match self.check_root(caller) {
            Err(_) if user.is_some_and(|user| user.roles.contains(role)) => Ok(()),
            checked => checked,
        }
    }

    /// Refuses callers that may not read all of a span, given as in a range request.
    ///
    /// # Errors
    ///
    /// `UserEmpty`; `AuthOldRevision`; `PermissionDenied`.
    pub fn check_read(
        &self,
        caller: &Caller,
        key: &[u8],
        range_end: &[u8],
    ) -> Result<(), EtcdError> {
        self.check(caller, Access::Read, Span::new(key, range_end))
    }

    /// Refuses callers whose token is of another revision of users and roles, even a later one, as etcd
    /// does before it answers what it need not log.
    ///
    /// # Errors
    ///
    /// `AuthOldRevision`.
    pub fn check_current(&self, caller: &Caller) -> Result<(), EtcdError> {
        match &caller.user {
            Some((_, revision)) if self.enabled && *revision != self.revision => {
                Err(EtcdError::AuthOldRevision)
            }
            _ => Ok(()),
        }
    }

    fn check(&self, caller: &Caller, access: Access, span: Span<'_>) -> Result<(), EtcdError> {
        if !self.enabled {
            return Ok(());
        }
        let user = caller.user.as_ref().filter(|(_, revision)| *revision > 0);
        let (name, revision) = user.ok_or(EtcdError::UserEmpty)?;
        if *revision < self.revision {
            return Err(EtcdError::AuthOldRevision);
        }
        let user = self.users.get(name).ok_or(EtcdError::PermissionDenied)?;
        let permissions = self.permissions.get(name);
        if user.roles.contains(ROOT) || permissions.is_some_and(|p| p.allow(access, span)) {
            return Ok(());
        }
        Err(EtcdError::PermissionDenied)
    }
}

impl Store {
    /// Users, roles, and whether authentication is on.
    pub fn auth(&self) -> &Auth {
        &self.auth
    }

    /// The same, to change them.
    pub fn auth_mut(&mut self) -> &mut Auth {
        &mut self.auth
    }

    /// Refuses callers that may not make a put: it needs write permission on the key and on all
    /// keys of the lease, and read permission if it asks for the previous value.
    ///
    /// # Errors
    ///
    /// `UserEmpty`; `AuthOldRevision`; `PermissionDenied`.
    pub fn check_put(&self, caller: &Caller, request: &PutRequest) -> Result<(), EtcdError> {
        let span = Span::new(&request.key, &[]);
        self.auth.check(caller, Access::Write, span)?;
        self.check_lease_write(caller, request.lease)?;
        if request.prev_kv {
            self.auth.check(caller, Access::Read, span)?;
        }
        Ok(())
    }

    /// Refuses callers that may not make a delete: it needs write permission, and read permission
    /// if it asks for the previous values.
    ///
    /// # Errors
    ///
    /// `UserEmpty`; `AuthOldRevision`; `PermissionDenied`.
    pub fn check_delete_range(
        &self,
        caller: &Caller,
        request: &DeleteRangeRequest,
    ) -> Result<(), EtcdError> {
        let span = Span::new(&request.key, &request.range_end);
        self.auth.check(caller, Access::Write, span)?;
        if request.prev_kv {
            self.auth.check(caller, Access::Read, span)?;
        }
        Ok(())
    }

    /// Refuses callers that may not make a transaction: each condition needs read permission, and
    /// each operation its own, those of branches that will not be taken and of nested transactions
    /// too.
    ///
    /// # Errors
    ///
    /// `UserEmpty`; `AuthOldRevision`; `PermissionDenied`.
    pub fn check_txn(&self, caller: &Caller, request: &TxnRequest) -> Result<(), EtcdError> {
        if !self.auth.enabled {
            return Ok(());
        }
        for compare in &request.compare {
            self.auth
                .check_read(caller, &compare.key, &compare.range_end)?;
        }
        for RequestOp { request } in request.success.iter().chain(&request.failure) {
            match request {
                Some(Request::RequestRange(range)) => {
                    self.auth.check_read(caller, &range.key, &range.range_end)?;
                }
                Some(Request::RequestPut(put)) => self.check_put(caller, put)?,
                Some(Request::RequestDeleteRange(delete)) => {
                    self.check_delete_range(caller, delete)?;
                }
                Some(Request::RequestTxn(txn)) => self.check_txn(caller, txn)?,
                None => {}
            }
        }
        Ok(())
    }

    /// Refuses callers that may not write every key of a lease, which renewing, revoking and
    /// attaching need. Root may, and anybody if the lease has no keys.
    ///
    /// # Errors
    ///
    /// `UserEmpty`; `AuthOldRevision`; `PermissionDenied`.
    pub fn check_lease_write(&self, caller: &Caller, id: i64) -> Result<(), EtcdError> {
        self.check_lease(caller, Access::Write, id)
    }

    /// Refuses callers that may not read every key of a lease, which listing them needs.
    ///
    /// # Errors
    ///
    /// `UserEmpty`; `AuthOldRevision`; `PermissionDenied`.
    pub fn check_lease_read(&self, caller: &Caller, id: i64) -> Result<(), EtcdError> {
        self.check_lease(caller, Access::Read, id)
    }

    fn check_lease(&self, caller: &Caller, access: Access, id: i64) -> Result<(), EtcdError> {
        if self.auth.check_root(caller).is_ok() {
            return Ok(());
        }
        self.lease_keys(id)
            .try_for_each(|key| self.auth.check(caller, access, Span::new(key, &[])))
    }
}
