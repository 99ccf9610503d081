//! The errors of `/v2/keys`: one row an error, and the only place in the project that has them.

use serde::{Deserialize, Serialize};

/// Calls `$callback!` with every row: `Variant number status "text" "meaning";`.
///
/// The status is that of HTTP. `etcdkit` makes the kinds of its v2 errors from the same rows.
#[macro_export]
macro_rules! for_each_v2_error {
    ($callback:ident) => {
        $callback! {
            KeyNotFound 100 404 "Key not found" "A key, or a directory on the way to it, does not exist; the cause is the first that is missing.";
            CompareFailed 101 412 "Compare failed" "The key has another value or index than the condition says; the cause shows both.";
            NotAFile 102 403 "Not a file" "A directory where only a key can be.";
            NoMorePeer 103 400 "Reached the max number of peers in the cluster" "Not sent since etcd 2.0.";
            NotADirectory 104 400 "Not a directory" "A key where only a directory can be; the cause is that key.";
            KeyExists 105 412 "Key already exists" "The key or directory to create exists.";
            KeyIsPreserved 106 400 "The prefix of given key is a keyword in etcd" "Not sent since etcd 2.0.";
            RootIsReadOnly 107 400 "Root is read only" "The root directory cannot be changed.";
            DirectoryNotEmpty 108 403 "Directory not empty" "Only a recursive delete removes a directory with something in it.";
            PeerAddressExists 109 400 "Peer address has existed" "Not sent since etcd 2.0.";
            Unauthorized 110 401 "The request requires user authentication" "Nobody has said who asks, or the user may not do this.";
            ValueRequired 200 400 "Value is Required in POST form" "Not sent since etcd 2.0.";
            PrevValueRequired 201 400 "PrevValue is Required in POST form" "The value to compare with is empty.";
            TtlNotANumber 202 400 "The given TTL in POST form is not a number" "The time to live is not a whole number of seconds.";
            IndexNotANumber 203 400 "The given index in POST form is not a number" "An index is not a whole number.";
            ValueOrTtlRequired 204 400 "Value or TTL is required in POST form" "Not sent since etcd 2.0.";
            TimeoutNotANumber 205 400 "The given timeout in POST form is not a number" "The lock module of etcd 0.x only.";
            NameRequired 206 400 "Name is required in POST form" "The leader module of etcd 0.x only.";
            IndexOrValueRequired 207 400 "Index or value is required" "The lock module of etcd 0.x only.";
            IndexAndValue 208 400 "Index and value cannot both be specified" "The lock module of etcd 0.x only.";
            InvalidField 209 400 "Invalid field" "A parameter has a value that it cannot have; the cause names it.";
            InvalidForm 210 400 "Invalid POST form" "The parameters cannot be read.";
            RefreshValue 211 400 "Value provided on refresh" "A refresh keeps the value and takes no other.";
            RefreshTtlRequired 212 400 "A TTL must be provided on refresh" "A refresh without a time to live.";
            RaftInternal 300 500 "Raft Internal Error" "The cluster has not answered in time, or the member stops; the cause says which.";
            LeaderElect 301 500 "During Leader Election" "etcd 0.x has no leader just now.";
            WatcherCleared 400 400 "watcher is cleared due to etcd recovery" "etcd 0.x was restored while somebody watched.";
            EventIndexCleared 401 400 "The event in requested index is outdated and cleared" "The index to watch from is older than the history, which is a thousand events long.";
            StandbyInternal 402 400 "Standby Internal Error" "etcd 0.x only.";
            InvalidActiveSize 403 400 "Invalid active size" "etcd 0.x only.";
            InvalidRemoveDelay 404 400 "Standby remove delay" "etcd 0.x only.";
            ClientInternal 500 400 "Client Internal Error" "Never sent by a server.";
        }
    };
}

macro_rules! define_codes {
    ($($name:ident $number:literal $status:literal $text:literal $doc:literal;)*) => {
        /// An error of `/v2/keys`, by its `errorCode`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $(#[doc = $doc] $name,)*
        }

        impl ErrorCode {
            /// All of them, by number.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The `errorCode`.
            pub const fn number(self) -> u32 {
                match self {
                    $(Self::$name => $number,)*
                }
            }

            /// The status of the HTTP answer.
            pub const fn status(self) -> u16 {
                match self {
                    $(Self::$name => $status,)*
                }
            }

            /// The `message`.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

for_each_v2_error!(define_codes);

impl ErrorCode {
    /// The error of a number; `None` for one that no etcd sends.
    pub fn of_number(number: u32) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.number() == number)
    }
}

/// What `/v2/keys` answers when it refuses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysError {
    /// The number of an [`ErrorCode`].
    #[serde(rename = "errorCode")]
    pub error_code: u32,
    /// The text of the number.
    #[serde(default)]
    pub message: String,
    /// What it is about, such as a key; empty for nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cause: String,
    /// The index of the store; 0 if the store was not asked.
    #[serde(default)]
    pub index: u64,
}

impl KeysError {
    /// An error about something, at an index of the store.
    pub fn new(code: ErrorCode, cause: impl Into<String>, index: u64) -> Self {
        Self {
            error_code: code.number(),
            message: code.text().to_owned(),
            cause: cause.into(),
            index,
        }
    }

    /// Which error it is; `None` for one that no etcd sends.
    pub fn code(&self) -> Option<ErrorCode> {
        ErrorCode::of_number(self.error_code)
    }
}

/// What everything but `/v2/keys` answers when it refuses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Why.
    #[serde(default)]
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_apart() {
        assert!(ErrorCode::ALL.is_sorted_by_key(|code| code.number()));
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::of_number(code.number()), Some(*code));
        }
        assert_eq!(ErrorCode::of_number(99), None);
    }

    #[test]
    fn an_error_is_written_as_etcd_writes_it() {
        let error = KeysError::new(ErrorCode::KeyNotFound, "/a", 7);
        assert_eq!(
            serde_json::to_string(&error).unwrap(),
            r#"{"errorCode":100,"message":"Key not found","cause":"/a","index":7}"#
        );
        let error = KeysError::new(ErrorCode::NotAFile, "", 0);
        assert_eq!(
            serde_json::to_string(&error).unwrap(),
            r#"{"errorCode":102,"message":"Not a file","index":0}"#
        );
    }
}
