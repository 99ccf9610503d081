//! Certificates that are renewed while the client runs.

use std::{
    fs::Metadata,
    sync::{Arc, Mutex},
};

use rustls::ClientConfig;

use super::Tls;
use crate::{Result, transport::dial::Protocol};

/// The TLS configuration, made anew when the files behind it change.
pub(super) struct Reload {
    settings: Tls,
    protocol: Protocol,
    state: Mutex<State>,
}

struct State {
    config: Arc<ClientConfig>,
    /// The files when `config` was made from them.
    made_from: Vec<Stamp>,
    /// The files when they last could not be used, so that each change is reported once.
    complained_about: Vec<Stamp>,
}

/// What tells one content of a file from another without reading it; `None` for a file that is not
/// there. The time of change sees what a preserved time of modification hides.
type Stamp = Option<Vec<i128>>;

impl Reload {
    pub(super) fn new(settings: Tls, protocol: Protocol) -> Result<Self> {
        // Looked at before it is read: a change in between then shows as one later.
        let made_from = stamps(&settings);
        let config = Arc::new(settings.config(protocol)?);
        let state = State {
            config,
            made_from,
            complained_about: Vec::new(),
        };
        Ok(Self {
            settings,
            protocol,
            state: Mutex::new(state),
        })
    }

    /// The configuration for a connection that is opened now.
    ///
    /// Asks the file system on the caller's thread, which costs microseconds beside a handshake.
    pub(super) fn current(&self) -> Arc<ClientConfig> {
        let mut state = self
            .state
            .lock()
            .unwrap_or_else(|broken| broken.into_inner());
        let stamps = stamps(&self.settings);
        if stamps != state.made_from {
            match self.settings.config(self.protocol) {
                Ok(config) => {
                    tracing::info!("certificates have changed and are read again");
                    state.config = Arc::new(config);
                    state.made_from = stamps;
                }
                // Certificate and key are two files, which change one after the other.
                Err(error) if stamps != state.complained_about => {
                    tracing::warn!(%error, "certificates have changed and cannot be used; keeping the old ones");
                    state.complained_about = stamps;
                }
                Err(_) => {}
            }
        }
        Arc::clone(&state.config)
    }
}

fn stamps(settings: &Tls) -> Vec<Stamp> {
    let stamp = |path| std::fs::metadata(path).ok().map(|file| stamp(&file));
    settings.files().map(stamp).collect()
}

#[cfg(unix)]
fn stamp(file: &Metadata) -> Vec<i128> {
    use std::os::unix::fs::MetadataExt;

    vec![
        file.ino().into(),
        file.size().into(),
        file.mtime().into(),
        file.mtime_nsec().into(),
        file.ctime().into(),
        file.ctime_nsec().into(),
    ]
}

#[cfg(not(unix))]
fn stamp(file: &Metadata) -> Vec<i128> {
    let modified = file.modified().ok();
    let since = modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    vec![
        file.len().into(),
        since.map_or(0, |since| since.as_nanos() as i128),
    ]
}
