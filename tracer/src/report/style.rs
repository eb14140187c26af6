//! How a table may look: the caller knows the terminal, the report does not.

use std::fmt::Display;

use clap::builder::styling::{AnsiColor, Effects, Style as Ansi};

use crate::claims::Verdict;

/// How a table may look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether to use colour.
    pub color: bool,
    /// Columns of the terminal.
    pub width: u16,
}

impl Style {
    /// The text in the colour of a verdict.
    pub(super) fn verdict(&self, verdict: Verdict, text: impl Display) -> String {
        self.paint(ansi_color(verdict).on_default(), text)
    }

    /// The text as a heading.
    pub(super) fn bold(&self, text: impl Display) -> String {
        self.paint(Ansi::new().effects(Effects::BOLD), text)
    }

    /// The text as something less important.
    pub(super) fn dim(&self, text: impl Display) -> String {
        self.paint(Ansi::new().effects(Effects::DIMMED), text)
    }

    /// The text as something not to be missed.
    pub(super) fn alarm(&self, text: impl Display) -> String {
        self.paint(AnsiColor::Red.on_default().effects(Effects::BOLD), text)
    }

    fn paint(&self, ansi: Ansi, text: impl Display) -> String {
        if self.color { format!("{ansi}{text}{ansi:#}") } else { text.to_string() }
    }
}

fn ansi_color(verdict: Verdict) -> AnsiColor {
    match verdict {
        Verdict::Confirmed => AnsiColor::Green,
        Verdict::Refined => AnsiColor::Yellow,
        Verdict::Refuted => AnsiColor::Red,
        Verdict::NotMeasurable | Verdict::NotTested => AnsiColor::Magenta,
    }
}
