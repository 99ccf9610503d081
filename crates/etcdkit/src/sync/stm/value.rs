//! Values as Rust types.

use std::{
    borrow::Cow,
    error::Error as StdError,
    str::{self, FromStr},
};

use bytes::Bytes;

use crate::Blob;

/// Why a value is not what a program wants to read it as, or cannot be written. Shown as the source of
/// an [`Error`](crate::Error), so it should not contain the value.
pub type ValueError = Box<dyn StdError + Send + Sync>;

/// What [`Transaction::get`](super::Transaction::get) can read a value as.
///
/// Bytes (`Bytes`, `Vec<u8>`) are read as they are, `String` as UTF-8; numbers and `bool` are read from
/// their text, such as `-17`, `0.5` and `true`, so that etcdctl shows and sets them. With the feature
/// `serde`, `Json` reads whatever serde can.
///
/// # Examples
///
/// ```
/// use bytes::Bytes;
/// use etcdkit::sync::{FromValue, ValueError};
///
/// struct Celsius(f64);
///
/// impl FromValue for Celsius {
///     fn from_value(value: Bytes) -> Result<Self, ValueError> {
///         f64::from_value(value).map(Self)
///     }
/// }
///
/// assert_eq!(Celsius::from_value("21.5".into())?.0, 21.5);
/// # Ok::<(), ValueError>(())
/// ```
pub trait FromValue: Sized {
    /// Reads the value of a key that exists.
    ///
    /// # Errors
    ///
    /// If the value is something else.
    fn from_value(value: Bytes) -> Result<Self, ValueError>;
}

/// What [`Transaction::put`](super::Transaction::put) can write as a value: whatever
/// [`FromValue`] reads, and everything that is a [value elsewhere](Blob).
pub trait IntoValue {
    /// The bytes to write.
    ///
    /// # Errors
    ///
    /// If there are none for it. The transaction then fails without having written anything.
    fn into_value(self) -> Result<Bytes, ValueError>;
}

impl FromValue for Bytes {
    fn from_value(value: Bytes) -> Result<Self, ValueError> {
        Ok(value)
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: Bytes) -> Result<Self, ValueError> {
        Ok(value.into())
    }
}

impl FromValue for String {
    fn from_value(value: Bytes) -> Result<Self, ValueError> {
        // Unlike the error of `String::from_utf8`, this one does not hold the value.
        Ok(str::from_utf8(&value)?.to_owned())
    }
}

macro_rules! as_blob {
    ($([$($generics:tt)*] $type:ty,)*) => {
        $(impl<$($generics)*> IntoValue for $type {
            fn into_value(self) -> Result<Bytes, ValueError> {
                Ok(Blob::from(self).into_bytes())
            }
        })*
    };
}

as_blob! {
    [] &str,
    [] &&str,
    [] &String,
    [] String,
    [] Cow<'_, str>,
    [] &[u8],
    [] &Vec<u8>,
    [] Vec<u8>,
    [] Cow<'_, [u8]>,
    [] &Bytes,
    [] Bytes,
    [const N: usize] &[u8; N],
    [const N: usize] [u8; N],
}

/// Reads what is written as text.
fn parse<T>(value: &[u8]) -> Result<T, ValueError>
where
    T: FromStr<Err: StdError + Send + Sync + 'static>,
{
    Ok(str::from_utf8(value)?.parse()?)
}

macro_rules! as_text {
    ($($type:ty)*) => {
        $(impl FromValue for $type {
            fn from_value(value: Bytes) -> Result<Self, ValueError> {
                parse(&value)
            }
        }

        impl IntoValue for $type {
            fn into_value(self) -> Result<Bytes, ValueError> {
                Ok(self.to_string().into())
            }
        })*
    };
}

as_text!(i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize f32 f64 bool);

/// A value that is stored as JSON. Needs the feature `serde`.
///
/// # Examples
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = etcdkit_server::Server::builder().start().await?;
/// # let client = etcdkit::Client::connect(server.endpoint()).await?;
/// use etcdkit::sync::Json;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Default, Deserialize, Serialize)]
/// struct Settings {
///     retries: u32,
/// }
///
/// client
///     .stm(async |tx| {
///         let Json(mut settings): Json<Settings> = tx.get("settings").await?.unwrap_or_default();
///         settings.retries += 1;
///         tx.put("settings", Json(&settings));
///         Ok(())
///     })
///     .await?;
/// assert_eq!(client.get("settings").await?.unwrap().value, r#"{"retries":1}"#);
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
/// ```
#[cfg(feature = "serde")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Json<T>(pub T);

#[cfg(feature = "serde")]
mod json {
    use super::{Bytes, FromValue, IntoValue, Json, ValueError};

    impl<T: serde::de::DeserializeOwned> FromValue for Json<T> {
        fn from_value(value: Bytes) -> Result<Self, ValueError> {
            serde_json::from_slice(&value).map(Self).map_err(|error| {
                // The error's own text may quote the value.
                let what = match error.classify() {
                    serde_json::error::Category::Data => "the JSON has another shape",
                    _ => "it is not JSON",
                };
                let (line, column) = (error.line(), error.column());
                format!("{what}, at line {line} column {column}").into()
            })
        }
    }

    impl<T: serde::Serialize> IntoValue for Json<T> {
        fn into_value(self) -> Result<Bytes, ValueError> {
            Ok(serde_json::to_vec(&self.0)?.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::*;

    #[track_caller]
    fn assert_comes_back<T: FromValue + IntoValue + Clone + PartialEq + Debug>(
        value: T,
        text: &str,
    ) {
        let stored = value.clone().into_value().unwrap();
        assert_eq!(stored, text);
        assert_eq!(T::from_value(stored).unwrap(), value);
    }

    #[test]
    fn what_is_written_is_read_again() {
        assert_comes_back(Bytes::from_static(b"raw"), "raw");
        assert_comes_back(b"raw".to_vec(), "raw");
        assert_comes_back("text".to_owned(), "text");
        assert_comes_back(String::new(), "");
        assert_comes_back(-17_i64, "-17");
        assert_comes_back(u128::MAX, "340282366920938463463374607431768211455");
        assert_comes_back(0.5_f64, "0.5");
        assert_comes_back(f64::INFINITY, "inf");
        assert_comes_back(true, "true");
    }

    #[test]
    fn what_is_something_else_is_refused_without_being_shown() {
        let secret = || Bytes::from_static(b"s3cret\xff");
        let errors = [
            String::from_value(secret()).map(drop).unwrap_err(),
            i64::from_value(secret()).map(drop).unwrap_err(),
            i64::from_value("s3cret".into()).map(drop).unwrap_err(),
            i64::from_value(Bytes::new()).map(drop).unwrap_err(),
            u8::from_value("-1".into()).map(drop).unwrap_err(),
            bool::from_value("s3cret".into()).map(drop).unwrap_err(),
            f32::from_value("s3cret".into()).map(drop).unwrap_err(),
        ];
        for error in errors {
            let told = format!("{error} {error:?}");
            assert!(
                !told.contains("s3cret") && !told.contains("115, 51"),
                "{told}"
            );
        }
    }

    #[cfg(feature = "serde")]
    #[test]
    fn json_tells_where_it_is_wrong_and_not_what_it_is() {
        let told = |text: &'static str| {
            let error = Json::<Vec<i64>>::from_value(text.into()).unwrap_err();
            format!("{error} {error:?}")
        };
        assert!(told("[1, \"s3cret\"]").contains("another shape, at line 1 column 12"));
        assert!(told("s3cret").contains("not JSON, at line 1 column 1"));
        for text in ["[1, \"s3cret\"]", "s3cret"] {
            assert!(!told(text).contains("s3cret"));
        }
        assert_comes_back(Json(vec![1, 2]), "[1,2]");
    }
}
