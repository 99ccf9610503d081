//! Replies in etcdctl's output formats, byte for byte as etcdctl 3.7 prints them.

mod fields;
mod json;
mod protobuf;
mod simple;
mod table;

use std::io::{self, Write};

use etcdkit::{
    DeleteResponse, HashKv, KeyValue, MemberList, PutResponse, RangeResponse, Status, TxnResponse,
};

use crate::{
    args::Format,
    error::{Failure, Result},
};

/// What a command received, ready to print.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reply<'a> {
    Put(&'a PutResponse),
    Range(&'a RangeResponse),
    Delete(&'a DeleteResponse),
    Txn(&'a TxnResponse),
    Members(&'a MemberList),
    Health(&'a [Health]),
    Status(&'a [At<Status>]),
    HashKv(&'a [At<HashKv>]),
}

/// The reply of one endpoint, which is named as the user named it.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub(crate) endpoint: String,
    pub(crate) reply: T,
}

/// Whether an endpoint serves requests.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    pub(crate) endpoint: String,
    /// How long the answer took, as Go prints durations.
    pub(crate) took: String,
    /// Why the endpoint is not healthy.
    pub(crate) error: Option<String>,
}

/// Replies that the same formats support.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    KeyValue,
    Members,
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
            Format::Simple | Format::Fields | Format::Json => true,
            Format::Protobuf => kind != Kind::Endpoints,
            Format::Table => kind != Kind::KeyValue,
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
