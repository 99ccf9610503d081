//! In place of signed tokens in a build without them.

use std::time::Duration;

use super::{Claims, Jwt};
use crate::builder::StartError;

/// There are none.
pub(crate) enum Signed {}

impl Signed {
    /// Refuses every setting.
    pub(crate) fn new(_: &Jwt) -> Result<Self, StartError> {
        Err(StartError::MissingFeature {
            setting: "auth_token",
            feature: "jwt",
        })
    }

    pub(crate) fn sign(&self, _: &str, _: u64, _: Duration) -> Option<Result<String, String>> {
        match *self {}
    }

    pub(crate) fn claims(&self, _: &str) -> Option<Claims> {
        match *self {}
    }
}
