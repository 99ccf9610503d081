//! `defrag`.

use std::{io::Write, time::Instant};

use super::{endpoint::endpoints, no_arguments};
use crate::{
    args::{DefragArgs, GlobalArgs},
    connect::Session,
    error::{Exit, Failure, Result, story},
    golang::format_duration,
};

pub(crate) async fn run(global: &GlobalArgs, args: &DefragArgs) -> Result {
    no_arguments(&args.words.args, "defrag")?;
    // What was done is always told in sentences; an unknown format is refused nevertheless.
    global.format()?;
    let mut failed = 0;
    let endpoints = endpoints(global, args.cluster).await?;
    // One after the other, since a member serves nobody meanwhile.
    for endpoint in &endpoints {
        let session = Session::open_to(global, std::slice::from_ref(endpoint)).await?;
        let begin = Instant::now();
        let maintenance = session.client.maintenance();
        let done = maintenance
            .defragment(session.endpoint())
            .timeout(global.command_timeout)
            .await;
        let took = format_duration(begin.elapsed());
        match done {
            Ok(_) => writeln!(
                std::io::stdout(),
                "Finished defragmenting etcd member[{endpoint}]. took {took}"
            )?,
            Err(error) => {
                let reason = story(&error);
                eprintln!("Failed to defragment etcd member[{endpoint}]. took {took}. ({reason})");
                failed += 1;
            }
        }
        session.close().await;
    }
    if failed > 0 {
        let all = endpoints.len();
        return Err(Failure::new(
            Exit::Error,
            format!("{failed} of {all} endpoints were not defragmented"),
        ));
    }
    Ok(())
}
