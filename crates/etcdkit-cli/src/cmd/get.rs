//! `get`.

use std::ffi::OsString;

use etcdkit::{Client, KeyRange, Op, RangeResponse, SortOrder, SortTarget};

use tokio::time::timeout;

use super::{is_serializable, printer};
use crate::{
    args::{Format, GetArgs, GlobalArgs},
    connect::Session,
    error::{Exit, Failure, Result},
    print::{Kind, Printer, Reply},
};

pub(crate) async fn run(global: &GlobalArgs, args: &GetArgs) -> Result {
    let lookup = Lookup::read(args)?;
    let printer = Printer {
        value_only: args.print_value_only,
        ..printer(global)?
    };
    if args.count_only && printer.format != Format::Fields {
        return Err(Failure::bad_args(
            "--count-only is only for `--write-out=fields`",
        ));
    }
    if args.print_value_only && printer.format != Format::Simple {
        return Err(Failure::bad_args(
            "print-value-only is only for `--write-out=simple`",
        ));
    }
    printer.check(Kind::Message)?;
    if args.stream {
        lookup.check_stream(&printer)?;
        let session = Session::open(global).await?;
        // As with other requests, the limit is for all of it.
        match timeout(
            global.command_timeout,
            lookup.stream(&session.client, &printer),
        )
        .await
        {
            Ok(streamed) => streamed?,
            Err(_) => {
                let limit = global.command_timeout;
                return Err(Failure::new(
                    Exit::Error,
                    format!("context deadline exceeded: the range was not read within {limit:?}"),
                )
                .hint("raise --command-timeout"));
            }
        }
        session.close().await;
        return Ok(());
    }
    let session = Session::open(global).await?;
    let range = lookup.send(&session.client).await?;
    printer.print(Reply::Range(&range))?;
    session.close().await;
    Ok(())
}

/// What to read, with the flags understood.
#[derive(Debug)]
pub(super) struct Lookup<'a> {
    keys: KeyRange<'a>,
    limit: i64,
    revision: i64,
    serializable: bool,
    sort: Option<(SortTarget, SortOrder)>,
    keys_only: bool,
    count_only: bool,
    min_create_revision: i64,
    max_create_revision: i64,
    min_mod_revision: i64,
    max_mod_revision: i64,
}

/// Sets the options of a request, which has the same ones alone and inside a transaction.
macro_rules! with_options {
    ($lookup:expr, $request:expr) => {{
        let lookup = $lookup;
        let mut request = $request;
        if lookup.limit > 0 {
            request = request.limit(lookup.limit);
        }
        if lookup.revision > 0 {
            request = request.revision(lookup.revision);
        }
        if lookup.serializable {
            request = request.serializable();
        }
        if let Some((target, order)) = lookup.sort {
            request = request.sort_by(target, order);
        }
        if lookup.keys_only {
            request = request.keys_only();
        }
        if lookup.count_only {
            request = request.count_only();
        }
        if lookup.min_create_revision > 0 {
            request = request.min_create_revision(lookup.min_create_revision);
        }
        if lookup.max_create_revision > 0 {
            request = request.max_create_revision(lookup.max_create_revision);
        }
        if lookup.min_mod_revision > 0 {
            request = request.min_mod_revision(lookup.min_mod_revision);
        }
        if lookup.max_mod_revision > 0 {
            request = request.max_mod_revision(lookup.max_mod_revision);
        }
        request
    }};
}

impl<'a> Lookup<'a> {
    /// Checks what etcdctl checks, in its order and with its exit codes.
    pub(super) fn read(args: &'a GetArgs) -> Result<Self> {
        let keys = match &args.args[..] {
            [_] | [_, _] => keys(&args.args, args.prefix, args.from_key)?,
            _ => {
                return Err(Failure::bad_args(
                    "get command needs one argument as key and an optional argument as range_end",
                ));
            }
        };
        if args.keys_only && args.count_only {
            return Err(Failure::bad_args(
                "`--keys-only` and `--count-only` cannot be set at the same time, choose one",
            ));
        }
        let serializable = is_serializable(&args.consistency)?;
        let sort = sort(args)?;
        for (name, min, max) in [
            ("create", args.min_create_rev, args.max_create_rev),
            ("mod", args.min_mod_rev, args.max_mod_rev),
        ] {
            if max > 0 && min > max {
                return Err(Failure::unsupported(format!(
                    "--min-{name}-rev ({min}) is greater than --max-{name}-rev ({max})"
                )));
            }
        }
        Ok(Self {
            keys,
            limit: args.limit,
            revision: args.rev,
            serializable,
            sort,
            keys_only: args.keys_only,
            count_only: args.count_only,
            min_create_revision: args.min_create_rev,
            max_create_revision: args.max_create_rev,
            min_mod_revision: args.min_mod_rev,
            max_mod_revision: args.max_mod_rev,
        })
    }

    async fn send(self, client: &Client) -> Result<RangeResponse> {
        Ok(with_options!(&self, client.range(&self.keys)).await?)
    }

    /// Refuses what a stream cannot do: it comes in the order of keys, and in no message of its own.
    fn check_stream(&self, printer: &Printer) -> Result {
        if printer.format != Format::Simple {
            return Err(Failure::unsupported(
                "--stream is only for `--write-out=simple` in this version of etcdkit",
            ));
        }
        let filtered = [
            self.min_create_revision,
            self.max_create_revision,
            self.min_mod_revision,
            self.max_mod_revision,
        ];
        if self.sort.is_some() || filtered.iter().any(|revision| *revision > 0) {
            return Err(Failure::unsupported(
                "--stream takes neither an order nor revision filters; servers refuse them too",
            ));
        }
        Ok(())
    }

    /// Prints pairs as they come, with about a page of them in memory.
    async fn stream(&self, client: &Client, printer: &Printer) -> Result {
        let mut scan = client.scan(&self.keys).revision(self.revision.max(0));
        if self.serializable {
            scan = scan.serializable();
        }
        if self.keys_only {
            scan = scan.keys_only();
        }
        let mut out = printer.pairs();
        let mut left = (self.limit > 0).then_some(self.limit);
        while left != Some(0)
            && let Some(kv) = scan.try_next().await?
        {
            out.write(&kv)?;
            left = left.map(|left| left - 1);
        }
        out.finish()
    }

    /// The same inside a transaction.
    pub(super) fn into_op(self) -> Op {
        with_options!(&self, Op::range(&self.keys))
    }
}

/// Without an order, the server sorts upwards by any target but the key, which it sorts by anyway.
fn sort(args: &GetArgs) -> Result<Option<(SortTarget, SortOrder)>> {
    let order = match args.order.to_ascii_uppercase().as_str() {
        "" | "ASCEND" => SortOrder::Ascending,
        "DESCEND" => SortOrder::Descending,
        _ => {
            return Err(
                Failure::unsupported(format!("bad sort order {}", args.order))
                    .hint("ASCEND or DESCEND"),
            );
        }
    };
    let target = match args.sort_by.to_ascii_uppercase().as_str() {
        "" | "KEY" => SortTarget::Key,
        "CREATE" => SortTarget::CreateRevision,
        "MODIFY" => SortTarget::ModRevision,
        "VALUE" => SortTarget::Value,
        "VERSION" => SortTarget::Version,
        _ => {
            return Err(
                Failure::unsupported(format!("bad sort target {}", args.sort_by))
                    .hint("CREATE, KEY, MODIFY, VALUE or VERSION"),
            );
        }
    };
    let as_stored = target == SortTarget::Key && order == SortOrder::Ascending;
    Ok((!as_stored).then_some((target, order)))
}

/// The keys that one or two arguments and their flags name.
pub(super) fn keys(args: &[OsString], prefix: bool, from_key: bool) -> Result<KeyRange<'_>> {
    if prefix && from_key {
        return Err(Failure::bad_args(
            "`--prefix` and `--from-key` cannot be set at the same time, choose one",
        ));
    }
    let (key, end) = match args {
        [key] => (key.as_encoded_bytes(), None),
        [key, end] => (key.as_encoded_bytes(), Some(end.as_encoded_bytes())),
        _ => {
            return Err(Failure::bad_args(
                "a key is needed, and at most a range_end",
            ));
        }
    };
    if end.is_some() && (prefix || from_key) {
        return Err(Failure::bad_args(
            "too many arguments, only accept one argument when `--prefix` or `--from-key` is set",
        ));
    }
    Ok(match end {
        None if prefix => KeyRange::prefix(key),
        None if from_key => KeyRange::from_key(key),
        // An empty end and a zero byte have a meaning of their own to the server.
        None | Some(b"") => KeyRange::key(key),
        Some(b"\0") => KeyRange::from_key(key),
        Some(end) => KeyRange::range(key, end),
    })
}
