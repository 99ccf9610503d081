//! Users, roles, permissions, logins, and calls made by all kinds of callers.

use bytes::Bytes;
use etcdkit_proto::{
    authpb::{Permission, UserAddOptions},
    etcdserverpb::*,
};

use super::{Generator, kv::KEYS};
use crate::differential::{
    calls::Call,
    operation::{Caller, Operation},
};

const ROOT: &str = "root";
const USERS: [&str; 4] = [ROOT, "ann", "bob", "cid"];
const ROLES: [&str; 4] = [ROOT, "r", "s", "t"];
const PASSWORDS: [&str; 2] = ["one", "two"];

impl Generator {
    /// Users with roles, all logged in, so that a case does not have to wait for chance to make them.
    pub(super) fn queue_users(&mut self) {
        let mut calls: Vec<Call> = USERS[..3]
            .iter()
            .map(|name| {
                Call::UserAdd(AuthUserAddRequest {
                    name: (*name).to_owned(),
                    password: PASSWORDS[0].to_owned(),
                    ..Default::default()
                })
            })
            .collect();
        for name in &ROLES[1..] {
            let name = (*name).to_owned();
            calls.push(Call::RoleAdd(AuthRoleAddRequest { name }));
        }
        for _ in 0..6 {
            calls.push(self.grant_permission());
        }
        for (user, role) in [(ROOT, ROOT), ("ann", "r"), ("ann", "s"), ("bob", "t")] {
            calls.push(Call::UserGrantRole(AuthUserGrantRoleRequest {
                user: user.to_owned(),
                role: role.to_owned(),
            }));
        }
        calls.push(Call::AuthEnable(AuthEnableRequest {}));
        calls.extend(
            USERS[..3]
                .iter()
                .map(|name| authenticate(name, PASSWORDS[0])),
        );
        self.queued.extend(calls.into_iter().map(Operation::from));
    }

    /// Root, if anybody still can be, turns authentication off.
    pub(super) fn surrender() -> impl Iterator<Item = Operation> {
        let logins = PASSWORDS.map(|password| authenticate(ROOT, password).into());
        let disable = Operation {
            caller: Caller::User {
                name: ROOT,
                logins_ago: 0,
            },
            call: Call::AuthDisable(AuthDisableRequest {}),
        };
        let status = Call::AuthStatus(AuthStatusRequest {});
        logins.into_iter().chain([disable, status.into()])
    }

    /// Mostly root, so that something happens.
    pub(super) fn caller(&mut self) -> Caller {
        let (name, logins_ago) = match self.random.u32(..100) {
            0..5 => return Caller::Nobody,
            5..7 => return Caller::Stranger,
            7..50 => (ROOT, 0),
            50..80 => ("ann", 0),
            80..93 => ("bob", 0),
            _ => (self.pick(&USERS), self.random.usize(..3)),
        };
        Caller::User { name, logins_ago }
    }

    pub(super) fn auth_call(&mut self) -> Call {
        match self.random.u32(..100) {
            0..22 => authenticate(self.pick(&USERS), self.pick(&PASSWORDS)),
            22..27 => Call::AuthEnable(AuthEnableRequest {}),
            27 => Call::AuthDisable(AuthDisableRequest {}),
            28..32 => Call::AuthStatus(AuthStatusRequest {}),
            32..37 => self.user_add(),
            37..40 => Call::UserDelete(AuthUserDeleteRequest { name: self.user() }),
            40..43 => Call::UserChangePassword(AuthUserChangePasswordRequest {
                name: self.user(),
                password: self.password(),
                hashed_password: String::new(),
            }),
            43..49 => Call::UserGet(AuthUserGetRequest { name: self.user() }),
            49..51 => Call::UserList(AuthUserListRequest {}),
            51..58 => Call::UserGrantRole(AuthUserGrantRoleRequest {
                user: self.user(),
                role: self.role(),
            }),
            58..61 => Call::UserRevokeRole(AuthUserRevokeRoleRequest {
                name: self.user(),
                role: self.role(),
            }),
            61..65 => Call::RoleAdd(AuthRoleAddRequest { name: self.role() }),
            65..67 => Call::RoleDelete(AuthRoleDeleteRequest { role: self.role() }),
            67..73 => Call::RoleGet(AuthRoleGetRequest { role: self.role() }),
            73..75 => Call::RoleList(AuthRoleListRequest {}),
            75..90 => self.grant_permission(),
            _ => {
                let (key, range_end) = self.permitted_range();
                Call::RoleRevokePermission(AuthRoleRevokePermissionRequest {
                    role: self.role(),
                    key,
                    range_end,
                })
            }
        }
    }

    fn user_add(&mut self) -> Call {
        Call::UserAdd(AuthUserAddRequest {
            name: self.user(),
            password: self.password(),
            options: match self.random.u32(..5) {
                0 => Some(UserAddOptions { no_password: true }),
                1 => Some(UserAddOptions { no_password: false }),
                _ => None,
            },
            hashed_password: match self.chance(5) {
                true => "no hash".to_owned(),
                false => String::new(),
            },
        })
    }

    /// A permission is always there: 3.4 crashes without.
    fn grant_permission(&mut self) -> Call {
        let (key, range_end) = self.permitted_range();
        Call::RoleGrantPermission(AuthRoleGrantPermissionRequest {
            name: self.role(),
            perm: Some(Permission {
                perm_type: self.random.i32(0..3),
                key,
                range_end,
            }),
        })
    }

    /// Mostly wide ranges, so that something is permitted.
    fn permitted_range(&mut self) -> (Bytes, Bytes) {
        if self.chance(50) {
            let key = self.key();
            return (key.clone(), self.range_end(&key));
        }
        let mut ends = [self.pick(&KEYS), self.pick(&KEYS)];
        ends.sort_unstable();
        (Bytes::from_static(ends[0]), Bytes::from_static(ends[1]))
    }

    fn user(&mut self) -> String {
        match self.random.u32(..40) {
            0 => String::new(),
            1..4 => ROOT.to_owned(),
            _ => self.pick(&USERS[1..]).to_owned(),
        }
    }

    fn role(&mut self) -> String {
        match self.random.u32(..40) {
            0 => String::new(),
            1..4 => ROOT.to_owned(),
            _ => self.pick(&ROLES[1..]).to_owned(),
        }
    }

    fn password(&mut self) -> String {
        match self.random.u32(..20) {
            0 => String::new(),
            1 => "p".repeat(72),
            2 => "p".repeat(73),
            _ => self.pick(&PASSWORDS).to_owned(),
        }
    }
}

fn authenticate(name: &str, password: &str) -> Call {
    Call::Authenticate(AuthenticateRequest {
        name: name.to_owned(),
        password: password.to_owned(),
    })
}
