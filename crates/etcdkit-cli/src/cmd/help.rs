//! `help` and `options`.

use std::io::{self, IsTerminal, Write};

use crate::{
    args,
    error::{Exit, Failure, Result},
};

/// Explains a command, or all of them.
pub(crate) fn run(path: &[String]) -> Result {
    if path.first().is_some_and(|name| name == "serve") {
        return show(&args::serve_command().render_long_help());
    }
    let (mut command, path) = match path.split_first() {
        Some((name, path)) if name == "v2" => (args::v2::command(), path),
        _ => (args::command(), path),
    };
    command.build();
    let mut found = &mut command;
    for name in path {
        found = found.find_subcommand_mut(name).ok_or_else(|| {
            Failure::new(Exit::Error, format!("unknown help topic {name:?}"))
                .hint("`etcdkit help` lists the commands")
        })?;
    }
    show(&found.render_help())
}

/// Lists the options of every command.
pub(super) fn options() -> Result {
    show(&args::options().render_long_help())
}

fn show(text: &clap::builder::StyledStr) -> Result {
    let mut out = io::stdout();
    if out.is_terminal() {
        writeln!(out, "{}", text.ansi())?;
    } else {
        writeln!(out, "{text}")?;
    }
    Ok(())
}
