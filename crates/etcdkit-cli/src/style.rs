//! Colours, on terminals only.

use std::{
    env,
    fmt::{self, Display},
    io::{self, IsTerminal},
};

/// How a piece of text stands out.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Style {
    Title,
    Code,
    Quiet,
    Good,
    Bad,
}

/// Whether to colour at all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Palette {
    enabled: bool,
}

impl Palette {
    /// Colours if standard output is a terminal and nobody asked for none (see no-color.org).
    pub(crate) fn for_stdout() -> Self {
        let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        Self {
            enabled: io::stdout().is_terminal() && !refused,
        }
    }

    /// A text in a style.
    pub(crate) fn paint<T: Display>(self, style: Style, text: T) -> impl Display {
        Painted {
            style: self.enabled.then_some(style),
            text,
        }
    }
}

struct Painted<T> {
    style: Option<Style>,
    text: T,
}

impl<T: Display> Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = match self.style {
            None => return self.text.fmt(f),
            Some(Style::Title) => "1",
            Some(Style::Code) => "36",
            Some(Style::Quiet) => "2",
            Some(Style::Good) => "32",
            Some(Style::Bad) => "31",
        };
        write!(f, "\u{1b}[{code}m{}\u{1b}[0m", self.text)
    }
}
