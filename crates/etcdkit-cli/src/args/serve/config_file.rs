//! etcd's configuration file, read as the flags that it stands for.
//!
//! Keys are named as flags, but for those of a few lists. As with etcd, a file stands in for all flags
//! and variables.

use std::{ffi::OsString, fs, path::Path};

use clap::Command;
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use super::environment::word;
use crate::error::{Exit, Failure, Result};

/// Lists of settings, and what the flags for them begin with.
const LISTS: [(&str, &str); 4] = [
    ("client-transport-security", ""),
    ("peer-transport-security", "peer-"),
    ("socket-options", "socket-"),
    ("discovery-config", "discovery-"),
];

/// Keys of the lists that the flags name otherwise.
const OTHER_NAMES: [(&str, &str); 5] = [
    ("allowed-cn", "client-cert-allowed-cn"),
    ("allowed-hostname", "client-cert-allowed-hostname"),
    ("peer-allowed-cn", "peer-cert-allowed-cn"),
    ("peer-allowed-hostname", "peer-cert-allowed-hostname"),
    (
        "experimental-snapshot-catch-up-entries",
        "experimental-snapshot-catchup-entries",
    ),
];

/// Times that are numbers of nanoseconds in such files.
const DURATIONS: [&str; 2] = [
    "experimental-watch-progress-notify-interval",
    "watch-progress-notify-interval",
];

/// What a file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConfigFile {
    /// The flags that it stands for.
    pub(crate) words: Vec<OsString>,
    /// Keys that no etcd knows. etcd does not look at them, either.
    pub(crate) unknown: Vec<String>,
}

impl ConfigFile {
    /// Reads a file.
    pub(crate) fn open(path: &Path, command: &Command) -> Result<Self> {
        let failed = |reason: String| {
            let path = path.display();
            Failure::new(Exit::Error, format!("--config-file {path}: {reason}"))
        };
        let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        Self::read(&text, command).map_err(failed)
    }

    fn read(text: &str, command: &Command) -> std::result::Result<Self, String> {
        let mut reader = Reader(Parser::new_from_str(text));
        let mut file = Self::default();
        match reader.next()? {
            // An empty file sets nothing.
            Event::StreamEnd => return Ok(file),
            Event::MappingStart(..) => {}
            _ => return Err("it is not a list of keys with their values".to_owned()),
        }
        while let Some(key) = reader.key()? {
            let list = LISTS.iter().find(|(name, _)| *name == key);
            match (list, reader.next()?) {
                (Some((_, prefix)), Event::MappingStart(..)) => {
                    while let Some(key) = reader.key()? {
                        let event = reader.next()?;
                        let value = reader.value(&key, event)?;
                        file.add(&format!("{prefix}{key}"), value, command);
                    }
                }
                (Some(_), Event::Scalar(text, ..)) if is_nothing(&text) => {}
                (Some(_), _) => return Err(format!("{key} is not a list of keys")),
                (None, event) => {
                    let value = reader.value(&key, event)?;
                    file.add(&key, value, command);
                }
            }
        }
        match reader.next()? {
            Event::StreamEnd => Ok(file),
            _ => Err("it holds more than one document".to_owned()),
        }
    }

    fn add(&mut self, key: &str, value: Option<String>, command: &Command) {
        let renamed = OTHER_NAMES.iter().find(|(name, _)| *name == key);
        let name = renamed.map_or(key, |(_, flag)| flag);
        let is_known = command.get_arguments().any(|arg| {
            let aliases = arg.get_all_aliases().unwrap_or_default();
            arg.get_long() == Some(name) || aliases.contains(&name)
        });
        if !is_known {
            self.unknown.push(key.to_owned());
            return;
        }
        let Some(mut value) = value else {
            return;
        };
        if DURATIONS.contains(&name) && value.bytes().all(|byte| byte.is_ascii_digit()) {
            value.push_str("ns");
        }
        self.words.push(word(name, value));
    }
}

fn is_nothing(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

struct Reader<P>(P);

impl<'a, P: Iterator<Item = std::result::Result<(Event<'a>, Span), ScanError>>> Reader<P> {
    /// The next event that is not only a frame around others.
    fn next(&mut self) -> std::result::Result<Event<'a>, String> {
        loop {
            match self.0.next() {
                None => return Ok(Event::StreamEnd),
                Some(Ok((
                    Event::Nothing
                    | Event::StreamStart
                    | Event::DocumentStart(_)
                    | Event::DocumentEnd,
                    _,
                ))) => {}
                Some(Ok((event, _))) => return Ok(event),
                Some(Err(error)) => return Err(error.to_string()),
            }
        }
    }

    /// The next key of a list, or nothing at its end.
    fn key(&mut self) -> std::result::Result<Option<String>, String> {
        match self.next()? {
            Event::MappingEnd => Ok(None),
            Event::Scalar(name, ..) => Ok(Some(name.into_owned())),
            _ => Err("a key is not text".to_owned()),
        }
    }

    /// The value of a key, several of them as flags write them. Nothing stands for the default.
    fn value(
        &mut self,
        key: &str,
        event: Event<'a>,
    ) -> std::result::Result<Option<String>, String> {
        let wrong = || Err(format!("{key} has a value of the wrong kind"));
        match event {
            Event::Scalar(text, ScalarStyle::Plain, ..) if is_nothing(&text) => Ok(None),
            Event::Scalar(text, ..) => Ok(Some(text.into_owned())),
            Event::SequenceStart(..) => {
                let mut values = Vec::new();
                loop {
                    match self.next()? {
                        Event::Scalar(text, ..) => values.push(text.into_owned()),
                        Event::SequenceEnd => return Ok(Some(values.join(","))),
                        _ => return wrong(),
                    }
                }
            }
            _ => wrong(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> std::result::Result<ConfigFile, String> {
        ConfigFile::read(text, &super::super::command())
    }

    #[test]
    fn keys_are_flags() {
        let file = read(
            "# a comment\n\
             name: 'one'\n\
             listen-client-urls: http://127.0.0.1:0,http://127.0.0.2:0\n\
             quota-backend-bytes: 0\n\
             pre-vote: false\n\
             discovery:\n\
             log-outputs: [stderr]\n\
             cors: null\n\
             watch-progress-notify-interval: 5000000000\n\
             peer-transport-security:\n  auto-tls: true\n  allowed-cn: [a, b]\n\
             client-transport-security:\n  trusted-ca-file: ca.pem\n\
             socket-options: ~\n\
             experimental-snapshot-catch-up-entries: 5\n\
             nonsense: 1\n",
        )
        .unwrap();
        assert_eq!(
            file.words,
            [
                "--name=one",
                "--listen-client-urls=http://127.0.0.1:0,http://127.0.0.2:0",
                "--quota-backend-bytes=0",
                "--pre-vote=false",
                "--log-outputs=stderr",
                "--watch-progress-notify-interval=5000000000ns",
                "--peer-auto-tls=true",
                "--peer-cert-allowed-cn=a,b",
                "--trusted-ca-file=ca.pem",
                "--experimental-snapshot-catchup-entries=5",
            ]
        );
        assert_eq!(file.unknown, ["nonsense"]);
    }

    #[test]
    fn an_empty_file_sets_nothing() {
        assert_eq!(read("").unwrap(), ConfigFile::default());
        assert_eq!(read("# nothing\n").unwrap(), ConfigFile::default());
    }

    #[test]
    fn what_is_no_such_file_is_refused() {
        for text in [
            "- name",
            "just text",
            "name: {a: b}",
            "name: [[a]]",
            "name: a\n---\nname: b",
            "client-transport-security: yes",
            "[a]: b",
            "name: 'open",
            "a: &x b\nname: *x",
        ] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }
}
