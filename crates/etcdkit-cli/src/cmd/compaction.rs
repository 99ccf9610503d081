//! `compaction`.

use std::io::Write;

use crate::{
    args::{CompactionArgs, GlobalArgs},
    connect::Session,
    error::{Exit, Failure, Result},
    golang::parse_i64_decimal,
};

pub(crate) async fn run(global: &GlobalArgs, args: &CompactionArgs) -> Result {
    let [revision] = &args.args[..] else {
        return Err(Failure::bad_args("compaction command needs 1 argument"));
    };
    let revision = parse_i64_decimal(&revision.to_string_lossy())
        .map_err(|error| Failure::new(Exit::Error, format!("the revision {error}")))?;
    // The reply is always one line of text; an unknown format is refused nevertheless.
    global.format()?;
    let session = Session::open(global).await?;
    let mut compact = session.client.compact(revision);
    if args.physical {
        compact = compact.physical();
    }
    compact.await?;
    writeln!(std::io::stdout(), "compacted revision {revision}")?;
    session.close().await;
    Ok(())
}
