//! `put`.

use std::{
    borrow::Cow,
    io::{self, IsTerminal, Read},
};

use etcdkit::Op;

use super::printer;
use crate::{
    args::{GlobalArgs, PutArgs},
    connect::Session,
    error::{Exit, Failure, Result},
    golang::parse_hex_i64,
    print::{Kind, Reply},
};

const USAGE: &str = "put command needs 1 argument and input from stdin or 2 arguments";

/// The client's limit unless the flag sets another.
const DEFAULT_MAX_REQUEST_BYTES: usize = 2 << 20;

pub(crate) async fn run(global: &GlobalArgs, args: &PutArgs) -> Result {
    let limit = match global.max_request_bytes {
        0 => DEFAULT_MAX_REQUEST_BYTES,
        bytes => bytes,
    };
    let write = Write::read(args, || value_from_stdin(limit))?;
    let printer = printer(global)?;
    printer.check(Kind::Message)?;
    let session = Session::open(global).await?;
    let mut put = session.client.put(write.key, &*write.value);
    if let Some(lease) = write.lease {
        put = put.lease(lease);
    }
    if args.prev_kv {
        put = put.prev_kv();
    }
    if args.ignore_value {
        put = put.ignore_value();
    }
    if args.ignore_lease {
        put = put.ignore_lease();
    }
    let reply = put.await?;
    printer.print(Reply::Put(&reply))?;
    session.close().await;
    Ok(())
}

/// A put inside a transaction; standard input holds the transaction, so that the value is given here.
pub(super) fn op(args: &PutArgs) -> Result<Op> {
    let write = Write::read(args, || Err(Failure::bad_args(USAGE)))?;
    let mut op = Op::put(write.key, &*write.value);
    if let Some(lease) = write.lease {
        op = op.lease(lease);
    }
    if args.prev_kv {
        op = op.prev_kv();
    }
    if args.ignore_value {
        op = op.ignore_value();
    }
    if args.ignore_lease {
        op = op.ignore_lease();
    }
    Ok(op)
}

/// What to write, with the flags understood.
struct Write<'a> {
    key: &'a [u8],
    value: Cow<'a, [u8]>,
    lease: Option<i64>,
}

impl<'a> Write<'a> {
    fn read(args: &'a PutArgs, stdin: impl FnOnce() -> Result<Vec<u8>>) -> Result<Self> {
        let (key, value) = match &args.args[..] {
            [_, _] if args.ignore_value => {
                return Err(Failure::bad_args(
                    "put command needs only 1 argument when 'ignore-value' is set",
                ));
            }
            [key, value] => (key, Cow::Borrowed(value.as_encoded_bytes())),
            [key] if args.ignore_value => (key, Cow::Borrowed(&[][..])),
            [key] => (key, Cow::Owned(stdin()?)),
            [] => return Err(Failure::bad_args(USAGE)),
            _ => return Err(Failure::bad_args(USAGE).hint("quote a value that contains spaces")),
        };
        let lease = parse_hex_i64(&args.lease).map_err(|error| {
            Failure::bad_args(format!("bad lease ID ({error}), expecting ID in Hex"))
        })?;
        Ok(Self {
            key: key.as_encoded_bytes(),
            value,
            lease: (lease != 0).then_some(lease),
        })
    }
}

/// Standard input, which may be anything but empty or larger than what can be sent.
fn value_from_stdin(limit: usize) -> Result<Vec<u8>> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        eprintln!("Type the value and end it with Ctrl-D on a line of its own.");
    }
    let mut value = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    match stdin.lock().take(most).read_to_end(&mut value)? {
        0 => Err(Failure::bad_args(USAGE)),
        bytes if bytes > limit => Err(Failure::new(
            Exit::Error,
            format!("the value on standard input exceeds {limit} bytes, the largest request that is sent"),
        )
        .hint("raise --max-request-bytes here and on the server")),
        _ => Ok(value),
    }
}
