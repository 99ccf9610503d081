//! `del`.

use std::time::Duration;

use etcdkit::{KeyRange, Op};

use super::{get::keys, printer};
use crate::{
    args::{DelArgs, GlobalArgs},
    connect::Session,
    error::{Failure, Result},
    golang::quote,
    print::{Kind, Reply},
};

/// How long the deletion of a range can be interrupted, as in etcdctl since 3.6.
const SECOND_THOUGHTS: Duration = Duration::from_secs(2);

pub(crate) async fn run(global: &GlobalArgs, args: &DelArgs) -> Result {
    let keys = read(args)?;
    let printer = printer(global)?;
    printer.check(Kind::Message)?;
    let session = Session::open(global).await?;
    if let [start, end] = &args.args[..]
        && !args.range
    {
        eprintln!(
            "Warning: Keys between {} and {} will be deleted. Please interrupt the command within \
             next 2 seconds to cancel. You can provide `--range` flag to avoid the delay.",
            quote(start.as_encoded_bytes()),
            quote(end.as_encoded_bytes()),
        );
        tokio::time::sleep(SECOND_THOUGHTS).await;
    }
    let mut delete = session.client.delete(keys);
    if args.prev_kv {
        delete = delete.prev_kv();
    }
    let reply = delete.await?;
    printer.print(Reply::Delete(&reply))?;
    session.close().await;
    Ok(())
}

/// A deletion inside a transaction. There are no second thoughts: a transaction is written out
/// before it is run.
pub(super) fn op(args: &DelArgs) -> Result<Op> {
    let op = Op::delete(read(args)?);
    Ok(if args.prev_kv { op.prev_kv() } else { op })
}

fn read(args: &DelArgs) -> Result<KeyRange<'_>> {
    match &args.args[..] {
        [_] | [_, _] => keys(&args.args, args.prefix, args.from_key),
        _ => Err(Failure::bad_args(
            "del command needs one argument as key and an optional argument as range_end",
        )),
    }
}
