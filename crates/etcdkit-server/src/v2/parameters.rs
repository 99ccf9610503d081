//! What a request to `/v2/keys` asks for, checked in etcd's order.

use bytes::Bytes;
use etcdkit_proto::v2::{ErrorCode, KeysError};
use http::Method;

use super::form::Form;

/// The parameters, with what they are when they are missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) value: Bytes,
    pub(super) dir: bool,
    /// In seconds.
    pub(super) ttl: Option<u64>,
    pub(super) refresh: bool,
    pub(super) prev_exist: Option<bool>,
    /// 0 and nothing are no condition.
    pub(super) prev_index: u64,
    pub(super) prev_value: Option<Bytes>,
    pub(super) no_value_on_success: bool,
    pub(super) recursive: bool,
    pub(super) sorted: bool,
    pub(super) quorum: bool,
    pub(super) wait: bool,
    pub(super) wait_index: u64,
    pub(super) stream: bool,
}

impl Parameters {
    /// The first that is wrong is refused. As the store was not asked, the index is 0.
    pub(super) fn read(method: &Method, form: &Form) -> Result<Self, KeysError> {
        let prev_index = index(form, "prevIndex")?;
        let wait_index = index(form, "waitIndex")?;
        let recursive = switch(form, "recursive")?;
        let sorted = switch(form, "sorted")?;
        let wait = switch(form, "wait")?;
        let dir = switch(form, "dir")?;
        let quorum = switch(form, "quorum")?;
        let stream = switch(form, "stream")?;
        if wait && method != Method::GET {
            return Err(invalid_field("\"wait\" can only be used with GET requests"));
        }
        let prev_value = form.get("prevValue");
        if prev_value == Some(b"") {
            let cause = "\"prevValue\" cannot be empty";
            return Err(refused(ErrorCode::PrevValueRequired, cause));
        }
        let no_value_on_success = switch(form, "noValueOnSuccess")?;
        let ttl = match form.value("ttl") {
            b"" => None,
            text => Some(unsigned(text).ok_or_else(|| {
                let cause = "invalid value for \"ttl\"";
                refused(ErrorCode::TtlNotANumber, cause)
            })?),
        };
        // etcd quotes the names of all but these two.
        let bare = |name: &str| match form.get(name) {
            None => Ok(None),
            Some(text) => boolean(text)
                .map(Some)
                .ok_or_else(|| invalid_field(format!("invalid value for {name}"))),
        };
        let prev_exist = bare("prevExist")?;
        let refresh = bare("refresh")?.unwrap_or_default();
        let value = form.value("value");
        if refresh && !value.is_empty() {
            let cause = "A value was provided on a refresh";
            return Err(refused(ErrorCode::RefreshValue, cause));
        }
        if refresh && ttl.is_none() {
            return Err(refused(ErrorCode::RefreshTtlRequired, "No TTL value set"));
        }
        Ok(Self {
            value: Bytes::copy_from_slice(value),
            dir,
            ttl,
            refresh,
            prev_exist,
            prev_index,
            prev_value: prev_value.map(Bytes::copy_from_slice),
            no_value_on_success,
            recursive,
            sorted,
            quorum,
            wait,
            wait_index,
            stream,
        })
    }
}

fn index(form: &Form, name: &str) -> Result<u64, KeysError> {
    form.get(name).map_or(Ok(0), |text| {
        let cause = || format!("invalid value for \"{name}\"");
        unsigned(text).ok_or_else(|| refused(ErrorCode::IndexNotANumber, cause()))
    })
}

fn switch(form: &Form, name: &str) -> Result<bool, KeysError> {
    form.get(name).map_or(Ok(false), |text| {
        let cause = || format!("invalid value for \"{name}\"");
        boolean(text).ok_or_else(|| invalid_field(cause()))
    })
}

/// Digits without a sign, as Go reads them.
fn unsigned(text: &[u8]) -> Option<u64> {
    let digits = text.iter().all(u8::is_ascii_digit).then_some(text)?;
    str::from_utf8(digits).ok()?.parse().ok()
}

/// The words that Go takes for one or the other.
fn boolean(text: &[u8]) -> Option<bool> {
    match text {
        b"1" | b"t" | b"T" | b"TRUE" | b"true" | b"True" => Some(true),
        b"0" | b"f" | b"F" | b"FALSE" | b"false" | b"False" => Some(false),
        _ => None,
    }
}

fn invalid_field(cause: impl Into<String>) -> KeysError {
    refused(ErrorCode::InvalidField, cause)
}

fn refused(code: ErrorCode, cause: impl Into<String>) -> KeysError {
    KeysError::new(code, cause, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: &Method, query: &str) -> Result<Parameters, (u32, String)> {
        Parameters::read(method, &Form::of_query(query))
            .map_err(|error| (error.error_code, error.cause))
    }

    #[test]
    fn everything_may_be_missing() {
        let parameters = read(&Method::PUT, "other=1&Recursive=x&ttl=").unwrap();
        assert_eq!(parameters, Parameters::default());
    }

    #[test]
    fn everything_is_read() {
        let parameters = read(
            &Method::PUT,
            "value=v&dir=t&ttl=5&prevExist=0&prevIndex=7&prevValue=p&noValueOnSuccess=1\
             &recursive=TRUE&sorted=True&quorum=T&waitIndex=8&stream=true&refresh=False",
        );
        assert_eq!(
            parameters.unwrap(),
            Parameters {
                value: "v".into(),
                dir: true,
                ttl: Some(5),
                refresh: false,
                prev_exist: Some(false),
                prev_index: 7,
                prev_value: Some("p".into()),
                no_value_on_success: true,
                recursive: true,
                sorted: true,
                quorum: true,
                wait: false,
                wait_index: 8,
                stream: true,
            }
        );
        assert!(read(&Method::GET, "wait=true").unwrap().wait);
        assert!(
            read(&Method::PUT, "refresh=t&ttl=5&value=")
                .unwrap()
                .refresh
        );
    }

    /// Each of these has something wrong that is looked at later, too.
    #[test]
    fn the_first_wrong_one_is_told() {
        for (query, code, cause) in [
            (
                "prevIndex=&waitIndex=x",
                203,
                "invalid value for \"prevIndex\"",
            ),
            ("prevIndex=%2B1", 203, "invalid value for \"prevIndex\""),
            (
                "prevIndex=18446744073709551616",
                203,
                "invalid value for \"prevIndex\"",
            ),
            (
                "waitIndex=x&recursive=x",
                203,
                "invalid value for \"waitIndex\"",
            ),
            (
                "recursive=yes&sorted=",
                209,
                "invalid value for \"recursive\"",
            ),
            ("sorted=&wait=", 209, "invalid value for \"sorted\""),
            ("wait=&dir=", 209, "invalid value for \"wait\""),
            ("dir=tRue&quorum=", 209, "invalid value for \"dir\""),
            (
                "wait=T&quorum=x&stream=",
                209,
                "invalid value for \"quorum\"",
            ),
            ("stream=2&wait=1", 209, "invalid value for \"stream\""),
            (
                "wait=1&prevValue=",
                209,
                "\"wait\" can only be used with GET requests",
            ),
            (
                "prevValue=&prevValue=x&noValueOnSuccess=",
                201,
                "\"prevValue\" cannot be empty",
            ),
            (
                "noValueOnSuccess=q&ttl=-1",
                209,
                "invalid value for \"noValueOnSuccess\"",
            ),
            ("ttl=-1&prevExist=", 202, "invalid value for \"ttl\""),
            ("ttl=1.5", 202, "invalid value for \"ttl\""),
            ("prevExist=&refresh=x", 209, "invalid value for prevExist"),
            ("refresh=x", 209, "invalid value for refresh"),
            (
                "refresh=true&value=x",
                211,
                "A value was provided on a refresh",
            ),
            ("refresh=true&ttl=", 212, "No TTL value set"),
        ] {
            let refused = read(&Method::PUT, query).unwrap_err();
            assert_eq!(refused, (code, cause.to_owned()), "{query}");
        }
        assert!(read(&Method::HEAD, "wait=true").is_err());
    }
}
