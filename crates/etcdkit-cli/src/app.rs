//! From a command line to an exit code.

use std::{
    env,
    ffi::OsString,
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use clap::{
    FromArgMatches,
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::{
    args::{self, ConfigFile, ServeArgs},
    cmd::{self, v2::Code},
    error::{Exit, Failure, Result},
};

/// Runs a command line, the program's name included.
pub(crate) fn run(words: Vec<OsString>) -> ExitCode {
    let mut debug = false;
    match parse_and_run(words, &mut debug) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.is_closed_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            let stderr = io::stderr();
            failure.report(&mut stderr.lock(), stderr.is_terminal(), debug);
            ExitCode::from(failure.exit().code())
        }
    }
}

fn parse_and_run(words: Vec<OsString>, debug: &mut bool) -> Result {
    if let Some(words) = args::serve_words(&words) {
        return serve(words);
    }
    if let Some(words) = args::v2::words(&words, is_v2()) {
        return v2(words, debug);
    }
    let command = args::command();
    let matches = match command.clone().try_get_matches_from(words) {
        Ok(matches) => matches,
        Err(error) => return explain(&error, &command),
    };
    if let Some(refusal) = args::refusal_of_missing(&matches) {
        return Err(refusal);
    }
    let cli = match args::read(&matches) {
        Ok(cli) => cli,
        Err(error) => return explain(&error, &command),
    };
    *debug = cli.global.debug;
    warn_of_variables(&command);
    cmd::run(cli)
}

/// Whether the variable by which etcdctl up to 3.5 chooses its commands chooses those of v2.
fn is_v2() -> bool {
    env::var_os("ETCDCTL_API").is_some_and(|version| version == "2")
}

/// Runs a command of etcd's v2 API.
fn v2(words: Vec<OsString>, debug: &mut bool) -> Result {
    let command = args::v2::command();
    let parsed = command.clone().try_get_matches_from(words);
    match parsed.and_then(|matches| args::v2::Cli::from_arg_matches(&matches)) {
        Ok(cli) => {
            *debug = cli.global.debug;
            cmd::v2::run(cli)
        }
        Err(error) => explain(&error, &command).map_err(|failure| match error.kind() {
            // What failed is to print it.
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => failure,
            ErrorKind::InvalidSubcommand => failure.with_exit(Code::NoCommand.exit()),
            _ => failure.with_exit(Code::BadArgs.exit()),
        }),
    }
}

/// Runs the embedded server, as its flags and variables say, or else the file that they name.
fn serve(words: Vec<OsString>) -> Result {
    let command = args::serve_command();
    let words = args::add_variables(words, &command);
    let Some(args) = parse_serve(&command, words)? else {
        return Ok(());
    };
    let Some(path) = &args.config_file else {
        return cmd::serve(&args);
    };
    let restore = args.storage.restore.clone();
    let command = args::command_without_variables();
    let file = ConfigFile::open(path, &command)?;
    let words = std::iter::once("etcdkit serve".into()).chain(file.words);
    let parsed = parse_serve(&command, words.collect());
    let Some(mut args) = parsed.map_err(|failure| failure.because_of_file(path))? else {
        return Ok(());
    };
    args.unknown_keys = file.unknown;
    // etcd has no such flag that a file could stand in for.
    args.storage.restore = args.storage.restore.or(restore);
    cmd::serve(&args)
}

/// The flags of `serve`; none if they only ask for help.
fn parse_serve(command: &clap::Command, words: Vec<OsString>) -> Result<Option<ServeArgs>> {
    let parsed = command.clone().try_get_matches_from(words);
    match parsed.and_then(|matches| ServeArgs::from_arg_matches(&matches)) {
        Ok(args) => Ok(Some(args)),
        Err(error) => explain(&error, command).map(|()| None),
    }
}

/// Prints help, or turns what clap found into a failure with etcdctl's exit code.
fn explain(error: &clap::Error, command: &clap::Command) -> Result {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let text = error.render();
            let mut out = io::stdout();
            if out.is_terminal() {
                write!(out, "{}", text.ansi())?;
            } else {
                write!(out, "{text}")?;
            }
            Ok(out.flush()?)
        }
        _ => {
            let text = error.render().to_string();
            let text = text.strip_prefix("error: ").unwrap_or(&text).trim_end();
            let failure = Failure::new(Exit::Error, text);
            Err(match variable_of(error, command) {
                Some(variable) => failure.because_of_variable(&variable),
                None => failure,
            })
        }
    }
}

/// The variable that a refused value comes from, if it comes from one.
fn variable_of(error: &clap::Error, command: &clap::Command) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let (flag, value) = (
        text(ContextKind::InvalidArg)?,
        text(ContextKind::InvalidValue)?,
    );
    // A flag shows as in the error only once its command is built.
    let mut command = command.clone();
    command.build();
    let arg = command
        .get_arguments()
        .find(|arg| arg.to_string() == flag)?;
    let variable = arg.get_env()?;
    (env::var_os(variable)? == value).then(|| variable.to_string_lossy().into_owned())
}

/// Warns of variables that etcdctl would not know either.
fn warn_of_variables(command: &clap::Command) {
    const OTHERS: [&str; 4] = [
        "ETCDCTL_API",
        "ETCDCTL_CLUSTER",
        "ETCDCTL_WATCH_KEY",
        "ETCDCTL_WATCH_RANGE_END",
    ];
    for (name, value) in env::vars_os() {
        let known = |name: &str| {
            let mut args = command.get_arguments();
            OTHERS.contains(&name)
                || args.any(|arg| arg.get_env().is_some_and(|variable| variable == name))
        };
        match name.to_str() {
            Some(name) if name.starts_with("ETCDCTL_") && !value.is_empty() && !known(name) => {
                eprintln!("Warning: unrecognized environment variable {name}");
            }
            _ => {}
        }
    }
}
