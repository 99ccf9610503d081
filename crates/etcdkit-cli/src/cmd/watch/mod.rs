//! `watch`.

mod hook;
mod interactive;
mod request;

use etcdkit::{ErrorKind, Watch, WatchEnd, WatchError, WatchUpdate};
use tokio::sync::watch::Receiver;

use self::request::{Request, Variables};
use super::printer;
use crate::{
    args::{GlobalArgs, WatchArgs},
    connect::Session,
    error::{Exit, Failure, Result, story},
    print::{Event, EventKind, Events, Kind, Printer, Reply},
};

pub(crate) async fn run(global: &GlobalArgs, args: &WatchArgs) -> Result {
    let variables = Variables::read()?;
    let printer = printer(global)?;
    if args.interactive {
        printer.check(Kind::Message)?;
        return interactive::run(global, printer, &variables).await;
    }
    let ends_in_separator = std::env::args_os()
        .next_back()
        .is_some_and(|word| word == "--");
    let request = Request::read(args, ends_in_separator, &variables)?;
    printer.check(Kind::Message)?;
    let session = Session::open(global).await?;
    let mut watch = request.open(&session.client).await.map_err(refused)?;
    let ended = follow(&mut watch, &request, &printer, None).await?;
    report(&printer, &watch, &ended)?;
    session.close().await;
    Err(canceled())
}

/// A server that refuses a watch is to etcdctl one that cancels it.
fn refused(error: etcdkit::Error) -> Failure {
    match error.kind() {
        ErrorKind::Compacted | ErrorKind::WatchCanceled | ErrorKind::PermissionDenied => {
            eprintln!("watch was canceled ({})", story(&error));
            canceled()
        }
        _ => error.into(),
    }
}

fn canceled() -> Failure {
    Failure::new(Exit::Interrupted, "watch is canceled by the server")
}

/// Prints updates and runs the program until the watch ends. Each change of `progress` asks how far
/// the watch has come.
async fn follow(
    watch: &mut Watch,
    request: &Request,
    printer: &Printer,
    mut progress: Option<Receiver<u64>>,
) -> Result<WatchError> {
    loop {
        let asked = async {
            if let Some(progress) = &mut progress
                && progress.changed().await.is_ok()
            {
                return;
            }
            // Nobody asks, or nobody is left to.
            std::future::pending().await
        };
        tokio::select! {
            update = watch.try_next() => match update {
                Ok(Some(update)) => {
                    print(printer, &update)?;
                    hook::run(&request.command, &update).await?;
                }
                Ok(None) => std::future::pending().await,
                Err(ended) => return Ok(ended),
            },
            () = asked => watch.request_progress(),
        }
    }
}

fn print(printer: &Printer, update: &WatchUpdate) -> Result {
    let mut header = *update.header();
    if update.is_progress() {
        // What it promises, which is not always the newest revision of the member.
        header.revision = update.revision();
        printer.line(&format!("progress notify: {}", header.revision))?;
    }
    let events = update.events().iter().map(|event| Event {
        kind: match event.is_delete() {
            true => EventKind::Delete,
            false => EventKind::Put,
        },
        kv: event.kv(),
        prev_kv: event.prev_kv(),
    });
    printer.print(Reply::Watch(Events {
        header: &header,
        events: &events.collect::<Vec<_>>(),
        canceled: None,
        compact_revision: 0,
    }))
}

/// Says how a watch ended: on standard error to people, and on standard output in the reply's form.
fn report(printer: &Printer, watch: &Watch, ended: &WatchError) -> Result {
    let (reason, compact_revision) = match ended.end() {
        WatchEnd::Compacted { compact_revision } => (
            "etcdserver: mvcc: required revision has been compacted".to_owned(),
            *compact_revision,
        ),
        WatchEnd::Cancelled { reason } if !reason.is_empty() => (reason.clone(), 0),
        _ => (ended.to_string(), 0),
    };
    eprintln!("watch was canceled ({reason})");
    let mut header = *watch.header();
    // As servers leave it when they cancel.
    header.revision = 0;
    printer.print(Reply::Watch(Events {
        header: &header,
        events: &[],
        canceled: Some(&reason),
        compact_revision,
    }))
}
