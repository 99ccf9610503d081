//! Replies in etcdctl's output formats, byte for byte as etcdctl 3.7 prints them.

mod fields;
mod json;
mod protobuf;
mod reply;
mod simple;
mod table;

use std::io::{self, Write};

use etcdkit::KeyValue;

pub(crate) use reply::{
    Access, At, AuthStatus, Done, Event, EventKind, Events, Health, LeaseTtl, MemberAdd, Names,
    Permission, Reply, Role, TimeToLive,
};

use crate::{
    args::Format,
    error::{Failure, Result},
};

/// Replies that the same formats support.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One message, in lines of its own.
    Message,
    /// One message, for which etcdctl has no fields.
    MessageWithoutFields,
    /// One message with a table.
    Members,
    /// A list that etcdctl makes from several replies, so that there is no message.
    Endpoints,
}

/// Prints replies in one format.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printer {
    pub(crate) format: Format,
    /// Bytes and ids in hexadecimal.
    pub(crate) hex: bool,
    /// Values without their keys; the simple format only.
    pub(crate) value_only: bool,
}

impl Printer {
    /// Refuses a format that cannot show a kind of reply. Called before anything is sent, unlike in
    /// etcdctl: what cannot be shown should not have been done either.
    pub(crate) fn check(&self, kind: Kind) -> Result {
        let supported = match self.format {
            Format::Simple | Format::Json => true,
            Format::Fields => kind != Kind::MessageWithoutFields,
            Format::Protobuf => kind != Kind::Endpoints,
            Format::Table => matches!(kind, Kind::Members | Kind::Endpoints),
        };
        if supported {
            return Ok(());
        }
        let name = self.format.name();
        Err(Failure::unsupported(format!(
            "{name} not supported as output format"
        )))
    }

    /// Writes pairs one after the other, in the simple format.
    pub(crate) fn pairs(&self) -> Pairs {
        Pairs {
            out: io::BufWriter::new(io::stdout()),
            hex: self.hex,
            value_only: self.value_only,
        }
    }

    /// Whether people are to read the output.
    pub(crate) fn is_simple(&self) -> bool {
        self.format == Format::Simple
    }

    /// Writes a line that is no reply.
    pub(crate) fn line(&self, text: &str) -> Result {
        Ok(writeln!(io::stdout(), "{text}")?)
    }

    /// Writes a reply to standard output.
    pub(crate) fn print(&self, reply: Reply<'_>) -> Result {
        let mut out = io::BufWriter::new(io::stdout().lock());
        self.write(&mut out, reply)?;
        out.flush()?;
        Ok(())
    }

    fn write(&self, out: &mut dyn Write, reply: Reply<'_>) -> Result {
        match self.format {
            Format::Simple => simple::write(out, reply, self.hex, self.value_only)?,
            Format::Fields => fields::write(out, reply, self.hex)?,
            Format::Json => json::write(out, reply, self.hex)?,
            Format::Protobuf => protobuf::write(out, reply)?,
            Format::Table => table::write(out, reply)?,
        }
        Ok(())
    }
}

/// Pairs on their way to standard output.
#[derive(Debug)]
pub(crate) struct Pairs {
    out: io::BufWriter<io::Stdout>,
    hex: bool,
    value_only: bool,
}

impl Pairs {
    pub(crate) fn write(&mut self, kv: &KeyValue) -> Result {
        Ok(simple::key_values(
            &mut self.out,
            [kv],
            self.hex,
            self.value_only,
        )?)
    }

    pub(crate) fn finish(mut self) -> Result {
        Ok(self.out.flush()?)
    }
}
