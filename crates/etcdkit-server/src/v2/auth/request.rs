//! The JSON of requests, read as etcd reads it.
//!
//! Go's decoder takes the first value of a body and leaves what follows. It finds fields whatever the
//! case of their letters, passes over those it does not know, and takes `null` for what is not there.

use etcdkit_proto::v2::{KeyPermissions, Permissions};
use etcdkit_store::v2::auth::Role;
use serde_json::{Deserializer, Map, Value};

/// What creates or changes a user.
#[derive(Default, PartialEq, Eq)]
pub(super) struct UserBody {
    pub(super) user: String,
    /// Empty for none.
    pub(super) password: String,
    pub(super) roles: Option<Vec<String>>,
    pub(super) grant: Vec<String>,
    pub(super) revoke: Vec<String>,
}

/// A body is not the JSON that was expected.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Invalid;

pub(super) fn user(body: &[u8]) -> Result<UserBody, Invalid> {
    let object = Object::first_of(body)?;
    Ok(UserBody {
        user: object.text("user")?,
        password: object.text("password")?,
        roles: object.list("roles")?,
        grant: object.list("grant")?.unwrap_or_default(),
        revoke: object.list("revoke")?.unwrap_or_default(),
    })
}

pub(super) fn role(body: &[u8]) -> Result<Role, Invalid> {
    let object = Object::first_of(body)?;
    Ok(Role {
        role: object.text("role")?,
        permissions: object.permissions("permissions")?.unwrap_or_default(),
        grant: object.permissions("grant")?,
        revoke: object.permissions("revoke")?,
    })
}

struct Object(Map<String, Value>);

impl Object {
    fn first_of(body: &[u8]) -> Result<Self, Invalid> {
        // Go puts U+FFFD in the place of what is not UTF-8.
        let body = String::from_utf8_lossy(body);
        let mut values = Deserializer::from_str(&body).into_iter();
        let first = values.next().ok_or(Invalid)?.map_err(|_| Invalid)?;
        Ok(Self::of(first)?.unwrap_or_else(|| Self(Map::new())))
    }

    fn of(value: Value) -> Result<Option<Self>, Invalid> {
        match value {
            Value::Null => Ok(None),
            Value::Object(fields) => Ok(Some(Self(fields))),
            _ => Err(Invalid),
        }
    }

    fn field(&self, name: &str) -> &Value {
        let exact = self.0.get(name);
        let mut others = self.0.iter();
        exact
            .or_else(|| {
                others.find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value))
            })
            .unwrap_or(&Value::Null)
    }

    fn object(&self, name: &str) -> Result<Option<Self>, Invalid> {
        Self::of(self.field(name).clone())
    }

    fn text(&self, name: &str) -> Result<String, Invalid> {
        text(self.field(name))
    }

    fn list(&self, name: &str) -> Result<Option<Vec<String>>, Invalid> {
        match self.field(name) {
            Value::Null => Ok(None),
            Value::Array(items) => items.iter().map(text).collect::<Result<_, _>>().map(Some),
            _ => Err(Invalid),
        }
    }

    fn permissions(&self, name: &str) -> Result<Option<Permissions>, Invalid> {
        let Some(permissions) = self.object(name)? else {
            return Ok(None);
        };
        let kv = match permissions.object("kv")? {
            Some(kv) => KeyPermissions {
                read: kv.list("read")?,
                write: kv.list("write")?,
            },
            None => KeyPermissions::default(),
        };
        Ok(Some(Permissions { kv }))
    }
}

fn text(value: &Value) -> Result<String, Invalid> {
    match value {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text.clone()),
        _ => Err(Invalid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user_of(body: &[u8]) -> Option<UserBody> {
        user(body).ok()
    }

    fn named(name: &str) -> UserBody {
        UserBody {
            user: name.to_owned(),
            ..UserBody::default()
        }
    }

    #[test]
    fn bodies_are_read_as_go_reads_them() {
        for (body, expected) in [
            (&br#"{"user":"u"} and more"#[..], Some(named("u"))),
            (br#" {"USER":"u","other":[{}]}"#, Some(named("u"))),
            (br#"{"USER":"v","user":"u"}"#, Some(named("u"))),
            (br#"{"user":"u","grant":null}"#, Some(named("u"))),
            (b"{\"user\":\"\xff\"}", Some(named("\u{fffd}"))),
            (b"null", Some(named(""))),
            (b"", None),
            (b"{", None),
            (b"[]", None),
            (br#"{"user":5}"#, None),
            (br#"{"user":"u","roles":"r"}"#, None),
            (br#"{"user":"u","roles":[1]}"#, None),
        ] {
            assert!(
                user_of(body) == expected,
                "{}",
                String::from_utf8_lossy(body)
            );
        }
        let lists = user_of(br#"{"roles":["r",null],"revoke":["q"]}"#).unwrap();
        assert_eq!(lists.roles.unwrap(), ["r", ""]);
        assert_eq!(lists.revoke, ["q"]);
    }

    #[test]
    fn roles_tell_nothing_from_an_empty_list() {
        let role = role(br#"{"role":"r","permissions":{"kv":{"read":[]}},"grant":{}}"#).unwrap();
        assert_eq!(role.permissions.kv.read, Some(Vec::new()));
        assert_eq!(role.permissions.kv.write, None);
        assert_eq!(role.grant, Some(Permissions::default()));
        assert_eq!(role.revoke, None);
        assert_eq!(super::role(br#"{"grant":{"kv":[]}}"#), Err(Invalid));
    }
}
