//! Settings from variables of the environment.

use std::ffi::OsString;

use super::{Draft, Settings, option::Setting, url};
use crate::{Error, Result};

/// Holds a whole URL; what the other variables say wins over it.
const URL: &str = "ETCD_URL";

/// The settings that the variables of an environment make, which `variable` looks up.
pub(super) fn settings(variable: impl Fn(&str) -> Option<OsString>) -> Result<Settings> {
    let text = |name: &str| match variable(name).map(OsString::into_string) {
        // An empty variable counts as none, as for etcdctl.
        None => Ok(None),
        Some(Ok(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
        Some(Err(_)) => Err(Error::invalid_config(format!("{name} is not UTF-8"))),
    };
    let mut draft = Draft::default();
    if let Some(whole) = text(URL)? {
        url::read(&mut draft, &whole).map_err(|error| error.in_config(URL))?;
    }
    for (setting, name) in Setting::variables() {
        if let Some(value) = text(&name)? {
            draft.set(setting, &name, &[&value])?;
        }
    }
    if draft.names_no_server() {
        draft.set(Setting::Endpoints, "", &["127.0.0.1:2379"])?;
    }
    draft.finish()
}
