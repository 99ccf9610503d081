//! How a client is set up.
//!
//! [`Settings`] are plain data. The builder's methods fill them, and so do the texts that people have
//! already: variables, a URL or a YAML file, which all come down to the named options of [`Draft`].

mod builder;
mod discovery;
mod draft;
mod duration;
mod environment;
mod modes;
mod option;
mod retry;
mod settings;
mod url;
#[cfg(feature = "yaml")]
mod yaml;

#[cfg(test)]
mod tests;

#[cfg(feature = "v2")]
pub(crate) use self::duration::parse as go_duration;
pub(crate) use self::settings::Config;
pub use self::{
    builder::ClientBuilder, discovery::Discovery, modes::EndpointMode, retry::RetryPolicy,
};
use self::{draft::Draft, settings::Settings};
