//! The style of a report: the caller knows the terminal, the report does not.

use std::{borrow::Cow, fmt::Display};

use anstyle::{AnsiColor, Effects, Style as Ansi};

use super::{
    document::Tone,
    text::{CUT, wrap},
};

/// The style of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether to use colour.
    pub color: bool,
    /// Columns of the terminal.
    pub width: u16,
    /// Whether to draw with ASCII characters alone.
    pub ascii: bool,
    /// Whether to show what most readers pass over: each movement, and what a verdict stands on.
    pub details: bool,
}

/// Replacements for the drawing characters on a terminal without Unicode.
const ASCII: &[(char, &str)] = &[
    ('→', "->"),
    ('←', "<-"),
    ('⇄', "<->"),
    ('▶', ">"),
    ('═', "="),
    ('─', "-"),
    ('┄', "."),
    ('≋', "~"),
    ('█', "#"),
    ('▌', "#"),
    ('┃', "|"),
    ('✔', "+"),
    ('≈', "="),
    ('✘', "x"),
    ('–', "-"),
    ('…', "..."),
    ('×', "x"),
    ('·', "-"),
    ('’', "'"),
    ('µ', "u"),
    ('⁹', "^9"),
];

/// Columns by which a line that goes on is indented more than it began.
const FURTHER: usize = 4;

impl Style {
    /// So many columns, without colour and details.
    pub const fn plain(width: u16) -> Self {
        Self { color: false, width, ascii: false, details: false }
    }

    /// The text as this terminal can draw it. Names that others chose stay as they are.
    pub fn drawn<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if !self.ascii || text.is_ascii() {
            return Cow::Borrowed(text);
        }
        let mut drawn = String::with_capacity(text.len());
        for character in text.chars() {
            match ASCII.iter().find(|(of, _)| *of == character) {
                Some((_, instead)) => drawn.push_str(instead),
                None => drawn.push(character),
            }
        }
        Cow::Owned(drawn)
    }

    /// The text as this terminal can draw it, in which longer lines go on in the next one, further in.
    pub fn wrapped(&self, text: &str) -> String {
        let mut wrapped = String::with_capacity(text.len());
        for line in text.lines() {
            let content = line.trim_start();
            let indent = line.len() - content.len();
            let further = if indent == 0 { 0 } else { indent + FURTHER };
            let mut before = indent;
            let width = usize::from(self.width).saturating_sub(indent.max(further));
            for part in wrap(&self.drawn(content), width) {
                wrapped.push_str(&" ".repeat(before));
                wrapped.push_str(&part);
                wrapped.push('\n');
                before = further;
            }
        }
        wrapped
    }

    /// Stands for what is cut out of a name.
    pub(super) fn cut(&self) -> &'static str {
        if self.ascii { ".." } else { CUT }
    }

    /// The text in the colour of a tone.
    pub(super) fn toned(&self, tone: Tone, text: impl Display) -> String {
        match tone {
            Tone::Plain => text.to_string(),
            Tone::Strong => self.paint(Ansi::new().effects(Effects::BOLD), text),
            Tone::Dim => self.paint(Ansi::new().effects(Effects::DIMMED), text),
            Tone::Good => self.paint(AnsiColor::Green.on_default(), text),
            Tone::Fair => self.paint(AnsiColor::Yellow.on_default(), text),
            Tone::Bad => self.paint(AnsiColor::Red.on_default(), text),
            Tone::Open => self.paint(AnsiColor::Magenta.on_default(), text),
        }
    }

    /// The text as something not to be missed.
    pub(super) fn alarm(&self, text: impl Display) -> String {
        self.paint(AnsiColor::Red.on_default().effects(Effects::BOLD), text)
    }

    /// The text in a colour.
    pub(super) fn paint(&self, ansi: Ansi, text: impl Display) -> String {
        if self.color { format!("{ansi}{text}{ansi:#}") } else { text.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_lines_go_on_further_in() {
        let wrapped = Style::plain(20).wrapped("Kernel 6.12\n  lockdown: not offered by it\n\n");
        assert_eq!(wrapped, "Kernel 6.12\n  lockdown: not\n      offered by it\n\n");
    }

    #[test]
    fn without_unicode_nothing_else_is_drawn() {
        let style = Style { ascii: true, ..Style::plain(80) };
        assert_eq!(style.drawn("disk ══▶ page cache ┄┄▶ NIC"), "disk ==> page cache ..> NIC");
        assert_eq!(style.drawn("2.00 ██▌┃ 12 µs"), "2.00 ###| 12 us");
        assert_eq!(style.drawn("漢字"), "漢字");
        assert!(ASCII.iter().all(|(_, instead)| instead.is_ascii()));
        let unicode = Style { ascii: false, ..style };
        assert_eq!(unicode.drawn("→"), "→");
    }
}
